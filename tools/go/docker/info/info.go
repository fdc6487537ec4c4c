// Package info describes the Docker provider for Terraform to Pulumi's bridge, so that the plugin built here answers to
// the same types and properties as the Python package pulumi_docker of the same version, but for its Image, which Pulumi
// wrote itself (RemoteImage builds too).
//
// The upstream module still goes by its first name, and keeps its provider in a folder that Go calls internal: so this
// module's name is below it.
package info

import (
	"context"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	docker "github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const (
	// Package is the name of the Pulumi package.
	Package = "docker"
	// Version is that of pulumi_docker in requirements.txt; it wraps the provider pinned in go.mod.
	Version = "5.0.0"
)

// Provider returns the description. metadata is the content of bridge-metadata.json: what the schema's generator
// found and the plugin needs again at run time; "{}" for the generator itself.
func Provider(metadata []byte) tfbridge.ProviderInfo {
	shim := pf.MuxShimWithPF(
		context.Background(), sdkv2.NewProvider(docker.New(Version)()), docker.NewFrameworkProvider(Version)(),
	)
	provider := tfbridge.ProviderInfo{
		P:                shim,
		Name:             Package,
		GitHubOrg:        "kreuzwerker",
		Version:          Version,
		MetadataInfo:     tfbridge.NewProviderMetadata(metadata),
		UpstreamRepoPath: "",
		Resources: map[string]*tfbridge.ResourceInfo{ // names that pulumi_docker chose otherwise
			"docker_image":  {Tok: "docker:index/remoteImage:RemoteImage"},
			"docker_config": {Tok: "docker:index/serviceConfig:ServiceConfig"},
			"docker_container": {Fields: map[string]*tfbridge.SchemaInfo{
				"command":           {Name: "command"},
				"networks_advanced": {Name: "networksAdvanced"},
			}},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image": {Tok: "docker:index/getRemoteImage:getRemoteImage"},
		},
	}
	provider.MustComputeTokens(tokens.SingleModule("docker_", "index", tokens.MakeStandard(Package)))
	provider.SetAutonaming(255, "-")
	provider.MustApplyAutoAliases()
	return provider
}
