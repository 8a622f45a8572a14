"""Figures that papers print: all are there as they were read, and what several laboratories print of one system."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from vceval.cli.main import main
from vceval.cli.published import laboratories_table
from vceval.errors import UsageError
from vceval.protocol import published

DOCS = Path(__file__).resolve().parents[2] / "docs" / "pages"


def everything() -> list[dict[str, object]]:
    return published.read(published.names(), Path())


@pytest.mark.parametrize("name", published.names())
def test_figures_of_the_package_can_be_read(name: str) -> None:
    rows = published.read([name], Path(name))
    keys = ("table", "task", "corpus", "split", "pairs", "system", "metric")
    assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows) > 0
    assert all(row["citation"] and row["evaluator"] and row["source"] for row in rows)


def test_they_are_what_was_read(shared: Path) -> None:
    with open(shared / "corpora" / "published_results_2.csv", encoding="utf-8", newline="") as stream:
        sheet = list(csv.DictReader(stream))
    keys = ("paper", "table", "task", "split", "system", "metric", "unit", "measured_by", "origin")
    ours = {
        (*(str(row[key]) for key in keys), str(row["pairs"])): (row["value"], row["plus_minus"]) for row in everything()
    }
    read = {
        (*(row[key] for key in keys), row["pairs"]): (
            float(row["value"]), float(row["plus_minus"]) if row["plus_minus"] else None,
        )
        for row in sheet
        if row["confidence"] == "read"
    }  # fmt: skip
    assert len(read) == 945
    assert {key: ours.get(key) for key in read} == read
    second_hand = {row["paper"] for row in sheet} - {row["paper"] for row in sheet if row["confidence"] == "read"}
    assert not (second_hand - {"kNN-VC"}) & {str(row["paper"]) for row in everything()}  # kNN-VC: its README


def figure(**changes: object) -> dict[str, object]:
    return {"paper": "A", "system": "S", "metric": "WER", "unit": "%", "value": 5.0, "apart": "", **changes}


def test_laboratories_are_two_papers_at_least() -> None:
    rows = [
        figure(), figure(value=9.0), figure(paper="B", system="S (large)", value=7.0),
        figure(system="T"), figure(system="T", value=1.0),
        figure(system="U"), figure(paper="B", system="U", apart="another recogniser's words"),
        figure(system="Source"), figure(paper="B", system="Source"),
        figure(system="V"), figure(paper="B", system="V", unit=""),
    ]  # fmt: skip
    found = published.laboratories(rows)
    assert [(one.system, one.low, one.high, one.papers) for one in found] == [("S", 5.0, 9.0, ["A", "B"])]


def test_the_docs_have_the_table_that_the_command_prints() -> None:
    page = (DOCS / "reference" / "published.md").read_text(encoding="utf-8")
    assert laboratories_table(everything()) in page
    assert f"{len(published.names())} papers, {len(everything()):,} figures" in page


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published"]) == 0
    assert capsys.readouterr().out.endswith(f"{len(published.names())} papers, {len(everything())} figures\n")
    assert main(["published", "freevc", "--metric", "utmos", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["paper"] for row in rows} == {"CFLOW-VC", "SSL-GMMVC"}
    assert main(["published", "vctk_unseen"]) == 0
    assert "ClsVC, Table 1: one-shot VCTK" in capsys.readouterr().out
    assert main(["published", "demo"]) == 0
    assert capsys.readouterr().out == "no paper that vceval knows has figures beside demo\n"
    assert main(["published", "frevc"]) == 2
    assert "did you mean freevc" in capsys.readouterr().err
    assert main(["published", "freevc", "--metric", "WERR"]) == 2
    assert "there are CER, EER, MOS, SECS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rows: []", "must not be empty"),
        ("rows: [{system: S, metric: M, value: .nan}]", "must be a number"),
        ("rows: [{system: S, metric: M, value: 1, wer: 2}]", "is no known key"),
        ("better: {EER: up}\n    rows: [{system: S, metric: EER, value: 1}]", "better"),
    ],
)
def test_malformed(tmp_path: Path, change: str, words: str) -> None:
    (tmp_path / "x.yaml").write_text(
        f"paper: P\ncitation: C\ntables:\n  - table: T\n    task: t\n    corpus: c\n    evaluator: e\n    {change}\n"
    )
    with pytest.raises(UsageError, match=words):
        published.read(["x.yaml"], tmp_path / "x.yaml")
