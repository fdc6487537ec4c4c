// Package info describes Hetzner's Terraform provider to Pulumi's bridge, so that the plugin built here answers to the
// same types, functions and properties as the Python package pulumi_hcloud of the same version.
package info

import (
	"context"

	"github.com/hetznercloud/terraform-provider-hcloud/hcloud"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
)

const (
	// Package is the name of the Pulumi package.
	Package = "hcloud"
	// Version is that of pulumi_hcloud in requirements.txt; it wraps the provider pinned in go.mod.
	Version = "1.32.1"
)

// Provider returns the description. metadata is the content of bridge-metadata.json: what the schema's generator
// found and the plugin needs again at run time; "{}" for the generator itself.
func Provider(metadata []byte) tfbridge.ProviderInfo {
	// Hetzner is moving its resources from one plugin framework to the other: each half holds some of them.
	shim := pf.MuxShimWithPF(context.Background(), sdkv2.NewProvider(hcloud.Provider()), hcloud.NewPluginProvider())
	provider := tfbridge.ProviderInfo{
		P:                shim,
		Name:             Package,
		GitHubOrg:        "hetznercloud",
		Version:          Version,
		MetadataInfo:     tfbridge.NewProviderMetadata(metadata),
		UpstreamRepoPath: "",
		Resources:        resources(shim),
	}
	provider.MustComputeTokens(tokens.SingleModule("hcloud_", "index", tokens.MakeStandard(Package)))
	provider.SetAutonaming(255, "-")
	provider.MustApplyAutoAliases()
	return provider
}

// resources retypes identifiers: Pulumi's are strings always, some of Hetzner's are numbers.
func resources(provider shim.Provider) map[string]*tfbridge.ResourceInfo {
	result := map[string]*tfbridge.ResourceInfo{}
	provider.ResourcesMap().Range(func(name string, resource shim.Resource) bool {
		if id, found := resource.Schema().GetOk("id"); found && id.Type() != shim.TypeString {
			result[name] = &tfbridge.ResourceInfo{Fields: map[string]*tfbridge.SchemaInfo{"id": {Type: "string"}}}
		}
		return true
	})
	return result
}
