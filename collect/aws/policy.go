package aws

import (
	"regexp"
	"slices"
	"strings"

	"snap/store/pyjson"
)

// anonymousAccess tells whether a resource policy lets anybody on the internet
// in, and by which actions, sorted and never nil. An action list may be empty
// where access is true: a statement with NotAction.
//
// It decides as Netflix's policyuniverse 1.5 does, which Cartography uses, so
// that the property keeps its meaning: a statement counts when it allows, its
// principals include everybody, and its condition (if any) names no account,
// organization, ARN, network or user that limits it. Deny statements are not
// weighed against it, and one limit that is open opens the whole condition.
func anonymousAccess(document string) (access bool, actions []string, err error) {
	statements, err := policyStatements(document)
	if err != nil {
		return false, nil, err
	}
	actions = []string{}
	for _, s := range statements {
		if openToAll(s) {
			access = true
			list, _ := s.Get("Action")
			actions = append(actions, stringsOf(list)...)
		}
	}
	slices.Sort(actions)
	return access, slices.Compact(actions), nil
}

// openToAll tells whether a statement lets anybody in.
func openToAll(statement pyjson.Object) bool {
	if effect := statement.Text("Effect"); effect == nil || *effect != "Allow" {
		return false
	}
	if !openCondition(statement) {
		return false
	}
	if _, ok := statement.Get("NotPrincipal"); ok {
		return true
	}
	return slices.ContainsFunc(principals(statement), openARN)
}

// principals are whom a statement speaks of, whatever their form.
func principals(statement pyjson.Object) []string {
	v, _ := statement.Get("Principal")
	object, ok := v.(pyjson.Object)
	if !ok {
		return stringsOf(v)
	}
	var all []string
	for _, kind := range [...]string{"AWS", "Service", "Federated"} {
		v, _ := object.Get(kind)
		all = append(all, stringsOf(v)...)
	}
	return all
}

// limitingKeys are the condition keys that can limit who is let in, and how
// their values are read.
var limitingKeys = map[string]func(string) bool{
	"aws:sourcearn":         openARN,
	"aws:principalarn":      openARN,
	"aws:sourceowner":       openText,
	"aws:sourceaccount":     openText,
	"aws:principalaccount":  openText,
	"aws:principalorgid":    openOrganization,
	"aws:principalorgpaths": openOrganization,
	"kms:calleraccount":     openText,
	"aws:userid":            openUserID,
	"aws:sourceip":          openCIDR,
	"aws:sourcevpc":         openText,
	"aws:sourcevpce":        openText,
	"saml:aud":              openText,
}

// limitingOperators are the operators that can limit; a negation lets in all
// the others.
var limitingOperators = regexp.MustCompile(`^(?i:((ForAllValues|ForAnyValue):)?(ARN(Equals|Like)|String(Equals|Like)|IpAddress))`)

// openCondition tells whether the statement's condition limits nothing: it has
// no limit, or one that everybody meets.
func openCondition(statement pyjson.Object) bool {
	v, _ := statement.Get("Condition")
	condition, _ := v.(pyjson.Object)
	limited := false
	for _, operator := range condition {
		keys, ok := operator.Value.(pyjson.Object)
		if !ok || !limitingOperators.MatchString(operator.Name) {
			continue
		}
		for _, key := range keys {
			open := limitingKeys[strings.ToLower(key.Name)]
			if open == nil {
				continue
			}
			for _, value := range stringsOf(key.Value) {
				if open(value) {
					return true
				}
				limited = true
			}
		}
	}
	return !limited
}

var (
	arnForm       = regexp.MustCompile(`^arn:[^:]*:([^:]*):[^:]*:(|\*|\d{12}|cloudfront|aws):.+`)
	accountForm   = regexp.MustCompile(`^(\d{12})+$`)
	principalForm = regexp.MustCompile(`^([^.]+(.[^.]+)?\.amazon(aws)?\.com|[^.]+.aws.internal)$`)
)

// openARN tells whether an ARN, account or service principal means everybody.
func openARN(s string) bool {
	if arn := arnForm.FindStringSubmatch(s); arn != nil {
		// S3's ARNs name no account. Of other services that means any account.
		return arn[1] != "s3" && (arn[2] == "" || arn[2] == "*")
	}
	if accountForm.MatchString(s) || principalForm.MatchString(s) {
		return false
	}
	return openText(s)
}

func openText(s string) bool { return strings.Contains(s, "*") }

func openCIDR(s string) bool { return strings.HasSuffix(s, "/0") }

// openUserID: a wildcard at the end ("AROAEXAMPLE:*") limits. That a user id
// without one counts as open is policyuniverse's ruling.
func openUserID(s string) bool { return strings.Index(s, "*") != len(s)-1 }

// openOrganization tells whether an organization id or path means any
// organization. Paths are "o-…/r-…/ou-…/"; after an element that stands for
// the rest nothing may follow, and what has another form counts by its text.
func openOrganization(s string) bool {
	organization, rest, path := strings.Cut(s, "/")
	wellFormed := strings.HasPrefix(organization, "o-") || organization == "*"
	if path && wellFormed {
		elements := strings.Split(rest, "/")
		wellFormed = strings.HasPrefix(elements[0], "r-") || elements[0] == "*"
		for i, unit := range elements[1:] {
			last := i == len(elements)-2
			wellFormed = wellFormed && (strings.HasPrefix(unit, "ou-") && unit != "ou-*" || last && (unit == "" || unit == "*" || unit == "ou-*"))
		}
	}
	if !wellFormed {
		return strings.Contains(s, "o-*")
	}
	return organization == "o-*"
}
