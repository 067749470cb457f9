package diff

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// An ignore pattern is "table.column", or "table" for all of a table. A column
// may also be a relationship's type. "*" and "?" are as in a shell.

// ReadIgnore reads patterns, one a line; empty lines and what follows a "#" are
// left out.
func ReadIgnore(r io.Reader) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := checkPattern(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, text)
	}
	return out, lines.Err()
}

func checkPattern(p string) error {
	table, column, dotted := strings.Cut(p, ".")
	if table == "" || dotted && column == "" || strings.ContainsAny(p, " \t,") || strings.Contains(column, ".") {
		return fmt.Errorf("ignore pattern %q: write table.column, or table", p)
	}
	return nil
}

// ignores tells whether the user wants to hear nothing of a table's column or
// relationship; an empty column stands for the table.
func (c *Comparison) ignores(table, column string) bool {
	return slices.ContainsFunc(c.options.Ignore, func(p string) bool {
		t, col, dotted := strings.Cut(p, ".")
		if !glob(t, table) {
			return false
		}
		return !dotted || column != "" && glob(col, column)
	})
}
