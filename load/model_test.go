package load

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"snap/store"
	"snap/store/kind"
)

// model is what the graph must be: what each cell last showed, and nothing
// else.
type model struct {
	nodes map[string]*thing // by id
	links map[string]*thing // "id|TYPE|id"
}

type thing struct {
	cells map[string]bool
	tag   int64
	name  any // of a vpc
}

// touch is a load's assertion of a thing by a cell.
func touch(all map[string]*thing, id, cell string, tag int64, complete map[string]bool) *thing {
	x := all[id]
	if x == nil {
		x = &thing{cells: map[string]bool{}}
		all[id] = x
	}
	if x.tag != tag {
		maps.DeleteFunc(x.cells, func(c string, _ bool) bool { return complete[c] })
	}
	x.tag = tag
	x.cells[cell] = true
	return x
}

func (m *model) String() string {
	var lines []string
	for id, n := range m.nodes {
		lines = append(lines, fmt.Sprint(id, " ", slices.Sorted(maps.Keys(n.cells)), " ", n.tag, " ", n.name))
	}
	for id, l := range m.links {
		lines = append(lines, fmt.Sprint(id, " ", slices.Sorted(maps.Keys(l.cells)), " ", l.tag))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// graphAs is the graph in the model's words.
func graphAs(t *testing.T, g *Graph) string {
	t.Helper()
	m := &model{map[string]*thing{}, map[string]*thing{}}
	rows, err := g.read(t.Context(), "MATCH (n) WHERE n._snap_cells IS NOT NULL RETURN n.id, n._snap_cells, n.lastupdated, CASE WHEN n:Vpc THEN n.name END", nil)
	if err != nil {
		t.Fatal(err)
	}
	set := func(v any) map[string]bool {
		out := map[string]bool{}
		for _, c := range texts(v) {
			out[c] = true
		}
		return out
	}
	for _, r := range rows {
		if m.nodes[r[0].(string)] != nil {
			t.Errorf("node %s twice", r[0])
		}
		m.nodes[r[0].(string)] = &thing{set(r[1]), r[2].(int64), r[3]}
	}
	rows, err = g.read(t.Context(), "MATCH (a)-[r]->(b) RETURN a.id + '|' + type(r) + '|' + b.id, r._snap_cells, r.lastupdated", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		m.links[r[0].(string)] = &thing{cells: set(r[1]), tag: r[2].(int64)}
	}
	return m.String()
}

// TestModel loads snapshots of a changing world, parts of which cannot be
// read, and compares the graph with a model after each.
func TestModel(t *testing.T) {
	loads := 60
	if testing.Short() {
		loads = 15
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { testModel(t, rand.New(rand.NewPCG(seed, 7)), loads) })
	}
}

func testModel(t *testing.T, random *rand.Rand, loads int) {
	g := testGraph(t)
	m := &model{map[string]*thing{}, map[string]*thing{}}
	chance := func(p float64) bool { return random.Float64() < p }
	pick := func(n int) string { return fmt.Sprint(random.IntN(n)) }
	deleted := 0
	for load := range loads {
		tag := int64(1000 + load)
		s := newSnapshot(tag)
		type assertion struct{ from, typ, to, cell string }
		var links []assertion
		names := map[string]any{} // a vpc's name in this load, whichever cell says it
		name := func(id string) *string {
			if _, ok := names[id]; !ok {
				names[id] = nil
				if chance(0.8) {
					names[id] = "name" + pick(1000)
				}
			}
			if n, ok := names[id].(string); ok {
				return &n
			}
			return nil
		}
		type node struct {
			id, cell string
			name     any // "keep": unknown
		}
		var nodes []node
		complete := map[string]bool{}

		for _, account := range []string{"1", "2"} {
			if chance(0.2) {
				continue // not in this snapshot
			}
			s.account(account)
			acc := "aws/" + account + "//account"
			complete[acc] = true
			nodes = append(nodes, node{account, acc, nil})
			owned := func(id, cell string) {
				links = append(links, assertion{account, "RESOURCE", id, cell})
			}
			for _, c := range []string{"r1/net", "r2/net", "r1/ec2:vm", "r2/ec2:vm", "/iam"} {
				if chance(0.1) {
					continue
				}
				state := []store.State{store.Complete, store.Complete, store.Complete, store.Complete, store.Complete, store.Partial, store.Denied, store.Failed, store.Skipped, store.Unsupported}[random.IntN(10)]
				cell := "aws/" + account + "/" + c
				complete[cell] = state == store.Complete
				put := func(to kind.Sink) {
					// The ids are few, so that cells and accounts share nodes.
					once := map[string]bool{}
					fresh := func(id string) bool { defer func() { once[id] = true }(); return !once[id] }
					switch {
					case strings.HasSuffix(c, "net"):
						for range random.IntN(4) {
							id := "v" + pick(5)
							if !fresh(id) {
								continue
							}
							row := vpcRow{ID: id, Name: name(id)}
							n := node{id, cell, names[id]}
							if state == store.Partial && chance(0.5) {
								row.Unread(errors.New("denied"), "name")
								n.name = "keep"
							}
							nodes = append(nodes, n)
							owned(id, cell)
							vpcs.Put(to, row)
						}
						for range random.IntN(4) {
							id, vpc := "s"+pick(6), "v"+pick(6)
							if !fresh(id) {
								continue
							}
							row := subnetRow{ID: id, VPC: &vpc}
							switch {
							case state == store.Partial && chance(0.5):
								row.Unread(errors.New("denied"), "vpc_id")
							case chance(0.2):
								row.VPC = nil
							default:
								links = append(links, assertion{id, "MEMBER_OF", vpc, cell})
							}
							nodes = append(nodes, node{id, cell, nil})
							owned(id, cell)
							subnets.Put(to, row)
						}
					case strings.HasSuffix(c, "vm"):
						for range random.IntN(4) {
							id := "i" + pick(6)
							if fresh(id) {
								nodes = append(nodes, node{id, cell, nil})
								owned(id, cell)
								vms.Put(to, vmRow{ID: id})
							}
						}
						for range random.IntN(3) {
							id := "s" + pick(6)
							if !fresh(id) {
								continue
							}
							row := stubRow{ID: id}
							for _, vm := range []string{"i0", "i1", "i2", "i3", "i4", "i5"} {
								if chance(0.4) {
									row.VMs = append(row.VMs, vm)
									links = append(links, assertion{vm, "IN", id, cell})
								}
							}
							nodes = append(nodes, node{id, cell, nil})
							owned(id, cell)
							stubs.Put(to, row)
						}
					default:
						for range random.IntN(4) {
							id := "r" + pick(4)
							if fresh(id) {
								nodes = append(nodes, node{id, cell, nil})
								owned(id, cell)
								roles.Put(to, roleRow{id, "arn:" + id})
							}
						}
						for range random.IntN(3) {
							id := "p" + pick(4)
							if !fresh(id) {
								continue
							}
							row := policyRow{ID: id}
							for _, role := range []string{"r0", "r1", "r2", "r3"} {
								if chance(0.4) {
									row.Roles = append(row.Roles, "arn:"+role)
									links = append(links, assertion{role, "POLICY", id, cell})
								}
							}
							nodes = append(nodes, node{id, cell, nil})
							policies.Put(to, row)
						}
						for range random.IntN(3) {
							role, policy := pick(4), pick(4)
							if fresh("t" + role + policy) {
								links = append(links, assertion{"r" + role, "TRUSTS", "p" + policy, cell})
								trusts.Put(to, trustRow{Role: "arn:r" + role, Policy: "p" + policy})
							}
						}
					}
				}
				if state != store.Complete && state != store.Partial {
					put = nil
				}
				s.cell(account+"/"+c, state, put)
			}
		}

		// The model: write nodes, then links where both ends are, then forget
		// what complete cells no longer show.
		for _, n := range nodes {
			x := touch(m.nodes, n.id, n.cell, tag, complete)
			if strings.HasPrefix(n.id, "v") && n.name != "keep" {
				x.name = n.name
			}
		}
		for _, l := range links {
			if m.nodes[l.from] != nil && m.nodes[l.to] != nil {
				touch(m.links, l.from+"|"+l.typ+"|"+l.to, l.cell, tag, complete)
			}
		}
		forget := func(id string, x *thing) bool {
			if x.tag == tag || (id == "1" || id == "2") {
				return false
			}
			maps.DeleteFunc(x.cells, func(c string, _ bool) bool { return complete[c] })
			if len(x.cells) == 0 {
				deleted++
			}
			return len(x.cells) == 0
		}
		maps.DeleteFunc(m.nodes, forget)
		maps.DeleteFunc(m.links, func(id string, x *thing) bool { // a link goes with its nodes
			part := strings.Split(id, "|")
			return m.nodes[part[0]] == nil || m.nodes[part[2]] == nil || forget(id, x)
		})

		dry := s.load(t, g, Options{DryRun: true})
		real := s.load(t, g, Options{})
		if want, got := m.String(), graphAs(t, g); got != want {
			t.Fatalf("load %d (cells %v):\ngot\n%s\n\nwant\n%s", load, s.Cells, got, want)
		}
		for i := range real.Tables {
			if d, r := dry.Tables[i], real.Tables[i]; d.NodesDeleted != r.NodesDeleted || d.LinksDeleted != r.LinksDeleted {
				t.Fatalf("load %d: the dry run said %+v, the load %+v", load, d, r)
			}
		}
		if load%10 == 0 {
			before := dump(t, g)
			s.load(t, g, Options{})
			if dump(t, g) != before {
				t.Fatalf("load %d: a second load changed the graph", load)
			}
		}
	}
	if deleted < loads {
		t.Errorf("only %d deletions in %d loads: the test proves little", deleted, loads)
	}
}
