package aws

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"snap/collect/aws/api"
	"snap/store/kind"
	"snap/store/pyjson"
)

// iamManagedPolicy is a managed policy, AWS's own or the account's, that is
// attached to a principal. The account has no link to it: the same node may be
// attached in others.
type iamManagedPolicy struct {
	ID            string   `snap:"id,key" doc:"its ARN"`
	ARN           string   `snap:"arn,index"`
	Name          string   `snap:"name" doc:"its name, the end of its ARN"`
	Type          string   `snap:"type" doc:"'managed'"`
	PrincipalARNs []string `snap:"_principal_arns"`
}

var iamManagedPolicies = kind.Of[iamManagedPolicy](kind.Table{
	Name: "iam_managed_policy", Label: "AWSManagedPolicy", Aliases: []string{"AWSPolicy"}, Unowned: true,
	Doc:   "A managed policy, AWS's or the account's, that is attached to a principal. Accounts share AWS's.",
	Links: []kind.Link{{Type: "POLICY", From: "AWSPrincipal", On: kind.On{"arn": "_principal_arns"}}},
})

// iamInlinePolicy is a policy that is part of one principal: its id is
// "principal/inline_policy/name".
type iamInlinePolicy struct {
	ID           string `snap:"id,key" doc:"the principal's ARN, 'inline_policy' and its name, joined by '/'"`
	Name         string `snap:"name" doc:"its name, unique within the principal"`
	Type         string `snap:"type" doc:"'inline'"`
	PrincipalARN string `snap:"_principal_arn"`
}

var iamInlinePolicies = kind.Of[iamInlinePolicy](kind.Table{
	Name: "iam_inline_policy", Label: "AWSInlinePolicy", Aliases: []string{"AWSPolicy"},
	Doc:   "A policy that is part of one principal.",
	Links: []kind.Link{{Type: "POLICY", From: "AWSPrincipal", On: kind.On{"arn": "_principal_arn"}}},
})

// iamStatement is one statement of a policy. Lists stay null where the
// statement does not have the element.
type iamStatement struct {
	ID          string   `snap:"id,key" doc:"the policy's id, 'statement' and a name, joined by '/'"`
	Effect      *string  `snap:"effect" doc:"'Allow' or 'Deny'"`
	Action      []string `snap:"action" doc:"the actions that it is about"`
	NotAction   []string `snap:"notaction" doc:"it is about all actions but these"`
	Resource    []string `snap:"resource" doc:"the resources that it is about"`
	NotResource []string `snap:"notresource" doc:"it is about all resources but these"`
	Condition   *string  `snap:"condition,document" doc:"when it applies, as JSON"`
	Sid         *string  `snap:"sid" doc:"what its author called it"`
	PolicyID    string   `snap:"_policy_id"`
}

var iamStatements = kind.Of[iamStatement](kind.Table{
	Name: "iam_policy_statement", Label: "AWSPolicyStatement",
	Doc:   "One statement of a policy.",
	Owner: &kind.Link{Type: "STATEMENT", From: "AWSPolicy", On: kind.On{"id": "_policy_id"}},
})

// putIAMPolicies puts the policies that principals have, with their
// statements. Where the details are whole, it asks for a managed policy that
// they lack: it was attached while they were read.
func putIAMPolicies(ctx context.Context, at *api.Cell, client *iam.Client, details *iamDetails, whole bool) error {
	type attachment struct{ principal, policy string }
	var attachments []attachment
	hold := func(principal *string, inline []types.PolicyDetail, attached []types.AttachedPolicy) {
		arn := aws.ToString(principal)
		for _, p := range inline {
			name := aws.ToString(p.PolicyName)
			id := arn + "/inline_policy/" + name
			iamInlinePolicies.Put(at, iamInlinePolicy{ID: id, Name: name, Type: "inline", PrincipalARN: arn})
			putIAMStatements(at, id, iamDocument(p.PolicyDocument))
		}
		for _, p := range attached {
			attachments = append(attachments, attachment{arn, aws.ToString(p.PolicyArn)})
		}
	}
	for _, u := range details.users {
		hold(u.Arn, u.UserPolicyList, u.AttachedManagedPolicies)
	}
	for _, g := range details.groups {
		hold(g.Arn, g.GroupPolicyList, g.AttachedManagedPolicies)
	}
	for _, r := range details.roles {
		hold(r.Arn, r.RolePolicyList, r.AttachedManagedPolicies)
	}

	var missing []string
	documents := map[string]iamPolicyDocument{}
	for _, a := range attachments {
		if _, ok := documents[a.policy]; ok {
			continue
		}
		text, ok := details.policies[a.policy]
		documents[a.policy] = iamPolicyDocument{text: text, unread: !ok}
		if !ok && whole {
			missing = append(missing, a.policy)
		}
	}
	read, err := api.Each(ctx, missing, func(ctx context.Context, arn string) (iamPolicyDocument, error) {
		return readIAMPolicy(ctx, client, arn), ctx.Err()
	})
	for i, arn := range missing {
		documents[arn] = read[i]
		if read[i].err != nil {
			at.Lose(read[i].err)
		}
	}

	put := map[string]bool{}
	for _, a := range attachments {
		document := documents[a.policy]
		if document.gone {
			continue
		}
		iamManagedPolicies.Put(at, iamManagedPolicy{
			ID: a.policy, ARN: a.policy, Name: a.policy[strings.LastIndexByte(a.policy, '/')+1:], Type: "managed",
			PrincipalARNs: []string{a.principal},
		})
		if !put[a.policy] && !document.unread {
			putIAMStatements(at, a.policy, iamDocument(&document.text))
		}
		put[a.policy] = true
	}
	return err
}

// iamPolicyDocument is the document in force of a managed policy.
type iamPolicyDocument struct {
	text   string
	unread bool  // it is not known
	gone   bool  // the policy was deleted since
	err    error // why it is not known
}

func readIAMPolicy(ctx context.Context, client *iam.Client, arn string) iamPolicyDocument {
	fail := func(err error) iamPolicyDocument {
		if api.Gone(err) {
			return iamPolicyDocument{gone: true}
		}
		return iamPolicyDocument{unread: true, err: err}
	}
	policy, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return fail(err)
	}
	if policy.Policy == nil {
		return fail(fmt.Errorf("GetPolicy of %s: no policy in the answer", arn))
	}
	version, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId})
	if err != nil {
		return fail(err)
	}
	if version.PolicyVersion == nil {
		return fail(fmt.Errorf("GetPolicyVersion of %s: no version in the answer", arn))
	}
	return iamPolicyDocument{text: aws.ToString(version.PolicyVersion.Document)}
}

// iamDocument is a policy document as JSON: IAM sends it percent-encoded.
func iamDocument(encoded *string) string {
	document := aws.ToString(encoded)
	if decoded, err := url.PathUnescape(document); err == nil {
		return decoded
	}
	return document
}

func putIAMStatements(at *api.Cell, policyID, document string) {
	statements, err := policyStatements(document)
	if err != nil {
		at.Lose(fmt.Errorf("policy %s: %w", policyID, err))
	}
	for _, row := range iamStatementRows(policyID, statements) {
		iamStatements.Put(at, row)
	}
}

// iamStatementRows are a policy's statements. A statement's id is
// "policy/statement/Sid"; those without a Sid are counted from 1. Where a Sid
// is such a number too, Cartography keeps the last statement of that id; here
// the earlier one keeps its own node, with "#" and its place in the policy.
func iamStatementRows(policyID string, statements []pyjson.Object) []iamStatement {
	var rows []iamStatement
	taken, unnamed := map[string]int{}, 0
	for i, s := range statements {
		sid := s.Text("Sid")
		name := aws.ToString(sid)
		if name == "" {
			unnamed++
			name = strconv.Itoa(unnamed)
		}
		row := iamStatement{ID: policyID + "/statement/" + name, Effect: s.Text("Effect"), Sid: sid, PolicyID: policyID}
		if earlier, ok := taken[row.ID]; ok {
			rows[earlier].ID += "#" + strconv.Itoa(earlier+1)
		}
		taken[row.ID] = i
		for name, list := range map[string]*[]string{
			"Action": &row.Action, "NotAction": &row.NotAction, "Resource": &row.Resource, "NotResource": &row.NotResource,
		} {
			v, _ := s.Get(name)
			*list = stringsOf(v)
		}
		if condition, ok := s.Get("Condition"); ok {
			if _, list := condition.([]any); !list {
				condition = []any{condition}
			}
			row.Condition = aws.String(pyjson.Dump(condition))
		}
		rows = append(rows, row)
	}
	return rows
}

// policyPrincipal is one principal that a statement names: Type is "AWS",
// "Service", "Federated" or "CanonicalUser".
type policyPrincipal struct{ Type, Name string }

// policyPrincipals are the principals of a statement. "Principal": "*" is any
// principal of AWS.
func policyPrincipals(statement pyjson.Object) []policyPrincipal {
	v, _ := statement.Get("Principal")
	principals, ok := v.(pyjson.Object)
	if !ok {
		principals = pyjson.Object{{Name: "AWS", Value: v}}
	}
	var out []policyPrincipal
	for _, m := range principals {
		for _, name := range stringsOf(m.Value) {
			out = append(out, policyPrincipal{m.Name, name})
		}
	}
	return out
}
