package load

import "strings"

// s3Job adds to a bucket's anonymous access, which its policy grants, what its
// ACL grants. It has nothing to reset: each load writes what the policy grants
// anew.
var s3Job = Job{
	Name:  "aws_s3acl_analysis",
	Doc:   "Buckets whose access control list grants something to everyone, or to everyone who has any AWS account.",
	Reads: []string{"s3"},
	Scope: PerAccount,
	Set:   s3Grants(),
}

// s3PublicActions is what a permission of an ACL allows on the bucket, in the
// order in which Cartography adds them.
var s3PublicActions = []struct {
	permission string
	actions    []string
}{
	{"READ", []string{"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}},
	{"WRITE", []string{"s3:PutObject"}},
	{"READ_ACP", []string{"s3:GetBucketAcl"}},
	{"WRITE_ACP", []string{"s3:PutBucketAcl"}},
	{"FULL_CONTROL", []string{
		"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads",
		"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketAcl",
	}},
}

// s3Grants are the statements, one a permission.
func s3Grants() []string {
	statements := make([]string, len(s3PublicActions))
	for i, p := range s3PublicActions {
		actions := "['" + strings.Join(p.actions, "', '") + "']"
		statements[i] = `MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSS3Bucket)
WHERE EXISTS {
  (b)<-[:APPLIES_TO]-(acl:AWSS3Acl {permission: '` + p.permission + `'})
  WHERE acl.uri IN ['http://acs.amazonaws.com/groups/global/AllUsers', 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers']
}
WITH b, coalesce(b.anonymous_actions, []) AS known
SET b.anonymous_access = true,
    b.anonymous_actions = known + [action IN ` + actions + ` WHERE NOT action IN known]`
	}
	return statements
}
