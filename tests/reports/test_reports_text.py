"""Texts, links and sentences of reports."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from report_pages import typeset

from vceval.reports import markdown
from vceval.reports.audio_links import AudioLinks, url
from vceval.reports.latex_escape import breakable, escape
from vceval.reports.problems import failure_groups, plural
from vceval.results.views import Report, number

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
COMMAND = re.compile(r"\\(?:[a-zA-Z]+(?:\{\})?|[{}&%$#_'`^\"~=.])")


@given(ANY_TEXT)
@example("\\input{/etc/passwd} & 50% $x^2$ #1 a_b ~ {")
@example("naïve Åsa Łódź 名 😀 e\u0301 \u200b\x00\n\t")
def test_escaped_text_is_harmless_ascii(text: str) -> None:
    for made in (escape(text), breakable(text)):
        assert made.isascii()
        assert "\n" not in made
        rest = COMMAND.sub("", made)
        assert not set(rest) & set("\\&%#_~"), made
        assert rest.count("$") % 2 == 0
        braces = re.sub(r"\\[{}]", "", made)
        assert braces.count("{") == braces.count("}")


def test_escaped_text_prints_what_it_says() -> None:
    assert escape("50 % of a_b & {c}") == r"50 \% of a\_b \& \{c\}"
    assert escape("Zoë") == r"Zo\"{e}"
    assert escape("😀") == "U+1F600"
    assert escape("MCD ↓") == r"MCD $\downarrow$"


def test_every_escape_compiles(tmp_path: Path) -> None:
    characters = [chr(code) for code in [*range(0x20, 0x250), *range(0x370, 0x3D0), *range(0x1E00, 0x1F00), *range(
        0x2000, 0x2210), 0x540D, 0x1F600]]  # fmt: skip
    body = "\n\n".join(f"x{escape(c)}x \\textbf{{{breakable(c * 30)}}}" for c in characters)
    caption = f"\\begin{{table}}\\caption{{{escape(''.join(characters[:200]))}}}\\end{{table}}"
    document = f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n{caption}\n\\end{{document}}\n"
    assert document.isascii()
    log = typeset(tmp_path, document)
    assert "Missing character" not in log


@given(ANY_TEXT)
@example("a | b \\| *c* <img src=x onerror=1> [x](javascript:1)")
def test_markdown_cell_stays_one_cell(text: str) -> None:
    made = markdown.escape(text)
    assert not re.search(r"[\n\r<>]", made)
    assert not re.search(r"[|*`\[\]]", re.sub(r"\\.", "", made))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1), min_size=1))
@example(["a b;&#%?.wav"])
@example(['"><script>.flac'])
def test_links_are_quoted_and_lead_back(parts: list[str]) -> None:
    parts = [part for part in parts if part not in (".", "..")] or ["x"]
    path = Path("/run/audio", *parts)
    link = url(path, Path("/run/report"))
    assert re.fullmatch(r"[A-Za-z0-9_./%~-]+", link)
    assert Path(os.path.normpath(Path("/run/report") / unquote(link))) == path


def test_outside_recording_is_linked_once_by_its_content(tmp_path: Path) -> None:
    run, report = tmp_path / "run", tmp_path / "run" / "report"
    report.mkdir(parents=True)
    for name in ("a.WAV", "b.WAV"):
        (tmp_path / name).write_bytes(b"same bytes")
    links = AudioLinks(run, report)
    first, second = (links.href(str(tmp_path / name)) for name in ("a.WAV", "b.WAV"))
    assert first == second
    assert re.fullmatch(r"audio/[0-9a-f]{16}\.wav", str(first))
    assert (report / str(first)).read_bytes() == b"same bytes"
    assert links.href(str(tmp_path / "none.wav")) is None
    assert links.href("") is None


def test_a_copy_in_the_report_shares_no_bytes_with_the_recording(tmp_path: Path) -> None:
    original, report = tmp_path / "a.flac", tmp_path / "run" / "report"
    report.mkdir(parents=True)
    original.write_bytes(b"bytes")
    copy = report / str(AudioLinks(tmp_path / "run", report).href(str(original)))
    copy.write_bytes(b"other")
    assert original.read_bytes() == b"bytes"
    copy.unlink()
    os.link(original, copy)  # as reports of earlier versions did
    assert report / str(AudioLinks(tmp_path / "run", report).href(str(original))) == copy
    assert copy.read_bytes() == b"bytes"
    assert not copy.samefile(original)


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
@example(-0.0001, 2)
def test_numbers_round_and_zero_has_no_sign(value: float, decimals: int) -> None:
    text = number(value, decimals)
    assert float(text) == pytest.approx(value, abs=0.5001 * 10**-decimals)
    assert not (text.startswith("-") and float(text) == 0)


def test_failures_are_grouped_by_what_went_wrong() -> None:
    long = [
        {"system": f"s{n % 2}", "pair": f"p{n}", "stage": "convert", "metric": "", "reason": f"/d/p{n}.wav: {n}.5 s"}
        for n in range(7)
    ]
    silent = {"system": "s0", "pair": "p9", "stage": "score", "metric": "mcd", "reason": "silent"}
    run = SimpleNamespace(failures=[*long, silent])
    groups = failure_groups(cast(Report, run))
    assert [(group.stage, group.count) for group in groups] == [("convert", 7), ("score", 1)]
    assert groups[0].reason == "/d/p0.wav: 0.5 s"
    assert groups[0].systems == ["s0", "s1"]
    assert groups[0].examples[:2] == [("s0", "p0"), ("s1", "p1")]
    assert len(groups[0].examples) == 5


def test_plural() -> None:
    assert [plural(n, "pair") for n in (0, 1, 12000)] == ["0 pairs", "1 pair", "12,000 pairs"]
