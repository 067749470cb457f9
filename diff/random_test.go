package diff

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// estate is a model of a snapshot: hosts by region and id.
type estate map[string]map[string]host

func (e estate) clone() estate {
	out := estate{}
	for region, hosts := range e {
		out[region] = maps.Clone(hosts)
	}
	return out
}

func (e estate) snapshot(t testing.TB) *store.Snapshot {
	var cells []cell
	for _, region := range slices.Sorted(maps.Keys(e)) {
		rows := slices.Collect(maps.Values(e[region])) // in any order
		cells = append(cells, in(acct, region, "host", rowsOf(hosts, rows...)))
	}
	return snap(t, cells...)
}

func randomHost(r *rand.Rand, id string) host {
	text := func() *string {
		if r.IntN(4) == 0 {
			return nil
		}
		return p([]string{"", "a", "b", "é\u202e", "x\ny"}[r.IntN(5)])
	}
	list := func() []string {
		if r.IntN(4) == 0 {
			return nil
		}
		out := []string{}
		for i := range r.IntN(4) {
			out = append(out, "e-"+strconv.Itoa(i*r.IntN(3)))
		}
		return out
	}
	h := base(id)
	h.Name, h.State, h.SubnetID, h.Groups, h.Roles = text(), text(), text(), list(), list()
	h.Size = p(int64(r.IntN(3)))
	h.Policy = p(fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Action":["a:%d","a:x"]}]}`, r.IntN(3)))
	return h
}

// mutations change one column of a host and say which; what is "" is no drift.
var mutations = []func(r *rand.Rand, h *host) (column string){
	func(r *rand.Rand, h *host) string { h.State = p("new-" + strconv.Itoa(r.IntN(1000))); return "state" },
	func(r *rand.Rand, h *host) string {
		*h = with(*h, func(h *host) { h.Size = p(*h.Size + 1) })
		return "size"
	},
	func(r *rand.Rand, h *host) string { h.Public = nil; return "public" },
	func(r *rand.Rand, h *host) string {
		h.Launched = p(h.Launched.Add(time.Microsecond))
		return "launched"
	},
	func(r *rand.Rand, h *host) string {
		h.Groups = append(slices.Clone(h.Groups), "sg-new")
		return "groups"
	},
	func(r *rand.Rand, h *host) string { h.Ports = h.Ports[:1]; return "ports" },
	func(r *rand.Rand, h *host) string {
		h.Roles = append(slices.Clone(h.Roles), "r-new")
		return "HAS_ROLE"
	},
	func(r *rand.Rand, h *host) string {
		h.Policy = p(strings.Replace(*h.Policy, "Allow", "Deny", 1))
		return "policy"
	},
	func(r *rand.Rand, h *host) string { h.LastUsed = p("just now"); return "" },
	func(r *rand.Rand, h *host) string { h.Groups = reversed(h.Groups); return "" },
	func(r *rand.Rand, h *host) string { h.Ports = reversed(h.Ports); return "" },
	func(r *rand.Rand, h *host) string {
		h.Policy = p(strings.Replace(strings.Replace(*h.Policy, `"a:x"`, "", 1), "[\"", `["a:x","`, 1))
		h.Policy = p(strings.Replace(*h.Policy, `,]`, `]`, 1))
		return ""
	},
}

func reversed[T any](list []T) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// Known mutations of a random estate are found, each of them, and nothing else.
func TestRandomMutations(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		old := estate{}
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			old[region] = map[string]host{}
			for range r.IntN(60) {
				id := "h-" + strconv.Itoa(r.IntN(1000)) // 10 sorts before 9
				old[region][id] = randomHost(r, id)
			}
		}
		new := old.clone()
		want := map[string]string{}
		for region, in := range new {
			for _, id := range slices.Sorted(maps.Keys(in)) {
				switch r.IntN(4) {
				case 0:
					delete(in, id)
					want[region+" "+id] = "removed"
				case 1:
					h := in[id]
					columns := map[string]bool{}
					for _, i := range r.Perm(len(mutations))[:1+r.IntN(3)] {
						if c := mutations[i](r, &h); c != "" {
							columns[c] = true
						}
					}
					in[id] = h
					if len(columns) > 0 {
						want[region+" "+id] = "changed " + strings.Join(slices.Sorted(maps.Keys(columns)), " ")
					}
				}
			}
			for range r.IntN(10) {
				id := "n-" + strconv.Itoa(r.IntN(1000))
				in[id] = randomHost(r, id)
				want[region+" "+id] = "added"
			}
		}
		a, b := old.snapshot(t), new.snapshot(t)
		changes, s := run(t, a, b, registry, Options{})
		got := map[string]string{}
		for _, ch := range changes {
			what := string(ch.Kind)
			if ch.Kind == Changed {
				columns := map[string]bool{}
				for _, p := range ch.Properties {
					columns[p.Name] = true
				}
				for _, r := range ch.Relations {
					columns[r.Type] = true
				}
				what += " " + strings.Join(slices.Sorted(maps.Keys(columns)), " ")
			}
			got[ch.Region+" "+(&text{}).key(ch.Key)] = what
		}
		if !maps.Equal(got, want) || len(changes) != len(got) {
			for _, k := range slices.Sorted(maps.Keys(want)) {
				if got[k] != want[k] {
					t.Errorf("seed %d: %s: got %q, want %q", seed, k, got[k], want[k])
				}
			}
			t.Errorf("seed %d: %d changes, %d wanted", seed, len(changes), len(want))
		}
		if n := s.Total; int(n.Added+n.Removed+n.Changed) != len(want) || n.Unknown != 0 || !s.Comparable() {
			t.Errorf("seed %d: counts %+v for %d", seed, n, len(want))
		}
		// Backwards, what was added was removed; and nothing differs from itself.
		back, sb := run(t, b, a, registry, Options{})
		if len(back) != len(changes) || sb.Total.Added != s.Total.Removed || sb.Total.Removed != s.Total.Added || sb.Total.Same != s.Total.Same {
			t.Errorf("seed %d: backwards %+v, forwards %+v", seed, sb.Total, s.Total)
		}
		for _, o := range []Options{{}, {All: true}} {
			if self, s := run(t, a, a, registry, o); len(self) != 0 || !s.Same() {
				t.Errorf("seed %d: %d changes from itself", seed, len(self))
			}
		}
	}
}

// rowSink keeps the last row put.
type rowSink struct{ row kind.Row }

func (s *rowSink) Put(_ *kind.Table, r kind.Row) { s.row = r }
func (s *rowSink) Lose(error)                    {}

// large is a snapshot of n hosts, of which every step-th has another state.
func large(t testing.TB, n, step int) *store.Snapshot {
	var one rowSink
	hosts.Put(&one, base(""))
	state, _ := hosts.Column("state")
	return snap(t, hostCell(func(s kind.Sink) {
		for i := range n {
			row := slices.Clone(one.row)
			row[0] = fmt.Sprintf("i-%08d", i)
			if step > 0 && i%step == 0 {
				row[state] = "stopped"
			}
			s.Put(hosts.Table, row)
		}
	}))
}

// Memory does not grow with the rows: ten times as many take about the same.
func TestMemory(t *testing.T) {
	live := func() uint64 {
		runtime.GC()
		runtime.GC() // the first leaves what pools hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	peak := func(n int) int64 {
		old, new := large(t, n, 0), large(t, n, n/20)
		c, err := Compare(t.Context(), old, new, registry, Options{})
		if err != nil {
			t.Fatal(err)
		}
		before, found, most := live(), 0, uint64(0)
		for _, err := range c.Changes() {
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, live())
			found++
		}
		if found != 20 || c.Summary().Total.Same != int64(n-found) {
			t.Errorf("%d of 20 changes", found)
		}
		return int64(most) - int64(before)
	}
	few, many := peak(20_000), peak(200_000)
	t.Logf("live heap at its peak: %.2f MB with 20,000 rows a side, %.2f MB with 200,000", float64(few)/1e6, float64(many)/1e6)
	if many > few+32<<20 {
		t.Errorf("%d bytes with 20,000 rows, %d with 200,000", few, many)
	}
}

func BenchmarkCompare(b *testing.B) {
	const n = 200_000
	old, new := large(b, n, 0), large(b, n, 1000)
	b.Run("compare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if changes, _ := run(b, old, new, registry, Options{}); len(changes) != n/1000 {
				b.Fatal(len(changes))
			}
		}
		b.ReportMetric(float64(2*n*b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("read", func(b *testing.B) { // both sides, and nothing else
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range []*store.Snapshot{old, new} {
				rows, _, _ := s.Read(hosts.Table, s.Manifest.Cells[0].Files[0])
				for _, err := range rows {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		b.ReportMetric(float64(2*n*b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
