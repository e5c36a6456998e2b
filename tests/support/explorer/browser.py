"""A headless Chromium that reaches nothing but 127.0.0.1, driven over the DevTools protocol.

The protocol is spoken directly, over a WebSocket library: the few commands needed here
don't pay for a browser automation package and the browsers or runtimes it comes with.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--headless",
    "--no-sandbox",  # it opens only this project's page, and root or a container may have no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1400,900",
    "--remote-debugging-port=0",
)

WAIT = 30.0
"""Longest wait, in seconds, for the browser to start, to answer, and for a condition to become true."""


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab of a window that shares nothing with others. `problems` are what the console shows as errors; `requests`
    the addresses asked for."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self._session: str | None = None
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._context = self._send("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        target = self._send("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Navigate; returns when the navigation has been committed."""
        problem = self._send("Page.navigate", url=url).get("errorText")
        assert problem is None, problem

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression, awaited where it is a promise."""
        answer = self._send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (answer["exceptionDetails"], self.problems)
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Value of the expression as soon as it is truthy."""
        return self.evaluate(
            f"""new Promise((resolve, reject) => {{
                const end = performance.now() + {WAIT * 900};
                const look = () => {{
                    const value = {expression};
                    if (value) resolve(value);
                    else if (performance.now() > end) reject(new Error("never true: " + {json.dumps(expression)}));
                    else setTimeout(look, 20);  // a frame would have to be drawn
                }};
                look();
            }})"""
        )

    def start_anew(self) -> None:
        """Leave the page, and forget all that it has kept and all that was noted: the tab is as a new one."""
        origin = self.evaluate("location.origin")
        self.open("about:blank")
        self._send("Emulation.clearDeviceMetricsOverride")
        self._send("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self._send("Network.clearBrowserCache")
        self.problems.clear()
        self.requests.clear()

    def resize(self, width: int, height: int) -> None:
        """Show the page on a screen of this size; below 600 px as a phone does."""
        phone = width < 600
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=WAIT))
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer.get("method"), answer.get("params", {}))

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Network.loadingFailed":
            self.problems.append(f"request failed: {params['errorText']} {params.get('blockedReason', '')}".rstrip())
        elif event == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.problems.append(f"{params['response']['status']} {params['response']['url']}")
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            texts = (str(arg.get("value", arg.get("description"))) for arg in params["args"])
            self.problems.append("console: " + " ".join(texts))


@contextmanager
def open_browser(executable: str, profile: Path) -> Iterator[str]:
    """A new browser with an empty profile, gone afterwards. Where it takes commands."""
    process = subprocess.Popen(
        [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        guard = threading.Timer(WAIT, process.kill)  # ends the reading below if the browser hangs
        guard.start()
        said: deque[str] = deque(maxlen=20)
        address = None
        for line in process.stderr:
            said.append(line)
            if line.startswith("DevTools listening on "):
                address = line.removeprefix("DevTools listening on ").strip()
                break
        guard.cancel()
        assert address is not None, f"the browser did not start:\n{''.join(said)}"
        # Its later messages are read and dropped, so that a full pipe never stops it.
        drain = threading.Thread(target=deque, args=(process.stderr,), kwargs={"maxlen": 0}, daemon=True)
        drain.start()
        yield address
        with connect(address, proxy=None, max_size=None, compression=None) as connection:
            connection.send(json.dumps({"id": 0, "method": "Browser.close"}))
        process.wait(WAIT)
        drain.join(WAIT)
    finally:
        process.kill()
        process.wait(WAIT)
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def open_page(browser: str) -> Iterator[Page]:
    """A tab of the browser that takes commands there. What it has kept is gone with it, as after a private window."""
    with connect(browser, proxy=None, max_size=None, compression=None) as connection:
        yield Page(connection)
