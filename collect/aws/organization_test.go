package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"snap/collect/aws/api"
)

// fakeOrganizations answers by "account Operation Parent", and "page" where a
// further page is asked for. What it does not know is denied.
type fakeOrganizations map[string]string

// collect runs the cells of all accounts, as one run does; it returns their
// rows and errors by account, and what was asked.
func (f fakeOrganizations) collect(t *testing.T, accounts []string, peers ...string) (rows map[string]*rowSink, errs map[string]error, asked []string) {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ ParentID, NextToken string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		_, who, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		who, _, _ = strings.Cut(who, "/")
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		request := strings.Join(strings.Fields(who+" "+operation+" "+in.ParentID+" "+in.NextToken), " ")
		mu.Lock()
		asked = append(asked, request)
		mu.Unlock()
		answer, ok := f[request]
		if !ok {
			answer = "NOT AccessDeniedException"
		}
		if code, failed := strings.CutPrefix(answer, "NOT "); failed {
			w.WriteHeader(http.StatusBadRequest)
			answer = fmt.Sprintf(`{"__type": %q, "message": "because"}`, code)
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	config := func(account string) aws.Config {
		return aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
			Credentials: credentials.NewStaticCredentialsProvider(account, "s", ""), RetryMaxAttempts: 1,
		}
	}
	if len(peers) == 0 {
		peers = accounts
	}
	var ask []*api.Peer
	for _, p := range peers {
		ask = append(ask, &api.Peer{Account: p, Config: config(p)})
	}
	rows, errs = map[string]*rowSink{}, map[string]error{}
	once := &api.Once{}
	for _, account := range accounts {
		rows[account] = &rowSink{}
		errs[account] = api.Find("organization").Collect(context.Background(), &api.Cell{
			Account: account, Partition: "aws", Accounts: accounts, Peers: ask, Once: once, Config: config(account), Sink: rows[account],
		})
	}
	slices.Sort(asked)
	return rows, errs, asked
}

// inOrganization is what DescribeOrganization answers.
func inOrganization(id, management string) string {
	return fmt.Sprintf(`{"Organization": {"Id": %q, "Arn": "arn:aws:organizations::%s:organization/%[1]s", "MasterAccountId": %[2]q, "FeatureSet": "ALL"}}`, id, management)
}

const noChildren = `{"OrganizationalUnits": []}`

// who made calls of an operation, sorted.
func who(asked []string, operation string) (accounts []string) {
	for _, request := range asked {
		if words := strings.Fields(request); words[1] == operation && !slices.Contains(accounts, words[0]) {
			accounts = append(accounts, words[0])
		}
	}
	return accounts
}

func notHere(err error) bool {
	var unsupported *api.Unsupported
	return errors.As(err, &unsupported)
}

// Each organization is read once: by its management account if that may, else
// by whoever may. What it holds is in the cell of who read it.
func TestOrganizationsAreReadByWhoMay(t *testing.T) {
	f := fakeOrganizations{
		// o-a: the management account may not list it, a delegated administrator may.
		"m1 DescribeOrganization": inOrganization("o-a", "m1"), "a2 DescribeOrganization": inOrganization("o-a", "m1"), "a3 DescribeOrganization": inOrganization("o-a", "m1"),
		"a2 ListRoots": `{"Roots": [{"Id": "r-1", "Arn": "arn:r-1", "Name": "Root"}]}`,
		"a2 ListOrganizationalUnitsForParent r-1":   `{"OrganizationalUnits": [{"Id": "ou-1", "Name": "top"}]}`,
		"a2 ListOrganizationalUnitsForParent ou-1":  `{"OrganizationalUnits": [{"Id": "ou-11", "Name": "nested"}]}`,
		"a2 ListOrganizationalUnitsForParent ou-11": noChildren,
		"a2 ListAccountsForParent r-1":              `{"Accounts": [{"Id": "m1", "Arn": "arn:m1", "State": "ACTIVE"}]}`,
		"a2 ListAccountsForParent ou-1":             `{"Accounts": [{"Id": "a2", "Status": "ACTIVE"}], "NextToken": "page"}`,
		"a2 ListAccountsForParent ou-1 page":        `{"Accounts": [{"Id": "a3", "State": "SUSPENDED"}]}`,
		"a2 ListAccountsForParent ou-11":            `{"Accounts": [{"Id": "else", "State": "ACTIVE"}]}`,
		// o-b: the management account comes last and is asked first.
		"b5 DescribeOrganization": inOrganization("o-b", "z4"), "z4 DescribeOrganization": inOrganization("o-b", "z4"),
		"z4 ListRoots": `{"Roots": [{"Id": "r-1"}]}`, "z4 ListOrganizationalUnitsForParent r-1": noChildren, "z4 ListAccountsForParent r-1": `{"Accounts": []}`,
		"n6 DescribeOrganization": "NOT AWSOrganizationsNotInUseException",
	}
	rows, errs, asked := f.collect(t, []string{"m1", "a2", "a3", "b5", "z4", "n6", "d7"})
	for account, want := range map[string][]string{"a2": {"o-a"}, "z4": {"o-b"}, "m1": nil, "a3": nil, "b5": nil, "n6": nil, "d7": nil} {
		if got := rows[account].ids("organization"); !slices.Equal(got, want) {
			t.Errorf("%s put the organizations %q; want %q", account, got, want)
		}
	}
	for account, err := range errs {
		// b5 is not among the accounts that o-b lists, and was described as its member: it is read whole.
		if unsupported := account == "n6" || account == "d7"; unsupported != notHere(err) || !unsupported && err != nil {
			t.Errorf("%s: %v", account, err)
		}
	}
	if got := who(asked, "ListRoots"); !slices.Equal(got, []string{"a2", "m1", "z4"}) {
		t.Errorf("%q listed roots; want the management accounts and the one that was tried next", got)
	}
	if got, want := rows["a2"].ids("organization_unit"), []string{"o-a/ou-1", "o-a/ou-11"}; !slices.Equal(got, want) {
		t.Errorf("units %q; want %q", got, want)
	}
	for id, want := range map[string]map[string]any{
		"o-a/ou-1":  {"parent_root_id": "o-a/r-1", "parent_ou_id": nil, "_child_ou_ids": []string{"o-a/ou-11"}, "_account_ids": []string{"a2"}}, // a3 is suspended: placed nowhere
		"o-a/ou-11": {"parent_root_id": nil, "parent_ou_id": "o-a/ou-1", "root_id": "o-a/r-1", "_account_ids": []string{"else"}},
	} {
		row := rows["a2"].row(t, "organization_unit", id)
		for column, value := range want {
			if !reflect.DeepEqual(row[column], value) {
				t.Errorf("%s: %s is %#v; want %#v", id, column, row[column], value)
			}
		}
	}
	if got, want := rows["a2"].ids("organization_account"), []string{"a2", "a3", "else", "m1"}; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("accounts %q; want %q", got, want)
	}
	if got := rows["a2"].ids("organization_account_root"); len(got) != 3 {
		t.Errorf("root principals %q; want those of the three active accounts", got)
	}
}

// Only the accounts that the flag names are asked.
func TestOrganizationsOfNamedAccounts(t *testing.T) {
	f := fakeOrganizations{
		"m1 DescribeOrganization": inOrganization("o-a", "m1"), "a2 DescribeOrganization": inOrganization("o-a", "m1"),
		"m1 ListRoots": `{"Roots": [{"Id": "r-1"}]}`, "m1 ListOrganizationalUnitsForParent r-1": noChildren, "m1 ListAccountsForParent r-1": `{"Accounts": [{"Id": "a2", "State": "ACTIVE"}]}`,
	}
	rows, errs, asked := f.collect(t, []string{"m1", "a2", "a3"}, "a2")
	if got := who(asked, "DescribeOrganization"); !slices.Equal(got, []string{"a2"}) || len(rows["m1"].ids("organization")) > 0 {
		t.Errorf("%q were asked; want the named one alone", got)
	}
	if !notHere(errs["m1"]) || !notHere(errs["a2"]) || !notHere(errs["a3"]) {
		t.Errorf("errors %v; want all unsupported: the named one may not list", errs)
	}
	rows, errs, _ = f.collect(t, []string{"m1", "a2", "a3"}, "m1")
	if len(rows["m1"].ids("organization")) != 1 || errs["a2"] != nil || !notHere(errs["a3"]) {
		t.Errorf("errors %v; want the organization read, and a3, which it does not list, unsupported", errs)
	}
}

// Half an enumeration is none: nothing is put, and the cell is not complete.
func TestOrganizationInPart(t *testing.T) {
	whole := fakeOrganizations{
		"m1 DescribeOrganization":                 inOrganization("o-a", "m1"),
		"m1 ListRoots":                            `{"Roots": [{"Id": "r-1"}]}`,
		"m1 ListOrganizationalUnitsForParent r-1": `{"OrganizationalUnits": [{"Id": "ou-1"}]}`, "m1 ListOrganizationalUnitsForParent ou-1": noChildren,
		"m1 ListAccountsForParent r-1":       `{"Accounts": [{"Id": "m1", "State": "ACTIVE"}]}`,
		"m1 ListAccountsForParent ou-1":      `{"Accounts": [{"Id": "a2", "State": "ACTIVE"}], "NextToken": "page"}`,
		"m1 ListAccountsForParent ou-1 page": `{"Accounts": [{"Id": "a3", "State": "ACTIVE"}]}`,
	}
	rows, errs, _ := whole.collect(t, []string{"m1"})
	if len(rows["m1"].ids("organization_account")) != 3 || errs["m1"] != nil {
		t.Fatalf("accounts %q, %v; want three", rows["m1"].ids("organization_account"), errs["m1"])
	}
	for request, answer := range map[string]string{
		"m1 ListRoots": "NOT AccessDeniedException",
		"m1 ListOrganizationalUnitsForParent ou-1": "NOT ServiceException",
		"m1 ListAccountsForParent ou-1 page":       "NOT AccessDeniedException",
		"m1 ListAccountsForParent r-1":             `{"Accounts": [{"Id": "m1"}]}`, // in no state
	} {
		f := fakeOrganizations{}
		for k, v := range whole {
			f[k] = v
		}
		f[request] = answer
		rows, errs, _ := f.collect(t, []string{"m1"})
		if errs["m1"] == nil || notHere(errs["m1"]) || len(rows["m1"].ids("organization"))+len(rows["m1"].ids("organization_account")) > 0 {
			t.Errorf("%s answers %s: error %v, accounts %q; want an error and none", request, answer, errs["m1"], rows["m1"].ids("organization_account"))
		}
	}
}
