package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// markProperty is the property of an account's metadata by which an import says
// of what load it is a part. The load that completes it takes it away.
const markProperty = "_snap_imported"

// importMark is its value, as JSON.
type importMark struct {
	Load  string `json:"load"`  // loader.name
	Nodes int64  `json:"nodes"` // in the whole graph after the import
	Links int64  `json:"links"`
	Lists int64  `json:"lists"` // nodes and relationships with listsProperty
}

// name tells a load from those of other snapshots, other parts of them, other
// update tags and by other declarations.
func (l *loader) name() (string, error) {
	cells := []string{}
	for _, c := range l.plan.cells {
		cells = append(cells, c.CellID.String())
	}
	text, err := json.Marshal([]any{l.report.Snapshot, l.tag, cells, l.o.Registry})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// imported tells whether the graph is what an export of this very load became,
// with nothing added or taken away: then it has all nodes and relationships. Of
// any import it sets what the importer could not.
func (l *loader) imported(ctx context.Context) (bool, error) {
	if l.o.DryRun || l.nodesBefore == 0 {
		return false, nil
	}
	rows, err := l.graph.read(ctx, "MATCH (m:ModuleSyncMetadata) WHERE m."+markProperty+" IS NOT NULL RETURN m.groupid, m."+markProperty, nil)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	var mark importMark
	var accounts []string
	for _, r := range rows {
		if err := json.Unmarshal([]byte(text(r[1])), &mark); err != nil {
			mark = importMark{Lists: 1}
		}
		accounts = append(accounts, text(r[0]))
	}
	if mark.Lists > 0 {
		if err := l.setLists(ctx); err != nil {
			return false, err
		}
	}
	rows, err = l.graph.read(ctx, "MATCH ()-[r]->() RETURN count(r)", nil)
	if err != nil {
		return false, err
	}
	name, err := l.name()
	if err != nil {
		return false, err
	}
	slices.Sort(accounts)
	if slices.Equal(accounts, l.plan.accounts) && mark.Load == name && mark.Nodes == l.nodesBefore && rows[0][0] == mark.Links {
		return true, nil
	}
	return false, l.unmark(ctx)
}

// unmark ends what the import has begun.
func (l *loader) unmark(ctx context.Context) error {
	_, _, err := l.graph.write(ctx, statement{cypher: "MATCH (m:ModuleSyncMetadata) WHERE m." + markProperty + " IS NOT NULL REMOVE m." + markProperty})
	return err
}

// setLists sets the properties that listsProperty names.
func (l *loader) setLists(ctx context.Context) error {
	for _, pattern := range []string{"(x)", "()-[x]->()"} {
		with := map[string][]string{} // the names, joined → who has them
		err := l.graph.stream(ctx, "MATCH "+pattern+" WHERE x."+listsProperty+" IS NOT NULL RETURN "+l.graph.id("x")+", x."+listsProperty, nil, func(row []any) {
			names := strings.Join(texts(row[1]), ",")
			with[names] = append(with[names], text(row[0]))
		})
		if err != nil {
			return err
		}
		for _, names := range slices.Sorted(maps.Keys(with)) {
			p := map[string]any{listsProperty: nil}
			for name := range strings.SplitSeq(names, ",") {
				name, one := strings.CutSuffix(name, "=1")
				p[name] = []string{}
				if one {
					p[name] = []string{""}
				}
			}
			for part := range slices.Chunk(with[names], batchRows) {
				err := inPortions(&l.portion, part, func(ids []string) error {
					_, _, err := l.graph.write(ctx, statement{"MATCH " + pattern + " WHERE " + l.graph.among("x", "$ids") + " SET x += $p", map[string]any{"ids": ids, "p": p}})
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}
