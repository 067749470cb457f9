package diff

import (
	"fmt"
	"strings"
)

// RulesDocument is docs/severity.md: what the rules of this package are, and
// how a user adds to them.
func RulesDocument() string {
	var b strings.Builder
	b.WriteString(`# What snap diff shows first

<!-- Made of the rules in diff/rules_aws.go by: go test ./cmd/snap -run Severity -update -->

Rules rank the changes that widen access or take a protection away. Every output shows ranked
changes first, the gravest before the others; ` + "`--severity high`" + ` leaves out what ranks below.

| Severity | Meaning |
|---|---|
| critical | open to the internet, or all power over an account |
| high | somebody new gets in, or a protection is off |
| medium | a protection is weaker, or a thing was made without it |
| low | worth a look |

A rule speaks of what the snapshots prove. Where the new state is proven but the old snapshot does not
know what there was, the finding says so ("perhaps not new"). A rule that needs a value which could not
be read says nothing.

`)
	rules := Rules()
	for _, s := range Severities {
		fmt.Fprintf(&b, "## %s%s\n\n| Rule | What has happened | Where | When |\n|---|---|---|---|\n", strings.ToUpper(string(s[:1])), s[1:])
		for _, r := range rules {
			if r.Severity == s {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Text, "`"+strings.Join(r.Tables, "`, `")+"`", r.when())
			}
		}
		b.WriteString("\n")
	}
	b.WriteString(`## What no rule can see

Rules speak of what the snapshot has, which is what Cartography 0.143.0 has. In this version that leaves out:

- IPv6 ranges, prefix lists and single security groups in the rules of a security group: Cartography reads IPv4 ranges
  (and, in ` + "`ALLOWS_TRAFFIC_FROM`" + `, which groups are let in at all). A group opened to ` + "`::/0`" + ` alone is not seen; the rules
  name that range so that they speak when it is collected.
- The text of the policies of KMS keys and Lambda functions: only whether they let anybody in, and to do what. Function
  URLs count where the policy allows anybody to call them.
- With which accounts an image or a snapshot is shared, other than with everybody.
- The metadata options (IMDSv1) and user data of launch templates: an instance's own options are seen when it runs.
- Password policies, passwords of users, and permission boundaries.
- Services that the README does not list, such as CloudTrail and GuardDuty.

## Rules of your own

` + "`snap diff --rules FILE OLD NEW`" + ` reads a JSON file. A rule of a name above takes that rule's place;
with the severity "off" it takes the rule out.

    {"rules": [
      {"name": "prod-tag-host", "text": "A host of the payment service changed its image", "severity": "high",
       "tables": ["ec2_instance"], "change": "modified", "of": "imageid",
       "where": [{"column": "iaminstanceprofile", "like": ["*/payment-*"]}]},
      {"name": "user-new", "severity": "off"}
    ]}

| Member | Meaning |
|---|---|
| ` + "`name`, `text`" + ` | what findings are called, and one sentence that says what has happened |
| ` + "`severity`" + ` | critical, high, medium, low, or off |
| ` + "`tables`" + ` | the tables whose rows it speaks of |
| ` + "`change`" + ` | becomes: the row meets the tests and did not before (a new row counts) · turns: so, of a row that was there before · added, removed: a row that meets them · gains, loses: ` + "`of`" + ` has, or lacks, an element · modified: ` + "`of`" + ` has another value |
| ` + "`of`" + ` | a property, or a relationship's type; a relationship is gained at either end, wherever snap diff shows it |
| ` + "`element`" + ` | a test without a column: of gains and loses, what the element must meet |
| ` + "`where`, `one_of`, `unless`" + ` | tests of the row: all of them; all of at least one of several lists; and not all of any of several lists |

A test has a ` + "`column`" + ` and one or more of these; all must hold. Of a list, and of the texts in a JSON document
such as a policy, one element must meet the tests, and none may meet ` + "`not` and `unlike`" + `.

| Test | Holds if the value |
|---|---|
| ` + "`is`, `not`" + ` | is one of these texts, numbers, true, false; is none of them |
| ` + "`like`, `unlike`" + ` | matches one of these patterns, in any case; matches none: * is any text, ? any character, \\* a star |
| ` + "`null`" + ` | is not there (true), or is there (false) |
| ` + "`outside`" + ` | is a principal (ARN or account id) of another account than the row's, or anybody (true); is not (false) |
| ` + "`min`, `max`" + ` | is a number of at least, of at most this |
`)
	return b.String()
}

// when says a rule's condition in words.
func (r *Rule) when() string {
	quote := func(list []any) string {
		var out []string
		for _, v := range list {
			out = append(out, "`"+valueText(v)+"`")
		}
		return strings.Join(out, ", ")
	}
	texts := func(list []string) string {
		var out []string
		for _, v := range list {
			out = append(out, "`"+v+"`")
		}
		return strings.Join(out, ", ")
	}
	say := func(t Test) string {
		var out []string
		add := func(ok bool, format string, a ...any) {
			if ok {
				out = append(out, fmt.Sprintf(format, a...))
			}
		}
		add(len(t.Is) > 0, "is %s", quote(t.Is))
		add(len(t.Not) > 0, "is not %s", quote(t.Not))
		add(len(t.Like) > 0, "is like %s", texts(t.Like))
		add(len(t.Unlike) > 0, "is not like %s", texts(t.Unlike))
		add(t.Null != nil && *t.Null, "is null")
		add(t.Null != nil && !*t.Null, "is not null")
		add(t.Outside != nil && *t.Outside, "is of another account")
		add(t.Outside != nil && !*t.Outside, "is of no other account")
		add(t.Min != nil && t.Max == nil, "≥ %s", bound(t.Min))
		add(t.Max != nil && t.Min == nil, "≤ %s", bound(t.Max))
		add(t.Min != nil && t.Max != nil, "is from %s to %s", bound(t.Min), bound(t.Max))
		name := ""
		if t.Column != "" {
			name = "`" + t.Column + "` "
		}
		return name + strings.Join(out, " and ")
	}
	all := func(tests []Test) string {
		var out []string
		for _, t := range tests {
			out = append(out, say(t))
		}
		return strings.Join(out, ", ")
	}
	lists := func(list [][]Test) string {
		var out []string
		for _, tests := range list {
			out = append(out, all(tests))
		}
		return strings.Join(out, " · ")
	}
	var parts []string
	switch r.Change {
	case Becomes, Turns:
		parts = append(parts, map[Trigger]string{Becomes: "becomes, or is new with:", Turns: "turns:"}[r.Change])
	case Appears:
		parts = append(parts, "a new row")
	case Vanishes:
		parts = append(parts, "a row is gone")
	default:
		parts = append(parts, map[Trigger]string{Gains: "gains", Loses: "loses", Modified: "changes"}[r.Change]+" `"+r.Of+"`")
		if r.Element != nil {
			parts = append(parts, "which "+say(*r.Element))
		}
	}
	if len(r.Where) > 0 {
		parts = append(parts, all(r.Where))
	}
	if len(r.OneOf) > 0 {
		parts = append(parts, "one of: "+lists(r.OneOf))
	}
	if len(r.Unless) > 0 {
		parts = append(parts, "but not: "+lists(r.Unless))
	}
	return strings.ReplaceAll(strings.ReplaceAll(strings.Join(parts, "; "), ":; ", ": "), "|", `\|`)
}

func bound(f *float64) string {
	if f == nil {
		return ""
	}
	return valueText(*f)
}
