"""A headless Chromium for tests of pages, driven by its debugging protocol; the machine's own, offline.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 120
_OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")


def installed() -> str | None:
    """Return the browser of this machine, if it has one."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Page:
    """One page, with all that it said and asked for."""

    def __init__(self, address: str) -> None:
        # Chromium refuses a caller that says where it comes from.
        self._socket = websocket.create_connection(address, timeout=_SECONDS, suppress_origin=True)
        self._number = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        # What was shown before is complete, too.
        self.run("window.shownBefore = true")
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + _SECONDS
        while not self.run("document.readyState === 'complete' && !window.shownBefore"):
            assert time.monotonic() < end, "the page was not ready in time"
            time.sleep(0.05)

    def run(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def printed(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return what events of one kind held."""
        self.run("0")
        return [event["params"] for event in self.events if event["method"] == method]


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Start the browser with a profile in the folder, and end it."""
    program = installed()
    assert program is not None
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *_OFFLINE]
    command += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    # Whatever it says must not fill a pipe that nobody reads.
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        yield Page(_address(folder, process))
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Return where the first page is driven."""
    end = time.monotonic() + _SECONDS
    port = folder / "DevToolsActivePort"
    while time.monotonic() < end and process.poll() is None:
        lines = port.read_text().splitlines() if port.is_file() else []
        if len(lines) == 2:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{lines[0]}/json", timeout=_SECONDS) as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError(f"the browser did not start: {(folder / 'said.txt').read_text(errors='replace')[-500:]}")
