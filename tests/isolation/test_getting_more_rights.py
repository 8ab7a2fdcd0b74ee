"""A team's people and pods try to become somebody else, or to be allowed more: each is refused."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes_api import done, let_through, refused, signing_request, url_path
from manifests import binding, pod, role, unique

pytestmark = pytest.mark.lab
CLUSTER = "at the cluster scope"
HERE = 'in the namespace "vision"'
ADMISSION = "admissionregistration.k8s.io/v1"


def test_take_a_token_of_the_others_service_account(admin, vision):
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for who in vision.everyone:
        answer = who.create("serviceaccounts/token", asked, "speech", "trainer")
        refused(answer, "serviceaccounts/token", 'in the namespace "speech"')
    done(admin.create("serviceaccounts/token", asked, "speech", "trainer"))
    done(vision.viewer.get("serviceaccounts", "vision", "trainer"))


def test_take_a_token_of_an_own_service_account_that_may_more(admin, vision):
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for who in vision.everyone:
        refused(who.create("serviceaccounts/token", asked, "vision", "server"), "serviceaccounts/token", HERE)
    done(admin.create("serviceaccounts/token", asked, "vision", "server"))


def test_run_a_pod_as_the_others_service_account(admin, vision, speech):
    """A pod names an account of its own namespace; one that only speech has does not exist here."""
    answer = vision.developer.try_create("pods", pod(serviceAccountName="narrator"), "vision")
    refused(answer, "error looking up service account vision/narrator")
    done(speech.developer.try_create("pods", pod(serviceAccountName="narrator"), "speech"))
    done(vision.developer.try_create("pods", pod(serviceAccountName="server"), "vision"))


def test_swap_the_service_account_of_a_pod_that_runs(vision, own):
    change = {"spec": {"serviceAccountName": "server"}}
    refused(vision.developer.patch("pods", change, "vision", own), "pod updates may not change fields", code=422)
    done(vision.developer.patch("pods", {"metadata": {"labels": {"app": "own"}}}, "vision", own, dryRun="All"))


def test_make_a_service_account(admin, vision):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": unique("mine")}}
    for who in vision.everyone:
        refused(who.try_create("serviceaccounts", account, "vision"), "cannot create", HERE)
    done(admin.try_create("serviceaccounts", account, "vision"))


@pytest.mark.parametrize(
    ("user", "group"),
    [
        ("system:serviceaccount:speech:trainer", None),
        ("speech-operator", "speech-operators"),
        ("anybody", "falaj:admins"),
        ("anybody", "system:masters"),
    ],
    ids=["the_others_service_account", "the_others_operator", "an_administrator", "the_cluster_s_masters"],
)
def test_impersonate(admin, vision, user, group):
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = url_path("selfsubjectreviews")
    for who in vision.everyone:
        refused(who.ask("POST", path, review, as_user=user, as_group=group), "cannot impersonate")
        done(who.ask("POST", path, review))
    assert done(admin.ask("POST", path, review, as_user=user))["status"]["userInfo"]["username"] == user


def test_create_a_role_with_more_rights(admin, vision):
    for who in vision.everyone:
        refused(who.try_create("roles", role(), "vision"), 'cannot create resource "roles"', HERE)
        refused(who.try_create("clusterroles", role(kind="ClusterRole")), 'resource "clusterroles"', CLUSTER)
    done(admin.try_create("roles", role(), "vision"))
    done(admin.try_create("clusterroles", role(kind="ClusterRole")))


def test_bind_oneself_to_cluster_admin(admin, vision):
    for who in vision.everyone:
        bound = binding("ClusterRoleBinding", "ClusterRole", "cluster-admin", who.name)
        refused(who.try_create("clusterrolebindings", bound), "cannot create", CLUSTER)
        within = binding("RoleBinding", "ClusterRole", "cluster-admin", who.name)
        refused(who.try_create("rolebindings", within, "vision"), "cannot create", HERE)
    done(admin.try_create("rolebindings", within, "vision"))
    done(admin.try_create("clusterrolebindings", bound))


def test_bind_oneself_to_the_role_of_another_team_s_people(vision):
    for who in vision.everyone:
        bound = binding("RoleBinding", "Role", "tenant-operator", who.name)
        refused(who.try_create("rolebindings", bound, "speech"), "cannot create", 'in the namespace "speech"')


def test_widen_the_own_role(admin, vision):
    everything = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    for who in vision.everyone:
        refused(who.patch("roles", everything, "vision", "tenant-developer"), "cannot patch", HERE)
    done(admin.patch("roles", everything, "vision", "tenant-developer", dryRun="All"))


def test_join_the_own_operators(admin, vision):
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": vision.developer.name}
    for who in vision.everyone:
        refused(who.patch("rolebindings", {"subjects": [subject]}, "vision", "tenant-operator"), "cannot patch", HERE)
    done(admin.patch("rolebindings", {"subjects": [subject]}, "vision", "tenant-operator", dryRun="All"))


def test_get_a_certificate_of_an_administrator(admin, vision):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "me"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "falaj:admins")]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    asked = signing_request(unique("me"), request.public_bytes(serialization.Encoding.PEM))
    for who in vision.everyone:
        refused(who.try_create("certificatesigningrequests", asked), "cannot create", CLUSTER)
    done(admin.create("certificatesigningrequests", asked))
    approval = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Me", "message": ""}]}}
    for who in vision.everyone:
        answer = who.patch("certificatesigningrequests/approval", approval, None, asked["metadata"]["name"])
        refused(answer, "certificatesigningrequests/approval", CLUSTER)
    found = done(admin.get("certificatesigningrequests", name=asked["metadata"]["name"]))
    assert not found["status"]


def test_create_a_namespace(admin, vision):
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique("mine")}}
    for who in vision.everyone:
        refused(who.try_create("namespaces", space), "cannot create", CLUSTER)
    done(admin.try_create("namespaces", space))


@pytest.mark.parametrize(
    "labels",
    [
        {"tier.falaj.dev/production": "allowed"},
        {"pod-security.kubernetes.io/enforce": "privileged"},
        {"falaj.dev/tenant": "speech"},
        {"falaj.dev/tenant": None},
    ],
    ids=["to_gain_a_tier", "to_lower_pod_security", "to_be_the_other", "to_leave_the_queue"],
)
def test_label_the_own_namespace(admin, vision, labels):
    change = {"metadata": {"labels": labels}}
    for who in vision.everyone:
        refused(who.patch("namespaces", change, None, "vision"), "cannot patch", 'resource "namespaces"')
    done(admin.patch("namespaces", change, None, "vision", dryRun="All"))


def test_delete_the_others_namespace(admin, vision):
    for who in vision.everyone:
        refused(who.delete("namespaces", None, "speech"), "cannot delete", 'resource "namespaces"')
    done(admin.delete("namespaces", None, "speech", dryRun="All"))


@pytest.mark.parametrize(
    ("resource", "manifest"),
    [
        (
            "mutatingwebhookconfigurations",
            {"apiVersion": ADMISSION, "kind": "MutatingWebhookConfiguration", "webhooks": []},
        ),
        (
            "validatingadmissionpolicybindings",
            {
                "apiVersion": ADMISSION,
                "kind": "ValidatingAdmissionPolicyBinding",
                "spec": {"policyName": "any", "validationActions": ["Deny"]},
            },
        ),
        (
            "apiservices",
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1.mine.example"},
                "spec": {
                    "group": "mine.example",
                    "version": "v1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "service": {"name": "mine", "namespace": "vision"},
                    "insecureSkipTLSVerify": True,
                },
            },
        ),
    ],
    ids=["a_webhook_that_sees_all_objects", "an_admission_policy", "an_api_of_its_own"],
)
def test_put_into_the_api_server(admin, vision, resource, manifest):
    manifest = {"metadata": {"name": unique("mine")}, **manifest}
    for who in vision.everyone:
        refused(who.try_create(resource, manifest), f'cannot create resource "{resource}"', CLUSTER)
    done(admin.try_create(resource, manifest))


def test_take_away_what_admission_refuses(vision, admin):
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        for who in vision.everyone:
            refused(who.delete(kind, None, "falaj-tenant-pods"), "cannot delete", CLUSTER)
        done(admin.delete(kind, None, "falaj-tenant-pods", dryRun="All"))


def test_read_nodes_and_go_through_them_to_kubelets(admin, vision):
    for who in vision.everyone:
        refused(who.get("nodes"), "cannot list", CLUSTER)
        refused(who.get("nodes/proxy", name="kept-0"), "nodes/proxy", CLUSTER)
    done(admin.get("nodes"))
    let_through(admin.get("nodes/proxy", name="kept-0"))


def test_take_the_taint_from_the_others_node(admin, vision):
    change = {"spec": {"taints": None}}
    for who in vision.everyone:
        refused(who.patch("nodes", change, None, "kept-0"), "cannot patch", CLUSTER)
    done(admin.patch("nodes", change, None, "kept-0", dryRun="All"))


def test_make_a_volume_of_a_node_s_disk(admin, vision):
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": unique("root")},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/"}},
    }
    for who in vision.everyone:
        refused(who.try_create("persistentvolumes", volume), "cannot create", CLUSTER)
    done(admin.try_create("persistentvolumes", volume))


def test_make_a_priority_class(admin, vision):
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 900_000_000}
    made |= {"metadata": {"name": unique("first")}}
    for who in vision.everyone:
        refused(who.try_create("priorityclasses", made), "cannot create", CLUSTER)
    done(admin.try_create("priorityclasses", made))
