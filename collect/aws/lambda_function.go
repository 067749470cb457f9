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
	ID                         string   `snap:"id,key" from:"FunctionArn" doc:"its ARN"`
	ARN                        *string  `snap:"arn,index" from:"FunctionArn"`
	Name                       *string  `snap:"name" from:"FunctionName" doc:"its name, unique within account and region"`
	Region                     string   `snap:"region"`
	Description                *string  `snap:"description" from:"Description" doc:"what was written about it"`
	ModifiedDate               *string  `snap:"modifieddate" from:"LastModified" doc:"when code or configuration last changed, as the API writes it"`
	Runtime                    *string  `snap:"runtime" from:"Runtime" doc:"the language it runs in, such as 'python3.12'; null for a container image"`
	Handler                    *string  `snap:"handler" from:"Handler" doc:"the function in its code that is called; null for a container image"`
	Version                    *string  `snap:"version" from:"Version" doc:"'$LATEST'"`
	Timeout                    *int64   `snap:"timeout" from:"Timeout" doc:"seconds that a call may take"`
	Memory                     *int64   `snap:"memory" from:"MemorySize" doc:"its memory in MB"`
	CodeSize                   *int64   `snap:"codesize" from:"CodeSize" doc:"the size of its code in bytes"`
	CodeSHA256                 *string  `snap:"codesha256" from:"CodeSha256" doc:"SHA-256 of its code, in base64"`
	PackageType                *string  `snap:"packagetype" from:"PackageType" doc:"how its code comes: 'Zip', 'Image'"`
	ImageURI                   *string  `snap:"image_uri" doc:"the container image that it runs"`
	ImageDigest                *string  `snap:"image_digest" doc:"that image's digest, where the reference names one"`
	Architectures              []string `snap:"architectures" from:"Architectures" doc:"the processors that it may run on"`
	Architecture               *string  `snap:"architecture_normalized" doc:"the first of them as container images name it, such as 'amd64'"`
	TracingMode                *string  `snap:"tracingconfigmode" from:"TracingConfig.Mode" doc:"whether its calls are traced: 'Active', 'PassThrough'"`
	RevisionID                 *string  `snap:"revisionid" from:"RevisionId" doc:"changes with every change of the function"`
	State                      *string  `snap:"state" from:"State" doc:"'Pending', 'Active', 'Inactive' or 'Failed'"`
	StateReason                *string  `snap:"statereason" from:"StateReason" doc:"why it is in that state"`
	StateReasonCode            *string  `snap:"statereasoncode" from:"StateReasonCode" doc:"the same as a code"`
	LastUpdateStatus           *string  `snap:"lastupdatestatus" from:"LastUpdateStatus" doc:"how the last change went: 'Successful', 'Failed', 'InProgress'"`
	LastUpdateStatusReason     *string  `snap:"lastupdatestatusreason" from:"LastUpdateStatusReason" doc:"why it went so"`
	LastUpdateStatusReasonCode *string  `snap:"lastupdatestatusreasoncode" from:"LastUpdateStatusReasonCode" doc:"the same as a code"`
	SigningProfileVersionARN   *string  `snap:"signingprofileversionarn" from:"SigningProfileVersionArn" doc:"the profile that its code was signed with"`
	SigningJobARN              *string  `snap:"signingjobarn" from:"SigningJobArn" doc:"the job that signed its code"`
	MasterARN                  *string  `snap:"masterarn" from:"MasterArn" doc:"of Lambda@Edge: the function that it is a copy of"`
	KMSKeyARN                  *string  `snap:"kmskeyarn" from:"KMSKeyArn" doc:"the key that its environment variables are encrypted with; null: AWS's own"`
	AnonymousAccess            *bool    `snap:"anonymous_access" doc:"whether its policy lets anyone call it; null where it has no policy"`
	AnonymousActions           []string `snap:"anonymous_actions" doc:"what its policy lets anyone do"`
	Role                       *string  `snap:"_role" from:"Role"`
	kind.Gaps
}

var lambdaFunctions = kind.Of[lambdaFunction](kind.Table{
	Name: "lambda_function", Label: "AWSLambda", Aliases: []string{"Function"},
	Doc: "A function that AWS runs when it is called.",
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
	ID              string  `snap:"id,key" from:"AliasArn" doc:"its ARN"`
	ARN             *string `snap:"arn,index" from:"AliasArn"`
	Name            *string `snap:"aliasname" from:"Name" doc:"its name, unique within the function"`
	FunctionARN     string  `snap:"functionarn" doc:"the function"`
	FunctionVersion *string `snap:"functionversion" from:"FunctionVersion" doc:"the version that it stands for"`
	RevisionID      *string `snap:"revisionid" from:"RevisionId" doc:"changes with every change of the alias"`
	Description     *string `snap:"description" from:"Description" doc:"what was written about it"`
}

var lambdaAliases = kind.Of[lambdaAlias](kind.Table{
	Name: "lambda_alias", Label: "AWSLambdaFunctionAlias",
	Doc:   "A name for a version of a function.",
	Links: []kind.Link{{Type: "KNOWN_AS", From: "AWSLambda", On: kind.On{"id": "functionarn"}}},
})

// lambdaEventSource is a queue or stream whose items call a function.
type lambdaEventSource struct {
	ID                         string     `snap:"id,key" from:"UUID" doc:"identifies it, a UUID"`
	EventSourceARN             *string    `snap:"eventsourcearn" from:"EventSourceArn" doc:"the queue or stream"`
	FunctionARN                *string    `snap:"functionarn" from:"FunctionArn" doc:"the function that is called, with the version or alias if it names one"`
	State                      *string    `snap:"state" from:"State" doc:"'Enabled', 'Disabled', or on the way"`
	BatchSize                  *int64     `snap:"batchsize" from:"BatchSize" doc:"how many items one call gets at most"`
	MaximumBatchingWindow      *int64     `snap:"maximumbatchingwindowinseconds" from:"MaximumBatchingWindowInSeconds" doc:"how long it gathers items for a call, in seconds"`
	TumblingWindow             *int64     `snap:"tumblingwindowinseconds" from:"TumblingWindowInSeconds" doc:"the length of the windows over which a function sums up a stream, in seconds"`
	ParallelizationFactor      *int64     `snap:"parallelizationfactor" from:"ParallelizationFactor" doc:"how many calls work on one shard at once"`
	StartingPosition           *string    `snap:"startingposition" from:"StartingPosition" doc:"where in a stream it begins: 'TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'"`
	StartingPositionTimestamp  *time.Time `snap:"startingpositiontimestamp" from:"StartingPositionTimestamp" doc:"from when on, with 'AT_TIMESTAMP'"`
	MaximumRecordAge           *int64     `snap:"maximumrecordage" from:"MaximumRecordAgeInSeconds" doc:"seconds after which an item of a stream is given up; -1: never"`
	MaximumRetryAttempts       *int64     `snap:"maximumretryattempts" from:"MaximumRetryAttempts" doc:"how often a failed batch is tried again; -1: until it is too old"`
	BisectBatchOnFunctionError *bool      `snap:"bisectbatchonfunctionerror" from:"BisectBatchOnFunctionError" doc:"whether a failed batch is tried again in halves"`
	LastModified               *time.Time `snap:"lastmodified" from:"LastModified" doc:"when it was changed, or changed its state"`
	LastProcessingResult       *string    `snap:"lastprocessingresult,volatile" from:"LastProcessingResult" doc:"how the last call went"`
	Function                   string     `snap:"_function"` // without a version or alias
}

var lambdaEventSources = kind.Of[lambdaEventSource](kind.Table{
	Name: "lambda_event_source_mapping", Label: "AWSLambdaEventSourceMapping",
	Doc:   "A queue or stream whose items a function is called with.",
	Links: []kind.Link{{Type: "RESOURCE", From: "AWSLambda", On: kind.On{"id": "_function"}}},
})

// lambdaLayer is a version of a layer of files under functions. Its
// functionarn is the last listed of the functions that use it.
type lambdaLayer struct {
	ID                       string   `snap:"id,key" from:"Arn" doc:"the ARN of the layer's version"`
	ARN                      *string  `snap:"arn,index" from:"Arn" doc:"the ARN of the layer's version"`
	FunctionARN              string   `snap:"functionarn" doc:"the last listed of the functions that use it"`
	CodeSize                 *int64   `snap:"codesize" from:"CodeSize" doc:"its size in bytes"`
	SigningProfileVersionARN *string  `snap:"signingprofileversionarn" from:"SigningProfileVersionArn" doc:"the profile that it was signed with"`
	SigningJobARN            *string  `snap:"signingjobarn" from:"SigningJobArn" doc:"the job that signed it"`
	Functions                []string `snap:"_functions"`
}

var lambdaLayers = kind.Of[lambdaLayer](kind.Table{
	Name: "lambda_layer", Label: "AWSLambdaLayer",
	Doc:   "A version of a layer of files that functions build on.",
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
