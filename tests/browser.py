"""A headless Chromium without a network, driven through the pipes of its DevTools protocol."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"),
)
_IN_PLACE = 'exec "$0" "$@" 3<&{} 4>&{}'  # the protocol's numbers of the two pipes


class Page:
    """One page: what is asked of it in JavaScript, and its mouse, fingers and keys."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._rest = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and wait for its answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._back, 2**16)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def open(self, file: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.send("Page.navigate", url=file.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, of a promise what it comes to."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self) -> None:
        """Wait until two frames have been drawn, with all that was to be done before them."""
        self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def drag(self, points: list[tuple[float, float]]) -> None:
        """A stroke of the mouse with its button down, in pixels of the page."""
        (x, y), *others = points
        self._mouse("mousePressed", x, y)
        for x, y in others:
            self._mouse("mouseMoved", x, y)
        self._mouse("mouseReleased", x, y)
        self.settle()

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def touch(self, points: list[tuple[float, float]]) -> None:
        """A stroke of a finger."""
        for number, (x, y) in enumerate(points):
            self.send(
                "Input.dispatchTouchEvent",
                type="touchMove" if number else "touchStart",
                touchPoints=[{"x": x, "y": y}],
            )
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                self.send("Input.dispatchKeyEvent", type=kind, key=key)
        self.settle()

    def screenshot(self, path: Path) -> None:
        content = self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(content))

    @property
    def requests(self) -> list[str]:
        """The addresses that the page has asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What the browser had to say against it: errors of scripts, refusals of its policy."""
        return [event for event in self.events if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A page of a new browser, which ends with this."""
    assert CHROMIUM is not None
    to_read, to = os.pipe()
    back, back_write = os.pipe()
    script = _IN_PLACE.format(to_read, back_write)
    command = ["bash", "-c", script, CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        command, pass_fds=(to_read, back_write), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        os.close(to_read)
        os.close(back_write)
        yield Page(to, back)
    finally:
        os.close(to)
        os.close(back)
        process.terminate()
        process.wait()
