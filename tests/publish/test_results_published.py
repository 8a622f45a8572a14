"""Result files: the same figures as the run's own, nothing of its recordings, and refused where they are not right."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from places import ROOT
from published_runs import SYSTEMS, WORDS, published_run

from vceval.cli.main import main
from vceval.cli.schema import schema_of
from vceval.errors import UsageError
from vceval.publish import keys
from vceval.publish.check import check
from vceval.publish.columns import pack, pack_facts, places, unpack, unpack_facts
from vceval.publish.extract import UNPUBLISHED, publish
from vceval.publish.rebuild import opened, rebuilt, verified
from vceval.publish.record import LARGEST, Result, read, render
from vceval.reports.seed_tables import seed_tables
from vceval.results import views
from vceval.results.compare import Comparison, compare
from vceval.results.rundir import RunDirectory
from vceval.results.views import Report


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> keys.Key:
    return keys.make("Speech Group", tmp_path_factory.mktemp("key") / "key.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return published_run(tmp_path_factory.mktemp("run") / "demo")


@pytest.fixture(scope="module")
def files(run: RunDirectory, key: keys.Key, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return published(run, key, tmp_path_factory.mktemp("results"))


def published(run: RunDirectory, key: keys.Key, folder: Path) -> dict[str, Path]:
    return {result.system.name: file for file, result in publish(run.root, folder, key)}


def report_of(paths: list[Path], **how: bool) -> Report:
    [found] = opened(paths, **how)
    assert isinstance(found, Report)
    return found


def signed(path: Path, key: keys.Key, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change what is in a file and sign it again, as its publisher could."""
    content = json.loads(path.read_bytes())["result"]
    content["by"]["key"] = key.public
    change(content)
    message = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    file = folder / "changed.json"
    file.write_bytes(b'{"result":%b,"signature":"%b"}\n' % (message, key.sign(message).encode()))
    return file


def test_every_figure_interval_test_and_mark_is_made_again(run: RunDirectory, files: dict[str, Path]) -> None:
    before, after = views.load(run), report_of(list(files.values()))
    assert after.cells == before.cells
    assert any(cell.low is not None for cell in after.cells.values())
    assert any(cell.failed for cell in after.cells.values())
    assert after.rankings == before.rankings
    assert any(ranking.best for ranking in after.rankings.values())
    assert any(one.p_value is not None for ranking in after.rankings.values() for one in ranking.comparisons)
    for what in ("systems", "measures", "metrics", "datasets", "directions", "training", "kin", "calibration",
                 "calibration_file", "pair_count", "suite", "partial", "panels"):  # fmt: skip
        assert getattr(after, what) == getattr(before, what), what
    assert sorted(len(flags) for flags in after.flags.values()) == sorted(len(flags) for flags in before.flags.values())
    assert len(after.failures) == len(before.failures)
    assert len(after.skips) == len(before.skips)


def lines(found: Comparison) -> list[Any]:
    return [(one.measure.name, one.system.name, one.pairs, one.cells, one.differences, one.corrected)
            for one in found.lines]  # fmt: skip


def test_the_table_of_seeds_is_that_of_the_run(key: keys.Key, tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", metrics=("mcd", "wer"), limit=12)
    summary = run.read_json("summary.json")
    figures = [
        {"system": system, "measure": measure, "scored": 24, "expected": 24, "pairs": 12, "values": [0.5, 0.6],
         "sd": 0.05, "variance": {"seed": 0.1, "speakers": 0.2, "sentence": 0.7}, "part": 0.1, "enough": 3 + number}
        for measure in ("mcd", "wer") for number, system in enumerate(("other", "mine"))
    ]  # fmt: skip
    run.write_json("summary.json", {**summary, "seeds": {"share": 0.1, "figures": figures, "differences": []}})
    found = published(run, key, tmp_path / "results")
    [ours], [theirs] = (seed_tables(one) for one in (report_of([found["other"], found["mine"]]), views.load(run)))
    assert sorted(ours.rows) == sorted(theirs.rows)
    assert [row[1] for row in ours.rows] == [row[1] for row in theirs.rows]
    assert list(ours.rows[0][5:8]) == ["10", "20", "70"]
    for wrong in ({"measure": "miracle"}, {"system": "other"}):
        bad = signed(found["mine"], key, tmp_path, lambda c, wrong=wrong: c["seeds"][0].update(wrong))  # type: ignore[misc]
        assert "is none of the file" in check(bad, intervals=False).problems[0]


def test_comparisons_are_those_of_the_runs(
    run: RunDirectory, files: dict[str, Path], key: keys.Key, tmp_path: Path
) -> None:
    later = published_run(tmp_path / "later", seed=1, lost=3)
    theirs = published(later, key, tmp_path / "results")
    from_runs = compare([run.root, later.root])
    assert any(line.corrected[1] is not None for line in from_runs.lines)
    from_files = compare([report_of(list(one.values()), figures=False) for one in (files, theirs)])
    assert lines(from_files) == lines(from_runs)
    assert lines(compare([run.root, report_of(list(theirs.values()), figures=False)])) == lines(from_runs)


@pytest.mark.parametrize("private", [False, True])
def test_nothing_of_recordings_is_in_a_file(private: bool, key: keys.Key, tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", private=private, metrics=("mcd", "wer", "fake"))
    before = views.load(run)
    made = published(run, key, tmp_path / "results")
    for path in made.values():
        text = path.read_text(encoding="ascii")
        assert not re.search(rf"{WORDS}|walrus|\.wav|\.pt\b|worker|somebody|a run|/home|audio", text)
        assert not any(row["pair"] in text or row["source"] in text for row in before.pairs)
    mine = read(made["mine"]).result
    assert mine.system.options == {"command": UNPUBLISHED, "steps": 3}
    assert mine.system.weights[0].edition == "published, version 2"
    assert ("secret" in made["mine"].read_text()) is False
    speakers = {row["target_speaker"] for row in before.pairs} | {row["source_speaker"] for row in before.pairs}
    if private:
        assert mine.pairs.speakers == [f"speaker {number}" for number in range(1, len(speakers) + 1)]
    else:
        assert set(mine.pairs.speakers) == speakers
    assert report_of(list(made.values())).cells == before.cells


def test_1200_pairs_are_less_than_200_kb(key: keys.Key, tmp_path: Path) -> None:
    from vceval.protocol import suite as suites

    metrics = suites.load("vctk_unseen").metrics
    run = published_run(tmp_path / "run", "vctk_unseen", metrics=metrics, systems={"mine": False}, lost=0)
    [file] = published(run, key, tmp_path / "results").values()
    assert read(file).result.pairs.count == 1200
    assert file.stat().st_size < 200_000
    assert check(file, intervals=False).problems == []


def test_the_schema_is_that_of_the_model_and_takes_what_is_written(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "result"]) == 0
    kept = (ROOT / "benchmarks" / "schemas" / "result.json").read_text(encoding="utf-8")
    assert capsys.readouterr().out == schema_of("result") == kept
    for path in files.values():
        jsonschema.Draft202012Validator(json.loads(kept)).validate(json.loads(path.read_bytes()))


def test_the_same_result_gives_the_same_bytes(files: dict[str, Path], key: keys.Key) -> None:
    data = files["mine"].read_bytes()
    assert render(read(files["mine"]).result, key) == data


def test_files_that_are_right_are_fine(files: dict[str, Path], key: keys.Key) -> None:
    for path in files.values():
        found = check(path, {key.public})
        assert (found.problems, found.notes) == ([], [])
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_changed_digit_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    data, file = files["mine"].read_bytes(), tmp_path / "changed.json"
    digits = [match.start() for match in re.finditer(rb"[0-9]", data)]
    rng = np.random.default_rng(0)
    for place in rng.choice(digits, 60, replace=False).tolist():
        other = b"0123456789".replace(data[place : place + 1], b"")
        file.write_bytes(data[:place] + other[rng.integers(9) :][:1] + data[place + 1 :])
        assert not check(file, intervals=False).fine, place
        with pytest.raises(UsageError, match=re.escape(str(file))):
            verified(file)


def test_another_key_is_told(files: dict[str, Path], key: keys.Key, tmp_path: Path) -> None:
    other = keys.make("Another", tmp_path / "key.json")
    claimed = signed(files["mine"], other, tmp_path, lambda content: content["by"].update(key=key.public))
    assert check(claimed, {key.public}).problems == [keys.CHANGED]
    taken = signed(files["mine"], other, tmp_path, lambda content: None)
    [problem] = check(taken, {key.public}).problems
    assert other.public in problem
    assert "trusted" in problem
    assert check(taken).fine


def _first(content: dict[str, Any], measure: str) -> dict[str, Any]:
    figures = {(one["measure"], one["dataset"], one["direction"]): one["cell"] for one in content["figures"]}
    found: dict[str, Any] = figures[measure, "all", "all"]
    return found


def _figure(content: dict[str, Any]) -> None:
    _first(content, "mcd")["value"] -= 1e-6


def _count(content: dict[str, Any]) -> None:
    _first(content, "mcd")["n"] += 1


def _interval(content: dict[str, Any]) -> None:
    _first(content, "mcd")["low"] *= 1.001


def _sum(content: dict[str, Any]) -> None:
    sums = content["sums"]["mcd"]
    above = unpack(sums["numerators"])
    sums["numerators"] = pack(above * 0.9)


def _beyond(content: dict[str, Any]) -> None:
    content["suite"]["pairs"] = 49


def _fewer(content: dict[str, Any]) -> None:
    content["suite"]["pairs"] = 47


def _list(content: dict[str, Any]) -> None:
    content["suite"]["pairs_sha256"] = "0" * 64


def _direction(content: dict[str, Any]) -> None:
    content["pairs"]["direction_names"].reverse()


def _twice(content: dict[str, Any]) -> None:
    listed = unpack(content["pairs"]["listed"])
    listed[1] = listed[0]
    content["pairs"]["listed"] = pack(listed)


def _better(content: dict[str, Any]) -> None:
    next(one for one in content["measures"] if one["name"] == "wer")["better"] = "higher"


def _rate(content: dict[str, Any]) -> None:
    sums = content["sums"]["sv_accept"]
    sums["numerators"] = pack(unpack(sums["numerators"]) + 0.5)


def _future(content: dict[str, Any]) -> None:
    content["by"]["published"] = "2999-01-01T00:00:00Z"


def _converted(content: dict[str, Any]) -> None:
    content["system"]["expected"] = 500


def _lacking(content: dict[str, Any]) -> None:
    content["figures"] = [one for one in content["figures"] if one["measure"] != "mcd"]


def _unknown(content: dict[str, Any]) -> None:
    content["figures"].append({**content["figures"][0], "measure": "miracle"})


def _length(content: dict[str, Any]) -> None:
    content["sums"]["mcd"]["numerators"] = pack([1.0, 2.0])


def _bomb(content: dict[str, Any]) -> None:
    content["sums"]["mcd"]["numerators"] = pack(np.zeros(10_000_000))


def _place(content: dict[str, Any]) -> None:
    content["pairs"]["targets"] = pack(np.full(48, 1e6))


def _tomorrow(content: dict[str, Any]) -> None:
    content["version"] = 2


def _key(content: dict[str, Any]) -> None:
    content["system"]["surprise"] = 1


def _kind(content: dict[str, Any]) -> None:
    content["system"]["title"] = 5


def _lines(content: dict[str, Any]) -> None:
    content["system"]["title"] = "Mine\n\x1b[2Jfine"


def _turned(content: dict[str, Any]) -> None:
    content["by"]["name"] = "Group \u202e"


def _measure(name: str, **what: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: next(one for one in content["measures"] if one["name"] == name).update(what)


def _learnt(**what: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: next(iter(content["calibrations"]["sv"].values())).update(what)


def _twin(what: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[what].append(dict(content[what][0]))


def _option(content: dict[str, Any]) -> None:
    content["system"]["options"] = {"steps": ["\x1b[2J"]}


def _signature(content: dict[str, Any]) -> None:
    content["metrics"][0]["signature"] += "|x:\u202e"


def _letter(content: dict[str, Any]) -> None:
    content["system"]["title"] = "Mine \ufffe"


def _blank(content: dict[str, Any]) -> None:
    content["system"]["title"] = " \u3000"


def _huge(content: dict[str, Any]) -> None:
    content["sums"]["mcd"]["numerators"] = pack(np.full(48, 1.5e300))


def _tiny(content: dict[str, Any]) -> None:
    content["sums"]["mcd"]["denominators"] = pack(np.full(48, 5e-324))


def _seeds(content: dict[str, Any]) -> None:
    content["seeds"] = [{"system": "mine"}]


def _machine(content: dict[str, Any]) -> None:
    spread = {"median": 1.0, "low": 1.0, "high": 1.0}
    content["efficiency"] = [{
        "system": "mine", "machine": {"processor": "", "cores": 1, "device": "", "workers": 1},
        "set_up": {"torch": "", "threads": 1, "precision": ""}, "parameters": {"": -5}, "counted": 1, "of": 1,
        "warm": True, "together": 1, "rtf": spread, "processor": None, "memory": None, "device_memory": None,
    }]  # fmt: skip


def _silent(content: dict[str, Any]) -> None:
    del content["pairs"]["listed"]
    content["suite"]["public"] = False


#: What leads computing and printing, and must not lead them astray.
ASTRAY = [
    (_measure("mcd", label="MCD\n\x1b[2J"), "no line may hold"),
    (_measure("mcd", decimals=10**9), "decimals is 1000000000"),
    (_measure("mcd", decimals=-3), "decimals is -3"),
    (_measure("mcd", thresholded="nothing"), "thresholded must name a measure"),
    (_measure("mcd", placed="nowhere"), "placed is 'nowhere'"),
    (_measure("mcd", reduction="none"), "reduction is 'none'"),
    (_twin("metrics"), "is there twice"),
    (_twin("measures"), "is there twice"),
    (_option, "no line may hold"),
    (_signature, "no line may hold"),
    (_letter, "system.title"),
    (_blank, "a name is blank"),
    (_huge, "a sum is above 1e+30"),
    (_tiny, "or a denominator none of 0 and 1e-30"),
    (_seeds, "seeds[0].measure: is missing"),
    (_machine, "number of parameters"),
    (_learnt(threshold="0.7"), "threshold: must be a number"),
    (_learnt(threshold=10**400), "threshold: must be a number"),
    (_learnt(threshold_draws="many"), "threshold_draws"),
    (_learnt(natural_scores=["x"]), "natural_scores: must be a mapping"),
    (_learnt(natural_scores={"a": [None]}), "natural_scores.a[0]: must be a number"),
    (_learnt(mean_draws=[[0.5]]), "mean_draws[0]"),
    (_learnt(impostor_mean=None), "mean_draws needs impostor_mean"),
    (_learnt(curve={"thresholds": [0.5], "false_alarms": [], "misses": [1.0]}), "not of one length"),
    (_learnt(speakers=-1), "speakers: must be at least 0"),
]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *ASTRAY,
        (_silent, "does not say which pairs"),
        (_measure("mcd", unit="%"), "told otherwise than vceval has it: unit"),
        (_figure, "sums do not give the figure of mcd: value"),
        (_count, "sums do not give the figure of mcd: n "),
        (_interval, "sums do not give the figure of mcd: low"),
        (_sum, "sums do not give the figure of mcd"),
        (_beyond, "49 pairs of 48, but demo@1 has 48"),
        (_fewer, "damaged: a number is none of 0 to 46"),
        (_list, "another hash"),
        (_direction, "another direction than on the list"),
        (_twice, "is there twice"),
        (_better, "told otherwise"),
        (_rate, "rate is below 0 or above 1"),
        (_future, "in the future"),
        (_converted, "500 conversions expected"),
        (_lacking, "mcd has sums, and no figure"),
        (_unknown, "no measure of the file"),
        (_length, "damaged: 2 numbers, not 48"),
        (_bomb, "damaged"),
        (_place, "damaged: a number is none of"),
        (_tomorrow, "has version 2, this vceval reads 1"),
        (_key, "surprise"),
        (_kind, "system.title: must be text, not 5"),
        (_lines, "system.title"),
        (_turned, "by.name"),
    ],
)
def test_what_is_not_right_is_refused_though_it_is_signed(
    files: dict[str, Path], key: keys.Key, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    found = check(signed(files["mine"], key, tmp_path, change), intervals=change is _interval)
    assert not found.fine
    assert any(said in problem for problem in found.problems), found.problems
    assert not re.search(r"[\x00-\x1f]", "".join(found.problems))


@pytest.mark.parametrize(("change", "said"), ASTRAY)
def test_whoever_reads_a_result_refuses_what_leads_astray(
    files: dict[str, Path], key: keys.Key, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    changed = signed(files["mine"], key, tmp_path, change)
    assert main(["table", str(changed), "--measures", "mcd"]) == 2
    told = capsys.readouterr().err
    assert str(changed) in told
    assert said in " ".join(told.split())


def test_a_measure_of_another_metric_is_a_note(files: dict[str, Path], key: keys.Key, tmp_path: Path) -> None:
    found = check(signed(files["mine"], key, tmp_path, _measure("mcd", metric="wer")), intervals=False)
    assert any("mcd of metric wer is not known here" in note for note in found.notes)


def test_intervals_of_another_version_are_a_note(files: dict[str, Path], key: keys.Key, tmp_path: Path) -> None:
    def older(content: dict[str, Any]) -> None:
        _interval(content)
        content["by"]["vceval"] = "0.0.1"

    found = check(signed(files["mine"], key, tmp_path, older))
    assert found.fine
    assert "intervals are not those" in found.notes[0]


@pytest.mark.parametrize("kept", [0, 5, 11, 1000, -2, -90, -200])
def test_a_cut_file_is_refused(files: dict[str, Path], tmp_path: Path, kept: int) -> None:
    file = tmp_path / "cut.json"
    file.write_bytes(files["mine"].read_bytes()[:kept])
    [problem] = check(file).problems
    assert "is cut" in problem or "is no result file" in problem


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", '{"result":{}}', '{"result":' + "[" * 100_000])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    assert not check(file).fine
    file.write_bytes(b'{"result":%b,"signature":"%b"}' % (text.encode(), b"A" * 86 + b"=="))
    assert not check(file).fine


def test_infinite_numbers_are_no_json(files: dict[str, Path], key: keys.Key, tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        file = signed(files["mine"], key, tmp_path, lambda c, v=value: c["system"]["options"].update(steps=v))  # type: ignore[misc]
        [problem] = check(file).problems
        assert "JSON" in problem


def test_a_file_of_a_gigabyte_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "large.json"
    with open(file, "wb") as stream:
        stream.write(b'{"result":')
        os.truncate(file, 1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [problem] = check(file).problems
    assert f"no result file has more than {LARGEST:,}" in problem
    assert main(["publish", "--check", str(file)]) == 2
    assert "refused: has 1,073,741,824 bytes" in capsys.readouterr().out
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert check(tmp_path).problems == ["is no file"]
    os.mkfifo(tmp_path / "pipe.json")
    assert check(tmp_path / "pipe.json").problems == ["is no file"]


def test_numbers_come_back_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=100), [0.0, -0.0, np.nan, 1e-308, 1e308, 1 / 3]])
    assert unpack(pack(values), len(values)).tobytes() == values.tobytes()
    assert unpack(pack([])).tolist() == []
    facts = {"draws": rng.normal(size=(20, 2)).tolist(), "few": [1.0], "words": ["a"] * 20, "curve": {"x": [0.5] * 9}}
    assert unpack_facts(json.loads(json.dumps(pack_facts(facts)))) == facts
    assert isinstance(pack_facts(facts)["few"], list)
    assert places(pack([0, 2, 1]), 3).tolist() == [0, 2, 1]
    for text in ("!", "AAAA", pack([0.5]), pack([3.0]), pack([-1.0]), pack([np.nan])):
        with pytest.raises(ValueError, match="number"):
            places(text, 3)
    with pytest.raises(ValueError, match="shape"):
        unpack_facts({"numbers": pack([1.0]), "shape": [-1]})


def test_files_of_one_run_go_together_and_no_others(
    files: dict[str, Path], key: keys.Key, tmp_path: Path, run: RunDirectory
) -> None:
    again = published(run, key, tmp_path / "again")
    with pytest.raises(UsageError, match="same system of the same run"):
        rebuilt([(path, verified(path)) for path in (files["mine"], again["mine"])])
    other = published(published_run(tmp_path / "other", seed=3, metrics=("mcd",)), key, tmp_path / "others")
    assert [one.root for one in opened([files["mine"], other["mine"], files["other"]])] == [
        files["mine"], other["mine"],
    ]  # fmt: skip
    said = signed(files["mine"], key, tmp_path, lambda content: content["run"].update(seed=4))
    with pytest.raises(UsageError, match="says otherwise"):
        opened([said, files["other"]])


def test_some_systems_of_a_run_are_told_as_they_are(run: RunDirectory, files: dict[str, Path]) -> None:
    before, alone = views.load(run), report_of([files["other"]])
    assert [one.name for one in alone.systems] == ["other"]
    assert alone.cells == {key: cell for key, cell in before.cells.items() if key[0] == "other"}


@pytest.mark.parametrize("style", [["--format", "latex"], ["--format", "markdown"], ["--rows", "direction"]])
def test_a_table_rebuilt_from_files_is_the_table_of_the_run(
    run: RunDirectory, files: dict[str, Path], tmp_path: Path, style: list[str]
) -> None:
    for name, given in (("run", [run.root]), ("files", sorted(files.values()))):
        (tmp_path / name).mkdir()
        assert main(["table", *map(str, given), *style, "--out", str(tmp_path / name / "table.tex")]) == 0
    made = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert made == sorted(path.name for path in (tmp_path / "files").iterdir())
    for name in made:
        assert (tmp_path / "files" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_a_report_is_made_of_files_alone(
    run: RunDirectory, key: keys.Key, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "<script>alert(1)</script>"
    marked = published_run(tmp_path / "marked", titles={"mine": hostile}, metrics=("mcd", "wer", "sanity"))
    paths = [str(path) for path in published(marked, key, tmp_path / "results").values()]
    assert main(["report", *paths]) == 2
    assert "--out" in capsys.readouterr().err
    out = tmp_path / "report"
    assert main(["report", *paths, "--out", str(out)]) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert hostile not in page
    assert "&lt;script&gt;alert" in page
    assert 'id="samples"' not in page
    assert "Speech Group" in page
    assert main(["report", str(marked.root), "--out", str(tmp_path / "own")]) == 0
    tables = sorted(path.relative_to(out) for path in (out / "tables").rglob("*") if path.is_file())
    assert len(tables) > 10
    for name in tables:
        assert (out / name).read_bytes() == (tmp_path / "own" / name).read_bytes(), name


def test_a_result_file_is_a_baseline(
    run: RunDirectory, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("schema: 1\nrules:\n  - {measure: mcd, worsening: 0.5}\n  - {new: failures}\n", encoding="utf-8")
    assert main(["gate", str(run.root), "--baseline", str(files["mine"]), "--rules", str(rules)]) == 0
    said = " ".join(capsys.readouterr().out.split())  # however wide the terminal is
    assert "not one pair differs" in said
    worse = published_run(tmp_path / "worse", lost=9, metrics=("mcd",))
    assert main(["gate", str(worse.root), "--baseline", str(files["mine"]), "--rules", str(rules)]) == 1
    changed = tmp_path / "changed.json"
    changed.write_bytes(files["mine"].read_bytes().replace(b'"seed":0', b'"seed":1').replace(b"MIT", b"GPL"))
    assert main(["gate", str(run.root), "--baseline", str(changed), "--rules", str(rules)]) == 2
    assert keys.CHANGED in capsys.readouterr().err


def test_a_list_of_keys_is_read_as_editors_save_it(key: keys.Key, tmp_path: Path) -> None:
    file = tmp_path / "trusted.txt"
    file.write_bytes(f"\ufeff{key.public}\tSpeech  Group # known to me\r\n\r\n# nobody\r\n".encode())
    assert keys.trusted(file) == {key.public: "Speech  Group"}
    for bad, said in (
        (f"{key.public} Group \u202e", r"trusted\.txt:1: the name .* holds what nobody sees"),
        (f"{key.public} A\n{key.public} B", r"trusted\.txt:2: .* stands there already, as A"),
    ):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(UsageError, match=said):
            keys.trusted(file)
    # 32 bytes leave two bits of base64 open: other texts that decode to the same bytes are not the key
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = key.public[:-2] + letters[letters.index(key.public[-2]) ^ 1] + "="
    file.write_text(f"{twin} Speech Group")
    with pytest.raises(UsageError, match=r"trusted\.txt:1: .* is no key"):
        keys.trusted(file)
    assert keys.valid(key.public, b"x", key.sign(b"x"))
    assert not keys.valid(twin, b"x", key.sign(b"x"))


def test_the_key_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert main(["key", "show"]) == 2
    assert "vceval key new" in capsys.readouterr().err
    assert main(["key", "new", "--name", "A\nB"]) == 2
    assert main(["key", "new", "--name", "Speech Group"]) == 0
    capsys.readouterr()
    file = tmp_path / "config" / "vceval" / "key.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    secret = json.loads(file.read_text())["private"]
    assert main(["key", "new", "--name", "Again"]) == 2
    assert "there is a key already" in capsys.readouterr().err
    assert main(["key", "show"]) == 0
    said = capsys.readouterr()
    public, _, name = said.out.strip().partition(" ")
    assert name == "Speech Group"
    trusted = tmp_path / "trusted.txt"
    trusted.write_text(f"# those we know\n{said.out}\n", encoding="utf-8")
    assert keys.trusted(trusted) == {public: "Speech Group"}
    file.chmod(0o644)
    assert main(["key", "show"]) == 2
    assert "chmod 600" in capsys.readouterr().err
    file.chmod(0o600)
    for wrong in ("a\nb", " ", "x" * 201):
        file.write_text(json.dumps({"name": wrong, "private": secret}))
        assert main(["key", "show"]) == 2
        assert "printable characters" in capsys.readouterr().err
    file.write_text(json.dumps({"name": "x", "private": secret[:-8]}))
    assert main(["key", "show"]) == 2
    said = capsys.readouterr()
    assert secret[:-8] not in said.err
    trusted.write_text("ed25519:AAAA me\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"trusted\.txt:1"):
        keys.trusted(trusted)


def test_the_commands_publish_and_check(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    out = tmp_path / "results"
    assert main(["publish", str(run.root), "--out", str(out)]) == 2
    assert not out.exists()
    main(["key", "new", "--name", "Speech Group"])
    assert main(["publish", str(run.root), "--system", "nobody", "--out", str(out)]) == 2
    assert "nobody" in capsys.readouterr().err
    assert main(["publish", str(run.root), "--system", "mine,other", "--out", str(out)]) == 0
    made = sorted(out.iterdir())
    assert [path.name.rpartition("-")[0] for path in made] == ["demo@1-mine", "demo@1-other"]
    assert main(["publish", "--check", *map(str, made)]) == 0
    assert "fine; mine on demo@1, signed by Speech Group" in capsys.readouterr().out
    trusted = tmp_path / "trusted.txt"
    trusted.write_text("", encoding="utf-8")
    assert main(["publish", "--check", str(made[0]), "--keys", str(trusted)]) == 2
    made[1].write_bytes(made[1].read_bytes()[:-100])
    assert main(["publish", "--check", *map(str, made)]) == 1
    said = capsys.readouterr().out
    assert f"{made[1]}: refused: is cut" in said
    assert main(["publish", "--check", str(made[1])]) == 2
    assert main(["publish", str(run.root), str(run.root)]) == 2
    assert main(["publish", "--check", str(made[0]), "--out", "x"]) == 2
    assert main(["publish", str(tmp_path / "nothing"), "--out", str(out)]) == 2


def test_a_name_of_a_file_says_nothing_of_other_files(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "a.json: fine; mine\nb.json: fine\x1b[2J.json"
    odd.write_bytes(b"{}")
    assert main(["publish", "--check", str(odd)]) == 2
    [line] = capsys.readouterr().out.splitlines()
    assert line.endswith("refused: is no result file; 'vceval publish RUN' writes them, whole or not at all")
    assert line.isprintable()


def test_a_file_is_a_result_file_whatever_its_name_ends_in(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    keys.make("Somebody")
    for name in ("MINE.JSON", "mine"):
        (tmp_path / name).write_bytes(files["mine"].read_bytes())
        assert main(["table", str(tmp_path / name), "--measures", "mcd"]) == 0
    (tmp_path / "paper.tex").write_text("x")
    assert main(["table", str(tmp_path / "paper.tex")]) == 2
    assert "paper.tex: is no result file" in capsys.readouterr().err
    for command in (["publish", str(files["mine"])], ["gate", str(files["mine"]), "--baseline", str(files["mine"])]):
        assert main(command) == 2
        assert f"{files['mine']}: is a file; name the folder of a run (a result file goes to" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", "turned \u202e"])
def test_a_name_that_no_file_can_hold_is_told(
    name: str, key: keys.Key, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = published_run(tmp_path / "run", systems={"mine": False}, titles={"mine": name}, metrics=("mcd",), limit=6)
    monkeypatch.setattr(keys, "load", lambda: key)
    assert main(["publish", str(run.root), "--out", str(tmp_path / "results")]) == 2
    told = capsys.readouterr().err
    assert f"{run.root}: can't be published: SystemFacts title" in told
    assert "\u202e" not in told
    assert not (tmp_path / "results").exists()


def test_a_run_that_is_not_finished_is_not_published(run: RunDirectory, key: keys.Key, tmp_path: Path) -> None:
    half = published_run(tmp_path / "half", metrics=("mcd",))
    half.write_json("run.json", {**half.read_json("run.json", checked=False), "state": "running"})
    with pytest.raises(UsageError, match="not finished"):
        list(publish(half.root, tmp_path / "results", key))


def test_a_part_of_a_suite_says_so(key: keys.Key, tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", limit=20, metrics=("mcd",))
    [file] = [path for path in published(run, key, tmp_path / "results").values() if "mine" in path.name]
    result: Result = read(file).result
    assert (result.suite.partial, result.suite.pairs, result.suite.listed) == (True, 20, 48)
    assert check(file).fine

    def whole(content: dict[str, Any]) -> None:
        del content["suite"]["partial"]

    [problem] = check(signed(file, key, tmp_path, whole)).problems
    assert "not said to be partial" in problem


def test_systems_are_named_by_the_run(files: dict[str, Path]) -> None:
    assert list(files) == list(SYSTEMS)
