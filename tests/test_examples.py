"""The plug-ins in ``examples/``, installed as anybody's package is: CONTRIBUTING shows them, and all of them run."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas
import pytest

from vceval.benchmarks import demo

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"^```(?:python|yaml)\n# examples/(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECK = """
import sys
from pathlib import Path
from example_converter import SameLevel
from example_corpus import Folders
from example_metric import Pauses
from vceval.records import Conversion, ConversionPair
from vceval.testing import check_converter, check_corpus, check_metric
corpus = Folders(Path(sys.argv[1]))
problems = list(check_corpus(corpus).problems)
some = list(corpus.utterances())[:8]
pairs = [ConversionPair(f"pair{n}", one.dataset, source=one) for n, one in enumerate(some)]
problems += check_metric(Pauses(), [Conversion("mine", pair, pair.source.path) for pair in pairs]).problems
problems += check_converter(SameLevel(), [(some[0].path, [some[5].path]), (some[1].path, [some[6].path])]).problems
print(*problems, sep="\\n")
"""


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers of the demo corpus as the example's corpus wants them."""
    folder = tmp_path_factory.mktemp("voices")
    with open(demo.root() / "utterances.csv", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["speaker"] in ("slt", "awbf", "rms", "awb") and int(row["id"].rpartition("_")[2]) <= 6:
                place = folder / f"{row['speaker']}-{row['gender']}"
                place.mkdir(exist_ok=True)
                shutil.copy(demo.root() / row["file"], place)
                (place / f"{row['id']}.txt").write_text(row["transcript"], encoding="utf-8")
    (folder / "slt-F" / "slt_006.txt").unlink()
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package of the examples is installed: its modules and its metadata on the path."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLES / "pyproject.toml").read_text(encoding="utf-8"))
    for module in project["tool"]["setuptools"]["py-modules"]:
        shutil.copy(EXAMPLES / f"{module}.py", folder)
    info = folder / "vceval_examples-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vceval-examples\nVersion: 1.0\n")
    points = [
        line
        for group, entries in project["project"]["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    return {**os.environ, "PYTHONPATH": str(folder), "VCEVAL_CACHE": str(folder / "cache")}


def python(*arguments: str, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )


def test_all_of_them_run_together(tmp_path: Path, voices: Path, installed: dict[str, str]) -> None:
    """The suite names the corpus, the metric, its recipe and the converter."""
    done = python(
        "-m", "vceval", "run", "--suite", str(EXAMPLES / "suite.yaml"), "--data", str(voices), "--out", "run",
        environment=installed, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "slt_006.txt" in done.stderr  # what the corpus noted is told
    scores = pandas.read_parquet(tmp_path / "run" / "scores.parquet")
    counts = scores.groupby(["system", "measure"]).size().unstack()
    assert set(counts.index) == {"source", "target", "same-level"}
    assert (counts[["pauses", "pauses:strict", "sanity_flags"]] == 8).all().all()
    values = scores[scores.system == "source"].groupby("measure").value.mean()
    assert 0 < values["pauses:strict"] < values["pauses"] < 1  # 60 dB below is rarer than 40 dB below
    level = scores[scores.measure == "pauses"].set_index("system").value  # what gain can't change
    assert level["same-level"].tolist() == pytest.approx(level["source"].tolist(), abs=0.02)


def test_lists_show_them(tmp_path: Path, installed: dict[str, str]) -> None:
    for what, words in (
        ("metrics --signatures", ("PAUSES|", "pauses:strict", "as Roe counts them")),
        ("converters", ("same-level",)),
        ("corpora", ("folders",)),
    ):
        done = python("-m", "vceval", "list", *what.split(), environment=installed, cwd=tmp_path)
        assert all(word in done.stdout for word in words), done.stdout + done.stderr


def test_they_keep_their_contracts(tmp_path: Path, voices: Path, installed: dict[str, str]) -> None:
    done = python("-c", CHECK, str(voices), environment=installed, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_a_training_ends_with_its_best_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "fine_tuning.py"), "--checkpoints", "2", "--steps", "5", "--pairs", "4"],
        cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted((tmp_path / "tuning").glob("*.pt"))] == ["step-000.pt", "step-005.pt"]
    assert re.search(r"^step-00\d is named of 2; not told apart from it: step-00\d\.$", done.stdout, re.MULTILINE)
    scores = pandas.read_parquet(tmp_path / "tuning" / "run" / "scores.parquet")
    moved = scores[scores.measure == "sv_source_cosine"].groupby("system").value.mean()
    assert moved["step-000"] > 0.999 > moved["step-005"]  # nothing learnt, something learnt


def test_contributing_shows_the_examples() -> None:
    shown = dict(SHOWN.findall(CONTRIBUTING))
    files = {
        path.name: path.read_text(encoding="utf-8")
        for path in EXAMPLES.iterdir()
        if path.suffix == ".yaml" or path.name.startswith("example_")
    }
    assert shown == files


@pytest.mark.parametrize("what", ["metric", "converter", "corpus", "suite", "recipe"])
def test_how_to_add_one_takes_fewer_than_forty_lines(what: str) -> None:
    sections = {part.partition("\n")[0]: part for part in re.split(r"^## ", CONTRIBUTING, flags=re.MULTILINE)}
    assert len(sections[f"A {what}"].strip().splitlines()) < 40
