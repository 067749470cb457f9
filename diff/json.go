package diff

import (
	"bufio"
	"encoding/json"
	"io"
)

// Schema names the form of the JSON outputs. Members may be added to it; one
// that is renamed, removed or changes its meaning gives a new name.
const Schema = "snap-diff/1"

// Report is the JSON output as a whole: an object with the schema's name, the
// summary, and the changes in the order of Comparison.Changes, one a line. JSON
// writes it, and a program that reads it all at once can decode it into its own
// types after this one. See Change and Summary for the members.
type Report struct {
	Schema  string   `json:"schema"`
	Summary *Summary `json:"summary"`
	Changes []Change `json:"changes"`
}

// JSON runs the comparison and writes a Report.
func JSON(w io.Writer, c *Comparison) error {
	out := bufio.NewWriter(w)
	first := true
	entry := func(to io.Writer, ch Change) error {
		separator := ",\n"
		if first {
			separator, first = "\n", false
		}
		return writeJSON(to, separator, ch, "")
	}
	head := func(to io.Writer) error {
		return writeJSON(to, `{"schema":"`+Schema+`","summary":`, c.Summary(), `,"changes":[`)
	}
	tail := func(to io.Writer) error {
		end := "\n]}\n"
		if first {
			end = "]}\n"
		}
		_, err := io.WriteString(to, end)
		return err
	}
	if err := render(out, c, entry, head, tail); err != nil {
		return err
	}
	return out.Flush()
}

// NDJSON runs the comparison and writes one JSON object a line: first a Report
// without changes, then each Change.
func NDJSON(w io.Writer, c *Comparison) error {
	out := bufio.NewWriter(w)
	entry := func(to io.Writer, ch Change) error { return writeJSON(to, "", ch, "\n") }
	head := func(to io.Writer) error {
		return writeJSON(to, `{"schema":"`+Schema+`","summary":`, c.Summary(), "}\n")
	}
	tail := func(io.Writer) error { return nil }
	if err := render(out, c, entry, head, tail); err != nil {
		return err
	}
	return out.Flush()
}

// writeJSON writes v as one line between before and after.
func writeJSON(w io.Writer, before string, v any, after string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line := append(append([]byte(before), b...), after...)
	_, err = w.Write(line)
	return err
}
