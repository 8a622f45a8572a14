"""``vceval.run`` and ``vceval.score``: the options of the command line as arguments, the same results."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

import vceval
from vceval.cli.main import main, parser
from vceval.errors import UsageError
from vceval.runner.request import Request, ScoreRequest, SuiteRequest
from vceval.storage.tables import FrameTable

#: Fields of requests that are no options: who asks, and how; nothing is converted where audio is only scored.
INNER: dict[type[Request], set[str]] = {
    SuiteRequest: {"offer", "command"},
    ScoreRequest: {"offer", "command", "timeout"},
}
#: What happens to a request, not what is asked.
OUTER = {"out": None, "fresh": False}
#: Options of the command line that make sense there alone.
ONLY_WORDS = {"dry_run", "columns", "help", "command", "config", "no_config", "top"}
HEAVY = {"numpy", "pandas", "torch", "scipy", "pyarrow", "matplotlib", "soundfile", "jinja2", "yaml", "argparse"}


@pytest.fixture
def recordings(make_sound: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two systems' conversions of two sources; one file is missing. The working directory is elsewhere."""
    for name in ("a1", "a2", "b1"):
        make_sound(f"audio/{name}.wav", pitch=110.0 + ord(name[0]))
    for name in ("s1", "s2"):
        make_sound(f"audio/{name}.wav")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "audio"


def table(**columns: list[object]) -> pandas.DataFrame:
    rows: dict[str, list[object]] = {
        "Model": ["a", "a", "b", "b"],
        "wav": ["a1.wav", "a2.wav", "b1.wav", "b2.wav"],
        "src": ["s1.wav", "s2.wav", "s1.wav", "s2.wav"],
        "text": ["yes, “no”", None, "yes, “no”", float("nan")],
        "source_speaker": [1, 2, 1, 2],
    }
    return pandas.DataFrame({**rows, **columns})


@pytest.mark.parametrize(("call", "kind"), [(vceval.run, SuiteRequest), (vceval.score, ScoreRequest)])
def test_arguments_are_the_fields_of_the_request(call: Callable[..., object], kind: type[Request]) -> None:
    arguments = {name: one.default for name, one in inspect.signature(call).parameters.items()}
    empty = {dataclasses.MISSING: inspect.Parameter.empty}
    fields = {one.name: empty.get(one.default, one.default) for one in dataclasses.fields(kind)}
    assert arguments == {name: default for name, default in fields.items() if name not in INNER[kind]} | OUTER


@pytest.mark.parametrize(("call", "word"), [(vceval.run, ["run"]), (vceval.score, ["score", "x.csv"])])
def test_arguments_are_the_options_of_the_command(call: Callable[..., object], word: list[str]) -> None:
    options = vars(parser().parse_args(word))
    arguments = {name: one.default for name, one in inspect.signature(call).parameters.items()}
    assert set(arguments) == set(options) - ONLY_WORDS
    for name, default in arguments.items():
        if default is not inspect.Parameter.empty:
            assert (options[name] or default) == default, name


def test_the_docstrings_name_every_argument() -> None:
    for call in (vceval.run, vceval.score):
        for name in inspect.signature(call).parameters:
            assert f"\n    {name}: " in str(inspect.getdoc(call)), name


def test_the_import_is_light() -> None:
    asked = "import sys; before = set(sys.modules); import vceval; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert not found & HEAVY
    assert {name for name in found if name.startswith("vceval")} == {"vceval", "vceval.version"}


def test_names_are_found_when_they_are_used() -> None:
    assert set(vceval.__all__) <= set(dir(vceval))
    with pytest.raises(AttributeError, match="module 'vceval' has no attribute 'scores'"):
        vceval.scores  # noqa: B018
    assert vceval.run.__module__ == "vceval.api.calls"


def test_a_frame_is_scored_as_its_table_is(recordings: Path) -> None:
    """The same values; what is missing is counted and raises nothing; the same call again does nothing again."""
    with pytest.raises(UsageError, match=r"(?s)DataFrame:5: no such file: converted .*b2.wav.*--allow-missing"):
        vceval.score(table(), root=recordings, metrics="sanity", workers=1)
    found = vceval.score(table(), root=recordings, metrics="sanity", allow_missing=True, workers=1)
    assert found.path.parent == Path("runs")
    assert found.path.name.startswith("table-")
    assert not found.ok
    assert list(found.failures["system"]) == ["b"]
    assert found.failures["reason"][0].startswith("DataFrame:5: no such file")
    assert found.path.joinpath("report", "index.html").is_file()
    table().to_csv(recordings / "table.csv", index=False)
    assert (
        main(["score", str(recordings / "table.csv"), "--metrics", "sanity", "--allow-missing", "--workers", "1"]) == 1
    )
    other = vceval.load("runs/table")
    columns = ["system", "pair", "measure", "value", "source_speaker"]
    assert found.scores()[columns].equals(other.scores()[columns])
    assert found.signatures == other.signatures
    assert set(found.scores()["source_speaker"]) == {"1", "2"}
    told = json.loads((found.path / "run.json").read_text())["command"]
    assert told[:2] == ["python", "-c"]
    assert told[2].startswith("import vceval; vceval.score(conversions=DataFrame, allow_missing=True, root=")
    scored = (found.path / "scores.parquet").stat().st_mtime_ns
    again = vceval.score(table(), root=recordings, metrics=["sanity"], allow_missing=True, workers=1)
    assert again.path == found.path
    assert (found.path / "scores.parquet").stat().st_mtime_ns == scored
    with pytest.raises(UsageError, match=r"asked for differently: .*metrics.*--fresh to start over"):
        vceval.score(table(), root=recordings, metrics=["bandwidth"], allow_missing=True, workers=1)
    assert vceval.load(found.path).measures == found.measures


def test_a_plain_script_runs_once(recordings: Path, tmp_path: Path) -> None:
    """Workers do not run the script again: it needs no guard. Its environment stays as it was."""
    script = tmp_path / "mine.py"
    script.write_text(
        "import os, sys\n"
        "import pandas, vceval\n"
        "print('begun')\n"
        "before = dict(os.environ)\n"
        "rows = pandas.DataFrame({'system': ['a'], 'converted': [sys.argv[1]]})\n"
        "results = vceval.score(rows, metrics='sanity', workers=2, out='scored')\n"
        "print(results.ok, results.table()['n'].max(), dict(os.environ) == before)\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, str(script), str(recordings / "a1.wav")], capture_output=True, text=True, cwd=tmp_path,
        env=clean, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["begun", "True 1 True"]
    assert (tmp_path / "scored" / "report" / "index.html").is_file()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pandas.DataFrame({"converted": ["a1.wav"]}), "DataFrame:1: no column system"),
        (
            table(wav=["a1.wav"] * 4, src=["s1.wav"] * 4),
            "DataFrame:3: repeats line 2",
        ),
        (table(systm=["a"] * 4), "DataFrame:1: column 'systm' is unknown; is it 'system'"),
        (table(source_gender=["F", "M", "x", "F"]), "DataFrame:4: source_gender: 'x' must be F, M or empty"),
        (table(text=["a", "b\nc", "d", "e"]), "DataFrame:3: a cell holds a line break"),
        (table().iloc[:0], "DataFrame: holds no rows"),
        (pandas.concat({"x": table()}, axis=1), "DataFrame: its columns have 2 levels"),
        (pandas.concat([table(), table()[["text"]]], axis=1), "DataFrame:1: column 'text' stands twice"),
    ],
)
def test_frames_are_refused_as_tables_are(recordings: Path, frame: pandas.DataFrame, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        vceval.score(frame, root=recordings, metrics="sanity")
    assert words in str(refused.value)
    assert not list(Path().iterdir())


def test_paths_of_a_frame_start_from_here_and_lead_anywhere(recordings: Path) -> None:
    from vceval.protocol.manifest import read_table

    frame = pandas.DataFrame({"system": ["a", "a"], "converted": [recordings / "a1.wav", "../audio/a2.wav"]})
    found = read_table(FrameTable.of(frame))
    assert [one.path for one in found.conversions] == [recordings.resolve() / "a1.wav", recordings.resolve() / "a2.wav"]
    with pytest.raises(UsageError, match="outside of"):
        read_table(FrameTable.of(frame), Path())


def test_cells_are_written_as_they_were() -> None:
    frame = pandas.DataFrame({
        "seed": [1, None], "text": ['say "a", b', " x|y "], "speaker": pandas.array([1, None], dtype="Int64"),
    })  # fmt: skip
    assert FrameTable.of(frame).text == 'seed,text,speaker\n1,"say ""a"", b",1\n," x|y ",\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"suite": "vctk_unsen"}, "vctk_unseen"),
        ({"converters": "wrld"}, "world"),
        ({"metrics": "mdc"}, "mcd"),
        ({"metrics": "sanity", "limit": 0}, "--limit 0: at least one pair is needed"),
        ({"metrics": "sanity", "workers": 0}, "--workers 0: at least one is needed"),
        ({"data": 3}, "data: expected a path or a DataFrame, not int"),
    ],
)
def test_wrong_arguments_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        vceval.run(**arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_pattern_goes_with_a_folder(recordings: Path) -> None:
    with pytest.raises(UsageError, match="DataFrame: is a table; --pattern is about the names of files in folders"):
        vceval.score(table(), pattern="mae-vc", metrics="sanity")


def test_a_small_run_of_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = vceval.run(converters=["source"], metrics=["sanity"], limit=2, workers=1, out=tmp_path / "run")
    assert found.ok
    assert found.systems == ["source"]
    assert found.table().loc[("source", "sanity_flags"), "n"] == 2
    assert not capsys.readouterr().out  # what is printed is progress, on the other stream
