package diff

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

var (
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// HTML runs the comparison and writes one page with search and filters. The
// page has all of the Report in it and asks nothing of the network: its content
// security policy allows its own style and script, by their hashes, and nothing
// else. The script writes values as text, never as markup.
func HTML(w io.Writer, c *Comparison) error {
	out := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(out, `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; style-src '%s'; script-src '%s'">
<title>snap diff</title>
<style>%s</style>
<noscript><p>This page filters and shows its data with a script of its own, and scripts are off here. snap diff --format text shows the same.</p></noscript>
<header id="top"></header>
<div id="page"><nav id="facets" aria-label="Filters"></nav><main id="list"></main></div>
<script type="application/json" id="report">`, hash(pageStyle), hash(pageScript), pageStyle)
	if err := JSON(scriptSafe{out}, c); err != nil {
		return err
	}
	fmt.Fprintf(out, "</script>\n<script>%s</script>\n</html>\n", pageScript)
	return out.Flush()
}

// hash is how a content security policy names a text.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// scriptSafe refuses what would end the script element that the report stands
// in. encoding/json escapes "<" already; this makes sure of it.
type scriptSafe struct{ w io.Writer }

func (s scriptSafe) Write(b []byte) (int, error) {
	if i := strings.IndexByte(string(b), '<'); i >= 0 {
		return 0, fmt.Errorf("diff: html: an unescaped %q in the report", "<")
	}
	return s.w.Write(b)
}
