"""Cost and energy: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.objects import LIFECYCLE
from policies.cases.storage import EFS, each, varied
from policies.making import INSTANCE, NODES, TEMPLATE, simple

from falaj.policies.values import UNKNOWN

VOLUME = "aws:ebs/volume:Volume"
BATCH = "aws:batch/computeEnvironment:ComputeEnvironment"
EMR = "aws:emr/cluster:Cluster"
DOMAIN = "aws:sagemaker/domain:Domain"
NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
RDS = "aws:rds/instance:Instance"
_JUPYTER = "defaultUserSettings.jupyterLabAppSettings.appLifecycleManagement.idleSettings.lifecycleManagement"
_CODE = "defaultUserSettings.codeEditorAppSettings.appLifecycleManagement.idleSettings.lifecycleManagement"
_COSTS = {"cost-centre": "cc-1"}


def pool(least: Any, most: Any, **changes: Any) -> dict[str, Any]:
    sizes = {"minSize": least, "maxSize": most, "desiredSize": 1.0}
    return {"instanceTypes": ["g5.xlarge"], "capacityType": "ON_DEMAND", "scalingConfig": sizes, **changes}


CASES = [
    simple("FJ-CST-001", NODES, pool(0.0, 4.0), pool(4.0, 4.0), pool(UNKNOWN, 4.0)),
    simple(
        "FJ-CST-001",
        NODES,
        pool(1.0, 1.0, capacityType="CAPACITY_BLOCK"),
        pool(1.0, 4.0, capacityType="SPOT"),
        pool(1.0, 4.0, capacityType=UNKNOWN),
    ),
    simple(
        "FJ-CST-001",
        NODES,
        pool(4.0, 4.0, instanceTypes=["m6i.large"]),
        pool(4.0, 4.0, instanceTypes=None, amiType="AL2023_x86_64_NVIDIA"),
        pool(4.0, 4.0, instanceTypes=UNKNOWN),
    ),
    varied("FJ-CST-001", BATCH, {"computeResources.minVcpus": 0.0}, "computeResources.minVcpus", 8.0),
    *(
        simple(
            "FJ-CST-002",
            NODES,
            {name: {"example.ae/tier": "batch"}, "capacityType": "SPOT"},
            {name: {"example.ae/tier": "batch"}, "capacityType": "ON_DEMAND"},
            {name: {"example.ae/tier": UNKNOWN}, "capacityType": "ON_DEMAND"},
        )
        for name in ("labels", "tags")
    ),
    simple(
        "FJ-CST-003",
        EMR,
        {"autoTerminationPolicy": {"idleTimeout": 3600.0}},
        {"keepJobFlowAliveWhenNoSteps": True},
        {"autoTerminationPolicy": UNKNOWN},
    ),
    varied("FJ-CST-003", DOMAIN, {_JUPYTER: "ENABLED", _CODE: "ENABLED"}, _CODE, None),
    *each(
        "FJ-CST-003",
        {
            "aws:emrserverless/application:Application": (
                {"autoStopConfiguration.enabled": True},
                "autoStopConfiguration.enabled",
                False,
            ),
            "aws:rds/cluster:Cluster": (
                {"scalingConfiguration.autoPause": True},
                "scalingConfiguration.autoPause",
                False,
            ),
        },
    ),
    *(
        simple(
            "FJ-CST-004",
            type_,
            {"rules": [{"status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7.0}}]},
            {"rules": [{"status": "Enabled", "expiration": {"days": 7.0}}]},
            {"rules": [{"status": UNKNOWN, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7.0}}]},
        )
        for type_ in (LIFECYCLE, "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2")
    ),
    simple(
        "FJ-CST-005",
        EFS,
        {"lifecyclePolicies": [{"transitionToIa": "AFTER_30_DAYS"}]},
        {"lifecyclePolicies": [{"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]},
        {"lifecyclePolicies": UNKNOWN},
    ),
    simple(
        "FJ-CST-006",
        NODES,
        {"instanceTypes": ["g5.xlarge"], "tags": _COSTS},
        {"instanceTypes": ["g5.xlarge"], "tags": {"owner": "team"}},
        {"instanceTypes": ["g5.xlarge"], "tags": UNKNOWN},
    ),
    *(
        simple(
            "FJ-CST-006",
            type_,
            {"instanceType": f"{prefix}p5.48xlarge", "tags": _COSTS},
            {"instanceType": f"{prefix}p5.48xlarge"},
            {"instanceType": UNKNOWN},
        )
        for type_, prefix in ((INSTANCE, ""), (TEMPLATE, ""), (NOTEBOOK, "ml."))
    ),
    varied("FJ-CST-007", VOLUME, {"size": 10.0, "type": "gp3"}, "type", None),
    simple(
        "FJ-CST-007",
        INSTANCE,
        {"rootBlockDevice": {"volumeSize": 10.0}},
        {"ebsBlockDevices": [{"volumeType": "gp2"}]},
        {"rootBlockDevice": UNKNOWN},
    ),
    simple(
        "FJ-CST-007",
        TEMPLATE,
        {"blockDeviceMappings": [{"ebs": {"volumeType": "gp3"}}]},
        {"blockDeviceMappings": [{"ebs": {"volumeType": "gp3"}}, {"ebs": {"volumeType": "io1"}}]},
        {"blockDeviceMappings": [{"ebs": {"volumeType": UNKNOWN}}]},
    ),
    varied("FJ-CST-007", RDS, {"allocatedStorage": 100.0, "storageType": "gp3"}, "storageType", None),
    *each(
        "FJ-CST-008",
        {
            INSTANCE: ({"instanceType": "m7i.large"}, "instanceType", "m4.large"),
            TEMPLATE: ({"instanceType": "g6.xlarge"}, "instanceType", "p2.xlarge"),
            NOTEBOOK: ({"instanceType": "ml.t3.medium"}, "instanceType", "ml.t2.medium"),
            RDS: ({"instanceClass": "db.r7g.large"}, "instanceClass", "db.r4.large"),
            "aws:rds/clusterInstance:ClusterInstance": (
                {"instanceClass": "db.serverless"},
                "instanceClass",
                "db.r3.large",
            ),
            "aws:elasticache/replicationGroup:ReplicationGroup": (
                {"nodeType": "cache.r7g.large"},
                "nodeType",
                "cache.m3.medium",
            ),
        },
    ),
    simple(
        "FJ-CST-008",
        NODES,
        {"instanceTypes": ["m7i.large"]},
        {"instanceTypes": ["m7i.large", "m4.large"]},
        {"instanceTypes": [UNKNOWN]},
    ),
    varied(
        "FJ-CST-009",
        "aws:athena/workgroup:Workgroup",
        {"configuration.bytesScannedCutoffPerQuery": 1e12},
        "configuration.bytesScannedCutoffPerQuery",
        None,
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (LIFECYCLE, ["rules", 0, "abortIncompleteMultipartUpload"], None, {"FJ-CST-004"}),
    (EFS, ["lifecyclePolicies"], [], {"FJ-CST-005"}),
    ("LaunchTemplate", ["blockDeviceMappings", 0, "ebs", "volumeType"], "gp2", {"FJ-CST-007"}),
    (NODES, ["instanceTypes"], ["m4.large"], {"FJ-CST-008"}),
    (NODES, ["labels", "tier"], "batch", {"FJ-CST-002"}),
]
