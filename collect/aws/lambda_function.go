package aws

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// lambdaFunction is a function that AWS runs on demand.
type lambdaFunction struct {
	ID                         string   `snap:"id,key" from:"FunctionArn"`
	ARN                        *string  `snap:"arn,index" from:"FunctionArn"`
	Name                       *string  `snap:"name" from:"FunctionName"`
	Region                     string   `snap:"region"`
	Description                *string  `snap:"description" from:"Description"`
	ModifiedDate               *string  `snap:"modifieddate" from:"LastModified"`
	Runtime                    *string  `snap:"runtime" from:"Runtime"`
	Handler                    *string  `snap:"handler" from:"Handler"`
	Version                    *string  `snap:"version" from:"Version"`
	Timeout                    *int64   `snap:"timeout" from:"Timeout"`   // seconds
	Memory                     *int64   `snap:"memory" from:"MemorySize"` // MB
	CodeSize                   *int64   `snap:"codesize" from:"CodeSize"` // bytes
	CodeSHA256                 *string  `snap:"codesha256" from:"CodeSha256"`
	PackageType                *string  `snap:"packagetype" from:"PackageType"`
	ImageURI                   *string  `snap:"image_uri"`
	ImageDigest                *string  `snap:"image_digest"` // where the reference names one
	Architectures              []string `snap:"architectures" from:"Architectures"`
	Architecture               *string  `snap:"architecture_normalized"` // the first, as container images call it
	TracingMode                *string  `snap:"tracingconfigmode" from:"TracingConfig.Mode"`
	RevisionID                 *string  `snap:"revisionid" from:"RevisionId"`
	State                      *string  `snap:"state" from:"State"`
	StateReason                *string  `snap:"statereason" from:"StateReason"`
	StateReasonCode            *string  `snap:"statereasoncode" from:"StateReasonCode"`
	LastUpdateStatus           *string  `snap:"lastupdatestatus" from:"LastUpdateStatus"`
	LastUpdateStatusReason     *string  `snap:"lastupdatestatusreason" from:"LastUpdateStatusReason"`
	LastUpdateStatusReasonCode *string  `snap:"lastupdatestatusreasoncode" from:"LastUpdateStatusReasonCode"`
	SigningProfileVersionARN   *string  `snap:"signingprofileversionarn" from:"SigningProfileVersionArn"`
	SigningJobARN              *string  `snap:"signingjobarn" from:"SigningJobArn"`
	MasterARN                  *string  `snap:"masterarn" from:"MasterArn"` // of Lambda@Edge: the function it is a copy of
	KMSKeyARN                  *string  `snap:"kmskeyarn" from:"KMSKeyArn"`
	AnonymousAccess            *bool    `snap:"anonymous_access"` // null where the function has no policy
	AnonymousActions           []string `snap:"anonymous_actions"`
	Role                       *string  `snap:"_role" from:"Role"`
	kind.Gaps
}

var lambdaFunctions = kind.Of[lambdaFunction](kind.Table{
	Name: "lambda_function", Label: "AWSLambda", Aliases: []string{"Function"},
	Ontology: kind.Ontology{
		"name": kind.Same("name"), "runtime": kind.Same("runtime"), "memory": kind.Same("memory"), "timeout": kind.Same("timeout"),
		"image": kind.Same("image_uri"), "image_digest": kind.Same("image_digest"),
		"deployment_type": kind.Mapped("packagetype", map[string]string{"Zip": "code", "Image": "container"}),
	},
	Links: []kind.Link{
		{Type: "STS_ASSUMEROLE_ALLOW", To: "AWSPrincipal", On: kind.On{"arn": "_role"}},
		{Type: "ASSUMES", To: "AWSRole", On: kind.On{"arn": "_role"}},
		{Type: "HAS_IMAGE", To: "AWSECRImage", On: kind.On{"digest": "image_digest"}},
		{Type: "HAS_IMAGE", To: "GitLabContainerImage", On: kind.On{"digest": "image_digest"}},
		{Type: "HAS_IMAGE", To: "GCPArtifactRegistryImage", On: kind.On{"digest": "image_digest"}},
		{Type: "HAS_IMAGE", To: "GitHubContainerImage", On: kind.On{"digest": "image_digest"}},
	},
})

// lambdaAlias is a name for one version of a function, or for two that share
// its calls.
type lambdaAlias struct {
	ID              string  `snap:"id,key" from:"AliasArn"`
	ARN             *string `snap:"arn,index" from:"AliasArn"`
	Name            *string `snap:"aliasname" from:"Name"`
	FunctionARN     string  `snap:"functionarn"`
	FunctionVersion *string `snap:"functionversion" from:"FunctionVersion"`
	RevisionID      *string `snap:"revisionid" from:"RevisionId"`
	Description     *string `snap:"description" from:"Description"`
}

var lambdaAliases = kind.Of[lambdaAlias](kind.Table{
	Name: "lambda_alias", Label: "AWSLambdaFunctionAlias",
	Links: []kind.Link{{Type: "KNOWN_AS", From: "AWSLambda", On: kind.On{"id": "functionarn"}}},
})

// lambdaEventSource is a queue or stream whose items call a function.
type lambdaEventSource struct {
	ID                         string     `snap:"id,key" from:"UUID"`
	EventSourceARN             *string    `snap:"eventsourcearn" from:"EventSourceArn"`
	FunctionARN                *string    `snap:"functionarn" from:"FunctionArn"` // with the version or alias, if it calls one
	State                      *string    `snap:"state" from:"State"`
	BatchSize                  *int64     `snap:"batchsize" from:"BatchSize"`
	MaximumBatchingWindow      *int64     `snap:"maximumbatchingwindowinseconds" from:"MaximumBatchingWindowInSeconds"`
	TumblingWindow             *int64     `snap:"tumblingwindowinseconds" from:"TumblingWindowInSeconds"`
	ParallelizationFactor      *int64     `snap:"parallelizationfactor" from:"ParallelizationFactor"`
	StartingPosition           *string    `snap:"startingposition" from:"StartingPosition"`
	StartingPositionTimestamp  *time.Time `snap:"startingpositiontimestamp" from:"StartingPositionTimestamp"`
	MaximumRecordAge           *int64     `snap:"maximumrecordage" from:"MaximumRecordAgeInSeconds"`
	MaximumRetryAttempts       *int64     `snap:"maximumretryattempts" from:"MaximumRetryAttempts"`
	BisectBatchOnFunctionError *bool      `snap:"bisectbatchonfunctionerror" from:"BisectBatchOnFunctionError"`
	LastModified               *time.Time `snap:"lastmodified" from:"LastModified"`
	LastProcessingResult       *string    `snap:"lastprocessingresult,volatile" from:"LastProcessingResult"`
	Function                   string     `snap:"_function"` // without a version or alias
}

var lambdaEventSources = kind.Of[lambdaEventSource](kind.Table{
	Name: "lambda_event_source_mapping", Label: "AWSLambdaEventSourceMapping",
	Links: []kind.Link{{Type: "RESOURCE", From: "AWSLambda", On: kind.On{"id": "_function"}}},
})

// lambdaLayer is a version of a layer of files under functions. Its
// functionarn is the last listed of the functions that use it.
type lambdaLayer struct {
	ID                       string   `snap:"id,key" from:"Arn"`
	ARN                      *string  `snap:"arn,index" from:"Arn"`
	FunctionARN              string   `snap:"functionarn"`
	CodeSize                 *int64   `snap:"codesize" from:"CodeSize"` // bytes
	SigningProfileVersionARN *string  `snap:"signingprofileversionarn" from:"SigningProfileVersionArn"`
	SigningJobARN            *string  `snap:"signingjobarn" from:"SigningJobArn"`
	Functions                []string `snap:"_functions"`
}

var lambdaLayers = kind.Of[lambdaLayer](kind.Table{
	Name: "lambda_layer", Label: "AWSLambdaLayer",
	Links: []kind.Link{{Type: "HAS", From: "AWSLambda", On: kind.On{"id": "_functions"}}},
})

var _ = api.Declare(api.Sync{
	Name: "lambda_function",
	Calls: []string{
		"lambda:ListFunctions", "lambda:GetPolicy", "lambda:GetFunction", "lambda:ListAliases", "lambda:ListEventSourceMappings",
	},
	Tables: []*kind.Table{lambdaFunctions.Table, lambdaAliases.Table, lambdaEventSources.Table, lambdaLayers.Table},
	// A region whose Lambda does not answer is given up sooner, as in Cartography.
	MaxAttempts: 2,
	ReadTimeout: 30 * time.Second,
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := lambda.NewFromConfig(at.Config)
		pages := lambda.NewListFunctionsPaginator(client, nil)
		functions, err := api.All(ctx, pages, func(p *lambda.ListFunctionsOutput) []types.FunctionConfiguration { return p.Functions })
		if len(functions) == 0 {
			return err
		}
		for _, f := range functions {
			for _, l := range f.Layers {
				row := lambdaLayers.From(l)
				row.FunctionARN = aws.ToString(f.FunctionArn)
				row.Functions = []string{row.FunctionARN}
				lambdaLayers.Put(at, row)
			}
		}
		return api.Parts(ctx, at,
			func(context.Context, *api.Cell) error { return err }, // that the listing broke off
			func(ctx context.Context, at *api.Cell) error {
				return collectLambdaFunctions(ctx, client, at, functions)
			},
			func(ctx context.Context, at *api.Cell) error {
				return collectLambdaEventSources(ctx, client, at, functions)
			},
		)
	},
})

// collectLambdaFunctions puts the functions with what only calls of their own
// tell: their policy, image and aliases.
func collectLambdaFunctions(ctx context.Context, client *lambda.Client, at *api.Cell, functions []types.FunctionConfiguration) error {
	_, err := api.Each(ctx, functions, func(ctx context.Context, f types.FunctionConfiguration) (struct{}, error) {
		row := lambdaFunctions.From(f)
		row.Region = at.Region
		row.Architecture = normalArchitecture(row.Architectures)

		pages := lambda.NewListAliasesPaginator(client, &lambda.ListAliasesInput{FunctionName: f.FunctionName})
		aliases, err := api.All(ctx, pages, func(p *lambda.ListAliasesOutput) []types.AliasConfiguration { return p.Aliases })
		if api.Gone(err) {
			return struct{}{}, nil
		}
		if err != nil {
			at.Lose(err)
		}
		for _, a := range aliases {
			alias := lambdaAliases.From(a)
			alias.FunctionARN = row.ID
			lambdaAliases.Put(at, alias)
		}

		policy, err := client.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: f.FunctionName})
		if err == nil {
			err = row.judge(aws.ToString(policy.Policy))
		}
		if err != nil && !api.Gone(err) { // a function without a policy answers the same
			row.Unread(err, "anonymous_access", "anonymous_actions")
		}

		if f.PackageType == types.PackageTypeImage { // the listing does not say which
			out, err := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: f.FunctionName})
			switch {
			case err == nil && out.Code != nil:
				row.ImageURI, row.ImageDigest = imageReference(out.Code)
			case err != nil && !api.Gone(err):
				row.Unread(err, "image_uri", "image_digest")
			}
		}
		lambdaFunctions.Put(at, row)
		return struct{}{}, nil
	})
	return err
}

// judge says what the function's policy lets anyone do.
func (f *lambdaFunction) judge(policy string) error {
	if policy == "" {
		return nil
	}
	access, actions, err := anonymousAccess(policy)
	if err == nil {
		f.AnonymousAccess, f.AnonymousActions = &access, actions
	}
	return err
}

// imageReference is the image that a function runs, by digest where Lambda
// says what the tag stood for, and the digest.
func imageReference(code *types.FunctionCodeLocation) (uri, digest *string) {
	text := strings.TrimSpace(aws.ToString(code.ResolvedImageUri))
	if text == "" {
		text = strings.TrimSpace(aws.ToString(code.ImageUri))
	}
	if text == "" {
		return nil, nil
	}
	if i := strings.LastIndex(text, "@"); i >= 0 && i < len(text)-1 {
		digest = aws.String(text[i+1:])
	}
	return &text, digest
}

// normalArchitecture is what container images call the first architecture.
func normalArchitecture(architectures []string) *string {
	if len(architectures) == 0 {
		return nil
	}
	name, ok := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[strings.ToLower(architectures[0])]
	if !ok {
		name = "unknown"
	}
	return &name
}

// collectLambdaEventSources reads the mappings of all functions in one
// listing. One whose function does not exist any more is left out: Cartography
// asks by function.
func collectLambdaEventSources(ctx context.Context, client *lambda.Client, at *api.Cell, functions []types.FunctionConfiguration) error {
	listed := map[string]bool{}
	for _, f := range functions {
		listed[aws.ToString(f.FunctionArn)] = true
	}
	pages := lambda.NewListEventSourceMappingsPaginator(client, nil)
	mappings, err := api.All(ctx, pages, func(p *lambda.ListEventSourceMappingsOutput) []types.EventSourceMappingConfiguration {
		return p.EventSourceMappings
	})
	for _, m := range mappings {
		row := lambdaEventSources.From(m)
		row.Function = unqualified(aws.ToString(m.FunctionArn))
		if listed[row.Function] {
			lambdaEventSources.Put(at, row)
		}
	}
	return err
}

// unqualified is a function's ARN without the version or alias:
// arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER].
func unqualified(functionARN string) string {
	if parts := strings.Split(functionARN, ":"); len(parts) > 7 {
		return strings.Join(parts[:7], ":")
	}
	return functionARN
}
