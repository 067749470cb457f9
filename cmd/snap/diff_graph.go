package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"snap/diff"
	"snap/load"
	"snap/store"
	"snap/store/kind"
)

// graphFlags say who asks a graph that is compared with a snapshot.
type graphFlags struct {
	user, passwordEnv, database string
	passwordPrompt              bool
}

func (g *graphFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&g.user, "neo4j-user", "", "the user of a graph; none where Neo4j wants no authentication")
	f.StringVar(&g.passwordEnv, "neo4j-password-env-var", "", "the `NAME` of the environment variable that holds the password")
	f.BoolVar(&g.passwordPrompt, "neo4j-password-prompt", false, "ask for the password; wins over --neo4j-password-env-var")
	f.StringVar(&g.database, "neo4j-database", "", "the graph's database; else the user's home database")
}

func (g *graphFlags) given() bool {
	return g.user != "" || g.passwordEnv != "" || g.database != "" || g.passwordPrompt
}

// isGraph tells a graph's address from a snapshot's path.
func isGraph(arg string) bool {
	scheme, _, ok := strings.Cut(arg, "://")
	return ok && slices.Contains([]string{"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"}, strings.ToLower(scheme))
}

// sides are what diff compares.
type sides struct {
	old, new *store.Snapshot
	registry *kind.Registry
	outside  diff.Outside
	closers  []func() error
}

func (s *sides) close() error {
	var err error
	for _, c := range slices.Backward(s.closers) {
		err = errors.Join(err, c())
	}
	return err
}

// open opens both sides, of which one may be a graph.
func (o *diffOptions) open(ctx context.Context, args []string, out *terminal) (_ *sides, err error) {
	s := &sides{registry: registry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	graph := slices.IndexFunc(args, isGraph)
	switch {
	case graph < 0 && o.graph.given():
		return nil, usage("--neo4j-… is for a graph, and neither %s nor %s is one: write bolt://HOST:PORT", args[0], args[1])
	case graph == 0 && isGraph(args[1]):
		return nil, usage("one of the two must be a snapshot")
	case o.graph.user == "" && (o.graph.passwordPrompt || o.graph.passwordEnv != ""):
		return nil, usage("a password needs --neo4j-user")
	}
	var opened [2]*store.Snapshot
	for i, arg := range args {
		if i == graph {
			continue
		}
		if opened[i], err = o.from.open(arg); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, opened[i].Close)
	}
	if graph >= 0 {
		m, err := o.mirror(ctx, args[graph], opened[1-graph], out)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, m.Close)
		opened[graph], opened[1-graph] = m.Graph, m.Snapshot
		s.registry, s.outside = m.Registry, diff.Outside{Nodes: m.OutsideNodes, Cells: m.OutsideCells}
	}
	s.old, s.new = opened[0], opened[1]
	return s, nil
}

// mirror reads the graph.
func (o *diffOptions) mirror(ctx context.Context, uri string, snap *store.Snapshot, out *terminal) (_ *load.Mirrored, err error) {
	to := load.ConnectOptions{URI: uri, User: o.graph.user, Database: o.graph.database}
	if to.Password, err = password(out, o.graph.passwordPrompt, o.graph.passwordEnv); err != nil {
		return nil, err
	}
	graph, err := load.Connect(ctx, to)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := graph.Close(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	wants := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	return load.Mirror(ctx, graph, snap, load.MirrorOptions{Registry: registry(), Tables: o.Tables, Cells: func(id store.CellID) bool {
		return wants(o.Accounts, id.Account) && wants(o.Regions, cmp.Or(id.Region, "global"))
	}})
}
