package load

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"snap/store"
	"snap/store/pyjson"
)

// Permission declares relationships (:AWSPrincipal)-[Relationship]->(Target):
// the policies of the principal allow it one of the permissions on the target,
// which is of its own account. It is an entry of Cartography's file of
// permission relationships.
type Permission struct {
	Target       string        `yaml:"target_label"`
	Relationship string        `yaml:"relationship_name"`
	Permissions  []string      `yaml:"permissions"` // actions, such as "s3:GetObject"
	Precondition *Precondition `yaml:"target_precondition"`
}

// Precondition is a relationship that a target must have.
type Precondition struct {
	Label        string `yaml:"related_label"`
	Relationship string `yaml:"relationship"`
	Direction    string `yaml:"direction"` // "outgoing", from the target, or "incoming"; empty is outgoing
}

// Permissions are what Cartography evaluates unless it is told otherwise.
var Permissions = []Permission{
	{Target: "AWSS3Bucket", Relationship: "CAN_READ", Permissions: []string{"S3:GetObject"}},
	{Target: "AWSS3Bucket", Relationship: "CAN_WRITE", Permissions: []string{"S3:PutObject"}},
	{Target: "AWSDynamoDBTable", Relationship: "CAN_QUERY", Permissions: []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:Query", "dynamodb:Scan"}},
	{Target: "AWSDynamoDBTable", Relationship: "CAN_WRITE", Permissions: []string{"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}},
	{Target: "AWSSecretsManagerSecret", Relationship: "GET_SECRET", Permissions: []string{"secretsmanager:GetSecretValue"}},
	{Target: "AWSRedshiftCluster", Relationship: "CAN_ADMINISTER", Permissions: []string{"redshift:*", "redshift:CreateClusterUser", "redshift:GetClusterCredentials", "redshift:JoinGroup"}},
	{Target: "AWSRDSInstance", Relationship: "CAN_QUERY", Permissions: []string{"rds-db:connect"}},
	{Target: "AWSRDSInstance", Relationship: "CAN_ADMINISTER", Permissions: []string{"rds:*", "rds:ModifyDBInstance", "rds:DeleteDBInstance", "rds:RebootDBInstance", "rds:StopDBInstance", "rds:StartDBInstance"}},
	{Target: "AWSECSTask", Relationship: "CAN_EXECUTE_COMMAND", Permissions: []string{"ecs:ExecuteCommand"}},
	{Target: "AWSRole", Relationship: "CAN_PASS_ROLE", Permissions: []string{"iam:PassRole"}},
	{Target: "AWSCloudFormationStack", Relationship: "CAN_EXEC", Permissions: []string{"cloudformation:UpdateStack"}},
	{Target: "AWSEC2Instance", Relationship: "CAN_START_SESSION", Permissions: []string{"ssm:StartSession"},
		Precondition: &Precondition{Label: "AWSSSMInstanceInformation", Relationship: "HAS_INFORMATION"}},
}

// ReadPermissions reads a file in Cartography's form.
func ReadPermissions(name string) ([]Permission, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("permission relationships: %w", err)
	}
	var all []Permission
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&all); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("permission relationships: %s: %s", name, line(err))
	}
	for i, p := range all {
		wrong := ""
		switch c := p.Precondition; {
		case p.Target == "":
			wrong = "target_label is missing"
		case p.Relationship == "":
			wrong = "relationship_name is missing"
		case len(p.Permissions) == 0:
			wrong = "permissions, a list of actions, is missing"
		case c != nil && (c.Label == "" || c.Relationship == ""):
			wrong = "target_precondition needs related_label and relationship"
		case c != nil && c.Direction != "" && !strings.EqualFold(c.Direction, "outgoing") && !strings.EqualFold(c.Direction, "incoming"):
			wrong = fmt.Sprintf("target_precondition.direction is %q: use outgoing or incoming", c.Direction)
		}
		if wrong != "" {
			return nil, fmt.Errorf("permission relationships: %s: entry %d: %s", name, i+1, wrong)
		}
	}
	return all, nil
}

func (p Permission) name() string { return "permission " + p.Relationship + " " + p.Target }

// reads are the syncs that tell which principals and targets there are; ok is
// false where none tells of the targets.
func (l *loader) reads(p Permission) (syncs []string, ok bool) {
	syncs = []string{"iam"}
	labels := []string{p.Target}
	if p.Precondition != nil {
		labels = append(labels, p.Precondition.Label)
	}
	for _, label := range labels {
		found := false
		for _, t := range l.plan.all {
			if !t.Stub && (t.Label == label || slices.Contains(t.Aliases, label)) {
				found = true
				syncs = union(syncs, t.Sync)
			}
		}
		if !found {
			return nil, false
		}
	}
	return syncs, true
}

// permissions evaluates the policies of each account's principals, of several
// accounts at the same time.
func (l *loader) permissions(ctx context.Context) error {
	l.phase("analysis", "permissions")
	reports := make([][]JobReport, len(l.plan.accounts))
	err := l.together(ctx, len(reports), func(ctx context.Context, i int) (err error) {
		reports[i], err = l.permissionsOf(ctx, l.plan.accounts[i])
		return err
	})
	if err == nil {
		l.report.Analysis = slices.Concat(l.report.Analysis, slices.Concat(reports...))
	}
	return err
}

func (l *loader) permissionsOf(ctx context.Context, account string) (reports []JobReport, err error) {
	var policies *identities // read once where anything needs them
	for _, p := range l.o.Permissions {
		started := time.Now()
		r := JobReport{Name: p.name(), Account: account}
		if syncs, ok := l.reads(p); !ok {
			r.Cell, r.State = store.CellID{Provider: "aws", Account: account, Region: "*", Sync: "*"}.String(), absent
			if len(l.o.Permissions) == len(Permissions) && slices.ContainsFunc(Permissions, func(d Permission) bool { return d.name() == p.name() }) {
				continue // a built-in one for what this program does not collect
			}
		} else {
			r.Cell, r.State = l.plan.hinders(Job{Reads: syncs}, account)
		}
		if r.Ran = r.Cell == ""; r.Ran && !l.o.DryRun {
			if policies == nil {
				err = whole(func() (err error) {
					policies, err = l.identities(ctx, account)
					return err
				})
			}
			if err == nil {
				err = whole(func() error { return l.permit(ctx, p, account, policies) })
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name(), err)
			}
		}
		r.Seconds = time.Since(started).Seconds()
		reports = append(reports, r)
	}
	return reports, nil
}

// identities reads the principals of an account and their policies.
func (l *loader) identities(ctx context.Context, account string) (*identities, error) {
	params := map[string]any{"account": account}
	all := &identities{policies: map[string][]policyStatement{}, held: map[string][]string{}}
	err := l.graph.stream(ctx, l.holders(), params, func(r []any) {
		p := r[0].(string)
		all.held[p] = append(all.held[p], r[1].(string))
	})
	if err != nil {
		return nil, err
	}
	err = l.graph.stream(ctx, l.held(), params, func(r []any) {
		s := policyStatement{action: clauseList(r[2]), notAction: clauseList(r[3]), resource: clauseList(r[4]), notResource: clauseList(r[5])}
		s.effect, _ = r[1].(string)
		s.condition, _ = r[6].(string)
		id := r[0].(string)
		if all.policies[id] == nil {
			all.order = append(all.order, id)
		}
		all.policies[id] = append(all.policies[id], s)
	})
	return all, err
}

// holder finds an account's principals and their policies.
const holder = "MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(p:AWSPrincipal)-[:POLICY]->(policy:AWSPolicy) WHERE p.arn IS NOT NULL "

func (l *loader) holders() string {
	return holder + "RETURN DISTINCT " + l.graph.id("p") + ", " + l.graph.id("policy")
}

func (l *loader) held() string {
	return holder + "WITH DISTINCT policy MATCH (policy)-[:STATEMENT]->(s:AWSPolicyStatement) " +
		"RETURN " + l.graph.id("policy") + ", s.effect, s.action, s.notaction, s.resource, s.notresource, s.condition ORDER BY policy.id, s.id"
}

// clauseList is a list of a policy; nil where there is none, which differs from an
// empty one.
func clauseList(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	if _, ok := v.([]any); !ok {
		return nil
	}
	return texts(v)
}

// permit writes the relationships of one declaration in an account and deletes
// those that no longer hold.
func (l *loader) permit(ctx context.Context, p Permission, account string, all *identities) error {
	var targets []target
	params := map[string]any{"account": account, "tag": l.tag}
	err := l.graph.stream(ctx, l.targets(p), params, func(r []any) {
		if arn, ok := r[1].(string); ok {
			targets = append(targets, target{r[0].(string), arn})
		}
	})
	if err != nil {
		return err
	}
	var rows []entry
	bytes := 0
	send := func() error {
		part := rows
		rows, bytes = nil, 0
		return inPortions(&l.portion, part, func(rows []entry) error {
			if len(rows) == 0 {
				return nil
			}
			_, _, err := l.graph.write(ctx, statement{l.mayText(p), with(params, rows)})
			return err
		})
	}
	err = all.grants(p.Permissions, targets, func(principal, target string, c *conditions) error {
		e := entry{"p": principal, "x": target, "t": p.Relationship, "c": c != nil, "k": []string{}, "j": nil}
		if c != nil {
			e["k"], e["j"] = c.keys, c.text
			bytes += len(c.text)
		}
		rows = append(rows, e)
		if len(rows) == batchRows || bytes > batchBytes {
			return send()
		}
		return nil
	})
	if err == nil {
		err = send()
	}
	for err == nil && l.nodesBefore > 0 {
		var n counts
		_, n, err = l.graph.write(ctx, statement{p.mayNot(), params})
		if n.linksDeleted == 0 {
			break
		}
	}
	return err
}

// targets is Cypher that finds a permission's targets in an account.
func (l *loader) targets(p Permission) string {
	where := ""
	if c := p.Precondition; c != nil {
		pattern := "(x)-[:" + quote(c.Relationship) + "]->(:" + quote(c.Label) + ")"
		if strings.EqualFold(c.Direction, "incoming") {
			pattern = "(x)<-[:" + quote(c.Relationship) + "]-(:" + quote(c.Label) + ")"
		}
		where = " AND EXISTS { MATCH " + pattern + " }"
	}
	return "MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(x:" + quote(p.Target) + ") WHERE x.arn IS NOT NULL" + where + " RETURN DISTINCT " + l.graph.id("x") + ", x.arn"
}

// mayText is Cypher that writes a permission's relationships, the same for all
// permissions where the server takes a type as a value.
func (l *loader) mayText(p Permission) string {
	typ := quote(p.Relationship)
	if l.graph.dynamic {
		typ = "$(row.t)"
	}
	return "UNWIND $rows AS row MATCH (p) WHERE " + l.graph.is("p", "row.p") + " MATCH (x) WHERE " + l.graph.is("x", "row.x") + " MERGE (p)-[r:" + typ + "]->(x) " +
		"SET r.lastupdated = $tag, r.has_condition = row.c, r.condition_keys = row.k, r.conditions = row.j"
}

// mayNot is Cypher that deletes those that no longer hold.
func (p Permission) mayNot() string {
	return "MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSPrincipal)-[r:" + quote(p.Relationship) + "]->(:" + quote(p.Target) + ") WHERE r.lastupdated <> $tag WITH DISTINCT r LIMIT 10000 DELETE r"
}

// identities are principals and their policies, each by its element id.
type identities struct {
	policies map[string][]policyStatement
	order    []string            // of the policies, by which conditions are listed
	held     map[string][]string // principal → policies
}

// policyStatement is a statement of an identity policy. A list that the policy
// lacks is nil.
type policyStatement struct {
	effect                                   string
	action, notAction, resource, notResource []string
	condition                                string // JSON; empty where there is none
}

// permits tells whether the statement is about an action.
func (s policyStatement) permits(action string) bool {
	matches := func(clause string) bool { return wildcard(strings.ToLower(clause), strings.ToLower(action)) }
	return !slices.ContainsFunc(s.notAction, matches) && (s.action == nil || slices.ContainsFunc(s.action, matches))
}

type target struct{ element, arn string }

// conditions are those under which a principal has a permission.
type conditions struct {
	keys []string
	text string // the conditions as JSON, as Cartography writes it
}

// grants gives every pair of a principal and a target on which its policies
// allow one of the actions. As in Cartography, a policy is asked for the actions
// in order up to the first about which it says something; one that denies wins
// over those that allow. Permission boundaries, resource policies and the
// policies of a user's groups do not count. c is nil where no condition is
// attached to one of the ways.
//
// A policy is asked about all targets at once: the targets that a clause matches
// are a set, of which there is one for each text of a clause.
func (all *identities) grants(actions []string, targets []target, give func(principal, target string, c *conditions) error) error {
	targets = slices.Clone(targets)
	for i := range targets {
		targets[i].arn = strings.ToLower(targets[i].arn)
	}
	slices.SortFunc(targets, func(a, b target) int {
		return cmp.Or(strings.Compare(a.arn, b.arn), strings.Compare(a.element, b.element))
	})
	m := &clauseSets{targets: targets, sets: map[string]set{}}
	type verdict struct {
		allowed, denied set
		free            set     // allowed without a condition
		bound           []bound // the statements with conditions
	}
	verdicts := map[string]*verdict{}
	for _, id := range all.order {
		v := &verdict{allowed: m.none(), denied: m.none(), free: m.none()}
		verdicts[id] = v
		statements := all.policies[id]
		about := make([]set, len(statements))
		open := m.none().not(len(targets))
		for _, action := range actions {
			allow, deny := m.none(), m.none()
			for i, s := range statements {
				if s.effect != "Allow" && s.effect != "Deny" || !s.permits(action) {
					continue
				}
				if about[i] == nil {
					about[i] = m.of(s)
					if s.effect == "Allow" && s.condition == "" {
						v.free.add(about[i])
					} else if s.effect == "Allow" {
						v.bound = append(v.bound, bound{i, s.condition, about[i]})
					}
				}
				if s.effect == "Deny" {
					deny.add(about[i])
				} else {
					allow.add(about[i])
				}
			}
			deny.keep(open)
			v.denied.add(deny)
			open.drop(deny)
			allow.keep(open)
			v.allowed.add(allow)
			open.drop(allow)
		}
		slices.SortFunc(v.bound, func(a, b bound) int { return cmp.Compare(a.at, b.at) })
	}
	rank := map[string]int{}
	for i, id := range all.order {
		rank[id] = i
	}
	known := map[string]*conditions{}
	for _, principal := range slices.Sorted(maps.Keys(all.held)) {
		policies := slices.DeleteFunc(slices.Clone(all.held[principal]), func(id string) bool { return verdicts[id] == nil })
		slices.SortFunc(policies, func(a, b string) int { return cmp.Compare(rank[a], rank[b]) })
		granted, denied, free := m.none(), m.none(), m.none()
		for _, id := range policies {
			granted.add(verdicts[id].allowed)
			denied.add(verdicts[id].denied)
			free.add(verdicts[id].free)
		}
		granted.drop(denied)
		err := granted.each(func(i int) error {
			if free.has(i) {
				return give(principal, targets[i].element, nil)
			}
			var texts []string
			for _, id := range policies {
				for _, b := range verdicts[id].bound {
					if b.targets.has(i) {
						texts = append(texts, b.condition)
					}
				}
			}
			name := strings.Join(texts, "\x00")
			if known[name] == nil {
				known[name] = newConditions(texts)
			}
			return give(principal, targets[i].element, known[name])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bound is a statement that allows under a condition.
type bound struct {
	at        int
	condition string
	targets   set
}

// set is a set of targets, by their index.
type set []uint64

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s set) put(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) add(o set) {
	for i := range o {
		s[i] |= o[i]
	}
}
func (s set) keep(o set) {
	for i := range o {
		s[i] &= o[i]
	}
}
func (s set) drop(o set) {
	for i := range o {
		s[i] &^= o[i]
	}
}

// not is the complement among n.
func (s set) not(n int) set {
	out := make(set, len(s))
	for i := range n {
		if !s.has(i) {
			out.put(i)
		}
	}
	return out
}

func (s set) each(do func(i int) error) error {
	for i, word := range s {
		for b := 0; word != 0; b, word = b+1, word>>1 {
			if word&1 != 0 {
				if err := do(i*64 + b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// clauseSets knows for clauses about resources which targets they match.
type clauseSets struct {
	targets []target // in lower case, sorted
	sets    map[string]set
}

func (m *clauseSets) none() set { return make(set, (len(m.targets)+63)/64) }

// of are the targets that a statement is about.
func (m *clauseSets) of(s policyStatement) set {
	out := m.none()
	for _, clause := range s.resource {
		out.add(m.match(clause))
		// What is in a bucket is no node: to be allowed something with any object
		// counts as with the bucket.
		if bucket, _, ok := strings.Cut(clause, "/"); ok {
			_ = m.match(bucket).each(func(i int) error { // it returns none
				if isBucket(m.targets[i].arn) {
					out.put(i)
				}
				return nil
			})
		}
	}
	for _, clause := range s.notResource {
		out.drop(m.match(clause))
	}
	return out
}

// isBucket tells whether an ARN in lower case is a bucket's, in any partition.
func isBucket(arn string) bool {
	rest, ok := strings.CutPrefix(arn, "arn:")
	partition, rest, found := strings.Cut(rest, ":")
	return ok && found && partition != "" && strings.HasPrefix(rest, "s3:::")
}

func (m *clauseSets) match(clause string) set {
	clause = strings.ToLower(clause)
	if out, ok := m.sets[clause]; ok {
		return out
	}
	out := m.none()
	prefix := clause
	if i := strings.IndexAny(clause, "*?"); i >= 0 {
		prefix = clause[:i]
	}
	at, _ := slices.BinarySearchFunc(m.targets, prefix, func(t target, prefix string) int { return strings.Compare(t.arn, prefix) })
	for ; at < len(m.targets) && strings.HasPrefix(m.targets[at].arn, prefix); at++ {
		if wildcard(clause, m.targets[at].arn) {
			out.put(at)
		}
	}
	m.sets[clause] = out
	return out
}

// wildcard tells whether a pattern matches a text: "*" stands for anything, "?"
// for one character or (as in Cartography) none. All else is taken literally.
func wildcard(pattern, text string) bool {
	if !strings.ContainsRune(pattern, '?') {
		return glob(pattern, text)
	}
	t := []rune(text)
	here := make([]bool, len(t)+1) // here[i]: the pattern so far matches the first i characters
	here[0] = true
	for _, c := range pattern {
		next := make([]bool, len(t)+1)
		for i := range next {
			switch {
			case c == '*':
				next[i] = here[i] || i > 0 && next[i-1]
			case c == '?':
				next[i] = here[i] || i > 0 && here[i-1]
			default:
				next[i] = i > 0 && here[i-1] && t[i-1] == c
			}
		}
		here = next
	}
	return here[len(t)]
}

func glob(pattern, text string) bool {
	first, rest, some := strings.Cut(pattern, "*")
	if !some {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for {
		part, more, some := strings.Cut(rest, "*")
		if !some {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}

// newConditions makes one of several conditions. One that is no JSON object or
// list of them stays as it is: the permission has a condition, whatever it says.
func newConditions(texts []string) *conditions {
	c := &conditions{keys: []string{}}
	var all []string
	for _, text := range texts {
		parts, keys, ok := conditionParts(text)
		if !ok {
			parts, keys = []string{pyjson.Dump(text)}, nil
		}
		all = append(all, parts...)
		for _, k := range keys {
			if i, found := slices.BinarySearch(c.keys, k); !found {
				c.keys = slices.Insert(c.keys, i, k)
			}
		}
	}
	c.text = "[" + strings.Join(all, ", ") + "]"
	return c
}

// conditionParts are the elements of a Condition that a statement has as JSON,
// and the keys of the request that they are about. ok is false where it is
// neither an object nor a list of something.
func conditionParts(text string) (parts, keys []string, ok bool) {
	v, err := pyjson.Parse(text)
	if err != nil {
		return nil, nil, false
	}
	list := []any{v}
	switch v := v.(type) {
	case pyjson.Object:
	case []any:
		list = v
	default:
		return nil, nil, false
	}
	for _, e := range list {
		parts = append(parts, pyjson.Dump(e))
		operators, _ := e.(pyjson.Object)
		for _, o := range operators {
			about, _ := o.Value.(pyjson.Object)
			for _, k := range about {
				keys = append(keys, k.Name)
			}
		}
	}
	return parts, keys, len(list) > 0
}
