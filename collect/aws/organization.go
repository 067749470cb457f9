package aws

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// organization is an AWS Organizations organization.
type organization struct {
	ID                string  `snap:"id,key" from:"Id" doc:"the organization, 'o-…'"`
	ARN               *string `snap:"arn,index" from:"Arn"`
	FeatureSet        *string `snap:"feature_set" from:"FeatureSet" doc:"what it is used for: 'ALL', 'CONSOLIDATED_BILLING'"`
	ManagementID      *string `snap:"management_account_id,index" from:"MasterAccountId" doc:"the account that pays and decides"`
	ManagementARN     *string `snap:"management_account_arn" from:"MasterAccountArn" doc:"that account's ARN in the organization"`
	ManagementAccount *string `snap:"management_account_email" from:"MasterAccountEmail" doc:"that account's e-mail address"`
}

var organizationTable = kind.Of[organization](kind.Table{
	Name: "organization", Label: "AWSOrganization", Aliases: []string{"Tenant"}, Unowned: true, Keep: true,
	Doc:      "An organization of AWS accounts.",
	Ontology: kind.Ontology{"name": kind.Same("id")},
})

// organizationRoot is the top of an organization's hierarchy. Its id, like an
// organizational unit's, is made unique by the organization's.
type organizationRoot struct {
	ID       string   `snap:"id,key" doc:"organization and root, joined by '/'"`
	RootID   *string  `snap:"root_id,index" from:"Id" doc:"the root, 'r-…'"`
	ARN      *string  `snap:"arn,index" from:"Arn"`
	Name     *string  `snap:"name" from:"Name" doc:"its name, 'Root' unless renamed"`
	OrgID    string   `snap:"org_id,index" doc:"the organization"`
	UnitIDs  []string `snap:"_child_ou_ids"`
	Accounts []string `snap:"_account_ids"`
}

// below are the links from a root or unit to what is placed in it.
var below = []kind.Link{
	{Type: "RESOURCE", To: "AWSOrganizationalUnit", On: kind.On{"id": "_child_ou_ids"}},
	{Type: "RESOURCE", To: "AWSAccount", On: kind.On{"id": "_account_ids"}},
	{Type: "PARENT", From: "AWSAccount", On: kind.On{"id": "_account_ids"}},
}

var organizationRoots = kind.Of[organizationRoot](kind.Table{
	Name: "organization_root", Label: "AWSOrganizationRoot",
	Doc:   "The top of an organization's hierarchy.",
	Owner: &kind.Link{Type: "RESOURCE", From: "AWSOrganization", On: kind.On{"id": "org_id"}},
	Links: append([]kind.Link{{Type: "PARENT", To: "AWSOrganization", On: kind.On{"id": "org_id"}}}, below...),
})

// organizationalUnit groups accounts and further units.
type organizationalUnit struct {
	ID           string   `snap:"id,key" doc:"organization and unit, joined by '/'"`
	UnitID       *string  `snap:"ou_id,index" from:"Id" doc:"the unit, 'ou-…'"`
	ARN          *string  `snap:"arn,index" from:"Arn"`
	Name         *string  `snap:"name" from:"Name" doc:"its name, unique among its siblings"`
	OrgID        string   `snap:"org_id,index" doc:"the organization"`
	RootID       string   `snap:"root_id,index" doc:"the id of the root that it is below"`
	ParentRootID *string  `snap:"parent_root_id" doc:"the id of the root, where it is directly below it"`
	ParentUnitID *string  `snap:"parent_ou_id" doc:"the id of the unit that it is part of; null directly below the root"`
	UnitIDs      []string `snap:"_child_ou_ids"`
	Accounts     []string `snap:"_account_ids"`
}

var organizationalUnits = kind.Of[organizationalUnit](kind.Table{
	Name: "organization_unit", Label: "AWSOrganizationalUnit",
	Doc:   "An organizational unit: it groups accounts and further units.",
	Owner: &kind.Link{Type: "RESOURCE", From: "AWSOrganizationRoot", On: kind.On{"id": "root_id"}},
	Links: append([]kind.Link{
		{Type: "PARENT", To: "AWSOrganizationRoot", On: kind.On{"id": "parent_root_id"}},
		{Type: "PARENT", To: "AWSOrganizationalUnit", On: kind.On{"id": "parent_ou_id"}},
	}, below...),
})

// organizationAccount is what the organization knows of an account, collected
// or not.
type organizationAccount struct {
	ID              string     `snap:"id,key" from:"Id" doc:"the account's number, twelve digits"`
	ARN             *string    `snap:"arn,index" from:"Arn"`
	Email           *string    `snap:"email" from:"Email" doc:"its e-mail address"`
	Name            *string    `snap:"name" from:"Name" doc:"its name in the organization"`
	State           *string    `snap:"state" from:"State" doc:"'ACTIVE', 'PENDING_ACTIVATION', 'SUSPENDED', 'PENDING_CLOSURE' or 'CLOSED'"`
	Status          *string    `snap:"status" from:"Status" doc:"'ACTIVE', 'SUSPENDED' or 'PENDING_CLOSURE': what state was before"`
	JoinedMethod    *string    `snap:"joined_method" from:"JoinedMethod" doc:"how it came: 'INVITED', 'CREATED'"`
	JoinedTimestamp *time.Time `snap:"joined_timestamp" from:"JoinedTimestamp" doc:"when it came"`
	OrgID           string     `snap:"org_id,index" doc:"the organization"`
}

var organizationAccounts = kind.Of[organizationAccount](kind.Table{
	Name: "organization_account", Label: "AWSAccount", Aliases: []string{"Tenant"}, Unowned: true, Keep: true,
	Doc:      "What an organization knows of an account, collected or not.",
	Ontology: accountOntology,
})

// organizationPrincipal is the root of an active account of the organization.
type organizationPrincipal struct {
	ID      string `snap:"id,key"`
	ARN     string `snap:"arn,index"`
	Account string `snap:"_account_id"`
}

var organizationPrincipals = kind.Of[organizationPrincipal](kind.Table{
	Name: "organization_account_root", Label: "AWSRootPrincipal", Aliases: []string{"AWSPrincipal"}, Stub: true,
	Doc:   "The root of an active account of an organization.",
	Owner: &kind.Link{Type: "RESOURCE", From: "AWSAccount", On: kind.On{"id": "_account_id"}},
})

var _ = api.Declare(api.Sync{
	Name:   "organization",
	Global: true,
	Always: true,
	Calls: []string{
		"organizations:DescribeOrganization", "organizations:ListRoots",
		"organizations:ListOrganizationalUnitsForParent", "organizations:ListAccountsForParent",
	},
	Tables: []*kind.Table{organizationTable.Table, organizationRoots.Table, organizationalUnits.Table, organizationAccounts.Table, organizationPrincipals.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		found, err := at.Once.Do(ctx, func(ctx context.Context) any { return findOrganizations(ctx, at.Peers) })
		if err != nil {
			return err
		}
		return found.(*organizationsFound).endOf(at)
	},
})

// organizationsFound are the organizations of the run's accounts. Each is read
// once, whole, by one account.
type organizationsFound struct {
	members map[string]*organizationMember // of the accounts that were asked
	read    []*hierarchy
}

// organizationMember is what an account says about its organization, or why it
// does not.
type organizationMember struct {
	organization types.Organization
	described    error
	tried        error // of reading the hierarchy as this account
	read         *hierarchy
}

// findOrganizations asks each account for its organization, and in each
// organization the management account, then the others, for the hierarchy:
// until one may read it whole.
func findOrganizations(ctx context.Context, peers []*api.Peer) *organizationsFound {
	found := &organizationsFound{members: map[string]*organizationMember{}}
	members, _ := api.Each(ctx, peers, func(ctx context.Context, p *api.Peer) (*organizationMember, error) {
		out, err := organizations.NewFromConfig(p.Config).DescribeOrganization(ctx, nil)
		if err != nil {
			return &organizationMember{described: err}, nil
		}
		return &organizationMember{organization: *out.Organization}, nil
	})
	groups := map[string][]int{}
	for i, m := range members {
		if m == nil { // the run was stopped
			continue
		}
		found.members[peers[i].Account] = m
		if m.described == nil {
			id := aws.ToString(m.organization.Id)
			groups[id] = append(groups[id], i)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		group := groups[id]
		slices.SortStableFunc(group, func(a, b int) int {
			return cmp.Compare(rank(peers[a], members[a]), rank(peers[b], members[b]))
		})
		for _, i := range group {
			m := members[i]
			if m.read, m.tried = readHierarchy(ctx, organizations.NewFromConfig(peers[i].Config), id); m.tried == nil {
				found.read = append(found.read, m.read)
				break
			}
		}
	}
	return found
}

func rank(p *api.Peer, m *organizationMember) int {
	if aws.ToString(m.organization.MasterAccountId) == p.Account {
		return 0
	}
	return 1
}

// endOf puts the organization that this account read. Where another account
// read it whole there is nothing left to tell: the cell is complete.
func (f *organizationsFound) endOf(at *api.Cell) error {
	m := f.members[at.Account]
	switch {
	case m != nil && m.read != nil:
		m.read.put(at, m.organization)
		return nil
	case f.covers(at.Account):
		return nil
	case m != nil && api.Is(m.described, "AWSOrganizationsNotInUseException"):
		// What an earlier collection read as this account is not thereby gone.
		return api.NotHere("this account is in no organization", m.described)
	case m == nil:
		return api.NotHere("this account is not asked for its organization: --aws-organization-account-ids names others", nil)
	case api.Is(m.described, "AccessDeniedException", "AccessDenied"):
		return api.NotHere("DescribeOrganization is denied: the hierarchy is known without this account or not at all", m.described)
	case m.described != nil:
		return m.described
	}
	management := aws.ToString(m.organization.MasterAccountId)
	if management != at.Account && api.Is(m.tried, "AccessDeniedException", "AccessDenied") {
		return api.NotHere("only the management account "+management+" or a delegated administrator may list the organization", m.tried)
	}
	return m.tried // half a hierarchy would place accounts wrongly: nothing is put
}

// covers tells whether the account is in an organization that was read.
func (f *organizationsFound) covers(account string) bool {
	return slices.ContainsFunc(f.read, func(h *hierarchy) bool {
		return slices.ContainsFunc(h.accounts, func(a types.Account) bool { return aws.ToString(a.Id) == account })
	})
}

// hierarchy is an organization, whole.
type hierarchy struct {
	roots    []organizationRoot
	units    []organizationalUnit
	accounts []types.Account
}

func readHierarchy(ctx context.Context, client *organizations.Client, org string) (*hierarchy, error) {
	roots, err := api.All(ctx, organizations.NewListRootsPaginator(client, nil), func(p *organizations.ListRootsOutput) []types.Root { return p.Roots })
	if err != nil {
		return nil, err
	}
	h := &hierarchy{}
	scoped := func(id *string) string { return org + "/" + aws.ToString(id) }
	for _, r := range roots {
		root := organizationRoots.From(r)
		root.ID, root.OrgID = scoped(r.Id), org
		top, err := h.childrenOf(ctx, client, r.Id)
		if err != nil {
			return nil, err
		}
		root.Accounts = top.accounts
		queue := top.units
		for _, u := range queue {
			root.UnitIDs = append(root.UnitIDs, scoped(u.Id))
		}
		h.roots = append(h.roots, root)

		parents := map[string]*string{} // a unit's parent unit, absent below the root
		for len(queue) > 0 {
			// One level at a time: its units are independent of each other.
			levels, err := api.Each(ctx, queue, func(ctx context.Context, u types.OrganizationalUnit) (children, error) {
				return h.childrenOf(ctx, client, u.Id)
			})
			if err != nil {
				return nil, err
			}
			var next []types.OrganizationalUnit
			for i, u := range queue {
				unit := organizationalUnits.From(u)
				unit.ID, unit.OrgID, unit.RootID, unit.Accounts = scoped(u.Id), org, root.ID, levels[i].accounts
				if parent := parents[unit.ID]; parent != nil {
					unit.ParentUnitID = parent
				} else {
					unit.ParentRootID = aws.String(root.ID)
				}
				for _, child := range levels[i].units {
					unit.UnitIDs = append(unit.UnitIDs, scoped(child.Id))
					parents[scoped(child.Id)] = aws.String(unit.ID)
				}
				next = append(next, levels[i].units...)
				h.accounts = append(h.accounts, levels[i].members...)
				h.units = append(h.units, unit)
			}
			queue = next
		}
		h.accounts = append(h.accounts, top.members...)
	}
	return h, nil
}

// children are what one root or unit holds.
type children struct {
	units    []types.OrganizationalUnit
	members  []types.Account
	accounts []string // the ids of the active members: the others are placed nowhere
}

func (h *hierarchy) childrenOf(ctx context.Context, client *organizations.Client, parent *string) (c children, err error) {
	units := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: parent})
	if c.units, err = api.All(ctx, units, func(p *organizations.ListOrganizationalUnitsForParentOutput) []types.OrganizationalUnit {
		return p.OrganizationalUnits
	}); err != nil {
		return c, err
	}
	members := organizations.NewListAccountsForParentPaginator(client, &organizations.ListAccountsForParentInput{ParentId: parent})
	if c.members, err = api.All(ctx, members, func(p *organizations.ListAccountsForParentOutput) []types.Account { return p.Accounts }); err != nil {
		return c, err
	}
	for _, a := range c.members {
		if a.State == "" && a.Status == "" {
			return c, fmt.Errorf("organization: account %s has no state: whether it is placed is not known", aws.ToString(a.Id))
		}
		if activeAccount(a) {
			c.accounts = append(c.accounts, aws.ToString(a.Id))
		}
	}
	return c, nil
}

// activeAccount looks at State, and at Status where the API does not send it.
func activeAccount(a types.Account) bool {
	if a.State != "" {
		return a.State == types.AccountStateActive
	}
	return a.Status == types.AccountStatusActive
}

func (h *hierarchy) put(at *api.Cell, org types.Organization) {
	organizationTable.Put(at, organizationTable.From(org))
	for _, r := range h.roots {
		organizationRoots.Put(at, r)
	}
	for _, u := range h.units {
		organizationalUnits.Put(at, u)
	}
	partition := at.Partition
	if a, err := arn.Parse(aws.ToString(org.Arn)); err == nil {
		partition = a.Partition
	}
	for _, a := range h.accounts {
		row := organizationAccounts.From(a)
		row.OrgID = aws.ToString(org.Id)
		if row.State == nil {
			row.State = row.Status
		}
		organizationAccounts.Put(at, row)
		if activeAccount(a) {
			root := "arn:" + partition + ":iam::" + row.ID + ":root"
			organizationPrincipals.Put(at, organizationPrincipal{ID: root, ARN: root, Account: row.ID})
		}
	}
}
