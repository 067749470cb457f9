package aws

import (
	"context"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// account is an AWS account that was collected.
type account struct {
	ID      string `snap:"id,key" doc:"the account's number, twelve digits"`
	Name    string `snap:"name" doc:"the profile by which it was reached, where no organization tells its name"`
	InScope bool   `snap:"inscope" doc:"true: it was collected, not only named by others"`
}

var accountOntology = kind.Ontology{
	"name": kind.Same("name"),
	"status": kind.Mapped("state", map[string]string{
		"ACTIVE": "active", "PENDING_ACTIVATION": "unknown", "SUSPENDED": "suspended",
		"PENDING_CLOSURE": "pending_deletion", "CLOSED": "closed",
	}),
}

var accounts = kind.Of[account](kind.Table{
	Name: "account", Label: "AWSAccount", Aliases: []string{"Tenant"},
	Doc:     "An AWS account that was collected.",
	Unowned: true, Keep: true, Stub: true, // an organization knows the account's real name
	Ontology: accountOntology,
})

// rootPrincipal is the account's root, which trust policies name.
type rootPrincipal struct {
	ID  string `snap:"id,key" doc:"its ARN, which ends in :root"`
	ARN string `snap:"arn,index" doc:"its ARN, as trust policies name it"`
}

var rootPrincipals = kind.Of[rootPrincipal](kind.Table{
	Name: "account_root", Label: "AWSRootPrincipal", Aliases: []string{"AWSPrincipal"},
	Doc: "The root user of an account, as policies name it.",
})

// The account itself costs no call: who it is was found out to plan the run.
var _ = api.Declare(api.Sync{
	Name:   "account",
	Global: true,
	Always: true,
	Tables: []*kind.Table{accounts.Table, rootPrincipals.Table},
	Collect: func(_ context.Context, at *api.Cell) error {
		accounts.Put(at, account{ID: at.Account, Name: at.Name, InScope: true})
		root := "arn:" + at.Partition + ":iam::" + at.Account + ":root"
		rootPrincipals.Put(at, rootPrincipal{ID: root, ARN: root})
		return nil
	},
})
