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
// summary, and the changes, one a line: the gravest severity first, and in that
// in the order of Comparison.Changes. JSON
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
	some := false
	err := render(out, c, output{
		entry: func(to io.Writer, _ int, ch Change) error {
			some = true
			return writeJSON(to, ",\n", ch, "")
		},
		head: func(to io.Writer) error {
			return writeJSON(to, `{"schema":"`+Schema+`","summary":`, c.Summary(), map[bool]string{true: ",\"changes\":[\n", false: `,"changes":[`}[some])
		},
		skip: len(",\n"),
		tail: func(to io.Writer) error {
			_, err := io.WriteString(to, map[bool]string{true: "\n]}\n", false: "]}\n"}[some])
			return err
		},
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// NDJSON runs the comparison and writes one JSON object a line: first a Report
// without changes, then each Change.
func NDJSON(w io.Writer, c *Comparison) error {
	out := bufio.NewWriter(w)
	err := render(out, c, output{
		entry: func(to io.Writer, _ int, ch Change) error { return writeJSON(to, "", ch, "\n") },
		head: func(to io.Writer) error {
			return writeJSON(to, `{"schema":"`+Schema+`","summary":`, c.Summary(), "}\n")
		},
		tail: func(io.Writer) error { return nil },
	})
	if err != nil {
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
