package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/argoproj/argo-rollouts/utils/weightutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	// Name is the upstream plugin's, under which a Rollout configures it.
	Name = "argoproj-labs/gatewayAPI"
	// How long one change of one route may take.
	patience = 20 * time.Second
)

// Configuration is what a Rollout says to the plugin, in the upstream plugin's words.
type Configuration struct {
	Namespace  string  `json:"namespace"`
	HTTPRoute  string  `json:"httpRoute"`
	HTTPRoutes []Named `json:"httpRoutes"`
	GRPCRoute  string  `json:"grpcRoute"`
	GRPCRoutes []Named `json:"grpcRoutes"`
	// Whether a route is left without the label that says that its weights are changing.
	DisableInProgressLabel bool `json:"disableInProgressLabel"`
}

// Named is a route.
type Named struct {
	Name string `json:"name"`
}

// Router answers to the controller; an error goes to the Rollout's events, and the controller asks again.
type Router struct {
	ctx    context.Context
	qps    float64
	burst  int
	client dynamic.Interface
}

// InitPlugin connects to the API server of $KUBECONFIG or, in a pod, of its cluster.
func (r *Router) InitPlugin() types.RpcError {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return failed(err)
	}
	config.QPS, config.Burst = float32(r.qps), r.burst
	r.client, err = dynamic.NewForConfig(config)
	return failed(err)
}

// SetWeight gives the canary its weight and the stable service the rest, in all routes that the Rollout names.
func (r *Router) SetWeight(rollout *v1alpha1.Rollout, weight int32, others []v1alpha1.WeightDestination) types.RpcError {
	if len(others) > 0 {
		return failed(fmt.Errorf("%s in the lab does not know the weights of experiments", Name))
	}
	configuration, err := configurationOf(rollout)
	if err != nil {
		return failed(err)
	}
	for _, route := range configuration.routes() {
		if err := r.update(rollout, configuration, route.resource, route.name, weight); err != nil {
			return failed(err)
		}
	}
	return types.RpcError{}
}

func (r *Router) update(
	rollout *v1alpha1.Rollout, configuration *Configuration, resource schema.GroupVersionResource, name string, weight int32,
) error {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	routes := r.client.Resource(resource).Namespace(configuration.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		route, err := routes.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		changed, err := setWeights(route.Object, rollout, weight)
		if err != nil {
			return err
		}
		marked := !configuration.DisableInProgressLabel && mark(route, weight)
		if !changed && !marked {
			return nil
		}
		_, err = routes.Update(ctx, route, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", resource.Resource, configuration.Namespace, name, err)
	}
	return nil
}

// SetHeaderRoute refuses what this plugin does not know; without a match a step takes a route away, and there is none.
func (r *Router) SetHeaderRoute(_ *v1alpha1.Rollout, step *v1alpha1.SetHeaderRoute) types.RpcError {
	if len(step.Match) > 0 {
		return failed(fmt.Errorf("%s in the lab does not know setHeaderRoute", Name))
	}
	return types.RpcError{}
}

// SetMirrorRoute refuses what this plugin does not know; without a match a step takes a route away, and there is none.
func (r *Router) SetMirrorRoute(_ *v1alpha1.Rollout, step *v1alpha1.SetMirrorRoute) types.RpcError {
	if len(step.Match) > 0 {
		return failed(fmt.Errorf("%s in the lab does not know setMirrorRoute", Name))
	}
	return types.RpcError{}
}

// VerifyWeight says, as the upstream plugin does, that a gateway does not tell which weights it has taken over.
func (r *Router) VerifyWeight(*v1alpha1.Rollout, int32, []v1alpha1.WeightDestination) (types.RpcVerified, types.RpcError) {
	return types.NotImplemented, types.RpcError{}
}

// UpdateHash has nothing to do: routes name services, and the controller itself leads those to pods.
func (r *Router) UpdateHash(*v1alpha1.Rollout, string, string, []v1alpha1.WeightDestination) types.RpcError {
	return types.RpcError{}
}

// RemoveManagedRoutes has nothing to do: this plugin makes no routes.
func (r *Router) RemoveManagedRoutes(*v1alpha1.Rollout) types.RpcError {
	return types.RpcError{}
}

// Type is the name that the controller logs.
func (r *Router) Type() string {
	return Name
}

type route struct {
	resource schema.GroupVersionResource
	name     string
}

func (c *Configuration) routes() []route {
	var all []route
	add := func(resource, one string, several []Named) {
		if one != "" {
			several = append([]Named{{one}}, several...)
		}
		for _, each := range several {
			all = append(all, route{gateway.SchemeGroupVersion.WithResource(resource), each.Name})
		}
	}
	add("httproutes", c.HTTPRoute, c.HTTPRoutes)
	add("grpcroutes", c.GRPCRoute, c.GRPCRoutes)
	return all
}

func configurationOf(rollout *v1alpha1.Rollout) (*Configuration, error) {
	canary := rollout.Spec.Strategy.Canary
	if canary == nil || canary.TrafficRouting == nil || canary.StableService == "" || canary.CanaryService == "" {
		return nil, fmt.Errorf("a Rollout of %s needs spec.strategy.canary with stableService and canaryService", Name)
	}
	configuration := &Configuration{}
	decoder := json.NewDecoder(bytes.NewReader(canary.TrafficRouting.Plugins[Name]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(configuration); err != nil {
		return nil, fmt.Errorf("the configuration of %s cannot be followed in the lab: %w", Name, err)
	}
	if configuration.Namespace == "" {
		configuration.Namespace = rollout.Namespace
	}
	if len(configuration.routes()) == 0 {
		return nil, fmt.Errorf("the configuration of %s names no route: give httpRoutes or grpcRoutes", Name)
	}
	return configuration, nil
}

func rest(rollout *v1alpha1.Rollout, weight int32) int32 {
	return weightutil.MaxTrafficWeight(rollout) - weight
}

func failed(err error) types.RpcError {
	if err == nil {
		return types.RpcError{}
	}
	return types.RpcError{ErrorString: err.Error()}
}
