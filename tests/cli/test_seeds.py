"""Whole runs in which a system that draws noise converts every pair with several seeds."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warm
import yaml
from plugin import write_plugin

from vceval.cli.main import main
from vceval.gate.evidence import of_run
from vceval.listen.recordings import read_pool
from vceval.records import NEEDS
from vceval.reports import filter_data, seed_tables, training_speakers
from vceval.reports.build import make
from vceval.reports.bundle import bundle
from vceval.results.merge_runs import material
from vceval.results.rundir import RunDirectory
from vceval.runner.journal import read_records

PAIRS, SEEDS = 6, 3


class Desk:
    """A folder with the third-party converters, in which runs are made by the command line."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ, "PYTHONPATH": str(write_plugin(root / "site")), "VCEVAL_CACHE": str(root / "cache"),
        }  # fmt: skip
        self.systems({"louder": {"converter": "noisy", "gain": 1.02, "pause": 0.2}})

    def systems(self, systems: dict[str, Any]) -> None:
        (self.root / "systems.yaml").write_text(yaml.safe_dump({"systems": systems}))

    def command(self, out: str, *options: object) -> list[str]:
        asked = ["run", "--metrics", "loudness", "--converters", "source,quiet,noisy", "--systems", "systems.yaml",
                 "--limit", PAIRS, "--out", out, *options]  # fmt: skip
        return [*map(str, asked)]

    def run(self, out: str, *options: object, code: int = 0) -> str:
        done = warm.run(self.command(out, *options), self.root, self.environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def rows(self, out: str, name: str) -> list[dict[str, str]]:
        with open(self.root / out / name, encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def summary(self, out: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / out / "summary.json").read_text())
        return found

    def same(self, one: str, other: str) -> bool:
        names = ["scores.parquet", "audio.csv", "summary.json", "failures.csv", "skipped.csv"]
        names += [row["path"] for row in self.rows(one, "audio.csv") if not Path(row["path"]).is_absolute()]
        return all((self.root / one / name).read_bytes() == (self.root / other / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("seeds"))
    made.run("three", "--seeds", SEEDS)
    made.run("one")
    return made


def cell(summary: dict[str, Any], system: str, measure: str = "loudness") -> dict[str, Any]:
    wanted = (system, measure, "all", "all")
    return next(c for c in summary["cells"] if (c["system"], c["measure"], c["dataset"], c["direction"]) == wanted)


def test_only_systems_that_draw_noise_are_converted_several_times(desk: Desk) -> None:
    audio = desk.rows("three", "audio.csv")
    counts = Counter(row["system"] for row in audio)
    assert counts == {"source": PAIRS, "quiet": PAIRS, "noisy": SEEDS * PAIRS, "louder": SEEDS * PAIRS}
    pair = audio[0]["pair"]
    mine = {row["seed"]: row["path"] for row in audio if (row["system"], row["pair"]) == ("noisy", pair)}
    assert mine == {"0": f"audio/noisy/{pair}.flac", **{str(k): f"audio/noisy/{pair}+seed{k}.flac" for k in (1, 2)}}
    assert len({(desk.root / "three" / path).read_bytes() for path in mine.values()}) == SEEDS
    about = json.loads((desk.root / "three" / "run.json").read_text())
    assert (about["seeds"], about["expected"]["conversions"]) == (SEEDS, 8 * PAIRS)


def test_tables_show_the_mean_over_seeds(desk: Desk) -> None:
    run = RunDirectory(desk.root / "three")
    takes, means = run.read_takes(), run.read_scores()
    assert takes.groupby("system").size().to_dict() == {
        "source": PAIRS, "quiet": PAIRS, "noisy": SEEDS * PAIRS, "louder": SEEDS * PAIRS,
    }  # fmt: skip
    assert means.groupby("system").size().to_dict() == dict.fromkeys(("source", "quiet", "noisy", "louder"), PAIRS)
    noisy = takes[takes["system"] == "noisy"]
    found = cell(desk.summary("three"), "noisy")
    assert found["value"] == pytest.approx(noisy["numerator"].mean())
    assert (found["n"], found["expected"], found["failed"]) == (PAIRS, PAIRS, 0)
    report = material([run]).report
    per_pair = noisy.groupby("pair")["value"].mean()
    mine = dict(zip(report.scores.pairs, report.scores.of("noisy", "loudness"), strict=True))
    assert mine == {pair: pytest.approx(value) for pair, value in per_pair.items()}
    assert {system.name: system.seeds for system in report.systems} == {
        "source": 1, "quiet": 1, "noisy": SEEDS, "louder": SEEDS,
    }  # fmt: skip


def test_one_seed_leaves_a_run_as_it_was(desk: Desk) -> None:
    assert "seed" not in desk.rows("one", "audio.csv")[0]
    assert "seed" not in RunDirectory(desk.root / "one").read_scores()
    assert "seeds" not in desk.summary("one")
    assert all("seed" not in r for name in ("convert", "score")
               for r in read_records(desk.root / "one" / "journal" / f"{name}.jsonl"))  # fmt: skip
    first = {
        r["pair"]: r["path"] for r in desk.rows("three", "audio.csv") if (r["system"], r["seed"]) == ("noisy", "0")
    }
    for row in desk.rows("one", "audio.csv"):
        if row["system"] == "noisy":
            assert row["path"] == first[row["pair"]]
            assert (desk.root / "one" / row["path"]).read_bytes() == (desk.root / "three" / row["path"]).read_bytes()
    assert not list((desk.root / "one" / "report" / "tables").glob("seeds*"))
    assert "Seeds" not in (desk.root / "one" / "report" / "index.html").read_text()


def test_more_seeds_go_on_where_fewer_ended_and_fewer_are_refused(desk: Desk) -> None:
    shutil.copytree(desk.root / "one", desk.root / "longer")
    forecast = desk.run("longer", "--seeds", SEEDS, "--dry-run")
    assert f"noisy                   {2 * PAIRS} to do of {SEEDS * PAIRS}" in forecast
    assert f"quiet                   0 to do of {PAIRS}" in forecast
    desk.run("longer", "--seeds", SEEDS)
    assert desk.same("longer", "three")
    records = list(read_records(desk.root / "longer" / "journal" / "convert.jsonl"))
    assert len(records) == 8 * PAIRS, "nothing is converted twice"
    assert "seeds (3 before, 1 now)" in desk.run("longer", code=2)
    assert "--seeds 0: at least one is needed" in desk.run("longer", "--seeds", 0, code=2)


def test_a_killed_run_goes_on_and_ends_the_same(desk: Desk) -> None:
    journal = desk.root / "cut" / "journal" / "convert.jsonl"
    command = desk.command("cut", "--seeds", SEEDS, "--workers", 1)
    process = warm.Command(command, desk.root, desk.environment)
    while process.poll() is None and not (journal.exists() and b'"seed": 1' in journal.read_bytes()):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    status = warm.run(["status", "cut"], desk.root, desk.environment)
    assert status.returncode == 0
    assert f"/{8 * PAIRS} conversions" in status.stdout
    desk.run("cut", "--seeds", SEEDS)
    assert desk.same("cut", "three")


@pytest.fixture(scope="module")
def faulty(desk: Desk) -> list[str]:
    """A run in which one system fails on the second seed of one pair and on all of another; these pairs."""
    pairs = sorted(row["pair"] for row in desk.rows("one", "pairs.csv"))[:2]
    desk.systems({"bad": {"converter": "noisy", "faults": [f"{pairs[0]}+1", pairs[1]]}})
    try:
        assert "seed 1, convert: refused by design" in desk.run("bad", "--seeds", SEEDS, code=1)
    finally:
        desk.systems({"louder": {"converter": "noisy", "gain": 1.02, "pause": 0.2}})
    return pairs


def test_a_seed_that_fails_is_counted_and_costs_only_its_own_score(desk: Desk, faulty: list[str]) -> None:
    failed = [(row["pair"], row["seed"]) for row in desk.rows("bad", "failures.csv")]
    assert failed == sorted([(faulty[0], "1"), *((faulty[1], str(seed)) for seed in range(SEEDS))])
    summary = desk.summary("bad")
    row = next(system for system in summary["systems"] if system["name"] == "bad")
    assert (row["seeds"], row["expected"], row["converted"], row["failed"]) == (SEEDS, 18, 14, 4)
    found = cell(summary, "bad")
    assert (found["n"], found["expected"], found["failed"]) == (PAIRS - 1, PAIRS, 1), "a cell counts pairs"
    assert summary["counts"]["failures"] == 4
    takes = RunDirectory(desk.root / "bad").read_takes()
    mine = takes[takes["system"] == "bad"]
    assert found["value"] == pytest.approx(mine.groupby("pair")["numerator"].mean().mean()), "each pair counts once"
    figure = next(f for f in summary["seeds"]["figures"] if f["system"] == "bad")
    assert (figure["scored"], figure["expected"], figure["pairs"]) == (14, 18, PAIRS - 2)
    tables = desk.root / "bad" / "report" / "tables"
    for name in ("main.md", "main.tex"):
        assert "Mean over 3 seeds: Noisy, bad (without 4 of 18 conversions)." in (tables / name).read_text()
    assert "4 of 48 conversions failed" in (desk.root / "bad" / "report" / "index.html").read_text()
    samples = (desk.root / "bad" / "report" / "data" / "samples-0.js").read_text()
    assert "convert with seed 1 failed: refused by design" in samples


def test_parts_of_the_pairs_count_a_pair_once(desk: Desk, faulty: list[str]) -> None:
    found = material([RunDirectory(desk.root / "bad")])
    order = sorted(row["pair"] for row in found.report.pairs)
    known = {("bad", pair): ("trained" if place % 2 else "unseen", "unseen") for place, pair in enumerate(order)}
    report = replace(found.report, exposures=known)
    place = [system.name for system in report.systems].index("bad")
    rows = [row for row in filter_data.cells(report)["rows"] if row[:4] == [place, 0, -1, -1] and row[4] > 0]
    assert sorted((row[8].split(" · ")[0], row[9]) for row in rows) == [("2/3", 0), ("3/3", 0)]
    table = training_speakers.exposure_table(report, found.outcomes)
    assert table is not None
    [mine] = [row for row in table.rows if row.system.name == "bad"]
    assert sorted(entry.count.split(" · ")[0] for entry in mine.entries if entry) == ["2/3", "3/3"]


def test_the_report_says_what_seeds_do(desk: Desk) -> None:
    tables = desk.root / "three" / "report" / "tables"
    assert "Mean over 3 seeds: Noisy, louder." in (tables / "main.tex").read_text()
    text = (tables / "seeds.md").read_text()
    assert f"| Noisy | Loudness (dB) | {SEEDS * PAIRS}/{SEEDS * PAIRS} |" in text
    page = (desk.root / "three" / "report" / "index.html").read_text()
    assert '<section id="seeds"' in page
    figures = desk.summary("three")["seeds"]["figures"]
    takes = RunDirectory(desk.root / "three").read_takes()
    noisy = takes[takes["system"] == "noisy"]
    [found] = [one for one in figures if one["system"] == "noisy"]
    assert found["values"] == [pytest.approx(v) for v in noisy.groupby("seed")["value"].mean()]
    assert found["variance"]["seed"] == pytest.approx(noisy.groupby("pair")["value"].var(ddof=1).mean())
    assert found["sd"] == pytest.approx(np.sqrt(found["variance"]["seed"] / PAIRS))


def test_the_report_names_systems_whose_order_turns_round(desk: Desk) -> None:
    report = material([RunDirectory(desk.root / "three")]).report
    assert report.seeds is not None
    [plain] = seed_tables.seed_tables(replace(report, seeds={**report.seeds, "differences": []}))
    assert "change" not in plain.caption
    flip = {"measure": "loudness", "first": "noisy", "second": "louder", "values": [0.1, -0.2, 0.3], "flips": True,
            "part": 0.3, "enough": 7}  # fmt: skip
    still = {**flip, "second": "quiet", "values": [3.0, 3.1, 3.2], "flips": False, "enough": None}
    found = seed_tables.seed_tables(replace(report, seeds={**report.seeds, "differences": [flip, still]}))
    assert "1 of 2 differences of two systems change sign between single seeds." in found[0].caption
    told = (
        "With 7 seeds their noise would be at most 10 % of the variance of every difference but 1, for which no number"
    )
    assert f"{told} up to 1,000 would do." in found[0].caption
    assert found[1].rows == [["Loudness (dB)", "Noisy", "louder", "+0.10, -0.20, +0.30", "30", "7"]]


def test_a_table_of_takes_has_the_results_of_the_run(desk: Desk) -> None:
    known = {row["pair"]: row for row in RunDirectory(desk.root / "three").read_pairs()}
    made = desk.rows("three", "audio.csv")
    names = ("transcript", "source_speaker", "target_speaker")
    with open(desk.root / "takes.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["system", "converted", "source", *names, "seed"])
        for row in made:
            pair, converted = known[row["pair"]], (desk.root / "three" / row["path"]).resolve()
            writer.writerow(
                [row["system"], converted, pair["source_path"], *(pair[name] for name in names), row["seed"]]
            )
    asked = ["score", "takes.csv", "--root", "/", "--metrics", "loudness", "--out", "scored"]
    done = warm.run(asked, desk.root, desk.environment)
    assert done.returncode == 0, done.stderr
    one, other = desk.summary("three"), desk.summary("scored")
    assert (other["pairs"], len(desk.rows("scored", "audio.csv"))) == (PAIRS, len(made))
    seeds = {row["name"]: row.get("seeds", 1) for row in other["systems"]}
    assert seeds == {"source": 1, "quiet": 1, "noisy": SEEDS, "louder": SEEDS}
    for system in seeds:
        assert cell(other, system)["value"] == pytest.approx(cell(one, system)["value"], rel=1e-12)
        assert cell(other, system)["n"] == PAIRS
    figures = [[f["values"] for f in found["seeds"]["figures"] if f["system"] == "noisy"] for found in (one, other)]
    assert np.allclose(*figures)
    assert all(figure["scored"] == figure["expected"] == SEEDS * PAIRS for figure in other["seeds"]["figures"])


def test_what_reads_pairs_goes_on_seeing_pairs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [RunDirectory(desk.root / name) for name in ("one", "three")]
    pairs = {row["pair"] for row in runs[0].read_pairs()}
    pool = read_pool(runs[1])
    assert all("+seed" not in recording.path for recording in pool.audio.values())
    means = runs[1].read_scores()
    evidence = of_run(desk.root / "three")
    noisy = means[means["system"] == "noisy"]["numerator"]
    kept = evidence.outcomes.outcome("noisy", evidence.measures["loudness"])
    assert sorted(kept.numerators) == pytest.approx(sorted(noisy), rel=1e-6)
    assert kept.scored.sum() == len(pairs)
    assert {name: system.seeds for name, system in evidence.systems.items()}["noisy"] == SEEDS
    assert main(["compare", *(str(run.root) for run in runs), "--out", str(desk.root / "page")]) == 0
    assert "Seeds of systems that draw noise: 1 in one, 3 in three; values are means over them" in " ".join(
        capsys.readouterr().out.split()
    )
    page = next((desk.root / "page").glob("*.html")).read_text()
    assert "Seeds of systems that draw noise: 1 in one, 3 in three" in page
    merged = material(runs).report
    assert {system.name: system.seeds for system in merged.systems} == {
        "source": 1, "quiet": 1, "noisy": 1, "louder": 1, "noisy (three)": SEEDS, "louder (three)": SEEDS,
    }  # fmt: skip
    assert merged.seeds is not None
    assert {figure["system"] for figure in merged.seeds["figures"]} == {"noisy (three)", "louder (three)"}
    assert {(d["first"], d["second"]) for d in merged.seeds["differences"]} == {("noisy (three)", "louder (three)")}
    made = make(runs, desk.root / "both")
    assert (
        "Mean over 3 seeds: Noisy (three), louder (three)." in (desk.root / "both" / "tables" / "main.md").read_text()
    )
    assert bundle(make([runs[1]], desk.root / "three" / "report"), lambda _: None).is_file()
    assert made.report.seeds == merged.seeds


def test_every_skip_names_a_known_need(desk: Desk) -> None:
    skipped = desk.rows("three", "skipped.csv")
    assert {row["need"] for row in skipped} <= set(NEEDS)
    assert Counter(row["system"] for row in skipped)["noisy"] == SEEDS * PAIRS, "one of each conversion"
