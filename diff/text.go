package diff

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// TextOptions say how Text writes.
type TextOptions struct {
	Color bool // ANSI colours
	Width int  // columns to wrap lines at; 0 is no limit
}

// What Text shows of long things; the JSON outputs have all of them.
const (
	maxValue    = 100 // characters of a value
	maxKnown    = 40  // characters of the value that one side knows where the other does not
	maxLine     = 160 // characters of a line of a document
	maxElements = 8   // elements that a list gained or lost
	maxDocument = 60  // lines of a document's diff
	maxUnknown  = 10  // unknown rows of one table, region and reason
)

// Text runs the comparison and writes it for people: the summary, then what
// rules rank, the gravest first, and then the rest, by account and table.
// Whatever the snapshots hold, it writes no character that a terminal would
// obey.
func Text(w io.Writer, c *Comparison, o TextOptions) error {
	out := bufio.NewWriter(w)
	names := map[string]string{}
	for _, a := range c.accounts {
		names[a.provider+"/"+a.id] = a.name
	}
	var each [groups]*text // a group has its own headings
	for g := range each {
		each[g] = &text{color: o.Color, width: o.Width, names: names}
	}
	top := &text{color: o.Color, width: o.Width}
	err := render(out, c, output{
		entry: func(to io.Writer, g int, ch Change) error {
			each[g].change(ch)
			return each[g].flush(to)
		},
		end: func(to io.Writer, g int) error {
			each[g].endPart()
			return each[g].flush(to)
		},
		head: func(to io.Writer) error {
			top.summary(c.Summary())
			return top.flush(to)
		},
		title: func(to io.Writer, g int) error {
			top.group(c.Summary(), g)
			return top.flush(to)
		},
		tail: func(to io.Writer) error {
			if top.cut || slices.ContainsFunc(each[:], func(t *text) bool { return t.cut }) {
				top.line("")
				top.line("%s", top.dim("Long values and lists are cut here; --format json has them whole."))
			}
			return top.flush(to)
		},
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// text writes the text output, step by step.
type text struct {
	b       strings.Builder
	color   bool
	width   int
	names   map[string]string // provider/account → name
	account string
	table   string
	cut     bool // something was cut

	// Unknown rows of the part that is being written: they follow its changes,
	// once for each reason.
	part    string
	unknown []unknownRows
}

type unknownRows struct {
	title string
	rows  []string
	more  int
}

func (t *text) flush(w io.Writer) error {
	_, err := io.WriteString(w, t.b.String())
	t.b.Reset()
	return err
}

func (t *text) line(format string, args ...any) {
	t.b.WriteString(wrap(fmt.Sprintf(format, args...), t.width))
	t.b.WriteByte('\n')
}

// wrap breaks a line at spaces, or where there are none anywhere, so that no
// part is wider than width columns. It counts what a terminal shows: wide
// characters twice, colours not at all.
func wrap(line string, width int) string {
	if width <= 0 || len(line) <= width {
		return line
	}
	indent := len(line) - len(strings.TrimLeft(line, " ")) + 4
	if indent > width/2 {
		indent = 4
	}
	var out strings.Builder
	column, start, space := 0, 0, -1 // space is the last place to break after in line[start:]
	atSpace := 0                     // the column there
	text := false                    // something other than the indent stands on this line
	for i := 0; i < len(line); {
		if line[i] == '\x1b' {
			if end := strings.IndexByte(line[i:], 'm'); end >= 0 {
				i += end + 1
				continue
			}
		}
		cluster, _, w, _ := uniseg.FirstGraphemeClusterInString(line[i:], -1)
		if column+w > width && text && cluster == " " {
			space, atSpace = i, column // break here; the space goes
		}
		if column+w > width && text {
			end := i
			if space > start {
				end = space
			}
			out.WriteString(strings.TrimRight(line[start:end], " "))
			out.WriteString("\n" + strings.Repeat(" ", indent))
			if space > start {
				column = indent + column - atSpace
			} else {
				column = indent
			}
			start, space, text = end, -1, column > indent
			if start == i && cluster == " " {
				start = i + 1
				i++
				continue
			}
		}
		column += w
		i += len(cluster)
		if cluster != " " {
			text = true
		} else if text {
			space, atSpace = i, column
		}
	}
	return out.String() + line[start:]
}

// pad fills up with spaces to a width in columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-uniseg.StringWidth(s)))
}

// middle is text of at most width columns: where it is wider its middle is cut.
func middle(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	r := []rune(s)
	head := r[:min(len(r), width/2)]
	tail := r[max(len(head), len(r)-(width-width/2-1)):]
	for len(head)+len(tail) > 0 && uniseg.StringWidth(string(head)+"…"+string(tail)) > width {
		if len(head) >= len(tail) {
			head = head[:len(head)-1]
		} else {
			tail = tail[1:]
		}
	}
	return string(head) + "…" + string(tail)
}

var severityColors = map[Severity]string{Critical: "1;37;41", High: "1;31", Medium: "33", Low: "36"}

func (t *text) severity(s Severity) string { return t.paint(severityColors[s], string(s)) }

// group writes the heading of a severity, or of the rest.
func (t *text) group(s *Summary, g int) {
	if len(s.Severities) == 0 {
		return
	}
	t.line("")
	if g == groups-1 {
		t.line("%s", t.bold("━━ the rest"))
		return
	}
	severity := Severities[g]
	for _, c := range s.Severities {
		if c.Severity == severity {
			t.line("%s %s  %s", t.bold("━━"), t.severity(severity), count(c.Entries, "entry", "entries"))
		}
	}
}

// findings writes what rules say of an entry.
func (t *text) findings(ch Change) {
	for _, f := range ch.Findings {
		perhaps := ""
		if f.Perhaps {
			perhaps = t.dim("  (perhaps not new: the old snapshot does not know)")
		}
		elements := ""
		if len(f.Elements) > 0 {
			elements = ": " + t.bareList(f.Elements)
		}
		t.line("      %s %s%s%s  %s", t.severity(f.Severity), bare(f.Text), elements, perhaps, t.dim(bare(f.Rule)))
	}
	if has := t.has(ch); has != "" {
		t.line("      %s", t.dim(has))
	}
}

// has is what an added or removed row that a rule ranks has, on one line: what
// a reader needs to judge it without looking it up.
func (t *text) has(ch Change) string {
	if len(ch.Findings) == 0 || ch.Kind == Changed || ch.Kind == Unknown && ch.Perhaps == "" {
		return ""
	}
	var parts []string
	seen := map[string]bool{}
	for _, k := range ch.Key {
		seen[t.value(k.Value.V)] = true
	}
	for _, p := range ch.Properties {
		for _, side := range []*Value{p.Old, p.New} {
			if side == nil || side.V == nil || strings.HasPrefix(p.Name, "_") {
				continue
			}
			if v := t.value(side.V); !seen[v] && len(parts) < maxElements {
				parts = append(parts, bare(p.Name)+" "+v)
			}
		}
	}
	for _, r := range ch.Relations {
		if list := append(slices.Clone(r.Added), r.Removed...); len(list) > 0 && len(parts) < 2*maxElements {
			parts = append(parts, linkWords(r.Type, r.Label, r.Direction == "out")+" "+t.bareList(list))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *text) bareList(list []any) string {
	var parts []string
	for _, v := range list[:min(len(list), maxElements)] {
		s := t.value(v)
		if text, ok := v.(string); ok {
			s = t.short(bare(text), maxValue)
		}
		parts = append(parts, s)
	}
	if more := len(list) - maxElements; more > 0 {
		t.cut = true
		parts = append(parts, fmt.Sprintf("… %d more", more))
	}
	return strings.Join(parts, ", ")
}

func (t *text) paint(code, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *text) bold(s string) string { return t.paint("1", s) }
func (t *text) dim(s string) string  { return t.paint("2", s) }

var marks = map[Kind]string{Added: "+", Removed: "-", Changed: "~", Unknown: "?"}
var colors = map[string]string{"+": "32", "-": "31", "~": "33", "?": "35"}

func (t *text) mark(m string) string { return t.paint(colors[m], m) }

func count(n int64, one, many string) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n == 1 {
		return s + " " + one
	}
	return s + " " + many
}

func number(n int64) string { return strings.TrimSuffix(count(n, "", ""), " ") }

const clock = "2006-01-02 15:04:05"

// summary writes the first part.
func (t *text) summary(s *Summary) {
	t.line("%s", t.bold("snap diff"))
	for _, side := range []struct {
		name string
		Snapshot
	}{{"old", s.Old}, {"new", s.New}} {
		id := side.ID
		if i := strings.IndexByte(id, ':'); i >= 0 && len(id) > i+13 {
			id = id[:i+13]
		}
		t.line("  %s  %s UTC  %s  %s", side.name, side.Started.UTC().Format(clock), bare(id), bare(side.Program))
	}
	t.line("")
	verdict := "Nothing differs."
	if s.Differs() {
		var parts []string
		for _, p := range []struct {
			n    int64
			what string
			mark string
		}{{s.Total.Added, "added", "+"}, {s.Total.Removed, "removed", "-"}, {s.Total.Changed, "changed", "~"}} {
			if p.n > 0 {
				parts = append(parts, t.paint(colors[p.mark], number(p.n)+" "+p.what))
			}
		}
		verdict = strings.Join(parts, ", ") + "."
	} else if !s.Comparable() {
		verdict = "Nothing differs in what could be compared."
	}
	if s.Total.Unknown > 0 {
		verdict += " " + t.paint(colors["?"], count(s.Total.Unknown, "entry", "entries")+" unknown") + "."
	}
	t.line("%s %s the same.", verdict, count(s.Total.Same, "row is", "rows are"))
	compared := fmt.Sprintf("Compared %s of %s (account, region and sync)", number(int64(s.Cells.Comparable)), count(int64(s.Cells.Total), "cell", "cells"))
	if s.Cells.Unsupported > 0 {
		compared += fmt.Sprintf("; %s not supported on either side", number(int64(s.Cells.Unsupported)))
	}
	t.line("%s.", compared)
	if s.Outside != nil {
		t.line("%s", s.Outside)
	}
	if s.Ignored > 0 {
		t.line("%s ignored, as you asked.", count(s.Ignored, "difference is", "differences are"))
	}
	if len(s.Severities) > 0 {
		var parts []string
		for _, c := range s.Severities {
			parts = append(parts, number(c.Entries)+" "+t.severity(c.Severity))
		}
		t.line("Security: %s.", strings.Join(parts, ", "))
	}
	t.counts(s)
	t.gaps(s)
}

// counts writes the table of counts: accounts, and in them the tables with an
// entry.
func (t *text) counts(s *Summary) {
	type row struct {
		indent, name string
		Counts
	}
	var rows []row
	width := 0
	for _, a := range s.Accounts {
		if a.entries() == 0 {
			continue
		}
		rows = append(rows, row{"", accountName(a.ID, a.Name), a.Counts})
		for _, y := range a.Syncs {
			for _, table := range y.Tables {
				if table.entries() > 0 {
					rows = append(rows, row{"  ", y.Sync + "  " + table.Table, table.Counts})
				}
			}
		}
	}
	if len(rows) == 0 {
		return
	}
	for _, r := range rows {
		width = max(width, uniseg.StringWidth(r.indent+r.name))
	}
	if t.width > 0 {
		width = max(16, min(width, t.width-2-4*9))
	}
	t.line("")
	t.line("%s", t.dim(fmt.Sprintf("  %-*s  %7s  %7s  %7s  %7s", width, "", "added", "removed", "changed", "unknown")))
	for _, r := range rows {
		name := pad(middle(r.indent+r.name, width), width)
		if r.indent == "" {
			name = t.bold(name)
		}
		line := "  " + name
		for _, n := range []struct {
			n    int64
			mark string
		}{{r.Added, "+"}, {r.Removed, "-"}, {r.Changed, "~"}, {r.Unknown, "?"}} {
			cell := t.dim("      ·")
			if n.n > 0 {
				cell = t.paint(colors[n.mark], fmt.Sprintf("%7s", number(n.n)))
			}
			line += "  " + cell
		}
		t.line("%s", line)
	}
}

func (c Counts) entries() int64 { return c.Added + c.Removed + c.Changed + c.Unknown }

// gaps writes what could not be compared: regions that share a reason share a
// line.
func (t *text) gaps(s *Summary) {
	if len(s.Gaps)+len(s.OnlyOld)+len(s.OnlyNew) == 0 {
		return
	}
	t.line("")
	t.line("%s", t.bold("Not compared, or not wholly"))
	for _, one := range []struct {
		side     Side
		accounts []Account
	}{{Old, s.OnlyOld}, {New, s.OnlyNew}} {
		for _, a := range one.accounts {
			t.line("  %s %s  only in the %s snapshot, %s", t.mark("?"), accountName(a.ID, a.Name), one.side, count(a.Rows, "row", "rows"))
		}
	}
	type group struct {
		where, why string
		regions    []string
	}
	var groups []group
	for _, g := range s.Gaps {
		var why []string
		for _, r := range []*Reason{g.Old, g.New} {
			if r != nil {
				why = append(why, fmt.Sprintf("%s: %s", r.Side, t.short(printable(r.Text, ""), maxLine)))
			}
		}
		if len(why) == 2 && g.Old.Text == g.New.Text {
			why = []string{"both: " + t.short(printable(g.Old.Text, ""), maxLine)}
		}
		where := g.Account + "  " + g.Sync
		text := strings.Join(why, "; ")
		i := slices.IndexFunc(groups, func(x group) bool { return x.where == where && x.why == text })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{where: where, why: text})
		}
		groups[i].regions = append(groups[i].regions, regionName(g.Region))
	}
	for _, g := range groups {
		regions := strings.Join(g.regions[:min(len(g.regions), 4)], ", ")
		if more := len(g.regions) - 4; more > 0 {
			regions += fmt.Sprintf(" and %d more", more)
			t.cut = true
		}
		t.line("  %s %s  %s", t.mark("?"), bare(g.where), regions)
		t.line("      %s", g.why)
	}
}

func accountName(id, name string) string {
	if name == "" {
		return bare(id)
	}
	return bare(id) + "  " + bare(name)
}

// change writes one entry.
func (t *text) change(ch Change) {
	account := ch.Provider + "/" + ch.Account
	if part := account + "\x00" + ch.Table + "\x00" + ch.cell; part != t.part {
		t.endPart()
		t.part = part
	}
	if account != t.account {
		t.account, t.table = account, ""
		title := accountName(ch.Account, t.names[account])
		t.line("")
		t.line("%s", t.bold("── "+title+" "+strings.Repeat("─", max(3, min(cmp.Or(t.width, 78), 100)-4-uniseg.StringWidth(title)))))
	}
	if ch.Table == "" {
		t.line("")
		t.line("  %s %s not compared", t.mark("?"), count(ch.Rows, "row", "rows"))
		t.line("      %s", t.reason(ch.Unknown))
		return
	}
	if ch.Table != t.table {
		t.table = ch.Table
		title := t.bold(ch.Table)
		if ch.Label != "" {
			title += t.dim("  " + ch.Label)
		}
		t.line("")
		t.line("%s", title)
	}
	switch {
	case ch.Kind == Unknown && ch.Key == nil && len(ch.Properties) > 0:
		t.columns(ch)
	case ch.Kind == Unknown && ch.Key == nil:
		t.line("  %s %s  %s", t.mark("?"), regionName(ch.Region), count(ch.Rows, "row", "rows")+" not compared")
		t.line("      %s", t.reason(ch.Unknown))
	case ch.Kind == Unknown && ch.Perhaps != "" && len(ch.Findings) > 0:
		t.line("  %s %s  %s %s", t.mark("?"), t.resource(ch), ch.Perhaps, t.reason(ch.Unknown))
		t.findings(ch)
	case ch.Kind == Unknown && ch.Perhaps != "":
		t.hold(ch)
	default:
		t.line("  %s %s", t.mark(marks[ch.Kind]), t.resource(ch))
		t.findings(ch)
		if ch.Kind == Changed || ch.Kind == Unknown {
			t.details(ch)
		}
	}
}

// columns writes the columns that cannot be compared at all.
func (t *text) columns(ch Change) {
	var texts []string
	columns := map[string][]string{}
	for _, p := range ch.Properties {
		why := t.reason(p.Unknown)
		if columns[why] == nil {
			texts = append(texts, why)
		}
		columns[why] = append(columns[why], bare(p.Name))
	}
	for _, why := range texts {
		t.line("  %s %s not compared: %s", t.mark("?"), plural(len(columns[why]), "column", "columns"), strings.Join(columns[why], ", "))
		t.line("      %s", why)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// hold keeps a row of which it is not known whether it was added or removed,
// for endPart.
func (t *text) hold(ch Change) {
	title := "removed, or not read  " + t.reason(ch.Unknown)
	if ch.Perhaps == Added {
		title = "added, or not read before  " + t.reason(ch.Unknown)
	}
	i := slices.IndexFunc(t.unknown, func(u unknownRows) bool { return u.title == title })
	if i < 0 {
		i = len(t.unknown)
		t.unknown = append(t.unknown, unknownRows{title: title})
	}
	if u := &t.unknown[i]; len(u.rows) < maxUnknown {
		u.rows = append(u.rows, t.resource(ch))
	} else {
		u.more++
	}
}

// endPart writes the rows that hold kept.
func (t *text) endPart() {
	for _, u := range t.unknown {
		t.line("  %s %s", t.mark("?"), u.title)
		for _, r := range u.rows {
			t.line("      %s", r)
		}
		if u.more > 0 {
			t.cut = true
			t.line("      … %d more", u.more)
		}
	}
	t.unknown = nil
}

func (t *text) reason(r *Reason) string {
	side := string(r.Side) + " snapshot"
	if r.Side == Both {
		side = "both snapshots"
	}
	return t.dim("(" + side + ": " + t.short(printable(r.Text, ""), maxLine) + ")")
}

// resource is how a row is called: its key, name and region.
func (t *text) resource(ch Change) string {
	if r := ch.Relationship; r != nil {
		return fmt.Sprintf("(%s %s)-[%s]->(%s %s)", r.From.Label, t.key(r.From.On), r.Type, r.To.Label, t.key(r.To.On))
	}
	s := t.bold(t.key(ch.Key))
	if ch.Name != "" {
		s += " " + t.quote(ch.Name, maxValue)
	}
	if ch.Region != "" {
		s += "  " + t.dim(bare(ch.Region))
	}
	return s
}

func (t *text) key(k Key) string {
	var parts []string
	for _, n := range k {
		if s, ok := n.Value.V.(string); ok {
			parts = append(parts, t.short(bare(s), 2*maxValue))
			continue
		}
		parts = append(parts, t.value(n.Value.V))
	}
	return strings.Join(parts, " ")
}

// details writes what differs in a row.
func (t *text) details(ch Change) {
	width := 0
	for _, p := range ch.Properties {
		width = max(width, min(utf8.RuneCountInString(bare(p.Name)), 32))
	}
	for _, p := range ch.Properties {
		name := fmt.Sprintf("%-*s", width, bare(p.Name))
		links := ""
		if len(p.Links) > 0 {
			links = "  " + t.dim("("+strings.Join(p.Links, ", ")+")")
		}
		switch {
		case p.Unknown != nil:
			known := ""
			if p.Old != nil && p.Old.V != nil {
				known = "was " + t.atMost(maxKnown, p.Old.V) + "  "
			} else if p.New != nil && p.New.V != nil {
				known = "is " + t.atMost(maxKnown, p.New.V) + "  "
			}
			t.line("      %s  unknown  %s%s", name, known, t.reason(p.Unknown))
		case p.Diff != nil:
			t.line("      %s%s", strings.TrimRight(name, " "), links)
			t.document(p.Diff)
		case len(p.Added)+len(p.Removed) > 0:
			was := ""
			if p.Old.V == nil {
				was = "was null: "
			} else if p.New.V == nil {
				was = "is null: "
			}
			t.line("      %s  %s%s%s", name, was, t.sets(p.Added, p.Removed), links)
		default:
			t.line("      %s  %s → %s%s", name, t.value(p.Old.V), t.value(p.New.V), links)
		}
	}
	for _, r := range ch.Relations {
		words := linkWords(r.Type, r.Label, r.Direction == "out")
		if r.On != "" && r.On != "id" && r.Property == "" {
			words += "." + r.On
		}
		if r.Property != "" {
			words += " {" + r.Property + "}"
		}
		switch {
		case r.Unknown != nil && len(r.Added)+len(r.Removed) > 0:
			t.line("      %s: perhaps %s  %s", words, t.sets(r.Added, r.Removed), t.reason(r.Unknown))
		case r.Unknown != nil:
			t.line("      %s: unknown  %s", words, t.reason(r.Unknown))
		case r.Property != "":
			t.line("      %s: %s → %s", words, t.value(r.Old.V), t.value(r.New.V))
		case len(r.Added) == 1 && len(r.Removed) == 1:
			t.line("      %s: %s → %s", words, t.bareList(r.Removed), t.bareList(r.Added))
		default:
			t.line("      %s: %s", words, t.sets(r.Added, r.Removed))
		}
	}
}

// sets is what a list gained and lost.
func (t *text) sets(added, removed []any) string {
	var parts []string
	for _, half := range []struct {
		mark string
		list []any
	}{{"-", removed}, {"+", added}} {
		for _, v := range half.list[:min(len(half.list), maxElements)] {
			s := t.value(v)
			if text, ok := v.(string); ok {
				s = t.short(bare(text), maxValue)
			}
			parts = append(parts, t.mark(half.mark)+" "+s)
		}
		if more := len(half.list) - maxElements; more > 0 {
			t.cut = true
			parts = append(parts, fmt.Sprintf("%s … %d more", t.mark(half.mark), more))
		}
	}
	return strings.Join(parts, ", ")
}

// document writes a document's diff.
func (t *text) document(lines []string) {
	for i, l := range lines {
		if i == maxDocument {
			t.cut = true
			t.line("        … %d more lines", len(lines)-i)
			return
		}
		mark, rest := l[:1], t.short(l[1:], maxLine)
		switch mark {
		case "@":
			t.line("        %s", t.dim("⋯"+rest))
		case " ":
			t.line("          %s", rest)
		default:
			t.line("        %s", t.paint(colors[mark], mark+" "+rest))
		}
	}
}

// value is a value on one line, text in quotes.
func (t *text) value(v any) string { return t.atMost(maxValue, v) }

// atMost is value with another limit for text.
func (t *text) atMost(most int, v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return t.quote(v, most)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []string:
		return t.list(set(v))
	case []int64:
		return t.list(set(v))
	}
	return fmt.Sprint(v)
}

func (t *text) list(list []any) string {
	var parts []string
	for _, v := range list[:min(len(list), maxElements)] {
		parts = append(parts, t.value(v))
	}
	if more := len(list) - maxElements; more > 0 {
		t.cut = true
		parts = append(parts, fmt.Sprintf("… %d more", more))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// quote is text in quotes, cut when long.
func (t *text) quote(s string, most int) string {
	n := utf8.RuneCountInString(s)
	if n <= most {
		return strconv.Quote(s)
	}
	t.cut = true
	return strconv.Quote(string([]rune(s)[:most])) + "… (" + count(int64(n), "character", "characters") + ")"
}

// short cuts a line that is printable already.
func (t *text) short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	t.cut = true
	return string([]rune(s)[:most]) + "…"
}

// bare is text without quotes where it reads well so, else with.
func bare(s string) string {
	quoted := strconv.Quote(s)
	if s == "" || quoted != `"`+s+`"` || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return quoted
	}
	return s
}
