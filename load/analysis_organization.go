package load

// organizationJobs run in the account that listed its organization; the cells
// of other accounts assert none.
var organizationJobs = []Job{
	{
		Name:  "aws_account_organization_metadata",
		Doc:   "Accounts that an organization no longer lists lose what only it tells of them.",
		Reads: []string{"organization"},
		Scope: PerAccount,
		Set: []string{
			`MATCH (o:AWSOrganization)
WHERE o.lastupdated = $tag AND ` + listed("o") + `
MATCH (a:AWSAccount {org_id: o.id})
WHERE NOT (a.lastupdated = $tag AND ` + listed("a") + `)
REMOVE a.arn, a.email, a.state, a.status, a.joined_method, a.joined_timestamp, a.org_id
SET a.lastupdated = $tag`,
		},
	},
}

// listed tells whether the account's cell of its organization asserts a node.
func listed(node string) string {
	return `any(c IN coalesce(` + node + `._snap_cells, []) WHERE split(c, '/')[1] = $account AND split(c, '/')[3] = 'organization')`
}
