package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"
)

// ConnectOptions say where the graph is and who asks.
type ConnectOptions struct {
	URI      string // "bolt://localhost:7687", "neo4j+s://…"
	User     string // empty: no authentication
	Password string
	Database string // empty: the user's home database

	// MaxConnectionLifetime is after how long a pooled connection is replaced;
	// zero is the driver's hour.
	MaxConnectionLifetime time.Duration

	// LivenessCheck is after how long without use a pooled connection is tested
	// before it is used again; zero is never.
	LivenessCheck time.Duration
}

// Graph is a Neo4j database. It hides the driver: no other file names it.
type Graph struct {
	driver    neo4j.DriverWithContext
	uri       string
	user      string
	database  string
	home      string // the database there is without a name
	retryFor  time.Duration
	leaderFor time.Duration
	seen      neo4j.BookmarkManager // so that what is read from a cluster has what was written before
	dynamic   bool                  // its Cypher takes labels and types as values: since 5.26
	numbered  bool                  // it has no elementId(): before 5
	plans     *plans
}

// id is the Cypher of what tells a node or relationship from all others, as a
// text. Neo4j 4 has a number for that.
func (g *Graph) id(x string) string {
	if g.numbered {
		return "toString(id(" + x + "))"
	}
	return "elementId(" + x + ")"
}

// is is a condition of Cypher that finds what has an id, at once.
func (g *Graph) is(x, id string) string {
	if g.numbered {
		return "id(" + x + ") = toInteger(" + id + ")"
	}
	return "elementId(" + x + ") = " + id
}

// among is is for a list of ids.
func (g *Graph) among(x, ids string) string {
	if g.numbered {
		return "id(" + x + ") IN [e IN " + ids + " | toInteger(e)]"
	}
	return "elementId(" + x + ") IN " + ids
}

const (
	// retryFor bounds how long a transaction is repeated that met a deadlock, a
	// leader change or another passing fault. Loads are long and may be repeated
	// safely, so it is more patient than the driver's 30 seconds.
	retryFor = 3 * time.Minute

	// leaderFor bounds how long a write waits for a server to become a leader.
	// Until then it answers as a read-only one does for ever.
	leaderFor = 20 * time.Second
)

// Connect opens a database and makes sure that it answers. Its errors are one
// line that says what to change.
func Connect(ctx context.Context, o ConnectOptions) (*Graph, error) {
	auth := neo4j.NoAuth()
	if o.User != "" {
		auth = neo4j.BasicAuth(o.User, o.Password, "")
	}
	driver, err := neo4j.NewDriverWithContext(o.URI, auth, func(c *config.Config) {
		c.MaxTransactionRetryTime = retryFor
		c.SocketConnectTimeout = 10 * time.Second
		c.UserAgent = "snap"
		if o.MaxConnectionLifetime > 0 {
			c.MaxConnectionLifetime = o.MaxConnectionLifetime
		}
		if o.LivenessCheck > 0 {
			c.ConnectionLivenessCheckTimeout = o.LivenessCheck
		}
	})
	if err != nil {
		return nil, fmt.Errorf("neo4j: %q is no URI of a Neo4j server, such as bolt://localhost:7687: %s", o.URI, line(err))
	}
	g := &Graph{driver: driver, uri: o.URI, user: o.User, database: o.Database, retryFor: retryFor, leaderFor: leaderFor, seen: neo4j.NewBookmarkManager(neo4j.BookmarkManagerConfig{}), plans: &plans{}}
	if err := g.ping(ctx); err != nil {
		return nil, errors.Join(err, driver.Close(ctx))
	}
	return g, nil
}

// ping asks for the server's version, which also proves that it answers, the
// password is right and the database exists. Whether the database is read-only
// the first write tells: to ask for that beforehand takes a server that was just
// started seconds.
func (g *Graph) ping(ctx context.Context) error {
	err := g.patiently(ctx, g.leaderFor, func(err error) bool { return code(err) != "" && neo4j.IsRetryable(err) }, func() error { return g.pingOnce(ctx) })
	return g.explain(err)
}

func (g *Graph) pingOnce(ctx context.Context) error {
	session := g.session(ctx, neo4j.AccessModeRead)
	// Auto-commit: a managed transaction would go on asking a server that is
	// not there for minutes.
	result, err := session.Run(ctx, "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions[0]", nil)
	var version string
	if err == nil {
		var record *neo4j.Record
		if record, err = result.Single(ctx); err == nil {
			version, _ = record.Values[0].(string)
			var summary neo4j.ResultSummary
			if summary, err = result.Consume(ctx); err == nil {
				g.home = summary.Database().Name()
			}
		}
	}
	if closed := session.Close(ctx); err == nil {
		err = closed
	}
	g.dynamic, g.numbered = atLeast(version, 5, 26), !atLeast(version, 5, 0)
	return err
}

// atLeast compares the first two numbers of a version.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, err := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 || err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

// Close ends the connections.
func (g *Graph) Close(ctx context.Context) error { return g.driver.Close(ctx) }

// session names the database also where the user does not: of one without a
// name the driver may not notice that a server is no longer its leader, and go
// on to write there until the routing table expires.
func (g *Graph) session(ctx context.Context, mode neo4j.AccessMode) neo4j.SessionWithContext {
	return g.driver.NewSession(ctx, neo4j.SessionConfig{AccessMode: mode, DatabaseName: cmp.Or(g.database, g.home), BookmarkManager: g.seen})
}

// counts are what statements changed.
type counts struct {
	nodesCreated, nodesDeleted, linksCreated, linksDeleted int64
	changed                                                bool // anything
}

// statement is Cypher, whose text never holds a value, and its parameters.
type statement struct {
	cypher string
	params map[string]any
}

// write runs statements in one transaction, repeated while what fails it
// passes. It returns the last statement's rows.
func (g *Graph) write(ctx context.Context, statements ...statement) (rows [][]any, n counts, err error) {
	for attempt := 1; ; attempt++ {
		all, n, err := g.writeOnce(ctx, statements)
		if attempt == 5 || !again(err) {
			if err == nil && len(all) > 0 {
				rows = all[len(all)-1]
			}
			return rows, n, g.explain(err)
		}
		select {
		case <-ctx.Done():
			return nil, n, ctx.Err()
		case <-time.After(time.Duration(attempt) * 200 * time.Millisecond):
		}
	}
}

// again tells whether to repeat what the driver does not: a concurrent delete
// of a node that a MERGE has just found, which it takes for the caller's
// mistake, and a commit of which it is not known whether it was done, since most
// writes may not be done twice. Those of write may.
func again(err error) bool {
	return code(err) == "Neo.ClientError.Statement.EntityNotFound" || lostCommit(err)
}

// passing tells whether an error may be gone the next time.
func passing(err error) bool { return neo4j.IsRetryable(err) || broken(err) }

// broken tells that a connection ended within a message or while it was made,
// or without TLS's own end. The driver repeats only what fails between messages.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// patiently repeats what fails as long as that may pass.
func (g *Graph) patiently(ctx context.Context, most time.Duration, passes func(error) bool, do func() error) error {
	began := time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 20*time.Second) {
		err := do()
		patience := most
		if readOnly(err) || notALeader(err) && !g.routes() {
			patience = min(most, g.leaderFor)
		}
		if err == nil || !passes(err) || time.Since(began)+pause > patience {
			return err
		}
		if err := sleep(ctx, time.Duration(float64(pause)*(0.8+0.4*rand.Float64()))); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// writeOnce repeats only what is known not to have been done. It returns each
// statement's rows.
//
// It does what the driver's managed transactions do, with two exceptions. A
// transaction for which the server lacks the memory, which it may find out at the
// commit, ends at once: it would lack it again. And a commit that fails without
// being refused may have been done: a leader that loses touch with its followers
// cannot know.
func (g *Graph) writeOnce(ctx context.Context, statements []statement) (rows [][][]any, n counts, err error) {
	err = g.patiently(ctx, g.retryFor, func(err error) bool { return passing(err) && !lostCommit(err) && !outOfMemory(err) }, func() (err error) {
		rows, n, err = g.attempt(ctx, statements)
		return err
	})
	if outOfMemory(err) {
		return nil, n, &tooLarge{line(err)}
	}
	if lostCommit(err) {
		if unsettled := g.settle(ctx); unsettled != nil {
			err = unsettled
		}
	}
	return rows, n, err
}

// settle waits until a commit in doubt is either done or never will be, and has
// what is read next include it: a follower may be behind, and a new leader only
// decides on what its predecessor left when it writes itself. To set a property
// to its value takes the lock for it and changes nothing.
func (g *Graph) settle(ctx context.Context) error {
	if err := sleep(ctx, 200*time.Millisecond); err != nil { // a single server may be at it still
		return err
	}
	return g.patiently(ctx, g.retryFor, func(err error) bool { return passing(err) || lostCommit(err) }, func() error {
		_, _, err := g.attempt(ctx, []statement{{cypher: "MATCH (m:ModuleSyncMetadata) WITH m LIMIT 1 SET m.lastupdated = m.lastupdated"}})
		return err
	})
}

// attempt runs statements in one transaction, once.
func (g *Graph) attempt(ctx context.Context, statements []statement) (rows [][][]any, n counts, err error) {
	session := g.session(ctx, neo4j.AccessModeWrite)
	defer func() {
		if closed := session.Close(ctx); err == nil {
			err = closed
		}
	}()
	tx, err := session.BeginTransaction(ctx)
	if err != nil {
		return nil, n, err
	}
	defer func() {
		if closed := tx.Close(ctx); err == nil { // rolls back what was not committed
			err = closed
		}
	}()
	for _, s := range statements {
		g.planned(ctx, s.cypher)
		result, err := tx.Run(ctx, s.cypher, s.params)
		var all []*neo4j.Record
		if err == nil {
			all, err = result.Collect(ctx)
		}
		var summary neo4j.ResultSummary
		if err == nil {
			summary, err = result.Consume(ctx)
		}
		if err != nil {
			return nil, n, err
		}
		rows = append(rows, values(all))
		c := summary.Counters()
		n.changed = n.changed || c.ContainsUpdates() || c.ContainsSystemUpdates()
		n.nodesCreated += int64(c.NodesCreated())
		n.nodesDeleted += int64(c.NodesDeleted())
		n.linksCreated += int64(c.RelationshipsCreated())
		n.linksDeleted += int64(c.RelationshipsDeleted())
	}
	if err = tx.Commit(ctx); err != nil && passing(err) && !refused(err) {
		err = &commitLost{err}
	}
	return rows, n, err
}

// commitLost says that it is unknown whether a transaction was committed: the
// connection ended before the server said so, or the server does not know.
type commitLost struct{ cause error }

func (e *commitLost) Error() string {
	return "it is not known whether a commit was done: " + e.cause.Error()
}
func (e *commitLost) Unwrap() error { return e.cause }

// read runs one statement that changes nothing; the server would refuse one
// that does.
func (g *Graph) read(ctx context.Context, cypher string, params map[string]any) (rows [][]any, err error) {
	for attempt := 1; ; attempt++ {
		err = g.patiently(ctx, g.retryFor, broken, func() (err error) {
			rows, err = g.readOnce(ctx, cypher, params)
			return err
		})
		if err == nil || attempt == 5 || !again(err) {
			return rows, g.explain(err)
		}
	}
}

func (g *Graph) readOnce(ctx context.Context, cypher string, params map[string]any) (rows [][]any, err error) {
	g.planned(ctx, cypher)
	session := g.session(ctx, neo4j.AccessModeRead)
	defer func() {
		if closed := session.Close(ctx); err == nil {
			err = closed
		}
	}()
	_, err = session.ExecuteRead(ctx, func(tx neo4j.ManagedTransaction) (any, error) {
		result, err := tx.Run(ctx, cypher, params)
		if err != nil {
			return nil, err
		}
		all, err := result.Collect(ctx)
		rows = values(all)
		return nil, err
	})
	return rows, err
}

// explainOnly has the server that writes plan a statement and not run it.
func (g *Graph) explainOnly(ctx context.Context, s statement) (err error) {
	session := g.session(ctx, neo4j.AccessModeWrite)
	defer func() {
		if closed := session.Close(context.WithoutCancel(ctx)); err == nil {
			err = closed
		}
	}()
	result, err := session.Run(ctx, "EXPLAIN "+s.cypher, s.params)
	if err == nil {
		_, err = result.Consume(ctx)
	}
	return err
}

// stream gives every row of a statement that changes nothing to take, which
// may keep it. Unlike read it holds no more than a few rows, so that it cannot
// repeat what fails after the first: that is a lostStream, and the caller may.
func (g *Graph) stream(ctx context.Context, cypher string, params map[string]any, take func(row []any)) (err error) {
	g.planned(ctx, cypher)
	session := g.session(ctx, neo4j.AccessModeRead)
	defer func() {
		if closed := session.Close(ctx); err == nil {
			err = g.explain(closed)
		}
	}()
	taken := false
	var cause error
	work := func(tx neo4j.ManagedTransaction) (any, error) {
		if taken {
			return nil, &lostStream{line(cause)}
		}
		result, err := tx.Run(ctx, cypher, params)
		if err == nil {
			for result.Next(ctx) {
				taken = true
				take(result.Record().Values)
			}
			err = result.Err()
		}
		cause = err
		return nil, err
	}
	err = g.patiently(ctx, g.retryFor, func(err error) bool { return !taken && broken(err) }, func() error {
		_, err := session.ExecuteRead(ctx, work)
		return err
	})
	if taken && (again(err) || broken(err)) {
		return &lostStream{line(err)}
	}
	return g.explain(err)
}

// lostStream says that the rest of a stream's rows did not come.
type lostStream struct{ text string }

func (e *lostStream) Error() string { return "neo4j: the connection was lost: " + e.text }

func values(records []*neo4j.Record) [][]any {
	rows := make([][]any, len(records))
	for i, r := range records {
		rows[i] = r.Values
	}
	return rows
}

// parameter is a column's value as the driver takes it. Times get the offset
// +00:00, as Cartography's have, and not the zone name UTC, which Cypher
// takes for another value.
func parameter(v any) any {
	if t, ok := v.(time.Time); ok {
		return t.In(offset)
	}
	return v
}

// offset is the zone whose name makes the driver send an offset.
var offset = time.FixedZone("Offset", 0)

// tooLarge says that the server lacks the memory for one transaction.
type tooLarge struct{ text string }

func (e *tooLarge) Error() string { return e.text }

func outOfMemory(err error) bool {
	c := code(err)
	return strings.Contains(c, "OutOfMemory") || strings.Contains(c, "MemoryLimit")
}

func readOnly(err error) bool {
	c := code(err)
	return c == "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase" || c == "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase"
}

func notALeader(err error) bool { return code(err) == "Neo.ClientError.Cluster.NotALeader" }

// routes tells whether the driver looks for the leader of a cluster.
func (g *Graph) routes() bool { return strings.HasPrefix(g.uri, "neo4j") }

// refused tells that a commit failed before anything was done.
func refused(err error) bool {
	return notALeader(err) || readOnly(err) || outOfMemory(err) || strings.HasPrefix(code(err), "Neo.TransientError.Transaction.")
}

// lostCommit tells it of the driver's managed transactions, which read, by the
// text: the driver does not export the type.
func lostCommit(err error) bool {
	var lost *commitLost
	return errors.As(err, &lost) || err != nil && strings.Contains(err.Error(), "Connection lost during commit")
}

// code is the server's code of an error, the last one where the driver has
// given up after several; empty where there is none.
func code(err error) string {
	var limit *neo4j.TransactionExecutionLimit
	if errors.As(err, &limit) && len(limit.Errors) > 0 {
		err = limit.Errors[len(limit.Errors)-1]
	}
	var server *neo4j.Neo4jError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// explain makes one line of an error, which says what to do where that is
// known.
func (g *Graph) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var large *tooLarge
	if errors.As(err, &large) {
		return large
	}
	var lost *lostStream
	if errors.As(err, &lost) {
		return lost
	}
	var connectivity *neo4j.ConnectivityError
	c := code(err)
	switch {
	case outOfMemory(err):
		return &tooLarge{line(err)}
	case strings.HasPrefix(c, "Neo.ClientError.Security.Unauthorized"), strings.HasPrefix(c, "Neo.ClientError.Security.CredentialsExpired"), strings.HasPrefix(c, "Neo.ClientError.Security.AuthenticationRateLimit"):
		if g.user == "" {
			return fmt.Errorf("neo4j: %s wants a user and a password: %s", g.uri, line(err))
		}
		return fmt.Errorf("neo4j: %s refuses the password of user %s: %s", g.uri, g.user, line(err))
	case c == "Neo.ClientError.Database.DatabaseNotFound":
		return fmt.Errorf("neo4j: %s has no database %s", g.uri, g.database)
	case readOnly(err):
		return g.errReadOnly()
	case notALeader(err) && !g.routes():
		return fmt.Errorf("neo4j: %s is a member of a cluster and not its leader, which alone writes: use neo4j:// instead of bolt://, which finds the leader", g.uri)
	case notALeader(err), errors.As(err, &connectivity) && strings.HasSuffix(line(connectivity.Inner), ": no writers"):
		return fmt.Errorf("neo4j: %s: the cluster has had no leader for the database %s: see with SHOW DATABASES which members are missing, start them and load again: %s", g.uri, g.name(), line(err))
	case c == "Neo.ClientError.Security.Forbidden":
		return fmt.Errorf("neo4j: user %s may not do this in %s: %s", g.user, g.uri, line(err))
	case lostCommit(err):
		return fmt.Errorf("neo4j: %s: %s", g.uri, line(err))
	case errors.As(err, &connectivity):
		inner := line(connectivity.Inner)
		secure := strings.Contains(g.uri, "+s")
		switch {
		case strings.Contains(inner, "certificate"):
			return fmt.Errorf("neo4j: %s: its certificate is not trusted: %s: name the file of its CA in SSL_CERT_FILE, or trust any certificate with +ssc:// instead of +s://", g.uri, inner)
		case secure && strings.Contains(inner, "first record does not look like a TLS handshake"):
			return fmt.Errorf("neo4j: %s: the server does not speak TLS: use bolt:// or neo4j://: %s", g.uri, inner)
		case !secure && strings.HasSuffix(inner, "EOF"):
			return fmt.Errorf("neo4j: %s: the server ended the connection: if it wants TLS, use bolt+s:// or neo4j+s://: %s", g.uri, inner)
		}
		return fmt.Errorf("neo4j: no server answers at %s: %s", g.uri, inner)
	}
	if broken(err) {
		return fmt.Errorf("neo4j: the connection to %s was lost: %s", g.uri, line(err))
	}
	return fmt.Errorf("neo4j: %s", line(err))
}

func (g *Graph) errReadOnly() error {
	return fmt.Errorf("neo4j: %s: the database %s is read-only: name another or open it for writing", g.uri, g.name())
}

// name is the database's for a message.
func (g *Graph) name() string { return cmp.Or(g.database, g.home, "there") }

// line is an error's text on one line.
func line(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
