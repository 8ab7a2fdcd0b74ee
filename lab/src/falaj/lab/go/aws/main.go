// An `aws` provider plugin for the lab: HashiCorp's own provider logic, built from source, behind Pulumi's protocol.
//
// names.json holds what Pulumi's users see of it otherwise than by the bridge's rules; the rest follows from the
// provider's own schema.
package main

import (
	"cmp"
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

// Names says what Terraform's types and properties are called in Pulumi. Properties are in the bridge's own format, which
// spells the key of a property's type `typeomitempty`.
type Names struct {
	Config    map[string]*info.MarshallableSchema     `json:"config"`
	Resources map[string]Resource                     `json:"resources"`
	Functions map[string]*info.MarshallableDataSource `json:"functions"`
}

// Resource says how a type appears in Pulumi: its token and properties in the bridge's own format, and the rest.
type Resource struct {
	info.MarshallableResource
	// An older token that still works.
	Formerly tokens.Type `json:"formerly"`
	// The property that gets a name made from the resource's when none is given.
	Autoname *Autoname `json:"autoname"`
	// Properties whose JSON text may be given as an object.
	Documents           []string `json:"documents"`
	DeleteBeforeReplace bool     `json:"deleteBeforeReplace"`
	// The outputs that make up the id of a type that has none in Terraform.
	ID *struct {
		Of        []resource.PropertyKey `json:"of"`
		Separator string                 `json:"separator"`
	} `json:"id"`
}

// Autoname says which names a property gets.
type Autoname struct {
	Field     string `json:"field"`
	Name      string `json:"name"`
	Max       int    `json:"max"`
	Lower     bool   `json:"lower"`
	Exact     bool   `json:"exact"` // the resource's name, without random digits
	Separator string `json:"separator"`
	Prefix    string `json:"prefix"`
	// The property with which a queue or topic is one whose name must end in `.fifo`.
	Fifo resource.PropertyKey `json:"fifo"`
}

func main() {
	ctx := context.Background()
	provider, err := makeProvider(ctx)
	if err == nil && len(os.Args) > 1 && os.Args[1] == "--schema" {
		err = printSchema(ctx, provider)
	} else if err == nil && len(os.Args) > 1 && os.Args[1] == "--facts" {
		err = printFacts(provider)
	} else if err == nil {
		pftfbridge.MainWithMuxer(ctx, "aws", *provider, fmt.Appendf(nil, `{"name":"aws","version":%q}`, version))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// printSchema prints the Pulumi schema of all types and functions.
func printSchema(ctx context.Context, provider *tfbridge.ProviderInfo) error {
	generated, err := tfgen.GenerateSchema(ctx, tfgen.GenerateSchemaOptions{
		ProviderInfo:    *provider,
		DiagnosticsSink: diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(generated.ProviderMetadata.PackageSchema)
	return err
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
	for name, property := range names.Config {
		provider.Config[name] = property.Unmarshal()
	}
	for name, named := range names.Resources {
		made := named.make()
		if schema, ok := provider.P.ResourcesMap().GetOk(name); ok {
			region, regional := schema.Schema().GetOk("region")
			_, tagged := schema.Schema().GetOk("tags_all")
			made.PreCheckCallback = complete(regional && region.Deprecated() == "", tagged)
			if tagged {
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
	for name, function := range names.Functions {
		provider.DataSources[name] = function.Unmarshal()
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

func (named Resource) make() *tfbridge.ResourceInfo {
	made := named.Unmarshal()
	made.DeleteBeforeReplace = named.DeleteBeforeReplace
	if a := named.Autoname; a != nil {
		made.Fields[a.Field] = tfbridge.AutoNameWithCustomOptions(a.Name, a.options())
	}
	for _, field := range named.Documents {
		made.Fields[field] = &tfbridge.SchemaInfo{Type: "string", Transform: tfbridge.TransformJSONDocument}
	}
	if id := named.ID; id != nil {
		made.ComputeID = func(_ context.Context, outputs resource.PropertyMap) (resource.ID, error) {
			var parts []string
			for _, key := range id.Of {
				if value := outputs[key]; value.IsString() && value.StringValue() != "" {
					parts = append(parts, value.StringValue())
				}
			}
			return resource.ID(strings.Join(parts, cmp.Or(id.Separator, ","))), nil
		}
	}
	return made
}

func (a Autoname) options() tfbridge.AutoNameOptions {
	options := tfbridge.AutoNameOptions{Separator: cmp.Or(a.Separator, "-"), Maxlen: a.Max, Randlen: 7}
	if a.Exact {
		options.Separator, options.Randlen = "", 0
	}
	if a.Lower {
		options.Transform = strings.ToLower
	}
	options.PostTransform = func(made *tfbridge.PulumiResource, name string) (string, error) {
		name = a.Prefix + strings.TrimPrefix(name, a.Prefix)
		if fifo := made.Properties[a.Fifo]; fifo.IsBool() && fifo.BoolValue() {
			name += ".fifo"
		}
		return name, nil
	}
	return options
}

// complete returns what the official plugin does before it checks a resource's inputs: the provider's region is an input
// where none is given, and all tags, the default ones included, are one too.
func complete(regional, tagged bool) tfbridge.PreCheckCallback {
	return func(_ context.Context, inputs, config resource.PropertyMap) (resource.PropertyMap, error) {
		result := inputs.Copy()
		if region := config["region"]; regional && !inputs.HasValue("region") && !region.IsNull() {
			result["region"] = region
		}
		if tagged {
			result["tagsAll"] = allTags(inputs["tags"], config["defaultTags"])
		}
		return result, nil
	}
}

// allTags adds the tags of the provider's `defaultTags`, which the engine hands on as an object or as JSON, to a
// resource's own.
func allTags(own, defaults resource.PropertyValue) resource.PropertyValue {
	if own.ContainsUnknowns() || defaults.ContainsUnknowns() {
		return resource.MakeComputed(resource.NewProperty(""))
	}
	all := resource.PropertyMap{}
	if defaults.IsString() {
		var parsed map[string]any
		if json.Unmarshal([]byte(defaults.StringValue()), &parsed) == nil {
			defaults = resource.NewPropertyValue(parsed)
		}
	}
	if defaults.IsObject() && defaults.ObjectValue()["tags"].IsObject() {
		maps.Copy(all, defaults.ObjectValue()["tags"].ObjectValue())
	}
	if own.IsObject() {
		maps.Copy(all, own.ObjectValue())
	}
	return resource.NewProperty(all)
}
