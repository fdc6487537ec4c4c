// tfgen writes what the plugin embeds: schema.json and bridge-metadata.json. Usage: tfgen schema --skip-docs --out DIR
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"

	"github.com/terraform-providers/terraform-provider-docker/sekha/info"
)

func main() {
	tfgen.MainWithMuxer(info.Package, info.Provider([]byte("{}")))
}
