package diff

import (
	"bytes"
	"strings"
	"testing"
)

func markdownOf(t *testing.T, o Options, many int) string {
	t.Helper()
	old, new := example(t)
	if many > 0 {
		old, new = manyChanges(t, many)
	}
	return render1(t, func(b *bytes.Buffer, c *Comparison) error { return Markdown(b, c) }, old, new, o)
}

func TestMarkdown(t *testing.T) {
	golden(t, "example.md", markdownOf(t, Options{Rules: exampleRules}, 0))
}

// A comment on a pull request has a limit; the gravest entries are in it, and
// what is not is counted.
func TestMarkdownFitsAComment(t *testing.T) {
	rules := []Rule{{Name: "gone", Text: "Terminated", Severity: Low, Tables: []string{"host"}, Change: Turns, Where: []Test{is("state", "running 2")}}}
	got := markdownOf(t, Options{Rules: rules}, 3000)
	if n := len([]rune(got)); n > 65_536 {
		t.Errorf("%d characters", n)
	}
	if !strings.Contains(got, "not shown here") || strings.Count(got, "<details>") != strings.Count(got, "</details>") || strings.Count(got, "```")%2 != 0 {
		t.Errorf("not whole:\n%.2000s", got)
	}
	if strings.Index(got, "### low") > strings.Index(got, "<summary>The rest") || !strings.Contains(got, "Terminated") {
		t.Error("what a rule ranks does not come first")
	}
}

// What a snapshot holds is no markup, link, mention or end of a block.
func TestMarkdownIsInert(t *testing.T) {
	for in, want := range map[string]string{
		"a":                   "a",
		"@team #1 <b> [x](y)": `&#64;team &#35;1 \<b\> \[x\]\(y\)`,
		"a|b`c`*d*":           "a\\|b\\`c\\`\\*d\\*",
		"line\nbreak":         `line\\nbreak`,
		"\u202ehidden":        `\\u202ehidden`,
	} {
		want = strings.ReplaceAll(want, `\\n`, `\\u000a`)
		if got := plainText(in); got != want {
			t.Errorf("%q as %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"a": "`a`", "": "`\"\"`", "a`b": "`` a`b ``", "a``b`": "``` a``b` ```"} {
		if got := code(in); got != want {
			t.Errorf("%q as %s, want %s", in, got, want)
		}
	}
	if got := tableCell("a|b"); got != "`a\\|b`" {
		t.Error(got)
	}
	if got := fence("x\n````\ny"); got != "`````" {
		t.Error(got)
	}
}
