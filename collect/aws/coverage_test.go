package aws

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"

	"snap/collect/aws/api"
	"snap/collect/aws/session"
	"snap/fixtures/fakeaws"
	"snap/store/kind"
)

// The package's tests are its fixtures: the recorded estate, and what a test
// beside its kind lets a fake API answer. Everything that a declaration says
// must be in one of them: a column filled, a relationship with both its ends, a
// call made. TestMain judges that when all tests have run.

// unfilled are columns that no fixture fills, each with the reason.
var unfilled = map[string]string{
	"elbv2_lambda_target.port":     "a function has no port: the four tables of targets have the same columns",
	"elbv2_lambda_target.protocol": "likewise",
	"elbv2_lambda_target.vpc_id":   "likewise",
}

// unlinked are relationships that no fixture has, each with the reason. Those
// that lead to labels which are not declared yet need none.
var unlinked = map[string]string{}

// uncalled are declared calls that no fixture makes, each with the reason.
var uncalled = map[string]string{}

func TestMain(m *testing.M) {
	code := m.Run()
	some := false // tests were selected: they need not show everything
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz", "test.bench"} {
		some = some || flag.Lookup(name).Value.String() != ""
	}
	if code == 0 && !some {
		later, err := laterLabels()
		if err != nil {
			fmt.Println("--- FAIL: fixtures:", err)
			code = 1
		}
		for _, problem := range seen.judge(&api.Registry, later, unfilled, unlinked, uncalled) {
			fmt.Println("--- FAIL: fixtures:", problem)
			code = 1
		}
	}
	os.Exit(code)
}

// seen is what the tests of the package saw.
var seen = &witness{worlds: map[any]*world{}, calls: map[string]map[string]bool{}}

// witness notes rows and calls.
type witness struct {
	mu     sync.Mutex
	worlds map[any]*world             // by sink: what is linked must be seen together
	calls  map[string]map[string]bool // by sync
}

// world is the rows of one fixture.
type world struct{ rows map[*kind.Table][]kind.Row }

// put notes a row that a test's sink was given.
func (w *witness) put(sink any, t *kind.Table, r kind.Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.worlds[sink] == nil {
		w.worlds[sink] = &world{map[*kind.Table][]kind.Row{}}
	}
	w.worlds[sink].rows[t] = append(w.worlds[sink].rows[t], slices.Clone(r))
}

// noteCalls makes a configuration whose calls are noted for a sync.
func noteCalls(sync string, cfg aws.Config) aws.Config {
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("note", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			call := session.ServiceName(awsmiddleware.GetServiceID(ctx)) + ":" + awsmiddleware.GetOperationName(ctx)
			seen.mu.Lock()
			if seen.calls[sync] == nil {
				seen.calls[sync] = map[string]bool{}
			}
			seen.calls[sync][call] = true
			seen.mu.Unlock()
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
	})
	return cfg
}

// judge says what the declarations have and no fixture shows, what no
// declaration has and a fixture shows, and which exceptions are not needed.
func (w *witness) judge(r *kind.Registry, later, unfilled, unlinked, uncalled map[string]string) (problems []string) {
	say := func(format string, a ...any) { problems = append(problems, fmt.Sprintf(format, a...)) }
	check := func(what, name string, shown bool, exceptions map[string]string, used map[string]bool) {
		used[name] = true
		switch {
		case !shown && exceptions[name] == "":
			say("%s %s: in no fixture", what, name)
		case shown && exceptions[name] != "":
			say("%s %s: the exception is not needed", what, name)
		}
	}
	columns, links, calls := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, t := range r.Tables() {
		for i, c := range t.Columns {
			check("column", t.Name+"."+c.Name, w.filled(t, i), unfilled, columns)
		}
	}
	for name, l := range w.links(r) {
		if later[l.far] == "" {
			check("relationship", name, l.shown, unlinked, links)
		}
	}
	for _, s := range r.Syncs {
		for _, call := range s.Calls {
			check("call", s.Name+" "+call, w.calls[s.Name][call], uncalled, calls)
		}
		for call := range w.calls[s.Name] {
			if !slices.Contains(s.Calls, call) {
				say("sync %s makes the call %s and does not declare it", s.Name, call)
			}
		}
	}
	for _, list := range []struct {
		exceptions map[string]string
		used       map[string]bool
	}{{unfilled, columns}, {unlinked, links}, {uncalled, calls}} {
		for name := range list.exceptions {
			if !list.used[name] {
				say("the exception %s is of nothing that is declared", name)
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// filled tells whether some row has a value in column i that is not empty.
func (w *witness) filled(t *kind.Table, i int) bool {
	for _, world := range w.worlds {
		for _, row := range world.rows[t] {
			v := reflect.ValueOf(row[i])
			if row[i] != nil && (v.Kind() != reflect.String && v.Kind() != reflect.Slice || v.Len() > 0) {
				return true
			}
		}
	}
	return false
}

// shownLink is a relationship that a table declares: the label at its far end,
// and whether some fixture has one.
type shownLink struct {
	far   string
	shown bool
}

// links are the relationships that the tables declare, by table, form and what
// the far end is found by.
func (w *witness) links(r *kind.Registry) map[string]shownLink {
	all := map[string]shownLink{}
	claim := func(name, far string, holds func(*nodes) bool) {
		l := shownLink{far: far}
		for _, world := range w.worlds {
			l.shown = l.shown || holds(&nodes{world, r})
		}
		all[name] = l
	}
	for _, t := range r.Tables() {
		for _, l := range tableLinks(t) {
			far := l.Other()
			keys := fmt.Sprint(slices.Sorted(maps.Keys(l.On)), slices.Sorted(maps.Values(l.On)))
			name := fmt.Sprintf("%s (%s)-[%s]->(%s) %s", t.Name, t.Label, l.Type, far, keys)
			if l.From != "" {
				name = fmt.Sprintf("%s (%s)<-[%s]-(%s) %s", t.Name, t.Label, l.Type, far, keys)
			}
			claim(name, far, func(n *nodes) bool {
				return slices.ContainsFunc(n.world.rows[t], func(row kind.Row) bool { return n.has(far, l.On, t, row) })
			})
		}
		if b := t.Between; b != nil {
			claim(t.Name+" "+linkText(b.From.Label, kind.Link{Type: b.Type, To: b.To.Label}), b.To.Label, func(n *nodes) bool {
				return slices.ContainsFunc(n.world.rows[t], func(row kind.Row) bool {
					return n.has(b.From.Label, b.From.On, t, row) && n.has(b.To.Label, b.To.On, t, row)
				})
			})
		}
	}
	return all
}

// nodes are a world's nodes.
type nodes struct {
	world *world
	r     *kind.Registry
}

// has tells whether there is a node with the label whose properties are what
// the row's columns say. An account's own node is always there.
func (n *nodes) has(label string, on kind.On, t *kind.Table, row kind.Row) bool {
	if slices.Contains(slices.Collect(maps.Values(on)), kind.AccountColumn) {
		return true
	}
	for _, other := range n.r.Tables() {
		if other.Label != label && !slices.Contains(other.Aliases, label) {
			continue
		}
		for _, node := range n.world.rows[other] {
			if matches(on, t, row, other, node) {
				return true
			}
		}
	}
	return false
}

// matches tells whether the node has, for each pair, one of the row's values.
func matches(on kind.On, t *kind.Table, row kind.Row, other *kind.Table, node kind.Row) bool {
	for property, column := range on {
		i, ok := other.Column(property)
		c, has := t.Column(column)
		if !ok || !has || node[i] == nil || row[c] == nil {
			return false
		}
		if list, ok := row[c].([]string); ok && !slices.Contains(list, fmt.Sprint(node[i])) || !ok && row[c] != node[i] {
			return false
		}
	}
	return true
}

// The judge finds what is missing: without that the fixtures prove nothing.
func TestJudge(t *testing.T) {
	type row struct {
		ID   string   `snap:"id,key"`
		Name *string  `snap:"name"`
		To   []string `snap:"_to"`
	}
	table := kind.Of[row](kind.Table{Name: "thing", Label: "Thing", Unowned: true, Links: []kind.Link{{Type: "NEXT", To: "Thing", On: kind.On{"id": "_to"}}, {Type: "LATER", To: "Other", On: kind.On{"id": "_to"}}}})
	r := &kind.Registry{}
	r.Register(&kind.Sync{Name: "things", Calls: []string{"a:List", "a:Get"}, Tables: []*kind.Table{table.Table}})
	later := map[string]string{"Other": "others"}
	w := &witness{worlds: map[any]*world{}, calls: map[string]map[string]bool{"things": {"a:List": true, "a:Put": true}}}
	w.put(1, table.Table, kind.Row{"one", "", []string{"two", "three"}})
	w.put(2, table.Table, kind.Row{"two", nil, []string{}}) // another fixture's
	want := []string{
		"call things a:Get: in no fixture", "column thing.name: in no fixture", "relationship thing (Thing)-[NEXT]->(Thing) [id] [_to]: in no fixture",
		"sync things makes the call a:Put and does not declare it",
	}
	if got := w.judge(r, later, nil, nil, nil); !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
	w.put(1, table.Table, kind.Row{"two", "x", nil})
	w.calls["things"] = map[string]bool{"a:List": true}
	want = []string{"column thing.name: the exception is not needed", "the exception thing.nothing is of nothing that is declared"}
	if got := w.judge(r, later, map[string]string{"thing.name": "hard", "thing.nothing": "typo"}, nil, map[string]string{"things a:Get": "rare"}); !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}

// estateAccounts and estateRegions are what is recorded of fixtures/estate/small.
var (
	estateAccounts = []string{"111111111111", "222222222222", "333333333333"}
	estateRegions  = []string{"us-east-1", "eu-west-1"}
)

// replay is the recorded estate. It answers in the process: over a network of
// no length, an answer may come before the SDK has closed its request, which
// breaks the connection.
type replay struct{ *fakeaws.Server }

func newReplay(t *testing.T) replay {
	t.Helper()
	recording, err := fakeaws.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	return replay{fakeaws.New(recording)}
}

// Do makes a replay an aws.HTTPClient.
func (server replay) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// cell is the cell of a sync in the recorded estate.
func (server replay) cell(s *kind.Sync, account, region string, once *api.Once, sink kind.Sink) *api.Cell {
	config := func(account string) aws.Config {
		return noteCalls(s.Name, aws.Config{
			Region: region, BaseEndpoint: aws.String("http://127.0.0.1"), HTTPClient: server,
			Credentials: credentials.NewStaticCredentialsProvider(account, "s", ""), RetryMaxAttempts: 1,
		})
	}
	var peers []*api.Peer
	for _, a := range estateAccounts {
		peers = append(peers, &api.Peer{Account: a, Config: config(a)})
	}
	return &api.Cell{
		Account: account, Name: "profile", Region: region, Partition: "aws", Accounts: estateAccounts,
		Sync: s.Name, Peers: peers, Once: once, Config: config(account), Sink: sink,
	}
}

// TestEstate collects the recorded estate, sync by sync: it makes no call that
// is not recorded, and loses nothing.
func TestEstate(t *testing.T) {
	server := newReplay(t)
	whole := &rowSink{} // one world
	for _, s := range api.Registry.Syncs {
		var once api.Once
		for _, account := range estateAccounts {
			for i, region := range estateRegions {
				if s.Global && i > 0 || len(s.Tables) == 0 {
					continue
				}
				if err := api.Find(s.Name).Collect(t.Context(), server.cell(s, account, region, &once, whole)); err != nil {
					t.Errorf("%s in %s of %s: %v", s.Name, region, account, err)
				}
			}
		}
	}
	if len(whole.losses) > 0 {
		t.Errorf("lost: %v", whole.losses)
	}
	for _, m := range server.Missing() {
		t.Errorf("not recorded: %s", m)
	}
	rows := 0
	for _, table := range whole.rows {
		rows += len(table)
	}
	if rows < 3000 {
		t.Errorf("the estate gave but %d rows", rows)
	}
}

// undenied are declared calls that the recorded estate gives no occasion for;
// the tests named here have them fail.
var undenied = map[string]string{
	"iam GetPolicy":               "TestIAMDenied",
	"iam GetPolicyVersion":        "TestIAMDenied",
	"lambda_function GetFunction": "TestLambdaFunctionsThatDenyOrVanish",
}

// TestEveryCallFailing denies every call that the recorded estate makes, one at
// a time: the sync that makes it tells.
func TestEveryCallFailing(t *testing.T) {
	server := newReplay(t)
	for _, s := range api.Registry.Syncs {
		denied := map[string]bool{} // by operation
		for _, account := range estateAccounts {
			for i, region := range estateRegions {
				if s.Global && i > 0 || len(s.Tables) == 0 {
					continue
				}
				collect := func() (told bool) {
					sink := &rowSink{}
					err := api.Find(s.Name).Collect(t.Context(), server.cell(s, account, region, &api.Once{}, sink))
					return err != nil || len(sink.losses) > 0
				}
				server.Reset()
				if collect() {
					t.Errorf("%s tells of a failure where nothing fails", s.Name)
				}
				for call := range server.Calls() {
					if denied[call.Operation] {
						continue
					}
					denied[call.Operation] = true
					server.Reset()
					if err := server.SetFaults(fakeaws.Rule{Service: call.Service, Operation: call.Operation, Code: "AccessDeniedException", Status: 403}); err != nil {
						t.Fatal(err)
					}
					if !collect() {
						t.Errorf("%s: %s is denied, and nothing tells", s.Name, call)
					}
				}
			}
		}
		for _, call := range s.Calls {
			_, operation, _ := strings.Cut(call, ":")
			switch name := s.Name + " " + operation; {
			case !denied[operation] && undenied[name] == "":
				t.Errorf("%s: the recorded estate never makes the call: record it, or name the test that has it fail in undenied", name)
			case denied[operation] && undenied[name] != "":
				t.Errorf("%s: the recorded estate makes the call: take it out of undenied", name)
			}
		}
	}
}
