package session

import (
	"maps"
	"slices"
	"strings"

	"snap/collect/aws/api"
)

// Group are the IAM actions of one service, sorted.
type Group struct {
	Service string // as IAM names it, "ec2"
	Actions []string
}

// Name is the service in letters and digits only.
func (g Group) Name() string {
	var b strings.Builder
	for _, part := range strings.Split(g.Service, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// planning are the actions that finding out the regions takes.
var planning = []string{"ec2:DescribeRegions"}

// Actions are the IAM actions that collecting the syncs takes, by service. The
// syncs are as Resolve returned them; without are optional calls left out.
func Actions(syncs, without []string) []Group {
	by := map[string][]string{}
	add := func(action string) {
		service, _, _ := strings.Cut(action, ":")
		if !slices.Contains(by[service], action) {
			by[service] = append(by[service], action)
		}
	}
	for _, action := range planning {
		add(action)
	}
	for _, declared := range api.Registry.Syncs {
		sync := api.Find(declared.Name)
		if !sync.Always && !slices.Contains(syncs, sync.Name) {
			continue
		}
		for _, text := range sync.Calls {
			call, err := api.ParseCall(text)
			if err == nil && !slices.Contains(without, text) { // Declare has parsed it
				add(call.Action)
			}
		}
	}
	var groups []Group
	for _, service := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[service])
		groups = append(groups, Group{service, by[service]})
	}
	return groups
}
