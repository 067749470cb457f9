package load

// iamJobs are about what principals may do.
//
// A role is assumed where both sides allow it: the role's trust policy names
// the principal, and the principal's own policies allow the call and do not
// deny it. Conditions, permission boundaries and the policies of a user's
// groups do not count, as in Cartography.
//
// The principal may be of another account. Where that one was not collected
// whole its policies are as the graph last knew them, for nothing is deleted
// that a cell does not prove gone.
var iamJobs = []Job{
	{
		Name:  "aws_sts_assumerole_allow",
		Doc:   "Principals that may assume a role: its trust policy names them, and their own policies allow it.",
		Reads: []string{"iam"},
		Scope: PerAccount,
		Set: []string{
			// A statement is asked about the action once, whoever has it.
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(role:AWSRole)-[:TRUSTS_AWS_PRINCIPAL]->(s:AWSPrincipal)
WHERE NOT s:AWSRootPrincipal AND NOT s:AWSServicePrincipal AND NOT s:AWSFederatedPrincipal
WITH s, collect(DISTINCT role) AS roles
MATCH (s)-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(statement:AWSPolicyStatement)
WITH s, roles, collect(DISTINCT statement) AS statements
UNWIND statements AS statement
WITH statement, collect([s, roles]) AS holders
WHERE statement.effect IN ['Allow', 'Deny'] AND statement.resource IS NOT NULL
  AND (statement.action IS NULL OR ` + matches("statement.action", "'sts:AssumeRole'") + `)
  AND NOT ` + matches("statement.notaction", "'sts:AssumeRole'") + `
UNWIND holders AS holder
WITH holder[0] AS s, holder[1] AS roles, collect(statement) AS statements
UNWIND roles AS role
WITH s, role, [x IN statements WHERE ` + matches("x.resource", "role.arn") + ` AND NOT ` + matches("x.notresource", "role.arn") + ` | x.effect] AS effects
WHERE 'Allow' IN effects AND NOT 'Deny' IN effects
MERGE (s)-[link:STS_ASSUMEROLE_ALLOW]->(role)
ON CREATE SET link.firstseen = timestamp()
SET link.lastupdated = $tag, link._sub_resource_label = 'AWSAccount', link._sub_resource_id = $account`,
		},
		Clean: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSRole)<-[link:STS_ASSUMEROLE_ALLOW]-(:AWSPrincipal)
WHERE link.lastupdated <> $tag AND link._sub_resource_label = 'AWSAccount' AND link._sub_resource_id = $account
DELETE link`,
		},
	},
}

// matches is Cypher that tells whether a clause of a policy's list matches a
// text, in either case of letters: "*" stands for anything, "?" for one
// character or (as in Cartography) none. A list that is not there matches
// nothing. All else is taken literally, so that no clause is a bad expression:
// a backslash is put outside of the quotation \Q…\E.
func matches(list, text string) string {
	return `any(clause IN coalesce(` + list + `, []) WHERE ` + text + ` =~ '(?iu)\\Q' + replace(replace(replace(clause, '\\', '\\E\\\\\\Q'), '*', '\\E.*\\Q'), '?', '\\E.?\\Q') + '\\E')`
}
