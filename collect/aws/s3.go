package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"snap/collect/aws/api"
	"snap/store/kind"
	"snap/store/pyjson"
)

// s3Bucket is a bucket with what its own sub-calls say of it. Its anonymous
// access is what its policy or its access control list grants to everyone.
type s3Bucket struct {
	ID                    string   `snap:"id,key" from:"Name" doc:"its name, unique in the whole partition"`
	Name                  *string  `snap:"name" from:"Name" doc:"its name, unique in the whole partition"`
	Region                *string  `snap:"region" from:"BucketRegion" doc:"the region that it is in"`
	ARN                   string   `snap:"arn,index"`
	CreationDate          *string  `snap:"creationdate" from:"CreationDate" as:"text" doc:"when it was made, as text"`
	AnonymousAccess       *bool    `snap:"anonymous_access,index" doc:"whether its policy or its access control list lets anyone in"`
	AnonymousActions      []string `snap:"anonymous_actions" doc:"what they let anyone do"`
	DefaultEncryption     *bool    `snap:"default_encryption" doc:"whether new objects are encrypted unless told otherwise"`
	EncryptionAlgorithm   *string  `snap:"encryption_algorithm" doc:"how: 'AES256', 'aws:kms' or 'aws:kms:dsse'"`
	EncryptionKeyID       *string  `snap:"encryption_key_id" doc:"the KMS key, as it was configured: id, alias or ARN"`
	BucketKeyEnabled      *bool    `snap:"bucket_key_enabled" doc:"whether a key of the bucket's own spares calls to KMS"`
	VersioningStatus      *string  `snap:"versioning_status" doc:"whether it keeps what is overwritten: 'Enabled', 'Suspended'; null: it never did"`
	MFADelete             *string  `snap:"mfa_delete" doc:"whether deleting a version takes a second factor: 'Enabled', 'Disabled'"`
	BlockPublicACLs       *bool    `snap:"block_public_acls" doc:"whether it refuses access control lists that make something public"`
	IgnorePublicACLs      *bool    `snap:"ignore_public_acls" doc:"whether it passes over what such lists grant"`
	BlockPublicPolicy     *bool    `snap:"block_public_policy" doc:"whether it refuses a policy that makes it public"`
	RestrictPublicBuckets *bool    `snap:"restrict_public_buckets" doc:"whether a public policy counts for its own account and AWS services only"`
	ObjectOwnership       *string  `snap:"object_ownership" doc:"who owns what others put into it: 'BucketOwnerEnforced', 'BucketOwnerPreferred' or 'ObjectWriter'"`
	LoggingEnabled        *bool    `snap:"logging_enabled" doc:"whether its requests are logged"`
	LoggingTargetBucket   *string  `snap:"logging_target_bucket" doc:"the bucket that gets the log"`

	kind.Gaps
}

var s3Buckets = kind.Of[s3Bucket](kind.Table{
	Name: "s3_bucket", Label: "AWSS3Bucket", Aliases: []string{"S3Bucket", "ObjectStorage"},
	Doc: "A bucket, with its settings.",
	Ontology: kind.Ontology{
		"name": kind.Same("name"), "location": kind.Same("region"), "encrypted": kind.Truth("default_encryption"),
		"versioning": kind.OneOf("versioning_status", "Enabled"), "public": kind.Same("anonymous_access"),
	},
	Links: []kind.Link{ // S3 gives the key as it was configured: by ARN or by id
		{Type: "ENCRYPTED_BY", To: "AWSKMSKey", On: kind.On{"arn": "encryption_key_id"}},
		{Type: "ENCRYPTED_BY", To: "AWSKMSKey", On: kind.On{"id": "encryption_key_id"}},
	},
})

// s3ACL is one grant of an access control list. Its id is Cartography's, a
// hash that the bucket is no part of: buckets with equal grants share a node.
type s3ACL struct {
	ID          string   `snap:"id,key" doc:"a digest of the grant; buckets with equal grants share the node"`
	Owner       *string  `snap:"owner" doc:"the bucket owner's display name"`
	OwnerID     *string  `snap:"ownerid" doc:"the bucket owner's canonical id"`
	Type        string   `snap:"type" doc:"whom it grants to: 'CanonicalUser', 'Group'"`
	DisplayName *string  `snap:"displayname" doc:"the grantee's display name"`
	GranteeID   *string  `snap:"granteeid" doc:"the grantee's canonical id"`
	URI         *string  `snap:"uri" doc:"the group that it grants to, such as all users"`
	Permission  *string  `snap:"permission" doc:"'FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP' or 'WRITE_ACP'"`
	Buckets     []string `snap:"_buckets"`
}

var s3ACLs = kind.Of[s3ACL](kind.Table{
	Name: "s3_acl", Label: "AWSS3Acl", Aliases: []string{"S3Acl"},
	Doc:   "One grant of buckets' access control lists.",
	Links: []kind.Link{{Type: "APPLIES_TO", To: "AWSS3Bucket", On: kind.On{"id": "_buckets"}}},
})

// s3PolicyStatement is one statement of a bucket policy. Cartography keeps
// action and resource as the policy has them, a text or a list.
type s3PolicyStatement struct {
	ID            string   `snap:"id,key" doc:"the bucket, 'policy_statement' and its place, joined by '/'"`
	PolicyID      *string  `snap:"policy_id" doc:"what the policy's author called the policy"`
	PolicyVersion *string  `snap:"policy_version" doc:"the version of the policy language"`
	Bucket        string   `snap:"bucket" doc:"the bucket"`
	SID           *string  `snap:"sid" doc:"what its author called it"`
	Effect        *string  `snap:"effect" doc:"'Allow' or 'Deny'"`
	Action        []string `snap:"action,bare=_action_bare" doc:"the actions that it is about"`
	Resource      []string `snap:"resource,bare=_resource_bare" doc:"the resources that it is about"`
	Principal     *string  `snap:"principal,document" doc:"whom it is about, as JSON"`
	Condition     *string  `snap:"condition,document" doc:"when it applies, as JSON"`
	ActionBare    bool     `snap:"_action_bare"`
	ResourceBare  bool     `snap:"_resource_bare"`
}

var s3PolicyStatements = kind.Of[s3PolicyStatement](kind.Table{
	Name: "s3_policy_statement", Label: "AWSS3PolicyStatement", Aliases: []string{"S3PolicyStatement"},
	Doc:   "One statement of a bucket's policy.",
	Links: []kind.Link{{Type: "POLICY_STATEMENT", From: "AWSS3Bucket", On: kind.On{"id": "bucket"}}},
})

// s3Notification says that events of a bucket go to an SNS topic.
type s3Notification struct {
	Bucket   string `snap:"bucket,key" doc:"the bucket"`
	TopicARN string `snap:"topic_arn,key" doc:"the topic that gets its events"`
}

var s3Notifications = kind.Of[s3Notification](kind.Table{
	Name: "s3_bucket_notification",
	Doc:  "That events of a bucket go to an SNS topic.",
	Between: &kind.Between{
		Type: "NOTIFIES",
		From: kind.End{Label: "AWSS3Bucket", On: kind.On{"name": "bucket"}},
		To:   kind.End{Label: "AWSSNSTopic", On: kind.On{"arn": "topic_arn"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "s3",
	Synced: "AWSS3Bucket",
	Global: true,
	Calls: []string{
		"s3:ListBuckets as s3:ListAllMyBuckets",
		"s3:HeadBucket as s3:ListBucket",
		"s3:GetBucketAcl",
		"s3:GetBucketPolicy",
		"s3:GetBucketEncryption as s3:GetEncryptionConfiguration",
		"s3:GetBucketVersioning",
		"s3:GetPublicAccessBlock as s3:GetBucketPublicAccessBlock",
		"s3:GetBucketOwnershipControls",
		"s3:GetBucketLogging",
		"s3:GetBucketNotificationConfiguration as s3:GetBucketNotification",
	},
	Needs:  []string{"kms"},
	Tables: []*kind.Table{s3Buckets.Table, s3ACLs.Table, s3PolicyStatements.Table, s3Notifications.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := s3.NewFromConfig(at.Config, func(o *s3.Options) {
			o.UsePathStyle = at.Config.BaseEndpoint != nil // a bucket's own host name would not resolve
		})
		// S3 says the buckets' regions only where it is asked for pages.
		pages := s3.NewListBucketsPaginator(client, &s3.ListBucketsInput{MaxBuckets: aws.Int32(1000)})
		listed, listErr := api.All(ctx, pages, func(p *s3.ListBucketsOutput) []types.Bucket { return p.Buckets })

		reads := make([]*s3Read, len(listed))
		var unplaced []*s3Read
		for i, b := range listed {
			r := &s3Read{at: at, client: client, row: s3Buckets.From(b)}
			r.row.ARN = "arn:" + at.Partition + ":s3:::" + r.row.ID
			if r.row.Region == nil {
				unplaced = append(unplaced, r)
			}
			reads[i] = r
		}
		_, err := api.Each(ctx, unplaced, func(ctx context.Context, r *s3Read) (struct{}, error) {
			r.locate(ctx)
			return struct{}{}, ctx.Err()
		})
		if err != nil {
			return err
		}

		// All sub-calls of all buckets go side by side; the error is a result.
		type job struct {
			read *s3Read
			call s3Call
		}
		var jobs []job
		for _, r := range reads {
			for _, c := range s3Calls {
				jobs = append(jobs, job{r, c})
			}
		}
		errs, err := api.Each(ctx, jobs, func(ctx context.Context, j job) (error, error) {
			return j.call.read(j.read, ctx), ctx.Err()
		})
		if err != nil {
			return err
		}
		for i, r := range reads {
			r.put(errs[i*len(s3Calls) : (i+1)*len(s3Calls)])
		}
		return listErr
	},
})

// s3Read reads one bucket. Its calls run at once: each sets its own fields.
type s3Read struct {
	at         *api.Cell
	client     *s3.Client
	row        s3Bucket
	acls       []s3ACL
	statements []s3PolicyStatement
	topics     []s3Notification
}

// s3Call is one sub-call and the columns that it fills.
type s3Call struct {
	read    func(*s3Read, context.Context) error
	columns []string
}

var s3Calls = []s3Call{
	{(*s3Read).acl, nil},    // what these two say of anonymous access
	{(*s3Read).policy, nil}, // is put together in anonymous
	{(*s3Read).encryption, []string{"default_encryption", "encryption_algorithm", "encryption_key_id", "bucket_key_enabled"}},
	{(*s3Read).versioning, []string{"versioning_status", "mfa_delete"}},
	{(*s3Read).publicAccessBlock, []string{"block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"}},
	{(*s3Read).ownership, []string{"object_ownership"}},
	{(*s3Read).logging, []string{"logging_enabled", "logging_target_bucket"}},
	{(*s3Read).notifications, nil},
}

// put puts the rows; errs are the results of s3Calls.
func (r *s3Read) put(errs []error) {
	for i, err := range errs {
		if api.Is(err, "NoSuchBucket") {
			return // deleted since it was listed
		}
		if err != nil {
			r.row.Unread(fmt.Errorf("bucket %s: %w", r.row.ID, err), s3Calls[i].columns...)
		}
	}
	r.anonymous(errs[0] == nil, errs[1] == nil)
	s3Buckets.Put(r.at, r.row)
	for _, row := range r.acls {
		s3ACLs.Put(r.at, row)
	}
	for _, row := range r.statements {
		s3PolicyStatements.Put(r.at, row)
	}
	for _, row := range r.topics {
		s3Notifications.Put(r.at, row)
	}
}

// s3PublicActions is what a permission of an access control list allows
// everyone, in the order in which Cartography adds them.
// Source: cartography/analysis/aws/s3.
var s3PublicActions = []struct {
	permission types.Permission
	actions    []string
}{
	{types.PermissionRead, []string{"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}},
	{types.PermissionWrite, []string{"s3:PutObject"}},
	{types.PermissionReadAcp, []string{"s3:GetBucketAcl"}},
	{types.PermissionWriteAcp, []string{"s3:PutBucketAcl"}},
	{types.PermissionFullControl, []string{
		"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads",
		"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketAcl",
	}},
}

// anonymous adds to what the policy grants to everyone what the access control
// list does. One that says yes settles that there is access; that there is
// none, and the actions, only both can say.
func (r *s3Read) anonymous(aclRead, policyRead bool) {
	public := map[string]bool{}
	for _, g := range r.acls {
		switch aws.ToString(g.URI) {
		case "http://acs.amazonaws.com/groups/global/AllUsers", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers":
			public[aws.ToString(g.Permission)] = true
		}
	}
	access := aws.ToBool(r.row.AnonymousAccess) || len(public) > 0
	if !aclRead || !policyRead {
		r.row.AnonymousAccess, r.row.AnonymousActions = nil, nil
		r.row.Columns = append(r.row.Columns, "anonymous_actions")
		if !access {
			r.row.Columns = append(r.row.Columns, "anonymous_access")
			return
		}
	} else {
		for _, p := range s3PublicActions {
			for _, action := range p.actions {
				if public[string(p.permission)] && !slices.Contains(r.row.AnonymousActions, action) {
					r.row.AnonymousActions = append(r.row.AnonymousActions, action)
				}
			}
		}
	}
	r.row.AnonymousAccess = &access
}

// locate finds the bucket's region where the list did not say it. S3 names it
// even with a refusal.
func (r *s3Read) locate(ctx context.Context) {
	out, err := r.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &r.row.ID})
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		r.row.Region = out.BucketRegion
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.Header.Get("X-Amz-Bucket-Region") != "":
		r.row.Region = aws.String(answer.Response.Header.Get("X-Amz-Bucket-Region"))
	case !api.Gone(err):
		r.row.Unread(fmt.Errorf("bucket %s: %w", r.row.ID, err), "region")
	}
}

// home sends a call to the bucket's own region: any other answers with a
// redirect at best.
func (r *s3Read) home(o *s3.Options) {
	if r.row.Region != nil {
		o.Region = *r.row.Region
	}
}

func (r *s3Read) acl(ctx context.Context) error {
	out, err := r.client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &r.row.ID}, r.home)
	if err != nil {
		return err
	}
	for _, g := range out.Grants {
		if row, ok := s3Grant(r.at.Account, out.Owner, g); ok {
			row.Buckets = []string{r.row.ID}
			r.acls = append(r.acls, row)
		}
	}
	return nil
}

// s3Grant makes a row of a grant. Cartography knows grants to an account's
// canonical user and to a predefined group; S3 lists no other.
func s3Grant(account string, owner *types.Owner, g types.Grant) (row s3ACL, ok bool) {
	if g.Grantee == nil {
		return row, false
	}
	row = s3ACL{Type: string(g.Grantee.Type), Permission: kind.Text(g.Permission)}
	switch g.Grantee.Type {
	case types.TypeCanonicalUser:
		row.DisplayName, row.GranteeID = g.Grantee.DisplayName, g.Grantee.ID
	case types.TypeGroup:
		row.URI = g.Grantee.URI
	default:
		return row, false
	}
	if owner != nil {
		row.Owner, row.OwnerID = owner.DisplayName, owner.ID
	}
	parts := []string{account}
	for _, p := range [...]*string{row.Owner, row.OwnerID, &row.Type, row.DisplayName, row.GranteeID, row.URI, row.Permission} {
		if p == nil {
			p = aws.String("None")
		}
		parts = append(parts, *p)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
	row.ID = hex.EncodeToString(sum[:])
	return row, true
}

func (r *s3Read) policy(ctx context.Context) error {
	out, err := r.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &r.row.ID}, r.home)
	if api.Is(err, "NoSuchBucketPolicy") {
		r.row.AnonymousAccess, r.row.AnonymousActions = aws.Bool(false), []string{}
		return nil
	}
	if err != nil {
		return err
	}
	document := aws.ToString(out.Policy)
	access, actions, err := anonymousAccess(document)
	if err != nil {
		return err
	}
	r.row.AnonymousAccess, r.row.AnonymousActions = &access, actions
	r.statements, err = s3Statements(r.row.ID, document)
	return err
}

// s3Statements makes rows of a bucket policy. A statement's id is
// "bucket/policy_statement/n", from 1, and "/sid" where it has one.
func s3Statements(bucket, document string) ([]s3PolicyStatement, error) {
	statements, err := policyStatements(document)
	if err != nil {
		return nil, err
	}
	v, err := pyjson.Parse(document)
	if err != nil {
		return nil, err
	}
	policy, _ := v.(pyjson.Object)
	var rows []s3PolicyStatement
	for i, s := range statements {
		row := s3PolicyStatement{
			ID: bucket + "/policy_statement/" + strconv.Itoa(i+1), Bucket: bucket,
			PolicyID: policy.Text("Id"), PolicyVersion: policy.Text("Version"),
			SID: s.Text("Sid"), Effect: s.Text("Effect"),
			Principal: dumpMember(s, "Principal"), Condition: dumpMember(s, "Condition"),
		}
		if row.SID != nil {
			row.ID += "/" + *row.SID
		}
		row.Action, row.ActionBare = textOrList(s, "Action")
		row.Resource, row.ResourceBare = textOrList(s, "Resource")
		rows = append(rows, row)
	}
	return rows, nil
}

// dumpMember is a member's JSON text, nil where there is none.
func dumpMember(o pyjson.Object, name string) *string {
	v, ok := o.Get(name)
	if !ok {
		return nil
	}
	return aws.String(pyjson.Dump(v))
}

// textOrList is a member that may be a text or a list of them; bare tells that
// it was the text.
func textOrList(o pyjson.Object, name string) (list []string, bare bool) {
	v, _ := o.Get(name)
	_, bare = v.(string)
	return stringsOf(v), bare
}

func (r *s3Read) encryption(ctx context.Context) error {
	out, err := r.client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &r.row.ID}, r.home)
	if err != nil && !api.Is(err, "ServerSideEncryptionConfigurationNotFoundError") {
		return err
	}
	r.row.DefaultEncryption = aws.Bool(false)
	if err != nil || out.ServerSideEncryptionConfiguration == nil {
		return nil
	}
	for _, rule := range out.ServerSideEncryptionConfiguration.Rules { // there is one at most
		if by := rule.ApplyServerSideEncryptionByDefault; by != nil && by.SSEAlgorithm != "" {
			r.row.DefaultEncryption, r.row.EncryptionAlgorithm = aws.Bool(true), kind.Text(by.SSEAlgorithm)
			r.row.EncryptionKeyID, r.row.BucketKeyEnabled = by.KMSMasterKeyID, rule.BucketKeyEnabled
		}
	}
	return nil
}

func (r *s3Read) versioning(ctx context.Context) error {
	out, err := r.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &r.row.ID}, r.home)
	if err != nil {
		return err
	}
	r.row.VersioningStatus, r.row.MFADelete = kind.Text(out.Status), kind.Text(out.MFADelete)
	return nil
}

func (r *s3Read) publicAccessBlock(ctx context.Context) error {
	out, err := r.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &r.row.ID}, r.home)
	if api.Is(err, "NoSuchPublicAccessBlockConfiguration") || err == nil && out.PublicAccessBlockConfiguration == nil {
		return nil
	}
	if err != nil {
		return err
	}
	c := out.PublicAccessBlockConfiguration
	r.row.BlockPublicACLs, r.row.IgnorePublicACLs = c.BlockPublicAcls, c.IgnorePublicAcls
	r.row.BlockPublicPolicy, r.row.RestrictPublicBuckets = c.BlockPublicPolicy, c.RestrictPublicBuckets
	return nil
}

func (r *s3Read) ownership(ctx context.Context) error {
	out, err := r.client.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: &r.row.ID}, r.home)
	if api.Is(err, "OwnershipControlsNotFoundError") {
		return nil
	}
	if err != nil {
		return err
	}
	if c := out.OwnershipControls; c != nil && len(c.Rules) > 0 {
		r.row.ObjectOwnership = kind.Text(c.Rules[0].ObjectOwnership)
	}
	return nil
}

func (r *s3Read) logging(ctx context.Context) error {
	out, err := r.client.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: &r.row.ID}, r.home)
	if err != nil {
		return err
	}
	r.row.LoggingEnabled = aws.Bool(out.LoggingEnabled != nil)
	if out.LoggingEnabled != nil {
		r.row.LoggingTargetBucket = out.LoggingEnabled.TargetBucket
	}
	return nil
}

func (r *s3Read) notifications(ctx context.Context) error {
	out, err := r.client.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &r.row.ID}, r.home)
	if err != nil {
		return err
	}
	for _, t := range out.TopicConfigurations {
		if arn := aws.ToString(t.TopicArn); arn != "" {
			r.topics = append(r.topics, s3Notification{Bucket: r.row.ID, TopicARN: arn})
		}
	}
	return nil
}
