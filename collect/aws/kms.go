package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// kmsKey is an encryption key. Dates are seconds since 1970.
type kmsKey struct {
	ID                    string   `snap:"id,key" from:"KeyId" doc:"the key's id within its region"`
	KeyID                 string   `snap:"key_id,index" from:"KeyId" doc:"the key's id within its region"`
	ARN                   *string  `snap:"arn,index" from:"Arn"`
	Region                string   `snap:"region"`
	Description           *string  `snap:"description" from:"Description" doc:"what was written about it"`
	Enabled               *bool    `snap:"enabled" from:"Enabled" doc:"whether it can be used"`
	KeyState              *string  `snap:"key_state" from:"KeyState" doc:"'Enabled', 'Disabled', 'PendingDeletion', 'PendingImport', 'Unavailable', …"`
	KeyUsage              *string  `snap:"key_usage" from:"KeyUsage" doc:"what it is for: 'ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'GENERATE_VERIFY_MAC' or 'KEY_AGREEMENT'"`
	KeyManager            *string  `snap:"key_manager" from:"KeyManager" doc:"who looks after it: 'AWS' or 'CUSTOMER'"`
	Origin                *string  `snap:"origin" from:"Origin" doc:"where its material comes from: 'AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM' or 'EXTERNAL_KEY_STORE'"`
	CreationDate          *int64   `snap:"creation_date" from:"CreationDate" as:"epoch" doc:"when it was made, in seconds since 1970"`
	DeletionDate          *int64   `snap:"deletion_date" from:"DeletionDate" as:"epoch" doc:"when it will be deleted, in seconds since 1970"`
	ValidTo               *int64   `snap:"valid_to" from:"ValidTo" as:"epoch" doc:"when imported material ends, in seconds since 1970"`
	CustomKeyStoreID      *string  `snap:"custom_key_store_id" from:"CustomKeyStoreId" doc:"the customer's own key store that holds it"`
	CloudHSMClusterID     *string  `snap:"cloud_hsm_cluster_id" from:"CloudHsmClusterId" doc:"the CloudHSM cluster that holds it"`
	ExpirationModel       *string  `snap:"expiration_model" from:"ExpirationModel" doc:"whether imported material ends: 'KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE'"`
	CustomerMasterKeySpec *string  `snap:"customer_master_key_spec" from:"CustomerMasterKeySpec" doc:"what kind of key it is, such as 'SYMMETRIC_DEFAULT' or 'RSA_2048'"`
	EncryptionAlgorithms  []string `snap:"encryption_algorithms" from:"EncryptionAlgorithms" doc:"how it can encrypt"`
	SigningAlgorithms     []string `snap:"signing_algorithms" from:"SigningAlgorithms" doc:"how it can sign"`
	AnonymousAccess       *bool    `snap:"anonymous_access" doc:"whether its policy lets anyone use it"`
	AnonymousActions      []string `snap:"anonymous_actions" doc:"what its policy lets anyone do"`

	kind.Gaps
}

var kmsKeys = kind.Of[kmsKey](kind.Table{
	Name: "kms_key", Label: "AWSKMSKey", Aliases: []string{"KMSKey", "EncryptionKey"},
	Doc: "An encryption key.",
	Ontology: kind.Ontology{
		"name": kind.Same("arn"), "enabled": kind.Same("enabled"),
		"key_type": kind.Mapped("key_usage", map[string]string{
			"ENCRYPT_DECRYPT": "encrypt_decrypt", "SIGN_VERIFY": "sign_verify",
			"GENERATE_VERIFY_MAC": "mac", "KEY_AGREEMENT": "key_agreement",
		}),
	},
})

// kmsDescribed are the columns that only DescribeKey tells.
var kmsDescribed = []string{
	"description", "enabled", "key_state", "key_usage", "key_manager", "origin", "creation_date", "deletion_date", "valid_to",
	"custom_key_store_id", "cloud_hsm_cluster_id", "expiration_model", "customer_master_key_spec", "encryption_algorithms", "signing_algorithms",
}

// kmsAlias is another name of a key.
type kmsAlias struct {
	ID              string  `snap:"id,key" from:"AliasArn" doc:"its ARN"`
	ARN             *string `snap:"arn,index" from:"AliasArn"`
	AliasName       *string `snap:"alias_name,index" from:"AliasName" doc:"its name, 'alias/…'"`
	Region          string  `snap:"region"`
	TargetKeyID     *string `snap:"target_key_id" from:"TargetKeyId" doc:"the key that it stands for"`
	CreationDate    *int64  `snap:"creation_date" from:"CreationDate" as:"epoch" doc:"when it was made, in seconds since 1970"`
	LastUpdatedDate *int64  `snap:"last_updated_date" from:"LastUpdatedDate" as:"epoch" doc:"when it last got another key, in seconds since 1970"`
}

var kmsAliases = kind.Of[kmsAlias](kind.Table{
	Name: "kms_alias", Label: "AWSKMSAlias", Aliases: []string{"KMSAlias"},
	Doc:   "Another name of a key.",
	Links: []kind.Link{{Type: "KNOWN_AS", To: "AWSKMSKey", On: kind.On{"id": "target_key_id"}}},
})

// kmsGrant lets a principal use a key.
type kmsGrant struct {
	ID               string   `snap:"id,key" from:"GrantId" doc:"identifies it"`
	GrantID          *string  `snap:"grant_id,index" from:"GrantId" doc:"identifies it"`
	Name             *string  `snap:"name" from:"Name" doc:"what its maker called it"`
	KeyID            *string  `snap:"key_id" from:"KeyId" doc:"the key's ARN"`
	GranteePrincipal *string  `snap:"grantee_principal" from:"GranteePrincipal" doc:"who may use the key"`
	IssuingAccount   *string  `snap:"issuing_account" from:"IssuingAccount" doc:"the account that gave it"`
	Operations       []string `snap:"operations" from:"Operations" doc:"what the grantee may do"`
	CreationDate     *int64   `snap:"creation_date" from:"CreationDate" as:"epoch" doc:"when it was given, in seconds since 1970"`
}

var kmsGrants = kind.Of[kmsGrant](kind.Table{
	Name: "kms_grant", Label: "AWSKMSGrant", Aliases: []string{"KMSGrant"},
	Doc:   "What lets one principal use a key.",
	Links: []kind.Link{{Type: "APPLIED_ON", To: "AWSKMSKey", On: kind.On{"arn": "key_id"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "kms",
	Calls:  []string{"kms:ListKeys", "kms:ListAliases", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"},
	Tables: []*kind.Table{kmsKeys.Table, kmsAliases.Table, kmsGrants.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := kms.NewFromConfig(at.Config)
		aliases, aliasErr := api.All(ctx, kms.NewListAliasesPaginator(client, nil), func(p *kms.ListAliasesOutput) []types.AliasListEntry { return p.Aliases })
		listed, keyErr := api.All(ctx, kms.NewListKeysPaginator(client, nil), func(p *kms.ListKeysOutput) []types.KeyListEntry { return p.Keys })
		keys := map[string]bool{}
		for _, k := range listed {
			keys[aws.ToString(k.KeyId)] = true
		}
		for _, a := range aliases {
			if !keys[aws.ToString(a.TargetKeyId)] {
				continue // a name that AWS reserves for a key that it has not made yet
			}
			row := kmsAliases.From(a)
			row.Region = at.Region
			kmsAliases.Put(at, row)
		}
		_, err := api.Each(ctx, listed, func(ctx context.Context, k types.KeyListEntry) (struct{}, error) {
			return struct{}{}, putKMSKey(ctx, at, client, k)
		})
		return errors.Join(aliasErr, keyErr, err)
	},
})

// putKMSKey reads one key and puts its rows. What cannot be read costs its
// columns only; the error is for the end of the run.
func putKMSKey(ctx context.Context, at *api.Cell, client *kms.Client, k types.KeyListEntry) error {
	row := kmsKey{ID: aws.ToString(k.KeyId), KeyID: aws.ToString(k.KeyId), ARN: k.KeyArn}
	described, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyId})
	switch {
	case api.Gone(err):
		return nil
	case err != nil:
		row.unread(err, kmsDescribed...)
	case described.KeyMetadata != nil:
		row = kmsKeys.From(described.KeyMetadata)
	}
	row.Region = at.Region

	policy, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: k.KeyId, PolicyName: aws.String("default")})
	if err == nil {
		var access bool
		if access, row.AnonymousActions, err = anonymousAccess(aws.ToString(policy.Policy)); err == nil {
			row.AnonymousAccess = &access
		}
	}
	if api.Gone(err) {
		return nil
	}
	if err != nil {
		row.unread(err, "anonymous_access", "anonymous_actions")
	}

	pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: k.KeyId})
	grants, err := api.All(ctx, pages, func(p *kms.ListGrantsOutput) []types.GrantListEntry { return p.Grants })
	if api.Gone(err) {
		return nil
	}
	if err != nil {
		row.unread(err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	kmsKeys.Put(at, row)
	for _, g := range grants {
		kmsGrants.Put(at, kmsGrants.From(g))
	}
	return nil
}

func (k *kmsKey) unread(err error, columns ...string) {
	k.Unread(fmt.Errorf("key %s: %w", k.ID, err), columns...)
}
