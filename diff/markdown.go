package diff

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxMarkdown is the most bytes of entries that Markdown writes: a comment on
// a pull request holds 65,536 characters.
const maxMarkdown = 56_000

// Markdown runs the comparison and writes it for a pull request: the summary,
// what rules rank in full, the gravest first, and the rest folded. What does
// not fit into a comment is counted.
func Markdown(w io.Writer, c *Comparison) error {
	m := &markdown{t: &text{}, names: map[string]string{}}
	for _, a := range c.accounts {
		m.names[a.provider+"/"+a.id] = a.name
	}
	var parts [groups]strings.Builder
	var entries, left [groups]int64
	for ch, err := range c.Changes() {
		if err != nil {
			return err
		}
		g := groupOf(&ch)
		entries[g]++
		if s := m.entry(ch); left[g] == 0 && parts[g].Len()+len(s) <= maxMarkdown {
			parts[g].WriteString(s)
		} else {
			left[g]++
		}
	}
	out := bufio.NewWriter(w)
	s := c.Summary()
	m.summary(out, s)
	room := maxMarkdown
	for g := range parts {
		if entries[g] == 0 {
			continue
		}
		body, cut := parts[g].String(), left[g]
		for len(body) > room { // whole entries only
			i := strings.LastIndex(body[:len(body)-1], "\n- ")
			body = body[:i+1]
			cut++
		}
		room -= len(body)
		if g < groups-1 {
			fmt.Fprintf(out, "\n### %s: %s\n\n", Severities[g], count(entries[g], "entry", "entries"))
		} else {
			title := "All entries"
			if len(s.Severities) > 0 {
				title = "The rest"
			}
			fmt.Fprintf(out, "\n<details><summary>%s: %s</summary>\n\n", title, count(entries[g], "entry", "entries"))
		}
		fmt.Fprint(out, body)
		if cut > 0 {
			fmt.Fprintf(out, "\n%s not shown here; `--format html` and `--format json` have all.\n", count(cut, "entry is", "entries are"))
		}
		if g == groups-1 {
			fmt.Fprint(out, "\n</details>\n")
		}
	}
	return out.Flush()
}

type markdown struct {
	t     *text // without colours
	names map[string]string
}

func (m *markdown) summary(out *bufio.Writer, s *Summary) {
	verdict := "nothing differs"
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{s.Total.Added, "added"}, {s.Total.Removed, "removed"}, {s.Total.Changed, "changed"}} {
		if p.n > 0 {
			parts = append(parts, number(p.n)+" "+p.what)
		}
	}
	if len(parts) > 0 {
		verdict = strings.Join(parts, ", ")
	} else if !s.Comparable() {
		verdict = "nothing differs in what could be compared"
	}
	fmt.Fprintf(out, "## Drift: %s\n\n", verdict)
	var ranked []string
	for _, c := range s.Severities {
		ranked = append(ranked, fmt.Sprintf("**%s %s**", number(c.Entries), c.Severity))
	}
	if len(ranked) > 0 {
		fmt.Fprintf(out, "Security: %s.\n", strings.Join(ranked, ", "))
	}
	fmt.Fprintf(out, "From %s to %s (UTC). Compared %s of %s (account, region and sync); %s unknown; %s the same.\n",
		s.Old.Started.UTC().Format(clock), s.New.Started.UTC().Format(clock), number(int64(s.Cells.Comparable)), count(int64(s.Cells.Total), "cell", "cells"),
		count(s.Total.Unknown, "entry is", "entries are"), count(s.Total.Same, "row is", "rows are"))
	if s.Outside != nil {
		fmt.Fprintln(out, s.Outside)
	}
	if s.Ignored > 0 {
		fmt.Fprintf(out, "%s ignored, as asked.\n", count(s.Ignored, "difference is", "differences are"))
	}
	if s.Total.entries() > 0 {
		fmt.Fprint(out, "\n| Account | Table | Added | Removed | Changed | Unknown |\n|---|---|--:|--:|--:|--:|\n")
		rows := 0
		for _, a := range s.Accounts {
			for _, y := range a.Syncs {
				for _, t := range y.Tables {
					if t.entries() == 0 {
						continue
					}
					if rows++; rows > 60 {
						continue
					}
					name := tableCell(a.ID)
					if a.Name != "" {
						name += " " + tableCell(a.Name)
					}
					fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", name, tableCell(t.Table), dot(t.Added), dot(t.Removed), dot(t.Changed), dot(t.Unknown))
				}
			}
		}
		if rows > 60 {
			fmt.Fprintf(out, "\n%s more.\n", count(int64(rows-60), "table", "tables"))
		}
	}
	t := &text{}
	t.gaps(s)
	if _, gaps, ok := strings.Cut(strings.TrimSpace(t.b.String()), "\n"); ok { // without its heading
		gaps = cutBytes(gaps, 4000)
		f := fence(gaps)
		fmt.Fprintf(out, "\n<details><summary>Not compared, or not wholly</summary>\n\n%s\n%s\n%s\n\n</details>\n", f, gaps, f)
	}
}

func dot(n int64) string {
	if n == 0 {
		return "·"
	}
	return number(n)
}

// entry is one entry: an item of a list, with items of its own.
func (m *markdown) entry(ch Change) string {
	var b strings.Builder
	where := []string{}
	if ch.Table != "" {
		where = append(where, code(ch.Table))
	}
	where = append(where, code(ch.Account))
	if name := m.names[ch.Provider+"/"+ch.Account]; name != "" {
		where[len(where)-1] += " " + plainText(name)
	}
	if ch.Region != "" {
		where = append(where, code(ch.Region))
	}
	what := ""
	switch {
	case ch.Relationship != nil:
		what = code(m.t.resource(ch))
	case ch.Key != nil:
		what = code(m.t.key(ch.Key))
		if ch.Name != "" {
			what += " " + plainText(ch.Name)
		}
	case ch.Rows > 0:
		what = count(ch.Rows, "row", "rows") + " not compared"
	}
	kind := string(ch.Kind)
	if ch.Perhaps != "" {
		kind += ", perhaps " + string(ch.Perhaps)
	}
	fmt.Fprintf(&b, "- **%s** %s · %s\n", kind, what, strings.Join(where, " · "))
	for _, f := range ch.Findings {
		fmt.Fprintf(&b, "  - **%s**: %s", f.Severity, plainText(f.Text))
		if len(f.Elements) > 0 {
			fmt.Fprintf(&b, ": %s", m.list(f.Elements))
		}
		if f.Perhaps {
			b.WriteString(" (perhaps not new)")
		}
		b.WriteString("\n")
	}
	if has := m.t.has(ch); has != "" {
		fmt.Fprintf(&b, "  - has %s\n", code(has))
	}
	if ch.Unknown != nil {
		fmt.Fprintf(&b, "  - %s snapshot: %s\n", ch.Unknown.Side, code(printable(ch.Unknown.Text, "")))
	}
	if ch.Kind != Changed && (ch.Kind != Unknown || ch.Perhaps != "") {
		return b.String()
	}
	for _, p := range ch.Properties {
		name := code(p.Name)
		switch {
		case p.Unknown != nil:
			fmt.Fprintf(&b, "  - %s: unknown\n", name)
		case p.Diff != nil:
			lines := p.Diff
			var more string
			if len(lines) > maxDocument {
				more, lines = fmt.Sprintf("\n    … %d more lines", len(lines)-maxDocument), lines[:maxDocument]
			}
			var body []string
			for _, l := range lines {
				l = strings.Replace(l, "@", "@@", min(1, strings.Count(l[:1], "@")))
				body = append(body, "    "+m.t.short(printable(l, ""), maxLine))
			}
			f := fence(strings.Join(body, "\n"))
			fmt.Fprintf(&b, "  - %s\n    %sdiff\n%s%s\n    %s\n", name, f, strings.Join(body, "\n"), more, f)
		case len(p.Added)+len(p.Removed) > 0:
			fmt.Fprintf(&b, "  - %s: %s\n", name, m.sets(p.Added, p.Removed))
		default:
			fmt.Fprintf(&b, "  - %s: %s → %s\n", name, code(m.t.value(p.Old.V)), code(m.t.value(p.New.V)))
		}
	}
	for _, r := range ch.Relations {
		words := code(linkWords(r.Type, r.Label, r.Direction == "out"))
		switch {
		case r.Unknown != nil:
			fmt.Fprintf(&b, "  - %s: %s\n", words, strings.TrimSpace("unknown, perhaps "+m.sets(r.Added, r.Removed)))
		case r.Property != "":
			fmt.Fprintf(&b, "  - %s %s: %s → %s\n", words, code(r.Property), code(m.t.value(r.Old.V)), code(m.t.value(r.New.V)))
		case len(r.Added) == 1 && len(r.Removed) == 1:
			fmt.Fprintf(&b, "  - %s: %s → %s\n", words, m.list(r.Removed), m.list(r.Added))
		default:
			fmt.Fprintf(&b, "  - %s: %s\n", words, m.sets(r.Added, r.Removed))
		}
	}
	return b.String()
}

func (m *markdown) list(list []any) string {
	var parts []string
	for _, v := range list[:min(len(list), maxElements)] {
		s, ok := v.(string)
		if !ok {
			s = m.t.value(v)
		}
		parts = append(parts, code(m.t.short(bare(s), maxValue)))
	}
	if more := len(list) - maxElements; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

func (m *markdown) sets(added, removed []any) string {
	var parts []string
	if len(removed) > 0 {
		parts = append(parts, "− "+m.list(removed))
	}
	if len(added) > 0 {
		parts = append(parts, "+ "+m.list(added))
	}
	return strings.Join(parts, "; ")
}

// code is a code span: nothing in it is markup.
func code(s string) string {
	s = printable(s, "")
	if s == "" {
		s = `""`
	}
	ticks := "`"
	for strings.Contains(s, ticks) {
		ticks += "`"
	}
	if len(ticks) > 1 {
		return ticks + " " + s + " " + ticks
	}
	return ticks + s + ticks
}

// tableCell is a code span in a table, where a bar would end the cell.
func tableCell(s string) string { return strings.ReplaceAll(code(s), "|", `\|`) }

// plainText is text with everything escaped that Markdown or a forge would read
// (markup, HTML, mentions, references).
func plainText(s string) string {
	var b strings.Builder
	for _, r := range printable(s, "") {
		switch {
		case r == '@' || r == '#':
			fmt.Fprintf(&b, "&#%d;", r)
		case strings.ContainsRune("\\`*_{}[]<>()+!|~&$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// fence is what goes around a block so that nothing in it ends it.
func fence(s string) string {
	f := "```"
	for strings.Contains(s, f) {
		f += "`"
	}
	return f
}

// cutBytes cuts a text at a line's end.
func cutBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	lines := strings.Split(s[:most], "\n")
	return strings.Join(slices.Concat(lines[:len(lines)-1], []string{"…"}), "\n")
}
