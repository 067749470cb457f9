package diff

import (
	"strings"
	"testing"

	"snap/store"
	"snap/store/kind"
)

// A link that a stub gained or lost is told at the row at its far end, as part
// of that row's entry; where there is none, at the stub.
func TestLinksAtTheFarEnd(t *testing.T) {
	subnetsCell := in(acct, "us-east-1", "subnet", rowsOf(subnets, subnet{ID: "s-1"}, subnet{ID: "s-2"}))
	side := func(put func(kind.Sink)) *store.Snapshot { return snap(t, hostCell(put), subnetsCell) }
	at := func(subnet string, ids ...string) func(kind.Sink) {
		return rowsOf(hostSubnets, hostSubnet{ID: subnet, Hosts: ids})
	}
	still := rowsOf(hosts, base("h-1"), base("h-2"))
	stopped := rowsOf(hosts, with(base("h-1"), func(h *host) { h.State = p("stopped") }), base("h-2"))
	for _, c := range []struct {
		name     string
		old, new *store.Snapshot
		options  Options
		want     string
	}{
		{"moved", side(all(still, at("s-1", "h-1", "h-2"))), side(all(still, at("s-1", "h-2"), at("s-2", "h-1"))), Options{},
			"changed host h-1 PART_OF → Subnet(- s-1, + s-2)"},
		{"moved and changed", side(all(still, at("s-1", "h-1", "h-2"))), side(all(stopped, at("s-1", "h-2"), at("s-2", "h-1"))), Options{},
			"changed host h-1 state PART_OF → Subnet(- s-1, + s-2)"},
		{"removed", side(all(still, at("s-1", "h-1", "h-2"))), side(all(rowsOf(hosts, base("h-2")), at("s-1", "h-2"))), Options{Only: []string{"changed"}}, ""},
		{"no row at the far end", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-1", "h-1", "h-9"))), Options{},
			"changed host_subnet s-1 PART_OF ← Host(+ h-9)"},
		{"some have a row", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-1", "h-9", "h-2"))), Options{},
			"changed host h-1 PART_OF → Subnet(- s-1)\nchanged host h-2 PART_OF → Subnet(+ s-1)\nchanged host_subnet s-1 PART_OF ← Host(+ h-9)"},
		{"the far table is left out", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-2", "h-1"))), Options{Tables: []string{"host_subnet"}},
			"changed host_subnet s-1 PART_OF ← Host(- h-1)\nchanged host_subnet s-2 PART_OF ← Host(+ h-1)"},
		{"ignored at the far end", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-2", "h-1"))), Options{Ignore: []string{"host.PART_OF"}}, ""},
		{"ignored where it was found", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-2", "h-1"))), Options{Ignore: []string{"host_subnet.PART_OF"}}, ""},
		{"nothing", side(all(still, at("s-1", "h-1"))), side(all(still, at("s-1", "h-1"))), Options{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := run(t, c.old, c.new, registry, c.options)
			expect(t, brief(got), c.want)
			if s.Differs() != (c.want != "") && c.name != "removed" {
				t.Errorf("differs: %v", s.Differs())
			}
		})
	}
	added, _ := run(t, side(all(still, at("s-1", "h-1"))), side(all(still, rowsOf(hosts, base("h-3")), at("s-1", "h-1", "h-3"))), registry, Options{})
	if len(added) != 1 || added[0].Kind != Added || !strings.HasSuffix(brief(added), "PART_OF → Subnet(+ s-1)") {
		t.Errorf("an added row: %s", brief(added))
	}

	partial := snap(t, hostCell(all(still, at("s-1", "h-1"))).ended(store.Partial, "X", ""), subnetsCell)
	unsure, s := run(t, side(all(still, at("s-1", "h-1", "h-2"))), partial, registry, Options{})
	expect(t, brief(unsure), "unknown host h-2 PART_OF → Subnet(- s-1)?new")
	if s.Differs() {
		t.Error("a link that was perhaps not read is called removed")
	}
}
