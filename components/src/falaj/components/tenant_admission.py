"""What the API server refuses in every tenant's namespace, and no role can say: once for the cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.classification import Classification
from falaj.components.ownership import Ownership, labels
from falaj.components.tenant import TENANT


class TenantAdmissionArgs(TypedDict):
    """What may be said of the admission of tenants' work."""

    ownership: Ownership
    """Who answers for the rules."""


class TenantAdmission(pulumi.ComponentResource):
    """The rules that a right to make pods, jobs and services would else go round, for all tenants at once.

    A pod names no node and no pool that is kept for another tenant; nobody starts a job that waits in a queue; no
    service claims an address outside the cluster. Tenants are found by the label of their namespace, so that a new one
    changes nothing here. What keeps work in its queue and tier is ``GpuQueues``' part.
    Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.3, A.8.6, A.8.18 and A.8.22.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    policies: pulumi.Output[list[str]]
    """Names of the policies."""

    def __init__(self, name: str, args: TenantAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tags = labels(f"{name}.ownership", args["ownership"], Classification.INTERNAL)

        super().__init__("falaj:index:TenantAdmission", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        made = [_enforce(name, policy, tags, child) for policy in POLICIES]

        self.policies = pulumi.Output.all(*made).apply(list[str])
        self.register_outputs({"policies": self.policies})


@dataclass(frozen=True)
class Refusal:
    """What must hold of a request, and what is said where it does not."""

    expression: str
    """In CEL. https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"""
    message: str


@dataclass(frozen=True)
class AdmissionPolicy:
    """Refusals about the same kinds of objects."""

    name: str
    resources: Mapping[str, Sequence[str]]
    """Kinds of objects, by API group."""
    refusals: Sequence[Refusal]
    variables: Mapping[str, str]
    """Expressions that the refusals name, by their names."""


_ADMITS = (
    "authorizer.group('kueue.x-k8s.io').resource('workloads').subresource('status')"
    ".namespace(request.namespace).check('update').allowed()"
)
"""Whether who asks admits work to queues, as Kueue does; no tenant's role may."""
_KEPT = f"key == '{TENANT}'"
PODS = AdmissionPolicy(
    "falaj-tenant-pods",
    {"": ["pods"]},
    (
        Refusal(
            "request.operation != 'CREATE' || !has(object.spec.nodeName) || object.spec.nodeName == ''",
            "spec.nodeName must be left out: the scheduler alone places a tenant's pods",
        ),
        Refusal(
            f"variables.tolerations.all(each, has(each.key) && each.key != '' && (each.{_KEPT}"
            " ? (has(each.value) && each.value == variables.tenant) : true))",
            f"spec.tolerations must each name a taint, and {TENANT} the own tenant alone: other pools are others'",
        ),
        Refusal(
            f"!has(object.spec.nodeSelector) || !('{TENANT}' in object.spec.nodeSelector)"
            f" || object.spec.nodeSelector['{TENANT}'] == variables.tenant",
            f"spec.nodeSelector must name the own tenant alone as {TENANT}",
        ),
        Refusal(
            "variables.terms.all(term, !has(term.matchExpressions) || term.matchExpressions.all(each, "
            f"each.{_KEPT} ? (each.operator == 'In' && each.values == [variables.tenant]) : true))",
            f"spec.affinity must name the own tenant alone as {TENANT}",
        ),
    ),
    {
        "tenant": f"namespaceObject.metadata.labels['{TENANT}']",
        "tolerations": "has(object.spec.tolerations) ? object.spec.tolerations : []",
        "affinity": "has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity)",
        "terms": "variables.affinity && has(object.spec.affinity.nodeAffinity"
        ".requiredDuringSchedulingIgnoredDuringExecution) ? object.spec.affinity.nodeAffinity"
        ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms : []",
    },
)
JOBS = AdmissionPolicy(
    "falaj-tenant-jobs",
    {"batch": ["jobs"]},
    (
        Refusal(
            "request.operation != 'UPDATE' || !(has(oldObject.spec.suspend) && oldObject.spec.suspend)"
            " || (has(object.spec.suspend) && object.spec.suspend) || variables.admits",
            "spec.suspend is lifted by the queue alone, when it admits the job",
        ),
    ),
    {"admits": _ADMITS},
)
SERVICES = AdmissionPolicy(
    "falaj-tenant-services",
    {"": ["services"]},
    (
        # Whoever names an address here gets its traffic: https://nvd.nist.gov/vuln/detail/CVE-2020-8554
        Refusal(
            "!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0",
            "spec.externalIPs must be left out: it would take the traffic of an address that is another's",
        ),
    ),
    {},
)
POLICIES = (PODS, JOBS, SERVICES)


def _enforce(
    name: str, policy: AdmissionPolicy, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Make one policy and bind it to every tenant's namespace; what cannot be decided is refused."""
    short = policy.name.removeprefix("falaj-tenant-")
    made = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        f"{name}-{short}",
        metadata={"name": policy.name, "labels": tags},
        spec={
            "failure_policy": "Fail",
            "match_constraints": {
                "namespace_selector": {"match_expressions": [{"key": TENANT, "operator": "Exists"}]},
                "resource_rules": [
                    {
                        "api_groups": [group],
                        "api_versions": ["*"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": list(resources),
                    }
                    for group, resources in policy.resources.items()
                ],
            },
            "variables": [{"name": each, "expression": text} for each, text in policy.variables.items()],
            "validations": [
                {"expression": each.expression, "message": each.message, "reason": "Forbidden"}
                for each in policy.refusals
            ],
        },
        opts=opts,
    )
    bound = k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
        f"{name}-{short}-binding",
        metadata={"name": policy.name, "labels": tags},
        spec={"policy_name": made.metadata.name, "validation_actions": ["Deny", "Audit"]},
        opts=opts,
    )
    return bound.metadata.name
