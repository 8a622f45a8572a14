"""A page from disk in headless Chromium, opened as the tests do it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["painted"]


@contextmanager
def painted(page: Path) -> Iterator[tuple[Any, Any, Any] | None]:
    """Open a page and print its first paint; gives the tab, what it complained of, and how to wait for an expression.

    None where Chromium is not installed, which is printed.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    pages = importlib.import_module("pages")
    program = pages.find_chromium()
    if program is None:
        print("Chromium is not installed: nothing painted")
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, pages.launch(playwright, program) as browser:
        tab, seen = pages.open_in(browser, page)
        print(f"{page.name}, {page.stat().st_size / 1e3:.0f} kB: first paint {pages.first_paint(tab):.2f} s")
        yield tab, seen, pages.wait_for
