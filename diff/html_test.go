//go:build browser

// The tests of the HTML page in a real browser: make test-browser.

package diff

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"snap/store"
)

// chromium finds a real browser: on Debian, apt-get install chromium.
func chromium(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SNAP_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: install it (Debian: apt-get install chromium) or set SNAP_TEST_CHROMIUM to its path")
	return ""
}

// browse opens a page in a real browser without a network and returns what its
// document is then, as the page's script left it.
func browse(t testing.TB, page, fragment string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + t.TempDir(), "--window-size=1400,1000",
	}, flags...)
	cmd := exec.CommandContext(ctx, chromium(t), append(args, "--dump-dom", "file://"+page+fragment)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out)
}

// writePage writes the HTML of a comparison into a file.
func writePage(t testing.TB, old, new *store.Snapshot, o Options) string {
	t.Helper()
	page := render1(t, func(b *bytes.Buffer, c *Comparison) error { return HTML(b, c) }, old, new, o)
	path := filepath.Join(t.TempDir(), "drift.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func data(t testing.TB, dom, name string) int {
	t.Helper()
	m := regexp.MustCompile(`<main id="list"[^>]* data-` + name + `="(\d+)"`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("no data-%s: the page's script did not run: %.300s", name, dom)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHTML(t *testing.T) {
	old, new := example(t)
	page := writePage(t, old, new, Options{Rules: exampleRules})
	dom := browse(t, page, "")
	if n := data(t, dom, "shown"); n != 9 {
		t.Errorf("%d entries", n)
	}
	body := dom[:strings.Index(dom, `<script type="application/json"`)]
	for _, want := range []string{
		"What drifted", `<h2 class="section">critical</h2>`, "A host stopped", "web-1", "2 of 6 cells compared", "profile sandbox could not be resolved",
		`evil\x1b[2J`, "2 rows not compared", "(Role ci)-[ALLOWS]-&gt;(Level 9)",
	} {
		want = strings.ReplaceAll(want, `\x1b`, `\u001b`)
		if !strings.Contains(body, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(body, "\u202e") || strings.Contains(body, "\x1b") {
		t.Error("a character that hides text came through")
	}
	for fragment, want := range map[string]int{ // a browser each: several filters at once
		"#severity=critical": 1, "#kind=added&kind=changed&service=host": 3, "#account=222222222222&kind=unknown": 1,
		"#q=STOPPED%20web-1": 1, "#q=nothing-has-this": 0, "#region=eu-west-1&table=host": 1,
	} {
		if n := data(t, browse(t, page, fragment), "shown"); n != want {
			t.Errorf("%s shows %d entries, want %d", fragment, n, want)
		}
	}
	open := browse(t, page, "#table=host&q=web-2&open=3&open=2&open=4&open=5")
	for _, want := range []string{`<span class="plus">+ `, `"arn:aws:iam::999999999999:root"`, "<ins>2024-04-03T12:00:00Z</ins>", "<del>− 443</del>", "⋯ "} {
		if !strings.Contains(open, want) {
			t.Errorf("no %q in an open entry", want)
		}
	}
}

// What a snapshot holds is text on the page, whatever it is.
func TestHTMLIsInert(t *testing.T) {
	evil := `</script><script>document.title="owned"</script><img src=x onerror="document.title='owned'"><!--<script>`
	h := with(base("h-1"), func(h *host) { h.Name, h.State, h.Policy = p(evil), p("a\u2028b"), p(evil) })
	page := writePage(t, snap(t, hostCell(rowsOf(hosts, base("h-1")))), snap(t, hostCell(rowsOf(hosts, h))), Options{})
	dom := browse(t, page, "#open=0")
	if strings.Contains(dom, "<title>owned") || strings.Contains(dom, "<img") || data(t, dom, "shown") != 1 {
		t.Error("a value became markup")
	}
	if !strings.Contains(dom, "onerror=") {
		t.Error("the value is not shown")
	}
	source, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"http:", "https:", "//cdn", "@import", "url("} {
		if strings.Contains(pageStyle+pageScript, outside) {
			t.Errorf("the page asks for %q", outside)
		}
	}
	if !strings.Contains(string(source), "default-src 'none'") {
		t.Error("no content security policy")
	}
}

// The page stays quick on ten thousand changes: it is read and drawn in well
// under a second, a search too, and only a screenful or so is drawn.
func TestHTMLOfManyChanges(t *testing.T) {
	old, new := manyChanges(t, 10_000)
	page := writePage(t, old, new, Options{Rules: exampleRules})
	info, err := os.Stat(page)
	if err != nil {
		t.Fatal(err)
	}
	dom := browse(t, page, "")
	ready := data(t, dom, "ready-ms")
	if shown, drawn := data(t, dom, "shown"), data(t, dom, "drawn"); shown != 10_000 || drawn > 600 || ready > 5000 {
		t.Errorf("%d entries shown, %d drawn, after %d ms", shown, drawn, ready)
	}
	search := browse(t, page, "#q=bucket-4713")
	if n, ms := data(t, search, "shown"), data(t, search, "filter-ms"); n != 1 || ms > 5000 {
		t.Errorf("%d entries found, in %d ms", n, ms)
	}
	t.Logf("%d KB, ready after %d ms, first search %d ms", info.Size()/1000, ready, data(t, search, "filter-ms"))
}
