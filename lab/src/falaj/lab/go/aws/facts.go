package main

import (
	"encoding/json"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
)

// Facts are what the schema of a type says of its inputs beyond names and shapes, by Pulumi's paths: `a.b` is a property
// of the object a, `a[].b` one of each object in the list a. Types on Terraform's plugin framework say little of it: they
// decide in code.
type Facts struct {
	// Inputs whose change makes a new thing.
	Replaces []string `json:"replaces,omitempty"`
	// Values of inputs that are not given.
	Defaults map[string]any `json:"defaults,omitempty"`
	// Inputs that AWS chooses when they are not given.
	Computed []string `json:"computed,omitempty"`
	// Lists without an order.
	Sets []string `json:"sets,omitempty"`
	// The input that gets a name made from the resource's.
	Named string `json:"named,omitempty"`
	// Inputs that a fixed name makes unique: a new thing can only follow the old one.
	DeleteFirst bool `json:"deleteFirst,omitempty"`
}

// printFacts prints the facts of every type by its token.
func printFacts(provider *tfbridge.ProviderInfo) error {
	all := map[string]Facts{}
	for name, info := range provider.Resources {
		schema, ok := provider.P.ResourcesMap().GetOk(name)
		if !ok {
			continue
		}
		facts := Facts{Defaults: map[string]any{}, DeleteFirst: info.DeleteBeforeReplace}
		facts.gather(schema.Schema(), info.Fields, "", false)
		for field, property := range info.Fields {
			if property.Default != nil && property.Default.AutoNamed {
				facts.Named = tfbridge.TerraformToPulumiNameV2(field, schema.Schema(), info.Fields)
			}
		}
		all[string(info.Tok)] = facts
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// gather adds the facts of properties; a part of what makes a new thing anyway is not named again.
func (f *Facts) gather(schema shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo, path string, replaces bool) {
	schema.Range(func(name string, property shim.Schema) bool {
		info := infos[name]
		if !property.Optional() && !property.Required() || name == "tags_all" || property.Removed() != "" {
			return true
		}
		where := path + tfbridge.TerraformToPulumiNameV2(name, schema, infos)
		anew := property.ForceNew()
		if anew && !replaces {
			f.Replaces = append(f.Replaces, where)
		}
		if property.Computed() {
			f.Computed = append(f.Computed, where)
		}
		if value, err := property.DefaultValue(); err == nil && value != nil {
			f.Defaults[where] = value
		}
		single := tfbridge.IsMaxItemsOne(property, info)
		if property.Type() == shim.TypeSet && !single {
			f.Sets = append(f.Sets, where)
		}
		if nested, ok := property.Elem().(shim.Resource); ok {
			inner := where + "[]."
			if single || property.Type() == shim.TypeMap {
				inner = where + "."
			}
			var fields map[string]*tfbridge.SchemaInfo
			if info != nil {
				if fields = info.Fields; info.Elem != nil {
					fields = info.Elem.Fields
				}
			}
			f.gather(nested.Schema(), fields, inner, anew || replaces)
		}
		return true
	})
}
