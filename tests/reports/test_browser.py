"""The driver of headless Chromium sees what a page does wrong; otherwise tests of pages could not fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Browser, BrowserError


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(body: str) -> Path:
        path = tmp_path / "page & #1.html"
        path.write_text(f"<!doctype html><meta charset=utf-8><title>t</title>{body}", encoding="utf-8")
        return path

    return write


def test_clicks_keys_and_text_reach_the_page(browser: Browser, write: Callable[[str], Path]) -> None:
    page = browser.open(
        write(
            "<p id=said></p><div style='height:3000px'></div><input id=field>"
            "<button onclick='said.textContent = event.isTrusted + field.value'>b</button>"
            "<select id=choice oninput='said.textContent = choice.value'><option>one<option>two</select>"
            "<script>addEventListener('keydown', (e) => { said.dataset.keys = (said.dataset.keys || '') + e.key })"
            "</script>"
        )
    )
    page.type("#field", "ätsch <b>")
    page.click("button")
    assert page.evaluate("said.textContent") == "trueätsch <b>"
    page.evaluate("document.activeElement.blur()")
    for key in ("x", "ArrowDown", "Enter"):
        page.press(key)
    assert page.evaluate("said.dataset.keys") == "xArrowDownEnter"
    page.choose("#choice", "two")
    assert page.text("#said") == "two"
    with pytest.raises(BrowserError, match="nothing to click"):
        page.click("#none")
    with pytest.raises(BrowserError, match="no such option"):
        page.choose("#choice", "three")
    assert page.errors == []
    assert page.outside == []
    page.close()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>nothing.at.all</script>", "nothing is not defined"),
        ("<script>Promise.reject(new Error('late'))</script>", "late"),
        ("<script>console.error('said so')</script>", "said so"),
        ("<img src='missing.png'>", "ERR_FILE_NOT_FOUND"),
        ("<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>", "script-src"),
    ],
)
def test_what_goes_wrong_is_seen(browser: Browser, write: Callable[[str], Path], body: str, complaint: str) -> None:
    page = browser.open(write(body))
    page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert any(complaint in error for error in page.errors)
    assert page.outside == []
    page.close()


def test_requests_to_other_machines_are_seen_and_fail(browser: Browser, write: Callable[[str], Path]) -> None:
    page = browser.open(write("<script src='https://example.org/a.js'></script>"))
    page.wait_for("true")
    assert page.outside == ["https://example.org/a.js"]
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in page.errors)
    page.close()


def test_sound_advances(browser: Browser, write: Callable[[str], Path], make_sound: Callable[..., Path]) -> None:
    make_sound("a.wav", 2.0)
    page = browser.open(write("<audio src=a.wav></audio>"))
    page.evaluate("document.querySelector('audio').play()")
    page.wait_for("document.querySelector('audio').currentTime > 0.2")
    page.close()


def test_dark_and_phone_are_seen_by_the_page(browser: Browser, write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write("<meta name=viewport content='width=device-width'><p id=p style='height:40px;width:50px'>p")
    query = "[matchMedia('(prefers-color-scheme: dark)').matches, innerWidth, navigator.maxTouchPoints > 0]"
    desktop = browser.open(path)
    assert 0 < desktop.first_paint() < 5
    phone = browser.open(path, dark=True, phone=True)
    assert desktop.evaluate(query) == [False, 1280, False]
    assert phone.evaluate(query) == [True, 390, True]
    phone.screenshot(tmp_path / "p.png", clip="#p")
    assert (tmp_path / "p.png").read_bytes()[16:24] == (100).to_bytes(4, "big") + (80).to_bytes(4, "big")
    assert desktop.wait_for("document.querySelector('#p')") is True
    assert desktop.wait_for("[]") == []
    with pytest.raises(BrowserError, match="not true within"):
        desktop.wait_for("false", timeout=0.1)
    with pytest.raises(BrowserError, match="boom"):
        desktop.evaluate("(() => { throw new Error('boom') })()")
    desktop.close()
    phone.close()


def test_a_missing_page_is_refused(browser: Browser, tmp_path: Path) -> None:
    with pytest.raises(BrowserError, match="ERR_FILE_NOT_FOUND"):
        browser.open(tmp_path / "none.html")
