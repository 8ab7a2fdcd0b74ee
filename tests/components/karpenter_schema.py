"""What Karpenter's types say of the fields that falaj sets: written down from the CRDs of Karpenter 1.15.

pkg/apis/crds of sigs.k8s.io/karpenter v1.15.0 and of github.com/aws/karpenter-provider-aws v1.15.1. A field that is not
here is not known to be one.
"""

import re
from collections.abc import Iterator
from typing import Any

TEXT = re.compile(r".+", re.DOTALL)
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SPAN = re.compile(r"([0-9]+(s|m|h))+|Never")
SIZE = re.compile(r"[1-9][0-9]{0,4}Gi")
NODE_POOL = {
    "template!": {
        "metadata": {"labels": {"*": LABEL}},
        "spec!": {
            "nodeClassRef!": {"group!": TEXT, "kind!": TEXT, "name!": TEXT},
            "requirements!": [{"key!": TEXT, "operator!": {"In"}, "values": [LABEL]}],
            "taints": [{"key!": TEXT, "value": LABEL, "effect!": {"NoSchedule", "PreferNoSchedule", "NoExecute"}}],
            "expireAfter": SPAN,
        },
    },
    "limits": {"*": int},
    "disruption": {
        "consolidateAfter": SPAN,
        "consolidationPolicy": {"WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"},
        "budgets": [
            {
                "nodes!": re.compile(r"((100|[0-9]{1,2})%|[0-9]+)"),
                "reasons": [{"Underutilized", "Empty", "Drifted", "Unhealthy"}],
                "schedule": re.compile(r"(.+)\s(.+)\s(.+)\s(.+)\s(.+)"),
                "duration": re.compile(r"((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)"),
            }
        ],
    },
}
NODE_CLASS = {
    "amiSelectorTerms!": [{"alias": re.compile(r"(al2023|bottlerocket)@.{1,17}")}],
    "instanceProfile!": TEXT,
    "subnetSelectorTerms!": [{"id": re.compile(r"subnet-[0-9a-z]+")}],
    "securityGroupSelectorTerms!": [{"id": re.compile(r"sg-[0-9a-z]+")}],
    "associatePublicIPAddress": bool,
    "blockDeviceMappings": [
        {
            "deviceName": TEXT,
            "rootVolume": bool,
            "ebs": {
                "volumeType": {"gp3", "io2"},
                "volumeSize!": SIZE,
                "encrypted": bool,
                "kmsKeyID": TEXT,
                "deleteOnTermination": bool,
            },
        }
    ],
    "metadataOptions": {
        "httpEndpoint": {"enabled", "disabled"},
        "httpProtocolIPv6": {"enabled", "disabled"},
        "httpPutResponseHopLimit": int,
        "httpTokens": {"required", "optional"},
    },
    "detailedMonitoring": bool,
    "instanceStorePolicy": {"RAID0"},
    "placementGroupSelector": {"name": TEXT},
    "capacityReservationSelectorTerms": [{"id": re.compile(r"cr-[0-9a-z]+")}],
    "tags": {"*": TEXT},
}


def wrong(value: Any, schema: Any, path: str = "spec") -> Iterator[str]:
    """Yield what the types would refuse."""
    if isinstance(schema, dict):
        yield from _wrong_object(value, schema, path)
    elif isinstance(schema, list):
        if not isinstance(value, list) or not value:
            yield f"{path} is no list with something in it"
            return
        for number, item in enumerate(value):
            yield from wrong(item, schema[0], f"{path}[{number}]")
    elif isinstance(schema, set):
        if value not in schema:
            yield f"{path} is {value!r}"
    elif isinstance(schema, re.Pattern):
        if not isinstance(value, str) or not schema.fullmatch(value):
            yield f"{path} is {value!r}"
    elif type(value) is not schema and not (schema is int and isinstance(value, float) and value.is_integer()):
        yield f"{path} is {value!r}"


def _wrong_object(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    for name in schema:
        if name.endswith("!") and name[:-1] not in value:
            yield f"{path}.{name[:-1]} is missing"
    for name, item in value.items():
        known = schema.get(name, schema.get(f"{name}!", schema.get("*")))
        if known is None:
            yield f"{path}.{name} is not known"
        else:
            yield from wrong(item, known, f"{path}.{name}")
