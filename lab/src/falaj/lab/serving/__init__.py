"""Serving in the lab, on with ``falaj-lab up --serving``: what a cluster has to serve models, on this machine.

Real: Argo Rollouts with its Gateway API plugin, Prometheus, Envoy, Triton.
In the place of a cluster's own: pods that are processes of this machine, and a gateway's controller that writes
Envoy's configuration.
"""
