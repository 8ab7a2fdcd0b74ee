"""A third team comes and goes: the preview shows its own resources alone, and nothing of the others is touched."""

import pytest
from kubernetes_api import BASES, done

pytestmark = pytest.mark.lab
TWO, THREE = "vision speech", "vision speech robotics"
OURS = (
    "networkpolicies",
    "resourcequotas",
    "limitranges",
    "serviceaccounts",
    "roles",
    "rolebindings",
    "localqueues",
)
KEPT = ("clusterqueues", "resourceflavors", "workloadpriorityclasses", "validatingadmissionpolicies")


@pytest.fixture
def touched(admin, vision, speech):
    """Return what tells whether anything of the two teams, or of what all share, was made anew or changed."""

    def versions():
        found = {}
        for kind in (*OURS, *KEPT):
            assert kind in BASES
            for team in ("vision", "speech") if kind in OURS else (None,):
                for each in done(admin.get(kind, team))["items"]:
                    metadata = each["metadata"]
                    # Work is counted in the status of what Kueue has, and of quotas, also after it has gone: what was
                    # asked for has the generation, and of quotas, which have none, it is all but the status.
                    version = metadata.get("generation") or metadata["resourceVersion"]
                    if kind == "resourcequotas":
                        asked = {key: metadata.get(key) for key in ("labels", "annotations", "ownerReferences")}
                        version = (each["spec"], asked)
                    found[kind, team, metadata["name"]] = (metadata["uid"], version)
        return found

    return versions


def test_a_tenant_comes_and_goes_and_touches_nothing_of_another(example, admin, touched):
    before = touched()
    assert len(before) > 40
    coming = example.changes(teams=THREE)
    assert {operation for operation, _ in coming.values()} == {"create"}
    assert len(coming) > 15
    assert all(name.startswith("robotics") or name == "queues-queue-robotics" for name in coming)

    example.up(teams=THREE)
    assert done(admin.get("namespaces", name="robotics"))["metadata"]["labels"]["falaj.dev/tenant"] == "robotics"
    after = touched()
    assert {key: after[key] for key in before} == before
    assert {name for _, _, name in after.keys() - before.keys()} == {"robotics"}
    assert example.changes(teams=THREE) == {}

    going = example.changes(teams=TWO)
    assert {operation for operation, _ in going.values()} == {"delete"}
    assert going.keys() == coming.keys()
    example.up(teams=TWO)
    assert touched() == before
    assert admin.get("namespaces", name="robotics").code == 404
