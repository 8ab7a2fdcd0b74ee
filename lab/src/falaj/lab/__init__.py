"""The embedded lab: a whole platform on one machine, without Docker or a cloud account.

Real: the Pulumi engine, etcd, the Kubernetes control plane, OpenBao.
Emulated: AWS (moto) and the nodes' kubelets (KWOK).
"""
