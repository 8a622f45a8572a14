"""Freezing the pairs that a suite draws: the list, the suite that names it, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml
from installed import install, vceval
from sounds import hum

from vceval.cli import main as cli
from vceval.corpora.opening import open_corpus
from vceval.protocol import grid, pairlist, suite

SUITE: dict[str, Any] = {
    "name": "mine", "version": 3, "title": "My voices", "description": "Jeder mit jedem, für alle.",
    "corpus": {"name": "demo", "options": {}}, "language": "en",
    "draw": {
        "seed": 1, "pairs_per_direction": 2, "targets_per_gender": 2, "prompts_per_target": 2,
        "prompt_seconds": [1, 8], "source_seconds": [1, 10], "min_utterances": 2, "expected": {},
    },
    "natural": {"utterances_per_speaker": 2, "seed": 0, "trials": 100},
    "metrics": ["bandwidth"], "systems": ["source"], "published": [],
}  # fmt: skip


def write(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(SUITE | changes, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def freeze(*arguments: object) -> int:
    return cli.main(["suite", "freeze", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert freeze(*arguments) == 2
    found: str = capsys.readouterr().err
    return found


def test_a_frozen_suite_gives_exactly_the_drawn_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = write(tmp_path / "mine.yaml")
    assert freeze(drawing) == 0
    said = capsys.readouterr().out
    frozen, table = tmp_path / "mine-frozen.yaml", tmp_path / "mine-frozen.csv"
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert f"{table}: 8 pairs (2 F2F, 2 F2M, 2 M2F, 2 M2M), SHA-256 {digest}" in said
    assert f"vceval run --suite {frozen}" in said
    before, after = suite.load(str(drawing)), suite.load(str(frozen))
    assert (after.pairs_sha256, after.pairs_count, after.draw) == (digest, 8, None)
    corpus = open_corpus("demo", None, {})
    one, two = grid.build(before, corpus), grid.build(after, corpus)
    assert one == two
    assert (two.partial, two.custom, two.label, two.pairs_sha256) == (False, False, "mine@3", digest)
    content = yaml.safe_load(frozen.read_text(encoding="utf-8"))
    assert list(content) == [key if key != "draw" else "pairs" for key in SUITE]
    assert {key: value for key, value in content.items() if key != "pairs"} == {
        key: value for key, value in SUITE.items() if key != "draw"
    }


def test_runs_of_both_suites_have_the_same_pairs(tmp_path: Path) -> None:
    write(tmp_path / "mine.yaml")
    done = vceval(tmp_path, tmp_path, "suite", "freeze", "mine.yaml", "--out", "lists/list.yaml")
    assert done.returncode == 0, done.stderr
    for name in ("mine", "lists/list"):
        out = Path(name).name
        done = vceval(tmp_path, tmp_path, "run", "--suite", f"{name}.yaml", "--workers", 1, "--out", f"run-{out}")
        assert done.returncode == 0, done.stderr
    first, second = tmp_path / "run-mine", tmp_path / "run-list"
    assert (first / "pairs.csv").read_bytes() == (second / "pairs.csv").read_bytes()
    assert (first / "scores.parquet").read_bytes() == (second / "scores.parquet").read_bytes()
    facts = json.loads((second / "run.json").read_text())
    assert (facts["suite"], facts["custom"], facts["partial"]) == ("mine@3", False, False)
    with open(tmp_path / "lists" / "list.csv", encoding="utf-8", newline="") as stream:
        listed = [row["pair"] for row in csv.DictReader(stream)]
    with open(second / "pairs.csv", encoding="utf-8", newline="") as stream:
        assert [row["pair"] for row in csv.DictReader(stream)] == listed


def test_nothing_is_written_over_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = write(tmp_path / "mine.yaml")
    table = tmp_path / "mine-frozen.csv"
    table.write_text("mine\n")
    assert refused(capsys, drawing) == (
        f"vceval: {table}: there already; give another --out, or --force to write over\n"
    )
    assert table.read_text() == "mine\n"
    assert not (tmp_path / "mine-frozen.yaml").exists()
    assert freeze(drawing, "--force") == 0
    assert pairlist.read(table)[0]
    both = f"{tmp_path / 'mine-frozen.yaml'} and {table}: there already"
    assert both in refused(capsys, drawing)


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = write(tmp_path / "mine.yaml")
    assert "demo: its pairs are frozen already, in" in refused(capsys, "demo")
    assert "mine.yml: no such file" in refused(capsys, tmp_path / "mine.yml")
    assert "so it must end with .yaml" in refused(capsys, drawing, "--out", tmp_path / "list.csv")
    assert "LibriTTS must be on disk: say with --data where" in refused(
        capsys, "libritts_unseen", "--out", tmp_path / "x.yaml"
    )
    expected = SUITE["draw"] | {"expected": {"utterances": 5, "speakers": 6}}
    other = write(tmp_path / "other.yaml", draw=expected)
    assert "(official release: 5). Another inventory gives another list than that of mine@3" in refused(capsys, other)
    long = write(tmp_path / "long.yaml", draw=SUITE["draw"] | {"prompt_seconds": [60, 90]})
    assert "no pair can be drawn: no speaker with 2 utterances has a prompt of 60 to 90 s" in refused(capsys, long)
    (tmp_path / "figures.yaml").write_text("{}")
    figures = write(tmp_path / "figured.yaml", published=["figures.yaml"])
    assert "(figures.yaml) lie in its folder; write the new suite there, too" in refused(
        capsys, figures, "--out", tmp_path / "elsewhere" / "x.yaml"
    )
    assert sorted(path.name for path in tmp_path.iterdir() if "frozen" in path.name or path.is_dir()) == []


def voices(folder: Path, ids: dict[str, list[str]]) -> Path:
    """A CSV corpus: speaker to the ids of utterances of 2 s."""
    folder.mkdir()
    rows = ["file,id,speaker,gender,language"]
    for speaker, names in ids.items():
        for number, name in enumerate(names):
            soundfile.write(folder / f"{speaker}{number}.wav", hum(2.0, 16_000), 16_000)
            rows.append(f"{speaker}{number}.wav,{name},{speaker},F,en")
    (folder / "utterances.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_corpus_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = voices(tmp_path / "data", {"ann": ["a0", "a1", "a2"], "bea": ["b0", "b1", "b2"]})
    drawing = write(tmp_path / "mine.yaml", corpus={"name": "csv", "options": {}})
    assert freeze(drawing, "--data", data) == 0
    said = capsys.readouterr().out
    assert "2 pairs (2 F2F)" in said
    assert f"The rule asks for 8 pairs; a CSV manifest in {data} gives no more" in said
    assert f"vceval run --suite {tmp_path / 'mine-frozen.yaml'} --data {data}" in said
    (data / "ann0.wav").write_bytes(b"no audio")
    assert "1 recordings can't be read: a0; replace them first" in refused(capsys, drawing, "--data", data, "--force")


def test_ids_that_a_list_cannot_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = voices(tmp_path / "data", {"ann": ["a 0", "a 1", "a 2"], "bea": ["b 0", "b 1", "b 2"]})
    drawing = write(tmp_path / "mine.yaml", corpus={"name": "csv", "options": {}})
    assert "holds a blank; rename the utterance" in refused(capsys, drawing, "--data", data)
    assert not (tmp_path / "mine-frozen.csv").exists()


READER = """
from vceval.corpora.base import Corpus, CorpusInfo
from vceval.records import Utterance


class Blank(Corpus):
    info = CorpusInfo("blank", "Blank", ("en",), 16000, "none", "", "")

    def read(self):
        for speaker in "ab":
            for number in range(4):
                name, seconds = (f"{speaker}{number}", 5.0) if number < 2 else (f"{speaker}{number} ", 2.0)
                yield Utterance(name, self.root / "x.wav", "blank", speaker, "F", "en", None, seconds)
"""


def test_ids_that_a_list_would_change(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "blanks", READER, corpora=["blank=blanks:Blank"])
    rule = SUITE["draw"] | {"prompt_seconds": [4, 8], "source_seconds": [1, 3]}
    write(tmp_path / "mine.yaml", corpus={"name": "blank", "options": {}}, draw=rule)
    done = vceval(site, tmp_path, "suite", "freeze", "mine.yaml", "--data", ".")
    assert done.returncode == 2, done.stderr
    assert "can't stand in a list, as blanks at their ends are lost; rename the utterances" in done.stderr
    assert not (tmp_path / "mine-frozen.csv").exists()
