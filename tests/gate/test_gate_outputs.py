"""Baseline files that can be trusted, JUnit XML that validates, Markdown that shows names as they are."""

from __future__ import annotations

import functools
import gzip
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import MadeRun, write_rules
from markdown_it import MarkdownIt
from places import DATA

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.gate import baseline, outputs
from vceval.gate.check import check
from vceval.gate.evidence import of_run
from vceval.gate.rules import read_rules
from vceval.gate.verdict import Offender, Result, Verdict

HOSTILE = "</failure><!--]]>&\"'`|*_[x](javascript:1)<img src=x onerror=alert(1)> @everyone #1 \x1b[2J\x00\ud800\n## h"


@functools.cache
def schema() -> Any:
    """The schema of JUnit XML that continuous integration reads."""
    import xmlschema

    return xmlschema.XMLSchema(DATA / "junit.xsd")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = MadeRun(flags={("A", "s3-t3"): ["clipped"]}).fill()
    made.sums["A", "s1-t1", "mcd"] = (0.1 + 0.2, 1.0)
    del made.sums["A", "s2-t2", "wer"]
    return made.write(tmp_path / "run")


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_baseline_file_holds_what_the_run_holds(run: Path, tmp_path: Path, suffix: str) -> None:
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        baseline.save(run, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    loaded, direct = baseline.read(files[0]), of_run(run)
    for name in ("suite", "metrics", "calibration", "measures", "systems", "pairs", "flags", "failures"):
        assert getattr(loaded, name) == getattr(direct, name), name
    assert baseline.render(loaded) == baseline.render(direct)
    assert check(direct, loaded, read_rules(write_rules(tmp_path))).outcome == "pass"
    assert baseline.render(baseline.resolve(tmp_path / "one")) == baseline.render(loaded)


def test_a_baseline_file_is_small_and_changes_by_lines(run: Path, tmp_path: Path) -> None:
    texts = []
    for value in (5.0, 6.0):
        made = MadeRun().fill()
        made.sums["A", "s1-t1", "mcd"] = (value, 1.0)
        texts.append(baseline.render(of_run(made.write(tmp_path / str(value)))).splitlines())
    assert sum(one != other for one, other in zip(*texts, strict=True)) == 1
    assert len("\n".join(texts[0])) < 64 * 2 * 100


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda c: c.update(schema=4), "schema 4"),
        (lambda c: c.update(schema=1), "damaged"),
        (lambda c: c.update(format="other"), "is no baseline"),
        (lambda c: c.pop("pairs"), "damaged"),
        (lambda c: c["pairs"][0].pop(), "damaged"),
        (lambda c: c["pairs"].append(c["pairs"][0]), "twice"),
        (lambda c: c["scores A"][0].__setitem__(0, 9999), "damaged"),
        (lambda c: c["scores A"][0].__setitem__(0, -1), "damaged"),
        (lambda c: c["scores A"][0].__setitem__(1, "1"), "no number"),
        (lambda c: c["scores A"][0].__setitem__(1, True), "no number"),
        (lambda c: c["scores A"][0].append(1), "damaged"),
        (lambda c: c["measures"][0].__setitem__(4, "sideways"), "sideways"),
        (lambda c: c.update(systems={}), "damaged"),
        (lambda c: c.update(metrics=[1]), "damaged"),
    ],
)
def test_a_damaged_baseline_is_refused(run: Path, tmp_path: Path, damage: Any, said: str) -> None:
    content = json.loads(baseline.render(of_run(run)))
    damage(content)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=re.escape(str(file))) as error:
        baseline.read(file)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"format": "vceval baseline", "schema": 1, "x": NaN}', "[" * 100_000, "\x00", '{"a": 1e999}'],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.json"):
        baseline.read(file)
    packed = tmp_path / "bad.json.gz"
    packed.write_bytes(b"\x1f\x8b" + text.encode()[:50])
    with pytest.raises(UsageError, match=r"bad\.json\.gz"):
        baseline.read(packed)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "LARGEST", 1 << 16)
    file = tmp_path / "bomb.json.gz"
    file.write_bytes(gzip.compress(b" " * (1 << 20)))
    with pytest.raises(UsageError, match="larger than"):
        baseline.read(file)


def test_saving_says_what_is_wrong(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "save", str(run), str(tmp_path / "base.txt")]) == 2
    assert "is a .json or .json.gz file" in capsys.readouterr().err
    assert main(["baseline", "save", str(tmp_path), str(tmp_path / "base.json")]) == 2
    kept = (run / "summary.json").read_text()
    (run / "summary.json").write_text('{"measures": [{}]}')
    assert main(["baseline", "save", str(run), str(tmp_path / "base.json")]) == 2
    assert "has schema None" in capsys.readouterr().err
    (run / "summary.json").write_text(kept)
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "state": "scoring"}))
    assert main(["baseline", "save", str(run), str(tmp_path / "base.json")]) == 2
    assert "not finished" in capsys.readouterr().err


def result_of(*verdicts: Verdict) -> Result:
    return Result(f"runs/{HOSTILE}", HOSTILE, HOSTILE, "rules", verdicts, [HOSTILE])


def worst() -> Result:
    offender = Offender(HOSTILE, HOSTILE, f"/runs/x/{HOSTILE}.wav", "", 1.0)
    return result_of(
        Verdict(HOSTILE, HOSTILE, "all", "regress", HOSTILE, None, [offender]),
        Verdict("mcd", "A", "F2F", "undecided", HOSTILE),
        Verdict("mcd", "A", "all", "pass", HOSTILE),
    )


@pytest.mark.parametrize(("undecided", "failures", "skipped"), [("fail", 2, 0), ("warn", 1, 1), ("pass", 1, 0)])
def test_junit_validates_whatever_the_names(undecided: str, failures: int, skipped: int) -> None:
    text = outputs.to_junit(worst(), undecided)
    schema().validate(text)
    suite = ElementTree.fromstring(text)[0]
    assert [int(suite.attrib[name]) for name in ("tests", "failures", "skipped")] == [3, failures, skipped]
    assert len(suite.findall("testcase/failure")) == failures
    assert suite.find("testcase/failure").text.startswith("</failure><!--]]>&")  # type: ignore[union-attr]
    schema().validate(outputs.refusal_to_junit(HOSTILE))


@settings(max_examples=50)
@given(name=st.text(st.characters(exclude_categories=[]), max_size=40))
def test_junit_holds_any_text(name: str) -> None:
    text = outputs.to_junit(result_of(Verdict(name, name, "all", "regress", name)), "warn")
    schema().validate(text)
    assert text.encode().decode() == text


def test_the_schema_itself_refuses_what_is_wrong() -> None:
    good = outputs.to_junit(worst(), "warn")
    for bad in (good.replace('tests="3"', ""), good.replace("classname", "class"), good.replace("failure", "fault")):
        assert not schema().is_valid(bad)


def test_junit_of_a_real_gate(run: Path, tmp_path: Path) -> None:
    made = MadeRun(flags={("A", "s3-t3"): ["clipped"]}).fill().worsen("mcd", 1.0, 0.1)
    del made.sums["A", "s2-t2", "wer"]
    result = check(of_run(made.write(tmp_path / "now")), of_run(run), read_rules(write_rules(tmp_path)))
    text = outputs.to_junit(result, "warn")
    schema().validate(text)
    cases = ElementTree.fromstring(text).findall(".//testcase")
    names = [(case.attrib["classname"], case.attrib["name"]) for case in cases]
    assert len(set(names)) == len(names) == len(result.verdicts)
    [failed] = [case for case in cases if case.find("failure") is not None]
    assert (failed.attrib["classname"], failed.attrib["name"]) == ("A", "mcd")
    assert str(tmp_path / "now" / "audio" / "A") in (failed.find("failure").text or "")  # type: ignore[union-attr]


def test_markdown_shows_names_as_they_are(tmp_path: Path) -> None:
    text = outputs.to_markdown(worst(), tmp_path / "gate.md", None, "warn")
    assert "@everyone" not in text
    assert "\x1b" not in text
    page = rendered(text)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert re.findall(r"<h2>", page) == ["<h2>"]
    [link] = re.findall(r'href="([^"]*)"', page)
    assert link.startswith("../")
    assert "\x1b" not in outputs.to_text(worst(), "warn")
    assert "\n## h" not in outputs.refusal_to_markdown(HOSTILE)


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def test_markdown_links_the_recordings(run: Path, tmp_path: Path) -> None:
    made = MadeRun().fill().worsen("mcd", 1.0, 0.1)
    made.systems = {"target": True, "A": False}
    given = read_rules(write_rules(tmp_path))
    result = check(of_run(made.write(tmp_path / "runs" / "a b")), of_run(run), given)
    text = outputs.to_markdown(result, tmp_path / "gate.md", None, "warn")
    found = re.findall(r"\[now\]\(<([^>]+)>\)", text)
    assert all(re.fullmatch(r"runs/a%20b/audio/A/s\d-t\d\.flac", address) for address in found)
    assert len(found) >= 5
    assert re.findall(r"\[before\]\(<run/audio/A/[^>]+>\)", text)
    text = outputs.to_markdown(result, tmp_path / "gate.md", "https://ci.example/job/1/", "warn")
    assert re.findall(r"\[now\]\(<https://ci\.example/job/1/audio/A/s\d-t\d\.flac>\)", text)
    assert "[before]" not in text
    page = rendered(text)
    assert len(re.findall("<th ", page)) == 14
    assert len(re.findall("<tr>", page)) == 4  # the head and three measures
