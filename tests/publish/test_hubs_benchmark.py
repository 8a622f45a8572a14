"""A suite as a data set: Croissant read by the package of its makers, ``eval.yaml`` of the form that they document."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
import yaml
from published_runs import published_run

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.protocol import suite as suites
from vceval.reports.hubs import benchmark, model

PRIVATE = """\
name: "mine: [x]"
version: 2
title: 'My "voices": <b>&amp;</b> # 1'
description: "Friends, *each* to each: 日本 {a}"
corpus: {name: csv, options: {}}
pairs: {file: pairs.csv, sha256: SHA, count: 1, references: optional}
natural: {utterances_per_speaker: 20, seed: 0, trials: 3000}
metrics: [mcd]
systems: [source]
published: []
"""
LIST = b"pair,direction,source,prompts,reference,natural\nsecret_1,,secret_a,secret_b,,secret_c\n"


def described(folder: Path, caplog: pytest.LogCaptureFixture) -> mlcroissant.Dataset:
    """Read a description, which must raise no error, and no warning; nothing is fetched."""
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(folder / "croissant.json")
    assert not caplog.records
    issues = found.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    return found


@pytest.mark.parametrize("name", suites.names())
def test_every_suite_is_a_data_set_that_its_makers_can_read(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    suite = suites.load(name)
    _, left_out = benchmark.write(name, tmp_path, "group/voices")
    found = described(tmp_path, caplog)
    assert found.metadata.name == suite.name
    assert found.metadata.url == "https://huggingface.co/datasets/group/voices"
    assert "@" in (found.metadata.cite_as or "")
    if suite.pairs_file is None:
        assert "by which pairs are drawn" in left_out[0]
        assert not (tmp_path / "test.csv").exists()
        return
    assert left_out == []
    assert (tmp_path / "test.csv").read_bytes() == suite.pairs_file.read_bytes()
    records = [{key: value.decode() for key, value in row.items() if isinstance(value, bytes)}
               for row in found.records("pairs")]  # fmt: skip
    frozen = suites.frozen_pairs(suite)
    assert [(row["pairs/pair"], row["pairs/source"], row["pairs/prompts"]) for row in records] == [
        (pair.pair, pair.source, " ".join(pair.prompts)) for pair in frozen
    ]


@pytest.mark.parametrize("name", suites.names())
def test_tasks_are_those_that_results_name(name: str, tmp_path: Path) -> None:
    benchmark.write(name, tmp_path)
    found = yaml.safe_load((tmp_path / "eval.yaml").read_text(encoding="utf-8"))
    assert set(found) == {"name", "description", "tasks"}
    assert all(set(task) == {"id", "config", "split"} for task in found["tasks"])
    ids = [task["id"] for task in found["tasks"]]
    assert len(set(ids)) == len(ids)
    assert all(f"{one}: " in found["description"] for one in ids)
    assert "is better" in found["description"]


def test_results_of_a_suite_are_of_its_tasks(tmp_path: Path) -> None:
    metrics = suites.load("demo").metrics
    run = published_run(tmp_path / "run", systems={"source": True, "mine": False}, metrics=metrics)
    model.write([run.root], tmp_path, benchmark="group/voices")
    benchmark.write("demo", tmp_path / "data")
    results = yaml.safe_load((tmp_path / ".eval_results" / "demo.yaml").read_text(encoding="utf-8"))
    tasks = yaml.safe_load((tmp_path / "data" / "eval.yaml").read_text(encoding="utf-8"))["tasks"]
    assert [one["dataset"]["task_id"] for one in results] == [task["id"] for task in tasks]


def private(folder: Path) -> Path:
    import hashlib

    (folder / "pairs.csv").write_bytes(LIST)
    file = folder / "secret_suite.yaml"
    file.write_text(PRIVATE.replace("SHA", hashlib.sha256(LIST).hexdigest()), encoding="utf-8")
    return file


def test_of_a_private_corpus_no_recording_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    assert main(["publish", str(private(tmp_path)), "--huggingface", str(out), "--benchmark", "group/voices"]) == 0
    assert "left out: test.csv" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"eval.yaml", "croissant.json"}
    text = "".join(path.read_text(encoding="utf-8") for path in out.iterdir())
    assert "secret" not in text
    assert str(tmp_path) not in text
    about: dict[str, Any] = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert (about["name"], about["alternateName"]) == ("mine: [x]", 'My "voices": <b>&amp;</b> # 1')
    assert "license" not in about  # nobody but its owner knows
    assert yaml.safe_load((out / "eval.yaml").read_text(encoding="utf-8"))["name"] == about["alternateName"]
    with caplog.at_level(logging.ERROR):
        found = mlcroissant.Dataset(out / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    assert found.metadata.name == "mine: [x]"


def test_what_stands_there_stays(tmp_path: Path) -> None:
    (tmp_path / "eval.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"eval\.yaml: stands there and says something else"):
        benchmark.write("demo", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["eval.yaml"]


def test_another_day_gives_the_same_bytes(tmp_path: Path) -> None:
    benchmark.write("demo", tmp_path)
    file = tmp_path / "croissant.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(file.read_text(encoding="utf-8").replace(about["datePublished"], "2020-02-03"), encoding="utf-8")
    written, _ = benchmark.write("demo", tmp_path)
    assert {one.how for one in written} == {"same"}
    file.write_text("[1]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"croissant\.json: stands there"):
        benchmark.write("demo", tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo@7"], "demo@7"),
        (["demo", "vctk_seen"], "is a suite"),
        (["demo", "--system", "mine"], "is a suite"),
        (["nothing.yaml"], "nothing.yaml"),
    ],
)
def test_wrong_use_is_told(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["publish", *words, "--huggingface", "out"]) == 2
    assert said in capsys.readouterr().err
    assert main(["publish", "demo", "--benchmark", "a/b"]) == 2
    assert "--huggingface" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
