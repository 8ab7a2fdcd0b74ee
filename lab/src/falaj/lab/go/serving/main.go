// A traffic router of Argo Rollouts for the Gateway API: it sets the weights of a Rollout's routes.
//
// It takes the place of argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi, which is not published as a Go module that
// could be pinned and built. It answers to that one's name and reads that one's configuration, as far as it goes: routes of
// HTTP and gRPC by name. What it does not know it refuses, so that no Rollout passes here that means something else there.
package main

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	"github.com/hashicorp/go-plugin"
)

// How often this looks whether the controller that started this process is still there.
const watch = 200 * time.Millisecond

func main() {
	router := &Router{}
	flag.Float64Var(&router.qps, "kubeClientQPS", 5, "requests a second that the API server is asked at most")
	flag.IntVar(&router.burst, "kubeClientBurst", 10, "requests at once")
	flag.Parse()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	router.ctx = ctx
	go endWithParent(os.Getppid())
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "trafficrouter",
		},
		Plugins: map[string]plugin.Plugin{"RpcTrafficRouterPlugin": &rpc.RpcTrafficRouterPlugin{Impl: router}},
	})
}

// endWithParent ends this process when its controller was killed and so could not end it.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(watch)
	}
	os.Exit(0)
}
