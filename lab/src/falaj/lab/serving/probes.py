"""Probes and hooks: HTTP, TCP and commands, with the periods and thresholds that a pod gives them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from falaj.lab.serving.expansion import ConfigError
from falaj.lab.serving.node_api import Manifest

ACTIONS = ("httpGet", "tcpSocket", "exec", "sleep")
"""What probes and hooks may do here; ``sleep`` is for hooks."""
_SUCCESS = range(200, 400)

Execute = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]
"""Runs a command as the container would; returns its exit code and the end of what it said."""


@dataclass(frozen=True)
class Target:
    """What a container's probes and hooks are tried on."""

    address: str
    ports: Mapping[str, int]
    """The container's named ports."""
    execute: Execute
    http: aiohttp.ClientSession

    async def attempt(self, action: Manifest, timeout: float | None) -> str | None:
        """Do what a probe or a hook says once; return what went wrong, or nothing. ``timeout`` is in seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._do(action)
        except TimeoutError:
            return f"no answer within {timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(error) or type(error).__name__

    async def _do(self, action: Manifest) -> str | None:
        if "sleep" in action:
            await asyncio.sleep(action["sleep"]["seconds"])
            return None
        if "exec" in action:
            code, said = await self.execute(action["exec"]["command"])
            return None if code == 0 else f"the command ended with {code}: {said}"
        if "tcpSocket" in action:
            wanted = action["tcpSocket"]
            _, writer = await asyncio.open_connection(wanted.get("host") or self.address, self._port(wanted["port"]))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return None
        return await self._get(action["httpGet"])

    async def _get(self, wanted: Manifest) -> str | None:
        scheme, host = wanted.get("scheme", "HTTP").lower(), wanted.get("host") or self.address
        url = f"{scheme}://{host}:{self._port(wanted['port'])}/{wanted.get('path', '/').removeprefix('/')}"
        headers = {each["name"]: each["value"] for each in wanted.get("httpHeaders", [])}
        # A kubelet does not ask who vouches for a pod's certificate either.
        async with self.http.get(url, headers={"User-Agent": "kube-probe/falaj", **headers}, ssl=False) as response:
            return None if response.status in _SUCCESS else f"{url} answered with status {response.status}"

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        if port not in self.ports:
            raise ValueError(f"the container has no port named {port}")
        return self.ports[port]


def check_action(what: str, action: Manifest) -> None:
    """Refuse what cannot be tried here, instead of taking it for a success."""
    if not any(known in action for known in ACTIONS):
        unknown = next((name for name, value in action.items() if isinstance(value, dict)), "nothing")
        raise ConfigError(f"the {what} is done by {unknown}; known here are {', '.join(ACTIONS)}")


async def keep_probing(
    probe: Manifest, target: Target, on_change: Callable[[bool, str], None], *, passes: bool | None = None
) -> None:
    """Try a probe again and again; tell each time that as many tries in a row as it asks for changed its result.

    ``passes`` is the result before the first try.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    last, row = None, 0
    while True:
        problem = await target.attempt(probe, probe.get("timeoutSeconds", 1))
        good = problem is None
        row = row + 1 if good == last else 1
        last = good
        if row >= needed[good] and good != passes:
            passes = good
            on_change(good, problem or "")
        await asyncio.sleep(probe.get("periodSeconds", 10))
