"""A report as its readers get it: the page's tags and texts, its chunks of data, its tables set by LaTeX."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from vceval.results.rundir import RunDirectory


def chunk(run: RunDirectory, name: str) -> Any:
    """Read a chunk of data as the page does: the value that its script hands over."""
    text = (run.report / "data" / f"{name}.js").read_text(encoding="utf-8")
    assert "<" not in text
    assert text.startswith(f'vceval("{name}",')
    return json.loads(text.removeprefix(f'vceval("{name}",').removesuffix(");\n"))


def sample_data(run: RunDirectory) -> list[dict[str, Any]]:
    """All samples in the order of the pairs."""
    count = len(list((run.report / "data").glob("samples-*.js")))
    return [pair for number in range(count) for pair in chunk(run, f"samples-{number}")]


def recordings(run: RunDirectory) -> list[str]:
    """The URLs of all recordings that samples play."""
    entries = [entry for pair in sample_data(run) for entry in [*pair.get("given", []), *pair.get("made", [])]]
    return [entry["src"] for entry in entries if "src" in entry]


class Page(HTMLParser):
    """What a browser would make of the page: tags with attributes, text, and tables as rows of texts."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.open, self.cell = "", False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append((dict(attrs).get("class") or "", ""))
            self.cell = True

    def handle_data(self, data: str) -> None:
        if self.open in ("script", "style"):
            if self.tags[-1][1].get("type") != "application/json":
                self.scripts.append(data)
            return
        self.texts.append(data)
        if self.cell:
            kind, text = self.rows[-1][-1]
            self.rows[-1][-1] = (kind, f"{text} {data.strip()}".strip())

    def handle_endtag(self, tag: str) -> None:
        self.open = ""
        if tag in ("td", "th"):
            self.cell = False


def typeset(place: Path, document: str) -> str:
    """Run LaTeX in a folder and return its log; skip where there is none, fail where it stops at an error."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    (place / "all.tex").write_text(document, encoding="utf-8")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=place, capture_output=True, timeout=120)
    log = (place / "all.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-3000:]
    return log


def assert_fits(log: str) -> None:
    """Fail where LaTeX had to let something stick out of the page."""
    assert not re.findall(r"(?:Overfull \\[hv]box|Float too large).*", log)


def inputs(folder: Path, place: Path, files: str = "*.tex") -> str:
    """Copy tables to a place and return the commands that set each on a page of its own."""
    paths = sorted(folder.glob(files))
    assert paths
    for path in paths:
        shutil.copy(path, place)
    return "".join(f"\\input{{{path.name}}}\\clearpage\n" for path in paths)


def article(options: str, line: str, gap: str) -> str:
    """The beginning of an article in Times, with the line and the gap between columns that a class documents."""
    return (
        f"\\documentclass[{options},twocolumn]{{article}}\\usepackage{{times}}\\setlength{{\\textwidth}}{{{line}}}"
        f"\\setlength{{\\columnsep}}{{{gap}}}\\setlength{{\\oddsidemargin}}{{-8mm}}"
    )


#: What papers are set in: a class that TeX Live has, or an article of the same sizes where it has not.
CLASSES = {
    "plain": "\\documentclass[twocolumn]{article}",
    "interspeech": article("10pt,a4paper", "170mm", "10mm"),
    "ieee": article("10pt", "178mm", "6mm"),
    "acl": article("11pt,a4paper", "160mm", "6mm"),
    "IEEEtran": "\\documentclass[conference]{IEEEtran}",
}


def compiled(
    folder: Path, place: Path, packages: str = "", files: str = "*.tex", kind: str = "plain"
) -> tuple[str, str]:
    """Set tables in two columns, in one of :data:`CLASSES`; return what LaTeX said and what the pages say."""
    text = f"{CLASSES[kind]}\\usepackage{{booktabs}}{packages}\\begin{{document}}\n"
    text += f"x{inputs(folder, place, files)}\\vcevalRun: \\vcevalSignature[mcd]\\end{{document}}\n"
    log, shown = typeset(place, text), ""
    if reader := shutil.which("pdftotext"):
        subprocess.run([reader, "-layout", "all.pdf", "all.txt"], cwd=place, check=True, timeout=60)
        shown = (place / "all.txt").read_text(encoding="utf-8")
    return log, shown
