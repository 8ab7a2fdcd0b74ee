// An `aws` provider plugin for the lab: HashiCorp's own provider logic, built from source, behind Pulumi's protocol.
//
// names.json says which Terraform type is which Pulumi type; everything else follows from the provider's own schema.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/hashicorp/terraform-provider-aws/xpprovider"
	pftfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/info"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/x/muxer"
	"github.com/pulumi/pulumi-terraform-bridge/v3/unstable/metadata"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// The version of the SDK whose names are served; the linker sets it.
var version = "0.0.0"

//go:embed names.json
var namesJSON []byte

// Names says what Terraform's types are called in Pulumi, now and formerly, which property of a type gets a generated
// name, and which properties are called otherwise than by the bridge's rule.
type Names struct {
	Config    map[string]*info.MarshallableSchema `json:"config"`
	Resources map[string]struct {
		info.MarshallableResource
		Autoname *struct {
			Field string `json:"field"`
			Name  string `json:"name"`
			Max   int    `json:"max"`
			Lower bool   `json:"lower"`
		} `json:"autoname"`
		Formerly tokens.Type `json:"formerly"`
	} `json:"resources"`
	Functions map[string]*info.MarshallableDataSource `json:"functions"`
}

func main() {
	ctx := context.Background()
	provider, err := makeProvider(ctx)
	if err != nil {
		fail(err)
	}
	if len(os.Args) > 1 && os.Args[1] == "--schema" {
		sink := diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never})
		generated, err := tfgen.GenerateSchema(ctx, tfgen.GenerateSchemaOptions{ProviderInfo: *provider, DiagnosticsSink: sink, XInMemoryDocs: true})
		if err != nil {
			fail(err)
		}
		os.Stdout.Write(generated.ProviderMetadata.PackageSchema)
		return
	}
	pftfbridge.MainWithMuxer(ctx, "aws", *provider, fmt.Appendf(nil, `{"name":"aws","version":%q}`, version))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func makeProvider(ctx context.Context) (*tfbridge.ProviderInfo, error) {
	framework, sdk, err := xpprovider.GetProvider(ctx)
	if err != nil {
		return nil, err
	}
	var names Names
	if err := json.Unmarshal(namesJSON, &names); err != nil {
		return nil, fmt.Errorf("names.json: %w", err)
	}
	shim := shimv2.NewProvider(sdk, shimv2.WithPlanResourceChange(func(string) bool { return true }))
	provider := &tfbridge.ProviderInfo{
		P:           pftfbridge.MuxShimWithPF(ctx, shim, framework),
		Name:        "aws",
		Version:     version,
		Config:      map[string]*tfbridge.SchemaInfo{},
		Resources:   map[string]*tfbridge.ResourceInfo{},
		DataSources: map[string]*tfbridge.DataSourceInfo{},
		// Python has functions of its own for these.
		IgnoreMappings: []string{"arn_build", "arn_parse", "trim_iam_role_path", "user_agent"},
		MetadataInfo:   tfbridge.NewProviderMetadata([]byte("{}")),
	}
	for name, named := range names.Config {
		provider.Config[name] = named.Unmarshal()
	}
	for name, named := range names.Resources {
		made := named.Unmarshal()
		if a := named.Autoname; a != nil {
			keep := func(name string) string { return name }
			if a.Lower {
				keep = strings.ToLower
			}
			made.Fields[a.Field] = tfbridge.AutoNameTransform(a.Name, a.Max, keep)
		}
		if schema, ok := provider.P.ResourcesMap().GetOk(name); ok {
			if _, tagged := schema.Schema().GetOk("tags_all"); tagged {
				made.PreCheckCallback = applyDefaultTags
				made.Fields["tags_all"] = &tfbridge.SchemaInfo{MarkAsComputedOnly: tfbridge.True()}
			}
		}
		if named.Formerly == "" {
			provider.Resources[name] = made
		} else {
			module, _, _ := strings.Cut(string(made.Tok.Module().Name()), "/")
			provider.RenameResourceWithAlias(name, named.Formerly, made.Tok, module, module, made)
		}
	}
	for name, named := range names.Functions {
		provider.DataSources[name] = named.Unmarshal()
	}
	provider.SetAutonaming(255, "-")
	mux := provider.P.(interface {
		ResolveDispatch(*tfbridge.ProviderInfo) (muxer.DispatchTable, error)
	})
	dispatch, err := mux.ResolveDispatch(provider)
	if err != nil {
		return nil, err
	}
	return provider, metadata.Set(provider.GetMetadata(), "mux", dispatch)
}

// applyDefaultTags adds the provider's default tags to a resource's own, as the official plugin does, so that they are
// inputs that a policy sees and not only outputs.
func applyDefaultTags(_ context.Context, inputs, config resource.PropertyMap) (resource.PropertyMap, error) {
	defaults := tagsOf(config["defaultTags"])
	own, given := inputs["tags"]
	secret := own.IsSecret()
	if secret {
		own = own.SecretValue().Element
	}
	if len(defaults) == 0 || (given && !own.IsObject() && !own.IsNull()) {
		return inputs, nil
	}
	all := defaults.Copy()
	if own.IsObject() {
		maps.Copy(all, own.ObjectValue())
	}
	result := inputs.Copy()
	result["tags"] = resource.NewProperty(all)
	if secret {
		result["tags"] = resource.MakeSecret(result["tags"])
	}
	return result, nil
}

// tagsOf returns the tags of the provider's `defaultTags`, which the engine hands on as an object or as JSON.
func tagsOf(value resource.PropertyValue) resource.PropertyMap {
	if value.IsString() {
		var parsed map[string]any
		if json.Unmarshal([]byte(value.StringValue()), &parsed) != nil {
			return nil
		}
		value = resource.NewPropertyValue(parsed)
	}
	if value.IsObject() && value.ObjectValue()["tags"].IsObject() {
		return value.ObjectValue()["tags"].ObjectValue()
	}
	return nil
}
