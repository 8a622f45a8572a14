"""What a page does wrong in the browser is seen; otherwise tests of pages could not fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pages import OpenPage, first_paint, wait_for


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(body: str) -> Path:
        path = tmp_path / "page & #1.html"
        path.write_text(f"<!doctype html><meta charset=utf-8><title>t</title>{body}", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>nothing.at.all</script>", "nothing is not defined"),
        ("<script>Promise.reject(new Error('late'))</script>", "late"),
        ("<script>console.error('said so')</script>", "said so"),
        ("<script>console.assert(false, 'not so')</script>", "not so"),
        ("<img src='missing.png'>", "ERR_FILE_NOT_FOUND"),
        ("<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>", "script-src"),
    ],
)
def test_what_goes_wrong_is_seen(open_page: OpenPage, write: Callable[[str], Path], body: str, complaint: str) -> None:
    page, seen = open_page(write(body))
    page.wait_for_timeout(50)
    assert any(complaint in error for error in seen.errors)
    assert seen.outside == []


def test_requests_to_other_machines_are_seen_and_fail(open_page: OpenPage, write: Callable[[str], Path]) -> None:
    page, seen = open_page(write("<script src='https://example.org/a.js'></script>"))
    page.wait_for_timeout(50)
    assert seen.outside == ["https://example.org/a.js"]
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in seen.errors)


def test_a_page_in_order_is_seen_to_be(
    open_page: OpenPage, write: Callable[[str], Path], make_sound: Callable[..., Path]
) -> None:
    """What a page calls off itself is no error; sound plays though nobody has clicked."""
    make_sound("a.wav", 2.0)
    page, seen = open_page(write("<audio src=a.wav></audio>"))
    page.evaluate("document.querySelector('audio').play()")
    wait_for(page, "document.querySelector('audio').currentTime > 0.2")
    page.evaluate("document.querySelector('audio').src = ''")
    page.wait_for_timeout(50)
    assert seen.errors == seen.outside == []
    assert {url.split("/")[-1] for url in seen.requests} >= {"a.wav"}


def test_dark_and_phone_are_seen_by_the_page(open_page: OpenPage, write: Callable[[str], Path]) -> None:
    path = write("<meta name=viewport content='width=device-width'><p id=p style='height:40px;width:50px'>p")
    query = "[matchMedia('(prefers-color-scheme: dark)').matches, innerWidth, navigator.maxTouchPoints > 0]"
    (desktop, _), (phone, _) = open_page(path), open_page(path, dark=True, phone=True)
    assert first_paint(desktop) > 0
    assert desktop.evaluate(query) == [False, 1280, False]
    assert phone.evaluate(query) == [True, 390, True]


def test_a_missing_page_is_refused(open_page: OpenPage, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="ERR_FILE_NOT_FOUND"):
        open_page(tmp_path / "none.html")
