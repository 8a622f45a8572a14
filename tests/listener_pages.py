"""A listener who goes through the page of a listening test in a browser, faster than people do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pages import wait_for

from vceval.listen.key import Key
from vceval.listen.plan import Trial
from vceval.listen.serve import TestServer, make_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: This listener lives faster than others: recordings play so many times as fast, and the clock runs as fast.
PACE = 12
FASTER = f"""(() => {{
  const play = HTMLMediaElement.prototype.play, now = performance.now.bind(performance);
  window.pace = {PACE};
  HTMLMediaElement.prototype.play = function () {{ this.playbackRate = window.pace; return play.call(this); }};
  performance.now = () => {PACE} * now();
}})()"""


class Listener:
    """Goes through the pages with keyboard or mouse and answers what ``answer`` says of a trial's files."""

    def __init__(self, page: Page, key: Key, folder: Path, answer: Callable[[Trial], str], mouse: bool = False) -> None:
        self.page, self.key, self.answer, self.mouse = page, key, answer, mouse
        text = (folder / "page" / "index.html").read_text(encoding="utf-8")
        plan = json.loads(text.partition('id="plan">')[2].partition("</script>")[0])
        self.by_files = {tuple(trial["files"]): name for name, trial in plan["trials"].items()}
        self.options = {name: test["options"] for name, test in plan["tests"].items()}
        self.played: list[str] = []
        page.evaluate(FASTER)

    @property
    def heading(self) -> str:
        return self.page.inner_text("h1")

    def begin(self, rater: str = "") -> None:
        wait_for(self.page, "!!document.querySelector('#next')")
        if rater:
            self.page.fill("#rater", rater)
        self.page.click("#next")
        wait_for(self.page, "!!document.querySelector('.player, #back')")

    def set_up(self) -> None:
        for name in ("device", "hearing", "language"):
            self.page.click(f'input[name="{name}"]')
        self.page.click(".player button")
        wait_for(self.page, "!document.querySelector('fieldset:disabled')")
        self.page.locator('input[name="beeps"]').nth(1).click()
        self.page.click("#next")
        wait_for(self.page, "!document.querySelector('input[name=beeps]')")

    def where(self) -> str:
        return str(
            self.page.evaluate("document.querySelector('h1').innerText + document.querySelector('#where').innerText")
        )

    def step(self) -> bool:
        """Do what the page asks for; False at the page before the last."""
        here = self.where()
        if self.page.evaluate("!!document.querySelector('textarea')"):
            return False
        count = int(self.page.evaluate("document.querySelectorAll('.player').length"))
        if count:
            self.hear(count)
        if self.mouse:
            self.page.click("#next")
        else:
            self.page.keyboard.press("Enter")
        end = time.monotonic() + 5
        while self.where() == here:
            assert time.monotonic() < end, f"the page stays at {here}"
            time.sleep(0.01)
        return True

    def hear(self, count: int) -> None:
        for at in range(count):
            if self.mouse:
                self.page.locator(".player button").nth(at).click()
            else:
                self.page.keyboard.press(" ")
            wait_for(self.page, f"document.querySelectorAll('.player.heard').length === {at + 1}")
        name = self.trial()
        trial = self.key.trials[name]
        options = self.options[trial.test]
        wanted = self.answer(trial)
        place = next(at for at, option in enumerate(options) if option["value"] == wanted)
        if self.mouse:
            self.page.locator(".option input").nth(place).click()
        else:
            self.page.keyboard.press(options[place]["key"])

    def trial(self) -> str:
        """Which trial is on the screen, by what its players have loaded."""
        files = self.page.evaluate("[...document.querySelectorAll('.player')].map((one) => one.dataset.file)")
        return self.by_files[tuple(files)]

    def all(self) -> None:
        while self.step():
            pass

    def finish(self) -> None:
        self.page.fill("#comment", "=Nice <b>voices</b>.")
        self.page.click("#next")
        wait_for(self.page, "!document.querySelector('#comment')")


def sensible(trial: Trial) -> str:
    """Answers from which every figure follows."""
    if trial.answer:
        return trial.answer
    if trial.test in ("mos", "smos"):
        return {"alpha": "4", "beta": "2", "target": "5", "source": "5" if trial.test == "mos" else "1"}.get(
            trial.conditions[0], "5" if trial.conditions[0] == "anchor:natural" else "1"
        )
    if trial.test == "abx":
        heard_target = trial.conditions[0] in ("target", "anchor:target", "beta")
        return "a" if heard_target == trial.swapped else "b"
    return "ab"[trial.conditions.index("alpha")] if "alpha" in trial.conditions else "a"


@contextmanager
def serving(folder: Path, answers: Path, port: int = 0) -> Iterator[TestServer]:
    server = make_server(folder, answers, port=port, say=lambda text: None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.store.close()
