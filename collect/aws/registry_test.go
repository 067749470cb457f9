package aws

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// A schema is one of Cartography 0.143.0's: what it gives nodes of a label, or
// (without a label) links between nodes of others. fixtures/contract/aws.json
// has them one a line, by sync; lastupdated, which every one has, is left out.
type schema struct {
	Schema     string   `json:"schema"`
	Sync       string   `json:"sync"`
	Label      string   `json:"label"`
	Labels     []string `json:"labels"` // further labels, some of them only on some nodes
	Properties []string `json:"properties"`
	Links      []string `json:"links"` // "(From)-[TYPE {property}]->(To)"
}

// facts are what a schema or a table says about the graph, in words:
// "Label.property", "Label:FurtherLabel" and links.
type facts map[string]bool

func (f facts) add(label string, labels, properties, links []string) {
	for _, l := range labels {
		f[label+":"+l] = true
	}
	for _, p := range properties {
		f[label+"."+p] = true
	}
	for _, l := range links {
		f[l] = true
	}
}

// tableFacts are what a table says, each in the words for every label that its
// nodes have: what Cartography says of an AWSPrincipal goes for an AWSRole.
func tableFacts(t *kind.Table) [][]string {
	var all [][]string
	say := func(words func(label string) string) {
		var fact []string
		for _, label := range append([]string{t.Label}, t.Aliases...) {
			fact = append(fact, words(label))
		}
		all = append(all, fact)
	}
	for _, alias := range t.Aliases {
		all = append(all, []string{t.Label + ":" + alias})
	}
	for _, c := range t.Columns {
		if c.Property() && t.Label != "" {
			say(func(label string) string { return label + "." + c.Name })
		}
	}
	for _, l := range tableLinks(t) {
		say(func(label string) string { return linkText(label, l) })
	}
	if b := t.Between; b != nil {
		all = append(all, []string{linkText(b.From.Label, kind.Link{Type: b.Type, To: b.To.Label, Props: b.Props})})
	}
	return all
}

// tableLinks are the links of a table with that to the owner.
func tableLinks(t *kind.Table) []kind.Link {
	links := slices.Clone(t.Links)
	if owner, ok := t.OwnerLink(); ok {
		links = append(links, owner)
	}
	return links
}

// linkText is a link of a node with that label as the contract writes it.
func linkText(label string, l kind.Link) string {
	from, to := label, l.To
	if l.From != "" {
		from, to = l.From, label
	}
	text := l.Type
	if len(l.Props) > 0 {
		text += " {" + strings.Join(slices.Sorted(maps.Keys(l.Props)), ", ") + "}"
	}
	return fmt.Sprintf("(%s)-[%s]->(%s)", from, text, to)
}

func readContract[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	data, err := os.ReadFile("../../fixtures/contract/" + name)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("fixtures/contract/%s: %v", name, err)
	}
	return v
}

// The tables say of the graph what Cartography's schemas say: nothing else,
// and of the syncs that are declared all of it. fixtures/contract/exceptions.json
// lists where they differ, with the reasons.
func TestTablesKeepTheContract(t *testing.T) {
	contract, wanted := facts{}, facts{}
	for _, s := range readContract[[]schema](t, "aws.json") {
		contract.add(s.Label, s.Labels, s.Properties, s.Links)
		if api.Find(s.Sync) != nil {
			wanted.add(s.Label, s.Labels, s.Properties, s.Links)
		}
	}
	exceptions := readContract[struct {
		Added   map[string]string `json:"added"`    // declared, and not in the contract
		LeftOut map[string]string `json:"left_out"` // in the contract, and not declared
	}](t, "exceptions.json")

	declared, added := facts{}, facts{}
	for _, table := range api.Registry.Tables() {
		for _, fact := range tableFacts(table) {
			declared.add("", nil, nil, fact)
			if !slices.ContainsFunc(fact, func(words string) bool { return contract[words] }) {
				added[fact[0]] = true
			}
		}
	}
	for _, fact := range slices.Sorted(maps.Keys(added)) {
		if exceptions.Added[fact] == "" {
			t.Errorf("declared, but not in Cartography's contract: %s", fact)
		}
	}
	for _, fact := range slices.Sorted(maps.Keys(wanted)) {
		if !declared[fact] && exceptions.LeftOut[fact] == "" {
			t.Errorf("in Cartography's contract, but not declared: %s", fact)
		}
	}
	for fact := range exceptions.Added {
		if !added[fact] {
			t.Errorf("exceptions.json: %s is not added, or in the contract: take it out", fact)
		}
	}
	for fact := range exceptions.LeftOut {
		if !wanted[fact] || declared[fact] {
			t.Errorf("exceptions.json: %s is not left out, or of a sync that is not declared: take it out", fact)
		}
	}
}

// foreignLabels are labels at the far ends of links that other providers'
// modules of Cartography write, and snap never.
var foreignLabels = []string{"GCPArtifactRegistryImage", "GitHubContainerImage", "GitLabContainerImage"}

// laterLabels are labels that need no table: the foreign ones, and those of
// Cartography's AWS syncs that are not declared yet, each with its sync.
func laterLabels() (map[string]string, error) {
	var schemas []schema
	data, err := os.ReadFile("../../fixtures/contract/aws.json")
	if err == nil {
		err = json.Unmarshal(data, &schemas)
	}
	later := map[string]string{}
	for _, label := range foreignLabels {
		later[label] = "-"
	}
	for _, s := range schemas {
		if api.Find(s.Sync) == nil {
			for _, label := range append([]string{s.Label}, s.Labels...) {
				later[label] = s.Sync
			}
		}
	}
	for _, t := range api.Registry.Tables() {
		for _, label := range append([]string{t.Label}, t.Aliases...) {
			delete(later, label)
		}
	}
	delete(later, "")
	return later, err
}

// A link to a label that no table has would never come to be: most likely its
// name is misspelt. So would one that matches on a property that no such node
// has.
func TestLinksEndAtDeclaredNodes(t *testing.T) {
	properties := map[string]map[string]bool{} // by label, further labels too
	for _, table := range api.Registry.Tables() {
		for _, label := range append([]string{table.Label}, table.Aliases...) {
			if properties[label] == nil {
				properties[label] = map[string]bool{}
			}
			for _, c := range table.Columns {
				properties[label][c.Name] = c.Property()
			}
		}
	}
	later, err := laterLabels()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	check := func(table *kind.Table, label string, on kind.On) {
		used[label] = true
		switch {
		case later[label] != "":
		case properties[label] == nil:
			t.Errorf("table %s links to %s, which no table declares", table.Name, label)
		default:
			for property := range on {
				if !properties[label][property] {
					t.Errorf("table %s links to %s by %s, which no such node has", table.Name, label, property)
				}
			}
		}
	}
	for _, table := range api.Registry.Tables() {
		for _, l := range tableLinks(table) {
			check(table, l.Other(), l.On)
		}
		if b := table.Between; b != nil {
			check(table, b.From.Label, b.From.On)
			check(table, b.To.Label, b.To.On)
		}
	}
	for _, label := range foreignLabels {
		if properties[label] != nil || !used[label] {
			t.Errorf("foreignLabels: %s is declared, or no link's end: take it out", label)
		}
	}
}

var (
	operationForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9]+$`)
	actionForm    = regexp.MustCompile(`^[a-z0-9-]+:[A-Z][A-Za-z0-9]+$`)
)

// The IAM policy, the rate limits and the documentation follow from Calls.
func TestSyncsNameTheirCalls(t *testing.T) {
	for _, s := range api.Registry.Syncs {
		sync := api.Find(s.Name)
		if len(sync.Calls) == 0 && len(s.Tables) > 0 && !sync.Always {
			t.Errorf("sync %s feeds tables and declares no call", s.Name)
		}
		seen := map[string]bool{}
		for _, text := range sync.Calls {
			call, err := api.ParseCall(text)
			if err != nil {
				t.Errorf("sync %s: %v", s.Name, err)
				continue
			}
			if !operationForm.MatchString(call.Operation) || !actionForm.MatchString(call.Action) {
				t.Errorf("sync %s: call %q", s.Name, text)
			}
			if seen[text] {
				t.Errorf("sync %s: call %s twice", s.Name, text)
			}
			seen[text] = true
		}
		for _, need := range sync.Needs {
			if api.Find(need) == nil {
				t.Errorf("sync %s needs %s, which is not declared", s.Name, need)
			}
		}
	}
}

// Tables of one label are parts of the same nodes: their cross-provider
// properties are the same, and rest on properties that the contract knows.
func TestTablesOfOneLabelShareItsOntology(t *testing.T) {
	contract := facts{}
	for _, s := range readContract[[]schema](t, "aws.json") {
		contract.add(s.Label, s.Labels, s.Properties, s.Links)
	}
	first := map[string]*kind.Table{}
	for _, table := range api.Registry.Tables() {
		if other := first[table.Label]; other == nil {
			first[table.Label] = table
		} else if table.Label != "" && fmt.Sprint(other.Ontology) != fmt.Sprint(table.Ontology) {
			t.Errorf("tables %s and %s of %s differ in their ontology", other.Name, table.Name, table.Label)
		}
		for name, meaning := range table.Ontology {
			for _, column := range meaning.Columns {
				if !contract[table.Label+"."+column] {
					t.Errorf("table %s: _ont_%s rests on %s, which %s has not", table.Name, name, column, table.Label)
				}
			}
		}
	}
}
