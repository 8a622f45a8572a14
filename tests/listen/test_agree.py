"""``vceval agree``: runs joined with ratings, the ceiling, and what is refused or said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import MadeRun

from vceval.benchmarks.ratings.evidence import converters, coverage
from vceval.cli.main import main
from vceval.listen.agree import panel_of
from vceval.listen.rating_tables import read_ratings, stem
from vceval.results.rundir import RunDirectory
from vceval.statistics.agreement import correlations

SYSTEMS = "ABCDEF"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = MadeRun(4, 4, {"target": True, **dict.fromkeys(SYSTEMS, False)}).fill()
    for place, system in enumerate(SYSTEMS):
        made.worsen("mcd", 0.5 * place, system=system)
    return made.write(tmp_path_factory.mktemp("made") / "run")


def rows(systems: str = SYSTEMS) -> list[dict[str, Any]]:
    """People like A best, F least; ten listeners in two groups rate every recording."""
    random = np.random.default_rng(0)
    return [
        {"file": f"s{s}-t{t}.wav", "system": system, "listener": f"L{who}", "listeners": "uv"[who % 2],
         "score": int(np.clip(round(4.5 - 0.6 * place + random.normal(0, 0.6)), 1, 5))}
        for place, system in enumerate(systems) for s in range(4) for t in range(4) for who in range(10)
    ]  # fmt: skip


def table(path: Path, given: list[dict[str, Any]]) -> str:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, given[0])
        writer.writeheader()
        writer.writerows(given)
    return str(path)


def agreed(run: Path, ratings: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main(["agree", str(run), "--ratings", ratings, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(run: Path, ratings: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["agree", str(run), "--ratings", ratings]) == 2
    return capsys.readouterr().err


def test_a_metric_stands_beside_the_ceiling(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = agreed(run, table(tmp_path / "r.csv", rows()), capsys)
    [entry] = found["questions"]
    assert [entry[key] for key in ("ratings", "files", "systems", "listeners")] == [960, 96, 6, 10]
    mcd = next(one for one in entry["measures"] if one["measure"] == "mcd")
    assert mcd["better"] == "lower"
    assert mcd["files"] == 96
    over = mcd["levels"]["systems"]["pearson"]
    assert over["value"] > 0.9  # lower is better, and people agree: the sign says so
    assert over["low"] <= over["value"] <= over["high"]
    top = entry["ceiling"]["systems"]["pearson"]
    assert 0.95 < top["halves"] <= top["ceiling"] == over["ceiling"] <= 1.0
    assert over["share"] == pytest.approx(over["value"] / over["ceiling"])
    assert top["groups"]["u / v"]["value"] > 0.9
    assert set(mcd["levels"]["files"]) == {"pearson", "spearman"}
    assert entry["ceiling"]["systems"]["kendall"]["ceiling"] is None


def test_the_text_has_all_levels(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agree", str(run), "--ratings", table(tmp_path / "r.csv", rows())]) == 0
    said = capsys.readouterr()
    assert "960 ratings of 96 files of 6 systems, by 10 listeners" in said.out
    for word in ("over systems", "over files", "within systems", "Kendall", "halves of the listeners", "u / v"):
        assert word in said.out
    assert "Flagged has the same figure for all systems" in said.err


def test_one_group_of_listeners(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ratings = table(tmp_path / "r.csv", rows())
    assert main(["agree", str(run), "--ratings", ratings, "--listeners", "u"]) == 0
    assert "480 ratings" in capsys.readouterr().out
    assert main(["agree", str(run), "--ratings", ratings, "--listeners", "w"]) == 2
    assert "its groups: u, v" in capsys.readouterr().err


def test_files_that_the_run_lacks_are_counted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*rows(), {**rows()[0], "file": "s9-t9.wav"}, {**rows()[0], "system": "Z"}]
    found = agreed(run, table(tmp_path / "r.csv", given), capsys, code=1)
    assert found["unknown_ratings"] == 2
    assert "2 of 962 ratings are of recordings that the run does not have" in found["notes"][0]
    assert found["questions"][0]["ratings"] == 960


def test_nothing_in_common(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none of its 112,220 ratings is of a recording of" in refused(run, "vcc2020", capsys)


def test_constant_ratings(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [{**row, "score": 3} for row in rows()]
    assert "every rating is 3; nothing agrees with that" in refused(run, table(tmp_path / "r.csv", given), capsys)


def test_one_system(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = agreed(run, table(tmp_path / "r.csv", rows("A")), capsys, code=1)
    assert any("1 system rated that is no control" in note for note in found["notes"])
    mcd = next(one for one in found["questions"][0]["measures"] if one["measure"] == "mcd")
    assert mcd["levels"]["systems"]["pearson"]["value"] is None
    assert mcd["levels"]["within"]["pearson"]["value"] is not None


def test_listeners_with_one_rating(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*rows(), *({**rows()[place], "listener": f"once{place}"} for place in range(3))]
    found = agreed(run, table(tmp_path / "r.csv", given), capsys)
    assert any("3 of 13 listeners gave one rating" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,score\na,1\n", "has no column listener"),
        ("file,listener,score\n", "holds no ratings"),
        ("file,listener,score\na,L1,good\n", "line 2: a score that is no number"),
        ("file,listener,score\na,,1\n", "line 2: no listener"),
        ("file,listener,score,rating\na,L1,1,2\n", "several columns are score: score, rating"),
        ("", "can't be read as a table of ratings"),
    ],
)
def test_tables_that_are_none(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "r.csv").write_text(text)
    assert said in refused(run, str(tmp_path / "r.csv"), capsys)


def test_a_file_of_several_systems_needs_a_column(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [{name: row[name] for name in ("file", "listener", "score")} for row in rows()]
    assert "may be of 7 systems" in refused(run, table(tmp_path / "r.csv", given), capsys)
    for row in given:
        row["file"] = f"elsewhere/{row['file']}"
    assert "may be of 7 systems" in refused(run, table(tmp_path / "r.csv", given), capsys)


@pytest.mark.parametrize("above", ["", "../", "./"])
def test_folders_tell_the_system_of_a_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], above: str
) -> None:
    """Where files of systems lie in folders of their own, their paths in a table of ratings are enough."""
    by_name = agreed(run, table(tmp_path / "r.csv", rows()), capsys)
    folders = {(row["system"], row["pair"]): Path(row["path"]).parent for row in RunDirectory(run).read_audio()}
    given = [
        {"file": f"{above}{folders[row['system'], Path(row['file']).stem]}/{row['file']}",
         **{name: row[name] for name in ("listener", "listeners", "score")}}
        for row in rows()
    ]  # fmt: skip
    assert agreed(run, table(tmp_path / "r.csv", given), capsys) == by_name


def test_names_of_files_are_read_without_folder_and_ending() -> None:
    assert stem("T11/task1/team11_intra-TEM1_SEF2_E30004.wav") == "team11_intra-TEM1_SEF2_E30004"
    assert stem("a\\b.FLAC") == "b"
    assert stem("v1.2") == "v1.2"


def test_the_shipped_ratings_and_their_ceiling() -> None:
    """62 systems on tasks, natural speech among them; English against Japanese listeners over the converters."""
    found = read_ratings("vcc2020").ratings
    assert (len(found), found["file"].nunique(), found["system"].nunique()) == (112_220, 6_090, 62)
    assert {key: len(some) for key, some in found.groupby(["listeners", "question"])} == {
        ("English", "quality"): 26_660, ("English", "similarity"): 26_660,
        ("Japanese", "quality"): 29_450, ("Japanese", "similarity"): 29_450,
    }  # fmt: skip
    converted = converters()
    for question, expected in (("quality", 0.963), ("similarity", 0.978)):
        mine = converted[converted["question"] == question]
        systems = sorted(set(mine["system"]))
        keys = sorted(set(zip(mine["system"], mine["pair"], strict=True)))
        one, other = (panel_of(some, keys, systems) for _, some in mine.groupby("listeners"))
        found_here = correlations(one.all, other.all, one.systems)["systems"]["spearman"][0]
        assert (len(systems), found_here) == (59, pytest.approx(expected, abs=5e-4))


def test_intervals_of_real_ratings_hold_the_other_half() -> None:
    """The reduced form of the table in the documentation."""
    found = read_ratings("vcc2020").ratings
    mine = found[(found["listeners"] == "English") & (found["question"] == "quality")]
    one = coverage(mine.assign(pair=mine["file"]), splits=8)
    assert one.looked == 32
    assert one.ours >= 0.85
    assert one.naive < one.ours
