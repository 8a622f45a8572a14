"""Every command of README, CONTRIBUTING and the site is executed, or says what it needs and is known to the parser.

Fenced blocks of a page run in order in a folder of their own: ``sh`` by bash, ``python`` here. A block whose first line
is a comment with a file name is written to that file. ``<!-- needs: data -->`` above a block says why it is not run.
Pages that name ``runs/demo`` find the run of the tutorial there.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vceval.cli.main import main, parsed

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("docs/pages/**/*.md"))))
ELSEWHERE = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("benchmarks/**/README.md"))]
#: What a block may need, and so what keeps it from being run here.
NEEDS = {
    "cluster": "machines under one Ray",
    "data": "a corpus, runs or recordings of the reader",
    "listeners": "people",
    "minutes": "longer than a test may take; .ci/run does it",
    "network": "an index of packages",
    "weights": "files that their authors publish",
}
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>needs: (?P<needs>\w+)|test-command) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"# (?P<name>[\w./-]+\.(?:py|yaml))\b")


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    body: str
    needs: str | None

    @property
    def file(self) -> str | None:
        found = FILE.match(self.body)
        return found["name"] if found else None


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        needs = match["needs"] or ("network" if match["mark"] else None)
        found.append(Block(page, match["language"], match["body"], needs))
    return found


def commands(body: str) -> list[list[str]]:
    """Split a shell text into the words of its commands; what stands between two of them is a word of its own."""
    found: list[list[str]] = []
    for line in body.replace("\\\n", " ").splitlines():
        tokens = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        tokens.whitespace_split = True
        for is_operator, words in itertools.groupby(tokens, lambda token: set(token) <= set(";&|<>")):
            found.append(["<operator>"] if is_operator else list(words))
    return found


def understood(arguments: list[str]) -> bool:
    try:
        parsed(arguments)
    except SystemExit:
        return False
    return True


def environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])}


def carry_out(body: str, folder: Path) -> None:
    """Run a block; plain ``vceval`` commands in this process, which has loaded the libraries, all else by bash."""
    if any(words[0] != "vceval" for words in commands(body)):
        shell(body, folder)
        return
    for words in commands(body):
        assert main(words[1:]) == 0, shlex.join(words)


def shell(body: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{body}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the tutorial makes, once for all pages."""
    folder = tmp_path_factory.mktemp("docs")
    shell("vceval run --limit 8", folder)
    return folder / "runs"


def test_the_tutorial_makes_the_run_that_all_pages_start_from() -> None:
    assert any(block.body == "vceval run --limit 8\n" for block in blocks("docs/pages/tutorial.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language in ("sh", "python") for b in blocks(page))])
def test_a_page_does_what_it_says(page: str, tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", environment()["PATH"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if "runs/demo" in (ROOT / page).read_text(encoding="utf-8"):
        shutil.copytree(demo, tmp_path / "runs")
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.needs:
            continue
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body, encoding="utf-8")
        elif block.language == "sh":
            carry_out(block.body, tmp_path)
        elif block.language == "python":
            exec(compile(block.body, page, "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *ELSEWHERE])
def test_commands_are_known(page: str) -> None:
    seen = 0
    for block in blocks(page):
        assert block.needs is None or block.needs in NEEDS, f"{page}: needs {block.needs}? One of {', '.join(NEEDS)}"
        assert block.language in ("", "json", "python", "sh", "signature", "text", "yaml"), f"{page}: {block.language}"
        if block.language != "sh":
            assert "vceval run" not in block.body, f"{page}: a command outside of a block marked sh is never tried"
            continue
        for words in commands(block.body):
            if Path(words[0]).name == "vceval":
                seen += 1
                assert understood(words[1:]), f"{page}: {shlex.join(words)}"
    assert seen or page not in ("README.md", "docs/pages/tutorial.md")


@pytest.mark.parametrize("wrong", ["vceval run --sweet vctk_unseen", "vceval gat runs/demo", "vceval run --limit many"])
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    assert not understood(shlex.split(wrong)[1:])


def test_a_block_that_is_not_run_says_why() -> None:
    text = "<!-- needs: data -->\n```sh\nvceval run --data x \\\n  --suite y && ls | head  # why\n```\n"
    [match] = FENCE.finditer(text)
    assert (match["needs"], match["language"]) == ("data", "sh")
    operator = ["<operator>"]
    words = [["vceval", "run", "--data", "x", "--suite", "y"], operator, ["ls"], operator, ["head"]]
    assert commands(match["body"]) == words
