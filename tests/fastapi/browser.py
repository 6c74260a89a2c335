"""A real Chromium, driven over the WebDriver protocol."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,900", "--force-prefers-reduced-motion"),
)

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """One window."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._session = f"/session/{session}"

    def call(self, method: str, path: str, **body: Any) -> Any:
        """One command of the protocol."""
        json = body if method == "POST" else None
        answer = self._http.request(method, self._session + path, json=json)
        value = answer.json()["value"]
        assert answer.is_success, value
        return value

    def open(self, url: str) -> None:
        self.call("POST", "/url", url=url)

    def run(self, script: str, *args: Any) -> Any:
        """What a script returns."""
        return self.call("POST", "/execute/sync", script=script, args=list(args))

    def press(self, keys: str) -> None:
        """Presses and releases keys, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", actions=[source])

    def click(self, selector: str) -> None:
        found = self.call("POST", "/element", using="css selector", value=selector)
        self.call("POST", f"/element/{found[_ELEMENT]}/click")

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent", selector))

    def until(self, look: Callable[[], T]) -> T:
        """Looks again and again until there is something to see."""
        deadline = time.monotonic() + 120
        while not (seen := look()):
            assert time.monotonic() < deadline, self.text("body")
            time.sleep(0.05)
        return seen

    def log(self) -> list[str]:
        """What the page complained about in the console."""
        entries = self.call("POST", "/se/log", type="browser")
        return [str(entry["message"]) for entry in entries]

    def scheme(self, name: str) -> None:
        """Prefers light or dark from now on."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        params = {"features": features}
        self.call("POST", "/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params=params)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    assert DRIVER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
        try:
            port = _port_of(driver)
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, trust_env=False, timeout=60) as http:
                flags = [*_FLAGS, f"--user-data-dir={profile}"]
                options = {"args": flags, "binary": CHROMIUM}
                wanted = {
                    "browserName": "chrome",
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"browser": "ALL"},
                }
                body = {"capabilities": {"alwaysMatch": wanted}}
                answer = http.post("/session", json=body).json()["value"]
                session = answer["sessionId"]
                yield Browser(http, session)
                http.delete(f"/session/{session}")
        finally:
            driver.terminate()
            driver.wait()
            assert driver.stdout is not None
            driver.stdout.close()


def _port_of(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout is not None
    for line in driver.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return int(found[1])
    raise AssertionError("chromedriver does not start")
