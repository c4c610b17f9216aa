"""A real headless Chromium, driven by its own DevTools protocol: pages, media, pictures and paper.

https://chromedevtools.github.io/devtools-protocol/ (Emulation, Page, Runtime, Network, Log).
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-address=127.0.0.1", "--remote-debugging-port=0",
)  # fmt: skip
START_S, ANSWER_S = 40.0, 40.0


def chromium() -> str:
    """Its path; '' where there is none."""
    return next((found for found in map(shutil.which, NAMES) if found), "")


@dataclass
class Browser:
    """One tab. What it asked of the network and what its console said are kept."""

    socket: websocket.WebSocket
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    loaded: bool = False

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; events that come meanwhile are noted."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return dict(message["result"])
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(params)[:500])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def open(self, path: Path, *, width: int = 1200, dark: bool = False) -> None:
        """Show a file at a width, in light or dark."""
        self.requests.clear()
        self.complaints.clear()
        self.resize(width)
        self.prefer("dark" if dark else "light")
        self.loaded = False
        self.call("Page.navigate", url=path.as_uri())
        while not self.loaded:
            self._note(json.loads(self.socket.recv()))

    def resize(self, width: int, height: int = 900) -> None:
        """In CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefer(self, scheme: str, media: str = "screen") -> None:
        """light or dark; screen or print."""
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=wanted)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to. The page's own policy allows no script; this is ours."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        made = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(made["data"])

    def paper(self) -> bytes:
        """The page as A4 in PDF, without backgrounds, as people print."""
        made = self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
        )
        return base64.b64decode(made["data"])


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with an empty profile, ended by its process group."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            socket = websocket.create_connection(
                _tab(Path(profile), process), timeout=ANSWER_S, suppress_origin=True
            )
            browser = Browser(socket)
            for domain in ("Page", "Runtime", "Network", "Log"):
                browser.call(f"{domain}.enable")
            yield browser
            socket.close()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _tab(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    """The socket of the first tab, once Chromium has written its port down."""
    import httpx

    port, deadline = profile / "DevToolsActivePort", time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if port.is_file() and (lines := port.read_text().splitlines()):
            tabs = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list", trust_env=False).json()
            if found := [tab for tab in tabs if tab["type"] == "page"]:
                return str(found[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not come up within {START_S:g} s (exit {process.poll()})")
