package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/pflag"

	"snap/collect/aws/session"
)

func policyCommand() *command {
	var syncs, leaveOut string
	return &command{
		name: "policy", args: "[--aws-requested-syncs SYNCS]",
		short: "print the least IAM policy that collect needs",
		long: `Prints an IAM policy, as JSON, with the actions of the syncs and of what they need, and
no others. It follows from the same declarations as the requests.

For many accounts, make it a role's policy in each (a CloudFormation StackSet does that)
and let the principal that runs snap assume those roles. sts:GetCallerIdentity needs no
permission.`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&syncs, "aws-requested-syncs", "", "only for these syncs and what they need, e.g. \"ec2:instance,s3\"")
			f.StringVar(&leaveOut, "aws-leave-out-calls", "", "as for collect")
		},
		run: func(_ context.Context, args []string, out *terminal) error {
			if len(args) > 0 {
				return usage("policy takes no argument %q", args[0])
			}
			wanted, err := session.Resolve(list(syncs))
			if err != nil {
				return usage("--aws-requested-syncs: %v", err)
			}
			// One statement a service, for the reader.
			type statement struct {
				Sid      string
				Effect   string
				Action   []string
				Resource string
			}
			policy := struct {
				Version   string
				Statement []statement
			}{Version: "2012-10-17"}
			for _, group := range session.Actions(wanted, list(leaveOut)) {
				policy.Statement = append(policy.Statement, statement{"Snap" + group.Name(), "Allow", group.Actions, "*"})
			}
			text, err := json.MarshalIndent(policy, "", "  ")
			if err != nil {
				return err
			}
			fmt.Fprintf(out.out, "%s\n", text)
			// A managed policy's quota does not count white space.
			if packed, err := json.Marshal(policy); err == nil && len(packed) > 6144 {
				fmt.Fprintf(out.err, "The policy has %d characters, and a managed policy may have 6144: attach it in parts, by statement, or as an inline policy of a role (10240).\n", len(packed))
			}
			return nil
		},
	}
}
