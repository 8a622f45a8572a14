"""Drives headless Chromium over its DevTools protocol, for tests of pages; needs nothing but the browser.

    with Browser() as browser:
        page = browser.open(path_or_url, phone=True, dark=True)
        page.click("#play")                                  # a real click, where the element is on the screen
        page.wait_for("document.querySelector('audio').currentTime > 0.2")
        page.type("#find", "awb")
        assert page.evaluate("document.title") == "..."      # promises are awaited, the value comes back as JSON
        assert page.errors == page.outside == []
        page.screenshot(Path("page.png"), whole=True)

Sound plays without a gesture, into nothing. No name but localhost's resolves, so a page that asks for anything else
fails and says so in ``errors``. Tests take the fixture ``browser`` of conftest.py, which skips where there is none.
From a shell, ``python tests/browser.py PAGE PICTURE.png [--dark] [--phone] [--whole]`` takes a picture.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["Browser", "BrowserError", "Page", "find_chromium"]

#: Names under which Chromium is installed; $CHROMIUM overrides them.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

DESKTOP, PHONE = (1280, 900), (390, 844)

FLAGS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--mute-audio", "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage", "--disable-gpu",
    "--no-first-run", "--no-default-browser-check", "--disable-extensions", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)  # fmt: skip

#: Keys that are no characters: name to (key code, text).
KEYS = {
    "Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " "), "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""), "Home": (36, ""), "End": (35, ""),
}  # fmt: skip


def find_chromium() -> str | None:
    """Find the browser: what $CHROMIUM names, else the first of :data:`NAMES` on the PATH; None where there is none."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


class BrowserError(RuntimeError):
    """The browser or the page's own code refused something, or did not answer in time."""


class Browser:
    """One headless Chromium with a profile of its own, thrown away at the end; a context manager.

    Args:
        program: the browser; found by :func:`find_chromium` where None.
        flags: command-line flags besides :data:`FLAGS`.

    Raises:
        BrowserError: there is no browser, or it does not start.
    """

    def __init__(self, program: str | None = None, *flags: str) -> None:
        program = program or find_chromium()
        if program is None:
            raise BrowserError(f"no Chromium: none of {', '.join(NAMES)} is on the PATH, and $CHROMIUM is not set")
        self._profile = tempfile.mkdtemp(prefix="vceval-chromium-")
        self._pipe = _Pipe([program, *FLAGS, f"--user-data-dir={self._profile}", *flags, "about:blank"])
        self._count = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._pipe.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(
        self,
        where: Path | str,
        *,
        size: tuple[int, int] | None = None,
        dark: bool = False,
        phone: bool = False,
        timeout: float = 20.0,
    ) -> Page:
        """Open a file or a URL in a tab of its own and wait until it has loaded.

        ``size`` is width and height in CSS pixels (1280 x 900, or 390 x 844 with ``phone``, which also makes it a
        touch screen of double density).
        """
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        width, height = size or (PHONE if phone else DESKTOP)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.send(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        page.send("Emulation.setDeviceMetricsOverride", metrics)
        page.send("Emulation.setTouchEmulationEnabled", {"enabled": phone})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.send("Emulation.setEmulatedMedia", {"features": [scheme]})
        page.send("Page.bringToFront")  # a tab behind another draws no frames
        page.go(where.resolve().as_uri() if isinstance(where, Path) else where, timeout)
        return page

    def send(self, method: str, values: dict[str, Any] | None = None, session: str = "", timeout: float = 30.0) -> Any:
        """Send one command of the protocol and return its result.

        Raises:
            BrowserError: it is refused, or not answered within ``timeout`` seconds.
        """
        self._count += 1
        message: dict[str, Any] = {"id": (number := self._count), "method": method, "params": values or {}}
        if session:
            message["sessionId"] = session
        self._pipe.write(message)
        self.pump(timeout, lambda: number in self._answers, f"{method} was not answered")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message', answer['error'])}")
        return answer["result"]

    def pump(self, seconds: float, done: Callable[[], bool], complaint: str) -> None:
        """Take in what the browser says until ``done`` holds."""
        end = time.monotonic() + seconds
        while not done():
            if (left := end - time.monotonic()) <= 0:
                raise BrowserError(f"{complaint} within {seconds:g} s")
            for message in self._pipe.read(left):
                if "id" in message:
                    self._answers[message["id"]] = message
                elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
                    page.take(message["method"], message["params"])


class Page:
    """One open tab.

    ``errors`` gathers what went wrong since it was opened: uncaught exceptions, ``console.error``, blocked and failed
    requests, violations of the page's content security policy. ``requests`` are the URLs that it asked for.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._browser, self._session, self._target = browser, session, target
        self._loaded = False

    @property
    def outside(self) -> list[str]:
        """The requests that left this machine or tried to."""
        inside = ("file", "data", "blob", "about")
        here = ("localhost", "127.0.0.1")
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in inside and part.hostname not in here]

    def send(self, method: str, values: dict[str, Any] | None = None, timeout: float = 30.0) -> Any:
        """Send one command of the protocol to this tab."""
        return self._browser.send(method, values, self._session, timeout)

    def take(self, method: str, values: dict[str, Any]) -> None:
        """Note one event."""
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Network.loadingFailed" and not values.get("canceled"):
            self.errors.append(f"request failed: {values.get('errorText')} {values.get('blockedReason', '')}".rstrip())
        elif method == "Runtime.exceptionThrown":
            self.errors.append(_exception(values["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in values["args"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(f"{values['entry']['text']} {values['entry'].get('url', '')}".rstrip())

    def go(self, url: str, timeout: float = 20.0) -> None:
        """Turn to another URL and wait until it has loaded.

        Raises:
            BrowserError: it can't be reached, or loading takes longer than ``timeout`` seconds.
        """
        self._loaded = False
        found = self.send("Page.navigate", {"url": url}, timeout)
        if "errorText" in found:
            raise BrowserError(f"{url}: {found['errorText']}")
        if "loaderId" in found:  # absent where only the fragment changes, which loads nothing
            self._browser.pump(timeout, lambda: self._loaded, f"{url} did not load")

    def evaluate(self, expression: str, timeout: float = 30.0) -> Any:
        """Evaluate an expression of JavaScript in the page; a promise is awaited.

        Raises:
            BrowserError: it throws.
        """
        found = self.send(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True},
            timeout,
        )
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression}: {_exception(found['exceptionDetails'])}")
        return found["result"].get("value")

    def wait_for(self, expression: str, timeout: float = 10.0) -> Any:
        """Evaluate again and again until the value is true in JavaScript's sense; return it, True for an element."""
        end = time.monotonic() + timeout
        probe = f"(() => {{ const found = ({expression}); return found instanceof Node ? true : found || null; }})()"
        while (value := self.evaluate(probe)) is None:
            if time.monotonic() > end:
                raise BrowserError(f"not true within {timeout:g} s: {expression}; errors so far: {self.errors}")
            time.sleep(0.02)
        return value

    def click(self, selector: str, index: int = 0) -> None:
        """Scroll to an element and click in its middle, as a user's mouse does: what lies above it gets the click.

        Raises:
            BrowserError: there is none, or it has no size.
        """
        spot = self.evaluate(
            f"(() => {{ const one = document.querySelectorAll({json.dumps(selector)})[{index}];"
            "if (!one) return null; one.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = one.getBoundingClientRect();"
            "return box.width && box.height ? [box.x + box.width / 2, box.y + box.height / 2] : null; })()"
        )
        if spot is None:
            raise BrowserError(f"nothing to click: {selector} [{index}]")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", {"type": kind, "x": spot[0], "y": spot[1], **button})

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press one key: a character, or one of :data:`KEYS` such as ``Enter`` and ``ArrowDown``."""
        code, text = KEYS.get(key, (ord(key[0].upper()), key))
        values = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        if key in KEYS:
            values["code"] = "Space" if key == " " else key
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", **values, **({"text": text} if text else {})})
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", **values})

    def type(self, selector: str, text: str) -> None:
        """Put the focus into a field, empty it and type."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{field}.focus(), {field}.select && {field}.select()")
        self.send("Input.insertText", {"text": text})

    def choose(self, selector: str, value: str) -> None:
        """Choose the option of a ``<select>`` by its value, as the keyboard would."""
        self.evaluate(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.value = {json.dumps(value)};"
            "if (one.value !== " + json.dumps(value) + ") throw new Error('no such option');"
            "for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def text(self, selector: str) -> str:
        """Return the text of the first element that matches, as it is shown."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def first_paint(self) -> float:
        """Return how many seconds after the start of loading something was seen; a tab behind another shows nothing."""
        entries = "performance.getEntriesByName('first-contentful-paint')"
        self.wait_for(f"{entries}.length")
        return float(self.evaluate(f"{entries}[0].startTime")) / 1000

    def screenshot(self, path: Path, *, whole: bool = False, clip: str = "") -> None:
        """Write a PNG of what is on the screen, of the whole page, or of the element that ``clip`` selects."""
        values: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole or bool(clip)}
        box = "[0, 0, document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        if clip:
            box = (
                f"(() => {{ const box = document.querySelector({json.dumps(clip)}).getBoundingClientRect();"
                "return [box.x + scrollX, box.y + scrollY, box.width, box.height]; })()"
            )
        if whole or clip:
            x, y, width, height = self.evaluate(box)
            values["clip"] = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", values, 60.0)["data"]))

    def close(self) -> None:
        """Close the tab."""
        self._browser.send("Target.closeTarget", {"targetId": self._target})


def _exception(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details.get("text"))


class _Pipe:
    """The browser's process and the two pipes over which it speaks JSON, each message ended by a zero byte."""

    def __init__(self, command: list[str]) -> None:
        ends = [*os.pipe(), *os.pipe()]
        # The browser reads from descriptor 3 and writes to 4; ours must not lie there when they are moved.
        reads, self._out, self._in, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
        for end in ends:
            os.close(end)
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        moves = [(os.POSIX_SPAWN_DUP2, reads, 3), (os.POSIX_SPAWN_DUP2, writes, 4)]
        self._process = os.posix_spawn(command[0], command, os.environ, file_actions=[*null, *moves], setpgroup=0)
        os.close(reads)
        os.close(writes)
        self._rest = b""

    def write(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except BrokenPipeError:
            raise BrowserError("the browser has gone") from None

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """Wait up to some seconds for messages and return those that are complete."""
        if not select.select([self._in], [], [], seconds)[0]:
            return []
        data = os.read(self._in, 1 << 20)
        if not data:
            raise BrowserError("the browser has gone")
        *complete, self._rest = (self._rest + data).split(b"\0")
        return [json.loads(message) for message in complete]

    def close(self) -> None:
        os.close(self._out)  # Chromium ends when nobody speaks to it any more
        end = time.monotonic() + 5
        while os.waitpid(self._process, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.killpg(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)
                break
            time.sleep(0.01)
        os.close(self._in)


def main() -> None:
    """Take a picture of a page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("page", help="a file or a URL; a file may be followed by #section")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--whole", action="store_true", help="the whole page instead of one screen")
    parser.add_argument("--size", help="such as 1280x900")
    options = parser.parse_args()
    path, _, fragment = options.page.partition("#")
    url = options.page if "://" in path else Path(path).resolve().as_uri() + (f"#{fragment}" if fragment else "")
    width, _, height = (options.size or "").partition("x")
    with Browser() as browser:
        size = (int(width), int(height)) if width else None
        page = browser.open(url, size=size, dark=options.dark, phone=options.phone)
        page.first_paint()
        page.screenshot(options.picture, whole=options.whole)
        print(f"first paint after {page.first_paint():.2f} s", *page.errors, sep="\n")


if __name__ == "__main__":
    main()
