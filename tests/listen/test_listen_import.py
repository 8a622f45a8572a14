"""Answers brought into a run: what is written, what the report shows, what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listeners import LIKENESS, QUALITY, listener, make_run, saved
from report_pages import assert_fits, compiled

from vceval.cli.main import main
from vceval.listen.export import Exported, Look, export
from vceval.listen.key import read_key
from vceval.listen.pages import page_facts
from vceval.listen.plan import Settings
from vceval.results.rundir import RunDirectory
from vceval.results.views import load
from vceval.runner.execute import prepare
from vceval.runner.integrity import start_over


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path)


@pytest.fixture
def made(run: RunDirectory) -> Exported:
    wanted = Settings(("mos", "smos", "abx", "ab"), forms=12, pairs=12, each=4)
    return export(run, run.root / "listening", wanted, Look())


def answer(made: Exported, listeners: int = 24, **changes: Any) -> None:
    """Let listeners answer and save their files into the folder of the test."""
    facts, key = page_facts(made.folder / "page" / "index.html"), read_key(made.folder / "key.json")
    rng = np.random.default_rng(2)
    for number in range(1, listeners + 1):
        session = listener(number, facts, key, rng, **changes)
        (made.folder / f"answers-{number:02d}.json").write_text(saved(session, facts.plan))


def whole(found: dict[str, Any], measure: str) -> dict[str, dict[str, Any]]:
    return {
        cell["system"]: cell
        for cell in found["cells"]
        if cell["measure"] == measure and (cell["dataset"], cell["direction"]) == ("all", "all")
    }


def test_scores_are_those_of_the_listeners(
    run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made)
    assert main(["listen", "import", str(run.root)]) == 0
    assert "24 of 24 listeners count, from 24 files" in capsys.readouterr().out
    found = run.read_json("listening.json")
    for measure, truth in (("listening_mos", QUALITY), ("listening_smos", LIKENESS)):
        for system, cell in whole(found, measure).items():
            # Answers end at 5, and listeners have levels of their own
            assert cell["value"] == pytest.approx(truth[system], abs=0.35)
            assert cell["low"] < cell["value"] < cell["high"]
            assert (cell["n"], cell["expected"], cell["ratings"], cell["listeners"]) == (12, 12, 96, 24)
    assert whole(found, "listening_abx")["target"]["value"] > 0.8
    [mos] = [entry for entry in found["comparisons"] if entry["measure"] == "listening_mos"]
    assert (mos["first"], mos["second"], mos["n"]) == ("alpha", "beta", 12)
    assert mos["low"] > 0.8
    assert mos["p_holm"] < 0.001
    marks = {entry["measure"]: (entry["best"], entry["second"]) for entry in found["rankings"]}
    assert marks["listening_mos"] == (["alpha"], ["beta"])
    assert marks["listening_preference"] == ([], [])
    [preference] = found["preferences"]
    assert preference["first_preferred"] + preference["ties"] + preference["second_preferred"] == 96
    assert preference["difference"] > 0
    [anchor] = found["anchors"]
    assert (anchor["system"], anchor["value"] < 2) == ("anchor:mnru", True)
    # mcd is 5.x for alpha and 6.x for beta, so it agrees on naturalness and disagrees on similarity
    by = {(e["human"], e["measure"], e["level"]): e for e in found["agreement"]}
    assert by["listening_mos", "mcd", "recordings"]["spearman"] < -0.5
    assert by["listening_mos", "mcd", "recordings"]["agrees"]
    assert by["listening_smos", "mcd", "recordings"]["agrees"] is False
    assert by["listening_mos", "mcd", "systems"]["spearman"] is None  # two systems
    rows = list(csv.DictReader((run.root / "listening.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 24 * (5 * 4 + 4 * 4 + 4 * 4 + 4)
    assert np.mean([float(r["value"]) for r in rows if (r["test"], r["system"]) == ("mos", "alpha")]) == pytest.approx(
        whole(found, "listening_mos")["alpha"]["value"]
    )


def test_the_report_shows_it_like_any_other_metric(run: RunDirectory, made: Exported) -> None:
    assert [measure.label for measure in load(run).measures] == ["MCD"]
    answer(made, 12)
    assert main(["listen", "import", str(run.root)]) == 0
    report = load(run)
    assert [measure.label for measure in report.primary_measures] == ["MOS", "SMOS", "MCD"]
    cell = report.cell("alpha", "listening_mos")
    assert cell is not None
    assert cell.value == whole(run.read_json("listening.json"), "listening_mos")["alpha"]["value"]
    assert "12 of 12 listeners" in report.metrics["listening_mos"].title
    assert report.metrics["listening_mos"].signature.startswith(f"LISTEN-MOS|scale:acr5|texts:en|test:{made.plan.id}|")
    tables = run.report / "tables"
    for name in ("preference", "agreement", "listeners"):
        for kind in ("md", "tex", "csv"):
            assert (tables / f"{name}.{kind}").is_file()
    assert "MOS" in (tables / "main.tex").read_text(encoding="utf-8")
    assert main(["report", str(run.root)]) == 0
    (run.root / "listening.json").write_text("{}")
    assert main(["report", str(run.root)]) == 2


def test_its_tables_fit_two_columns_of_a_paper(run: RunDirectory, made: Exported, tmp_path: Path) -> None:
    answer(made, 6)
    assert main(["listen", "import", str(run.root)]) == 0
    log, shown = compiled(run.report / "tables", tmp_path)
    assert_fits(log)
    assert "Missing character" not in log
    assert "SMOS" in shown or not shown


def test_who_is_left_out_is_said_and_can_be_counted_all_the_same(
    run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made, 12)
    path = made.folder / "answers-03.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "rater": "P<3>", "answers": document["answers"][:9]}))
    assert main(["listen", "import", str(run.root)]) == 0
    said = capsys.readouterr().out
    assert "11 of 12 listeners count" in said
    assert "listener 3 (P<3>): answered 9 of" in said
    found = run.read_json("listening.json")
    assert found["left_out"] == {"incomplete": 1}
    assert "11 of 12 listeners" in found["metrics"][0]["title"]
    kept = whole(found, "listening_mos")["alpha"]["ratings"]
    assert main(["listen", "import", str(run.root), "--keep-all"]) == 0
    found = run.read_json("listening.json")
    assert whole(found, "listening_mos")["alpha"]["ratings"] > kept
    assert "|screen:none|" in found["metrics"][0]["signature"]


def test_what_goes_into_the_run_names_nobody(run: RunDirectory, made: Exported) -> None:
    answer(made, 2, rater="prolific-1234", comment="I am Ann.")
    assert main(["listen", "import", str(run.root)]) == 0
    secret = json.loads((made.folder / "answers-01.json").read_text())["session"]
    written = [run.root / "listening.json", run.root / "listening.csv", *run.report.rglob("*.*")]
    for path in written:
        content = path.read_bytes()
        assert not any(word.encode() in content for word in (secret, "prolific-1234", "I am Ann")), path


def test_recordings_that_have_changed_since_are_noticed(
    run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made, 2)
    run.audio_path("alpha", "ann-bob").write_bytes(run.audio_path("beta", "ann-bob").read_bytes())
    assert main(["listen", "import", str(run.root)]) == 2
    assert "not what listeners heard any more" in capsys.readouterr().err


def test_what_listeners_said_goes_with_the_recordings_that_they_heard(run: RunDirectory, made: Exported) -> None:
    answer(made, 2)
    assert main(["listen", "import", str(run.root)]) == 0
    assert "listening_mos" in load(run).metrics
    kept = run.audio_path("alpha", "ann-bob").read_bytes()
    run.audio_path("alpha", "ann-bob").write_bytes(run.audio_path("beta", "ann-bob").read_bytes())
    assert "listening_mos" not in load(run).metrics
    assert main(["report", str(run.root)]) == 0
    assert "alpha, ann-bob" in (run.report / "tables" / "listeners.md").read_text(encoding="utf-8")
    assert not (run.report / "tables" / "preference.md").exists()
    run.audio_path("alpha", "ann-bob").write_bytes(kept)
    assert "listening_mos" in load(run).metrics


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "key.json").unlink(), "key.json: no such file"),
        (lambda folder: (folder / "key.json").write_text("{}"), "not the key"),
        (lambda folder: (folder / "key.json").write_text("[" * 9999), "not the key"),
        (lambda folder: (folder / "page" / "index.html").write_text("<p>"), "not the page"),
        (lambda folder: [path.unlink() for path in folder.glob("answers*")], "no answers there"),
        (lambda folder: (folder / "answers-x.json").write_text("{}"), "answers-x.json"),
    ],
)
def test_what_is_missing_or_foreign_is_named(
    run: RunDirectory, made: Exported, spoil: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made, 2)
    spoil(made.folder)
    assert main(["listen", "import", str(run.root)]) == 2
    assert said in capsys.readouterr().err
    assert not (run.root / "listening.json").exists()


def test_another_run_is_refused(
    run: RunDirectory, made: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made, 2)
    other = make_run(tmp_path / "other", controls=False)
    assert main(["listen", "import", str(other.root), "--test", str(made.folder)]) == 2
    assert "made from another run" in capsys.readouterr().err


def test_nobody_left_is_said(run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    facts, key = page_facts(made.folder / "page" / "index.html"), read_key(made.folder / "key.json")
    session = listener(1, facts, key, np.random.default_rng(0))
    cut = saved(session, facts.plan)
    document = json.loads(cut)
    (made.folder / "answers.json").write_text(json.dumps({**document, "answers": document["answers"][:5]}))
    assert main(["listen", "import", str(run.root)]) == 2
    assert "--keep-all" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["summary.json", "pairs.csv", "scores.parquet", "audio.csv"])
def test_a_run_that_is_damaged_takes_no_answers(
    run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    answer(made, 2)
    run.hashes.write(name)
    with open(run.root / name, "ab") as stream:
        stream.write(b"\n")
    assert main(["listen", "import", str(run.root)]) == 2
    assert f"{run.root / name}: not as it was written" in capsys.readouterr().err
    assert not (run.root / "listening.json").exists()


def test_what_listeners_said_is_not_read_where_it_is_damaged(
    run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(made, 2)
    assert main(["listen", "import", str(run.root)]) == 0
    path = run.root / "listening.json"
    path.write_text(path.read_text().replace('"value"', '"valve"', 1))
    assert main(["report", str(run.root)]) == 2
    assert f"listening.json: not as it was written: other bytes; give 'vceval listen import {run.root}' again" in (
        capsys.readouterr().err
    )
    path.unlink()
    assert main(["report", str(run.root)]) == 2
    assert main(["listen", "import", str(run.root)]) == 0
    assert main(["report", str(run.root)]) == 0


def test_starting_a_run_over_keeps_what_listeners_said(run: RunDirectory, made: Exported) -> None:
    answer(made, 1)
    start_over(run)
    assert not run.exists
    assert (made.folder / "answers-01.json").is_file()
    prepare(run.root)  # and a run that was cut off here can begin again


def test_runs_side_by_side_leave_out_what_listeners_said_of_one(
    run: RunDirectory, made: Exported, tmp_path: Path
) -> None:
    answer(made, 2)
    assert main(["listen", "import", str(run.root)]) == 0
    other = make_run(tmp_path / "other")
    out = tmp_path / "both"
    assert main(["report", str(run.root), str(other.root), "--out", str(out)]) == 0
    assert "MOS" not in (out / "tables" / "main.md").read_text(encoding="utf-8")
    assert not (out / "tables" / "listeners.md").exists()
