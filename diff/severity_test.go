package diff

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"snap/store"
)

func TestReadRules(t *testing.T) {
	rules, err := ReadRules(strings.NewReader(`{"rules": [
		{"name": "a", "text": "It stopped", "severity": "high", "tables": ["host"], "change": "turns", "where": [{"column": "state", "is": ["stopped"]}]},
		{"name": "b", "text": "Two ports", "severity": "low", "tables": ["host"], "change": "gains", "of": "ports", "element": {"min": 22, "max": 23}},
		{"name": "user-new", "severity": "off"}]}`))
	if err != nil || len(rules) != 3 {
		t.Fatal(err, len(rules))
	}
	old := snap(t, hostCell(rowsOf(hosts, base("h-1"))))
	new := snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) { h.State, h.Ports = p("stopped"), []int64{22, 80, 8080} }))))
	got, s := run(t, old, new, registry, Options{Rules: rules[:2]})
	if len(got) != 1 || got[0].Severity != High || len(got[0].Findings) != 2 || got[0].Findings[1].Elements[0] != int64(22) {
		t.Errorf("%+v", got)
	}
	if len(s.Severities) != 1 || s.Severities[0] != (SeverityCount{High, 1}) {
		t.Errorf("%+v", s.Severities)
	}
	more := Extend(Rules(), rules)
	if len(more) != len(Rules())+1 || slices.ContainsFunc(more, func(r Rule) bool { return r.Name == "user-new" }) {
		t.Errorf("%d rules", len(more))
	}

	for text, want := range map[string]string{
		`{"rules": [{"name": "a"}]}`:                                                                                                                "severity",
		`{"rules": [{"severity": "high"}]}`:                                                                                                         "name",
		`{"rules": [{"name": "a", "severity": "high", "text": "x"}]}`:                                                                               "tables",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "melts"}]}`:                                           "melts",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "becomes"}]}`:                                         "where",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "gains"}]}`:                                           "need",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "added", "of": "x"}]}`:                                "goes with",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "added", "element": {"is": ["x"]}}]}`:                 "element",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "added", "where": [{"is": ["x"]}]}]}`:                 "column",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "added", "where": [{"column": "x"}]}]}`:               "nothing",
		`{"rules": [{"name": "a", "severity": "high", "tables": ["t"], "text": "x", "change": "added", "where": [{"column": "x", "is": [null]}]}]}`: "texts",
		`{"rules": [{"name": "a", "severity": "off"}, {"name": "a", "severity": "off"}]}`:                                                           "name",
		`{"rules": [], "rule": 1}`: "rule",
		`{"rules": []} x`:          "after",
		`- name: a`:                "invalid",
	} {
		if _, err := ReadRules(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want something on %q", text, err, want)
		}
	}
	for _, r := range Rules() {
		if err := r.check(); err != nil {
			t.Errorf("rule %s: %v", r.Name, err)
		}
	}
	doc := RulesDocument()
	from := strings.Index(doc, `    {"rules": [`)
	to := strings.Index(doc, "| Member |")
	if more, err := ReadRules(strings.NewReader(doc[from:to])); err != nil || len(more) != 2 {
		t.Errorf("the document's example: %v", err)
	}
}

func TestTestHolds(t *testing.T) {
	one, five := 1.0, 5.0
	for i, c := range []struct {
		test     Test
		value    any
		document bool
		want     bool
	}{
		{Test{Is: []any{"a"}}, "a", false, true},
		{Test{Is: []any{"a"}}, nil, false, false},
		{Test{Is: []any{true}}, true, false, true},
		{Test{Is: []any{22.0}}, int64(22), false, true},
		{Test{Is: []any{22}}, []int64{1, 22}, false, true},
		{Test{Not: []any{"a"}}, nil, false, true},
		{Test{Not: []any{"a"}}, []string{"b", "a"}, false, false},
		{Test{Like: []string{"AR*"}}, "arn:x", false, true},
		{Test{Like: []string{`\*`}}, "*", false, true},
		{Test{Like: []string{`\*`}}, "s3:*", false, false},
		{Test{Like: []string{`iam:\*`}}, "IAM:*", false, true},
		{Test{Like: []string{`iam:\*`}}, "iam:GetRole", false, false},
		{Test{Like: []string{"a?c"}}, "abc", false, true},
		{Test{Like: []string{"a?c"}}, "ac", false, false},
		{Test{Unlike: []string{"a*"}}, []string{"b", "ab"}, false, false},
		{Test{Like: []string{"*b"}, Not: []any{"b"}}, []string{"ab"}, false, true},
		{Test{Null: yes}, nil, false, true},
		{Test{Null: no}, nil, false, false},
		{Test{Min: &one, Max: &five}, int64(3), false, true},
		{Test{Min: &one, Max: &five}, []int64{0, 9}, false, false},
		{Test{Min: &one}, "x", false, false},
		{Test{Outside: yes}, "arn:aws:iam::222222222222:root", false, true},
		{Test{Outside: yes}, "arn:aws:iam::111111111111:root", false, false},
		{Test{Outside: yes}, "222222222222", false, true},
		{Test{Outside: yes}, "lambda.amazonaws.com", false, false},
		{Test{Outside: yes}, "*", false, true},
		{Test{Outside: no}, "lambda.amazonaws.com", false, true},
		{Test{Is: []any{"*"}}, `{"AWS": ["x", "*"]}`, true, true},
		{Test{Is: []any{"*"}}, `{"*": "x"}`, true, false},
		{Test{Is: []any{"*"}}, `*`, true, true},
	} {
		if got := c.test.holds(c.value, c.document, acct); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
}

// What the old snapshot does not know is perhaps no news, and what the new one
// does not know is none.
func TestPerhaps(t *testing.T) {
	rules := []Rule{
		{Name: "open", Text: "Open", Severity: Critical, Tables: []string{"host"}, Change: Becomes, Where: []Test{is("state", "open")}},
		{Name: "gone", Text: "Gone", Severity: Low, Tables: []string{"host"}, Change: Vanishes},
	}
	open := with(base("h-1"), func(h *host) { h.State = p("open") })
	hidden := with(base("h-1"), func(h *host) { h.State = nil; h.Unread(errDenied, "state") })
	for _, c := range []struct {
		name     string
		old, new *store.Snapshot
		want     string
	}{
		{"proven", snap(t, hostCell(rowsOf(hosts, base("h-1")))), snap(t, hostCell(rowsOf(hosts, open))), "open"},
		{"old value hidden", snap(t, hostCell(rowsOf(hosts, hidden)).ended(store.Partial, "X", "")), snap(t, hostCell(rowsOf(hosts, open))), "open?"},
		{"new value hidden", snap(t, hostCell(rowsOf(hosts, base("h-1")))), snap(t, hostCell(rowsOf(hosts, hidden)).ended(store.Partial, "X", "")), ""},
		{"old cell partial", snap(t, hostCell(rowsOf(hosts, base("h-0"))).ended(store.Partial, "X", "")), snap(t, hostCell(rowsOf(hosts, base("h-0"), open))), "open?"},
		{"new cell partial", snap(t, hostCell(rowsOf(hosts, base("h-0"), open))), snap(t, hostCell(rowsOf(hosts, base("h-0"))).ended(store.Partial, "X", "")), ""},
		{"removed", snap(t, hostCell(rowsOf(hosts, open))), snap(t, hostCell(nil)), "gone"},
	} {
		got, _ := run(t, c.old, c.new, registry, Options{Rules: rules})
		var names []string
		for _, ch := range got {
			for _, f := range ch.Findings {
				names = append(names, f.Rule+map[bool]string{true: "?"}[f.Perhaps])
			}
		}
		if strings.Join(names, " ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, names, c.want)
		}
	}
}

func TestSeverityFilterAndOrder(t *testing.T) {
	old, new := example(t)
	got, s := run(t, old, new, registry, Options{Rules: exampleRules, Severity: High})
	if len(got) != 1 || got[0].Severity != Critical || s.Total.Changed != 1 || s.Total.Added != 0 || s.Total.Unknown == 0 {
		t.Errorf("%+v %+v", got, s.Total)
	}
	whole := render1(t, func(b *bytes.Buffer, c *Comparison) error { return NDJSON(b, c) }, old, new, Options{Rules: exampleRules})
	lines := strings.Split(strings.TrimSpace(whole), "\n")
	if !strings.Contains(lines[1], `"severity":"critical"`) || !strings.Contains(lines[2], `"severity":"medium"`) || strings.Contains(lines[3], `"severity"`) {
		t.Error("the gravest do not come first")
	}
	if _, err := Compare(t.Context(), old, new, registry, Options{Severity: "bad"}); err == nil {
		t.Error("no error for a severity that there is not")
	}
}

func TestIgnore(t *testing.T) {
	old := snap(t, hostCell(rowsOf(hosts, base("h-1"))), in(acct, "", "iam", rowsOf(grants, grant{Role: "ci", Number: 7})))
	new := snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) { h.State, h.Name, h.Roles = p("x"), p("y"), nil }))), in(acct, "", "iam", nil))
	for ignore, want := range map[string]string{
		"":                           "removed grant ci 7\nchanged host h-1 name state HAS_ROLE → Role(- r-1, - r-2)",
		"host.state":                 "removed grant ci 7\nchanged host h-1 name HAS_ROLE → Role(- r-1, - r-2)",
		"host.HAS_ROLE":              "removed grant ci 7\nchanged host h-1 name state",
		"*.na?e,host.state,*._roles": "removed grant ci 7",
		"grant":                      "changed host h-1 name state HAS_ROLE → Role(- r-1, - r-2)",
		"host.*,gra*":                "",
	} {
		var list []string
		if ignore != "" {
			list = strings.Split(ignore, ",")
		}
		got, s := run(t, old, new, registry, Options{Ignore: list})
		lines := strings.Split(brief(got), "\n")
		slices.Sort(lines)
		wanted := strings.Split(want, "\n")
		slices.Sort(wanted)
		if !slices.Equal(lines, wanted) {
			t.Errorf("%s: %s", ignore, brief(got))
		}
		if s.Differs() != (want != "") {
			t.Errorf("%s: differs: %v", ignore, s.Differs())
		}
		if strings.Contains(ignore, "host.") && s.Ignored == 0 {
			t.Errorf("%s: nothing counted as ignored", ignore)
		}
	}
	patterns, err := ReadIgnore(strings.NewReader("# tidy\nhost.state # noise\n\n*.name\n"))
	if err != nil || !slices.Equal(patterns, []string{"host.state", "*.name"}) {
		t.Error(patterns, err)
	}
	for _, bad := range []string{"host.", ".state", "a.b.c", "two words"} {
		if _, err := ReadIgnore(strings.NewReader("ok\n" + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Compare(t.Context(), old, new, registry, Options{Ignore: []string{"a.b.c"}}); err == nil {
		t.Error("no error for a bad pattern")
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"no limit at all here", 0, "no limit at all here"},
		{"  one two three four", 12, "  one two\n      three\n      four"},
		{"abcdefghijklmnopqrst", 12, "abcdefghijkl\n    mnopqrst"},
		{"  日本語日本語 x", 12, "  日本語日本\n      語 x"},
		{"\x1b[31mred red\x1b[0m red", 11, "\x1b[31mred red\x1b[0m red"},
		{"\x1b[31mred red red\x1b[0m red", 11, "\x1b[31mred red red\x1b[0m\n    red"},
	} {
		if got := wrap(c.in, c.width); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.in, c.width, got, c.want)
		}
	}
	if got := middle("arn:aws:iam::111111111111:role/x", 15); got != "arn:aws…:role/x" {
		t.Error(got)
	}
	if got := pad("日本", 6); got != "日本  " {
		t.Errorf("%q", got)
	}
	old, new := example(t)
	for _, width := range []int{40, 60, 80, 120} {
		text := render1(t, func(b *bytes.Buffer, c *Comparison) error {
			return Text(b, c, TextOptions{Width: width, Color: true})
		}, old, new, Options{Rules: exampleRules})
		for _, l := range strings.Split(stripColor(text), "\n") {
			if n := len([]rune(l)); n > width && width > 54 {
				t.Errorf("a line of %d columns at %d: %q", n, width, l)
			}
		}
	}
}
