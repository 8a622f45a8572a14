"""Systems without public weights: listed, refused in plain words, evaluated through either door as these words say."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from places import ROOT

from vceval import registry
from vceval.cli import main as cli
from vceval.converters.base import Converter
from vceval.converters.unpublished import Unpublished, VqvcPlus
from vceval.errors import UsageError
from vceval.protocol.patterns import Pattern

NAMES = ("clsvc", "skqvc", "starganvc2", "vae", "vqvcplus")


@pytest.mark.parametrize("name", NAMES)
def test_known_but_not_run(name: str) -> None:
    found: type[Unpublished] = registry.load("converter", name)
    converter: Converter = found()
    assert (found.info.name, found.info.kind) == (name, "unpublished")
    assert found.info.licence
    assert found.info.paper
    assert not found.info.control
    with pytest.raises(UsageError) as refusal:
        converter.open("cpu")
    [lack] = converter.missing_files()
    assert lack == str(refusal.value)
    for part in (found.missing, found.code, found.bring, f"'{name}=precomputed:", f"'{name}=command:"):
        assert part in lack
    assert {"source", "target"} <= Pattern(found.pattern).fields


def test_listed_with_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "converters", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(NAMES) == {one["name"] for one in found if one["kind"] == "unpublished"}


def run(*arguments: str) -> int:
    return cli.main(
        ["run", "--limit", "2", "--converters", "source", "--metrics", "sanity", "--workers", "1", *arguments]
    )


def advice(converter: type[Unpublished], door: str) -> list[str]:
    """The arguments that the refusal tells a user to type, without those that name the program and what it does."""
    [line] = [line.strip() for line in converter.way().splitlines() if f"={door}:" in line]
    words = shlex.split(line)
    assert words[:2] == ["vceval", "run"]
    return words[2:]


def test_a_run_says_why_its_pairs_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas

    monkeypatch.chdir(tmp_path)
    assert run("--system", "vqvcplus") == 1
    assert (
        "vqvcplus will fail: VQVC+ can't be run by vceval itself: no weights are published" in capsys.readouterr().err
    )
    failures = pandas.read_csv(tmp_path / "runs" / "demo" / "failures.csv")
    assert set(failures.system) == {"vqvcplus"}
    assert failures.reason.str.contains("https://github.com/ericwudayi/SkipVQVC").all()


def test_through_precomputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files named as the authors' script names them are found by the pattern of the advice."""
    import pandas

    monkeypatch.chdir(tmp_path)
    assert run() == 0
    pairs = pandas.read_csv(tmp_path / "runs" / "demo" / "pairs.csv")
    out = tmp_path / "out"
    out.mkdir()
    for pair in pairs.itertuples():
        source, target = (Path(str(path)) for path in (pair.source_path, pair.prompt_paths))
        shutil.copy(source, out / f"{source.stem}_to_{target.stem}.flac")
    flag, system = advice(VqvcPlus, "precomputed")
    assert run(flag, system.replace("FOLDER", str(out)).replace(".wav", ".flac"), "--out", "second") == 0
    check(tmp_path / "second", "vqvcplus", len(pairs))


def test_through_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's worker stands for a user's own."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "pages" / "how-to" / "own-converter.md").read_text(encoding="utf-8")
    (tmp_path / "worker.py").write_text("#" + page.split("```python\n# worker.py")[1].split("```")[0])
    flag, system = advice(registry.load("converter", "skqvc"), "command")
    assert run(flag, system.replace("/path/of/its/environment/bin/python", sys.executable)) == 0
    check(tmp_path / "runs" / "demo", "skqvc", 2)


def check(folder: Path, system: str, pairs: int) -> None:
    import pandas

    scores = pandas.read_parquet(folder / "scores.parquet")
    assert set(scores.system) == {"source", system}
    assert scores[scores.system == system]["pair"].nunique() == pairs
