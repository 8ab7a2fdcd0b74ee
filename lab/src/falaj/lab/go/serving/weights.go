package main

import (
	"fmt"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The label that the upstream plugin puts on a route whose weights are changing, for tools that put drift right.
const label, inProgress = "rollouts.argoproj.io/gatewayapi-canary", "in-progress"

// setWeights sets the weights of each rule that names both services, and says whether that changed anything.
func setWeights(object map[string]any, rollout *v1alpha1.Rollout, weight int32) (bool, error) {
	canary := rollout.Spec.Strategy.Canary
	wanted := map[string]int64{canary.CanaryService: int64(weight), canary.StableService: int64(rest(rollout, weight))}
	rules, _, err := unstructured.NestedSlice(object, "spec", "rules")
	if err != nil {
		return false, err
	}
	changed, found := false, false
	for _, rule := range rules {
		backends := backendsOf(rule, wanted)
		if len(backends) < len(wanted) {
			continue
		}
		found = true
		for name, backend := range backends {
			if old, given := backend["weight"].(int64); !given || old != wanted[name] {
				backend["weight"], changed = wanted[name], true
			}
		}
	}
	if !found {
		return false, fmt.Errorf("no rule has both %s and %s as backends", canary.StableService, canary.CanaryService)
	}
	return changed, unstructured.SetNestedSlice(object, rules, "spec", "rules")
}

// backendsOf returns those backends of a rule that are the wanted services, by name.
func backendsOf(rule any, wanted map[string]int64) map[string]map[string]any {
	backends := map[string]map[string]any{}
	fields, _ := rule.(map[string]any)
	all, _ := fields["backendRefs"].([]any)
	for _, each := range all {
		backend, _ := each.(map[string]any)
		name, _ := backend["name"].(string)
		if _, ours := wanted[name]; ours && (backend["kind"] == nil || backend["kind"] == "Service") {
			backends[name] = backend
		}
	}
	return backends
}

// mark puts the label on a route while the canary has a share, takes it off afterwards, and says whether that changed it.
func mark(route *unstructured.Unstructured, weight int32) bool {
	labels := route.GetLabels()
	if (labels[label] == inProgress) == (weight > 0) {
		return false
	}
	if weight > 0 {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[label] = inProgress
	} else {
		delete(labels, label)
	}
	route.SetLabels(labels)
	return true
}
