package main

import (
	"fmt"
	"io"
	"strings"

	"snap/store/kind"
)

// engine is how a query engine is told of a table.
type engine struct {
	quote string
	types map[kind.Type]string
	// partitioned tells whether the partition columns stand among the others.
	partitioned bool
	// around puts a statement around the columns; partitions are quoted.
	around func(table, columns, partitions, location string) string
}

var engines = map[string]engine{
	"athena": {
		quote: "`",
		types: map[kind.Type]string{kind.String: "string", kind.Int: "bigint", kind.Float: "double", kind.Bool: "boolean", kind.Time: "timestamp", kind.Strings: "array<string>", kind.Ints: "array<bigint>"},
		around: func(table, columns, partitions, location string) string {
			return fmt.Sprintf("CREATE EXTERNAL TABLE %s (\n%s)\nPARTITIONED BY (%s)\nSTORED AS PARQUET\nLOCATION '%s';\nMSCK REPAIR TABLE %s;\n",
				table, columns, strings.ReplaceAll(partitions, ",", " string,")+" string", location, table)
		},
	},
	"spark": {
		quote:       "`",
		types:       map[kind.Type]string{kind.String: "STRING", kind.Int: "BIGINT", kind.Float: "DOUBLE", kind.Bool: "BOOLEAN", kind.Time: "TIMESTAMP", kind.Strings: "ARRAY<STRING>", kind.Ints: "ARRAY<BIGINT>"},
		partitioned: true,
		around: func(table, columns, partitions, location string) string {
			return fmt.Sprintf("CREATE TABLE %s (\n%s)\nUSING PARQUET PARTITIONED BY (%s) LOCATION '%s';\nMSCK REPAIR TABLE %s;\n", table, columns, partitions, location, table)
		},
	},
	"trino": {
		quote:       `"`,
		types:       map[kind.Type]string{kind.String: "varchar", kind.Int: "bigint", kind.Float: "double", kind.Bool: "boolean", kind.Time: "timestamp(6)", kind.Strings: "array(varchar)", kind.Ints: "array(bigint)"},
		partitioned: true,
		around: func(table, columns, partitions, location string) string {
			return fmt.Sprintf("CREATE TABLE %s (\n%s)\nWITH (format = 'PARQUET', external_location = '%s', partitioned_by = ARRAY[%s]);\nCALL system.sync_partition_metadata('snap', '%s', 'ADD');\n",
				table, columns, location, strings.ReplaceAll(partitions, `"`, "'"), table)
		},
	},
}

// writeSQL tells an engine of a table whose files are below root.
func writeSQL(w io.Writer, name string, t *kind.Table, root string) error {
	root = strings.TrimSuffix(strings.ReplaceAll(root, "'", "''"), "/")
	if name == "duckdb" {
		_, err := fmt.Fprintf(w, "CREATE VIEW %s AS FROM read_parquet('%s/aws/%s/**/*.parquet', hive_partitioning = true, hive_types = {'account': VARCHAR}, union_by_name = true);\n", t.Name, root, t.Name)
		return err
	}
	e := engines[name]
	partitions := []string{"account", "region"}
	if t.Global {
		partitions = partitions[:1]
	}
	var lines []string
	add := func(column string, of kind.Type) {
		lines = append(lines, fmt.Sprintf("  %s%s%s %s", e.quote, column, e.quote, e.types[of]))
	}
	for _, c := range t.Columns {
		if c.Name == "account" || c.Name == "region" && !t.Global {
			continue // the path says it
		}
		add(c.Name, c.Type)
	}
	for i, p := range partitions {
		if e.partitioned {
			add(p, kind.String)
		}
		partitions[i] = e.quote + p + e.quote
	}
	_, err := io.WriteString(w, e.around(t.Name, strings.Join(lines, ",\n"), strings.Join(partitions, ", "), root+"/aws/"+t.Name+"/"))
	return err
}
