// plugin is pulumi-resource-hcloud. The build writes the two embedded files with tfgen first.
package main

import (
	"context"
	_ "embed"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"sekha/tools/hcloud/info"
)

var (
	//go:embed schema.json
	schema []byte
	//go:embed bridge-metadata.json
	metadata []byte
)

func main() {
	pf.MainWithMuxer(context.Background(), info.Package, info.Provider(metadata), schema)
}
