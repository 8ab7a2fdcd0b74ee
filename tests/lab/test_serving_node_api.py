"""The API server as the lab's node sees it: by its own certificate, and with a watch that goes on over every gap."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import NameOID

from falaj.lab.certificates import kubeconfig_path
from falaj.lab.services import prepare
from falaj.lab.serving import node_api
from falaj.lab.serving.node_api import NodeApi, RefusedError, ensure_identity, identity
from falaj.lab.state import Lab

DEADLINE = 30.0


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    made.create()  # its ports are left alone by labs that are started meanwhile
    prepare(made)
    ensure_identity(made)
    return made


class Pods:
    """An API server that tells of pods in a script: each watch it is asked for is answered by the next part."""

    def __init__(self, *watches: list[dict[str, Any]]):
        self.watches = list(watches)
        self.asked: list[str] = []
        self.lists = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport
        assert request.query["fieldSelector"] == "spec.nodeName=processes"
        subject = request.transport.get_extra_info("peercert")["subject"]
        assert (("commonName", "system:node:processes"),) in subject
        if "watch" not in request.query:
            self.lists += 1
            items = [{"metadata": {"name": f"listed-{self.lists}"}}]
            return web.json_response({"items": items, "metadata": {"resourceVersion": f"{self.lists}0"}})
        self.asked.append(request.query["resourceVersion"])
        if not self.watches:
            return web.json_response({"message": "not now"}, status=500)
        response = web.StreamResponse()
        await response.prepare(request)
        for change in self.watches.pop(0):
            await response.write(json.dumps(change).encode() + b"\n")
        request.transport.abort()  # as when the server is killed
        return response


@asynccontextmanager
async def served(lab: Lab, pods: Pods) -> AsyncGenerator[NodeApi]:
    pki = lab.root / "pki"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "kube-apiserver.crt", pki / "kube-apiserver.key")
    context.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_get("/api/v1/pods", pods.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", lab.ports()["kube-apiserver"], ssl_context=context).start()
    api = NodeApi(lab)
    try:
        yield api
    finally:
        await api.close()
        await runner.cleanup()


def change(kind: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": f"pod-{version}", "resourceVersion": version}}}


def test_a_watch_goes_on_where_it_broke_and_lists_again_when_that_is_no_longer_kept(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_api, "_PAUSE", 0.01)
    expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
    pods = Pods([change("ADDED", "11"), change("BOOKMARK", "15")], [expired], [change("DELETED", "21")])
    told: list[str] = []

    async def follow() -> None:
        def on_list(items: list[dict[str, Any]]) -> None:
            told.extend(f"LIST {item['metadata']['name']}" for item in items)

        def on_change(kind: str, item: dict[str, Any]) -> None:
            told.append(f"{kind} {item['metadata']['name']}")

        async with served(lab, pods) as api, asyncio.timeout(DEADLINE):
            own = {"fieldSelector": "spec.nodeName=processes"}
            following = asyncio.create_task(api.follow("/api/v1/pods", on_list, on_change, **own))
            while len(pods.asked) < 5:
                await asyncio.sleep(0.01)
            following.cancel()

    asyncio.run(follow())
    assert told[:4] == ["LIST listed-1", "ADDED pod-11", "LIST listed-2", "DELETED pod-21"]
    assert pods.asked[:4] == ["10", "15", "20", "21"]
    assert told[4] == "LIST listed-3"  # a watch that is refused is a gap as well


def test_a_refusal_says_what_was_refused_and_why(lab: Lab) -> None:
    async def ask() -> None:
        async with served(lab, Pods()) as api:
            own = {"fieldSelector": "spec.nodeName=processes", "watch": "1", "resourceVersion": "1"}
            with pytest.raises(RefusedError, match=r"GET /api/v1/pods: 500: .*not now") as caught:
                await api.get("/api/v1/pods", **own)
            assert caught.value.status == 500

    asyncio.run(ask())


def test_the_node_has_a_nodes_name_and_group_and_keeps_its_certificate(lab: Lab) -> None:
    path = lab.root / "pki" / f"{identity('processes').name}.crt"
    subject = x509.load_pem_x509_certificate(path.read_bytes()).subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:nodes"]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["system:node:processes"]
    before = path.read_bytes()
    ensure_identity(lab)
    assert path.read_bytes() == before
    assert kubeconfig_path(lab, identity("processes").name).is_file()
