package load

var organizationCases = []analysisCase{
	{"accounts that the organization no longer lists, and none of another organization or of one that was not listed", []string{"aws_account_organization_metadata"}, `
		CREATE (:AWSOrganization {id: 'o-1', lastupdated: 7, _snap_cells: ['aws/1//organization']}), (:AWSOrganization {id: 'o-2', lastupdated: 7, _snap_cells: ['aws/2//organization']}), (:AWSOrganization {id: 'o-3', lastupdated: 1, _snap_cells: ['aws/1//organization']}), (:AWSOrganization {id: 'o-4', lastupdated: 7})
		SET a.org_id = 'o-1', a.email = 'mail', a.lastupdated = 7, a._snap_cells = ['aws/1//account', 'aws/1//organization']
		SET b.org_id = 'o-1', b.email = 'mail', b.arn = 'arn', b.state = 'ACTIVE', b.status = 'ACTIVE', b.joined_method = 'CREATED', b.joined_timestamp = 1, b.name = 'name', b.lastupdated = 7, b._snap_cells = ['aws/2//account']
		CREATE (:AWSAccount {id: '3', org_id: 'o-1', email: 'mail', name: 'left', lastupdated: 1, _snap_cells: ['aws/1//organization']})
		CREATE (:AWSAccount {id: '4', org_id: 'o-2', email: 'mail', lastupdated: 1}), (:AWSAccount {id: '5', org_id: 'o-3', email: 'mail', lastupdated: 1}), (:AWSAccount {id: '6', org_id: 'o-4', email: 'mail', lastupdated: 1}), (:AWSAccount {id: '7', email: 'mail', lastupdated: 1})`,
		`MATCH (n:AWSAccount) RETURN n.id, n.org_id, n.email, n.name, [v IN [n.arn, n.state, n.status, n.joined_method, n.joined_timestamp] WHERE v IS NOT NULL], n.lastupdated ORDER BY n.id`,
		`[["1","o-1","mail",null,[],7],["2",null,null,"name",[],7],["3",null,null,"left",[],7],["4","o-2","mail",null,[],1],["5","o-3","mail",null,[],1],["6","o-4","mail",null,[],1],["7",null,"mail",null,[],1]]`},
}

// organizationWorld has an account that its organization no longer lists.
const organizationWorld = `
CREATE (:AWSOrganization {id: 'o-1', lastupdated: 7, _snap_cells: ['aws/1//organization']}), (:AWSAccount {id: 'left', org_id: 'o-1', lastupdated: 1})
`
