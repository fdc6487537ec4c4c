// plugin is pulumi-resource-docker. The build writes the two embedded files with tfgen first.
package main

import (
	"context"
	_ "embed"
	"os"
	"time"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"github.com/terraform-providers/terraform-provider-docker/sekha/info"
)

var (
	//go:embed schema.json
	schema []byte
	//go:embed bridge-metadata.json
	metadata []byte
)

func main() {
	go endWithEngine(os.Getppid())
	pf.MainWithMuxer(context.Background(), info.Package, info.Provider(metadata), schema)
}

// endWithEngine ends this process soon after the engine that started it: one that is killed hard can't say so, and the
// bridge alone would notice only minutes later.
func endWithEngine(engine int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != engine {
			os.Exit(1)
		}
	}
}
