"""Pages in the system's Chromium, driven by Playwright: what they ask for and what goes wrong in them is noted.

Tests take the fixture ``open_page`` of conftest.py, which skips where there is no browser::

    page, seen = open_page(path_or_url, phone=True, dark=True)
    page.click("#play")
    assert seen.errors == seen.outside == []
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

#: What the fixture is: :func:`open_in` for the browser of the session.
OpenPage: TypeAlias = "Callable[..., tuple[Page, Seen]]"

#: Names under which Chromium is installed; $CHROMIUM overrides them.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Sound plays without a gesture, into nothing. No name but localhost's resolves: a page that asks for another fails.
FLAGS = (
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    """Find the browser: what $CHROMIUM names, else the first of :data:`NAMES` on the PATH; None where there is none."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright, program: str) -> Browser:
    """Start the browser; Playwright brings none of its own."""
    return playwright.chromium.launch(executable_path=program, args=FLAGS, chromium_sandbox=False)


class Seen:
    """What a page asked for, and what went wrong in it since it was opened.

    requests: the URLs. errors: uncaught exceptions, ``console.error``, blocked and failed requests, violations of the
    page's content security policy.
    """

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)

    @property
    def outside(self) -> list[str]:
        """The requests that left this machine or tried to."""
        inside = ("file", "data", "blob", "about")
        here = ("localhost", "127.0.0.1")
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in inside and part.hostname not in here]

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself called it off
            self.errors.append(f"request failed: {request.failure} {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            self.errors.append(f"{message.text} {message.location.get('url', '')}".rstrip())


def open_in(browser: Browser, where: Path | str, *, phone: bool = False, dark: bool = False) -> tuple[Page, Seen]:
    """Open a file or a URL in a profile of its own and wait until it has loaded: 1280 x 900, or a phone's 390 x 844."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
        device_scale_factor=2 if phone else 1,
        is_mobile=phone,
        has_touch=phone,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    seen = Seen(page)
    page.goto(where.resolve().as_uri() if isinstance(where, Path) else where)
    return page, seen


def wait_for(page: Page, expression: str, seconds: float = 20.0) -> None:
    """Evaluate an expression of JavaScript again and again until it is true in JavaScript's sense.

    Playwright's own ``wait_for_function`` evaluates within the page, where our content security policy forbids it.

    Raises:
        AssertionError: it is not true in time.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"!!({expression})"):
        assert time.monotonic() < end, f"not true within {seconds:g} s: {expression}"
        page.wait_for_timeout(20)


def first_paint(page: Page) -> float:
    """Return how many seconds after the start of loading something was seen."""
    entries = "performance.getEntriesByName('first-contentful-paint')"
    wait_for(page, f"{entries}.length")
    return float(page.evaluate(f"{entries}[0].startTime")) / 1000
