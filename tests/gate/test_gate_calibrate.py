"""Calibration of the gate: repeated runs show a model's noise, and the tolerances that follow keep their promise."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_runs import MadeRun, write_rules

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.gate.calibrate import Line, calibrate, save_rules, text
from vceval.gate.check import check
from vceval.gate.evidence import of_run
from vceval.gate.rules import Rules, read_rules

ONLY_MCD = "schema: 1\nconfidence: 0.99\nrules:\n  - {measure: mcd, worsening: 0.1}\n"


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "mcd.yaml").write_text(ONLY_MCD, encoding="utf-8")
    return read_rules(tmp_path / "mcd.yaml")


def repeated(folder: Path, count: int, noise: float, shift: float = 0.0, targets: int = 12) -> list[Path]:
    """Runs of one model: every pair and every whole run varies by chance."""
    shifts = np.random.default_rng(3).normal(0, shift, count)
    return [
        MadeRun(targets=targets, created=f"2026-01-{n + 1:02}")
        .fill()
        .worsen("mcd", float(shifts[n]), noise, seed=n + 10)
        .write(folder / f"run{n}")
        for n in range(count)
    ]


def mcd(folder: Path, rules: Rules, *args: float, false_alarm: float = 0.01, power: float = 0.95) -> Line:
    found = calibrate(repeated(folder, int(args[0]), *args[1:]), rules, false_alarm=false_alarm, power=power)
    [line] = found.lines
    return line


def test_noise_is_found_again(tmp_path: Path, rules: Rules) -> None:
    line = mcd(tmp_path, rules, 8, 0.4)
    assert line.precision.error == pytest.approx(0.4 * np.sqrt(2 / 96), rel=0.25)
    assert line.between_runs == pytest.approx(0.4 / np.sqrt(96), rel=0.6)
    assert line.precision.pairs == 96
    assert sum(line.shares.values()) == pytest.approx(1.0)
    assert line.shares["target"] + line.shares["source"] < 0.1


def test_whole_runs_that_differ_are_told_from_noisy_pairs(tmp_path: Path, rules: Rules) -> None:
    still, moving = mcd(tmp_path / "a", rules, 8, 0.4), mcd(tmp_path / "b", rules, 8, 0.4, 0.5)
    assert moving.shift == pytest.approx(0.5, rel=0.5)
    assert moving.precision.error == pytest.approx(still.precision.error)
    assert moving.tolerance > still.tolerance + 0.5
    assert moving.needed is None  # no number of pairs helps against whole runs
    assert still.enough or still.needed is not None


def test_tolerances_keep_what_they_promise(tmp_path: Path, rules: Rules) -> None:
    """Other runs of the model are hardly ever red and mostly pass; the worsening called caught is red."""
    line = mcd(tmp_path / "seen", rules, 6, 0.6, 0.05)
    file = tmp_path / "found.yaml"
    file.write_text(ONLY_MCD.replace("0.1", f"{line.tolerance}"), encoding="utf-8")
    found = read_rules(file)
    base, *others = [of_run(run) for run in repeated(tmp_path / "fresh", 25, 0.6, 0.05)]
    outcomes = [check(run, base, found).outcome for run in others]
    assert outcomes.count("regress") == 0
    assert outcomes.count("pass") >= 18
    worse = MadeRun(targets=12).fill().worsen("mcd", line.caught + 0.1, 0.6, seed=99).write(tmp_path / "worse")
    assert check(of_run(worse), base, found).outcome == "regress"


def test_more_power_and_fewer_alarms_cost_tolerance(tmp_path: Path, rules: Rules) -> None:
    runs = repeated(tmp_path, 4, 0.5, 0.1)
    lines = [
        calibrate(runs, rules, false_alarm=alarm, power=power).lines[0]
        for alarm, power in ((0.05, 0.8), (0.01, 0.8), (0.01, 0.95))
    ]
    assert lines[0].tolerance <= lines[1].tolerance <= lines[2].tolerance
    assert lines[0].caught < lines[2].caught


def test_identical_runs_say_so(tmp_path: Path, rules: Rules) -> None:
    found = calibrate(repeated(tmp_path, 2, 0.0), rules, false_alarm=0.01, power=0.95)
    assert (found.lines[0].tolerance, found.lines[0].precision.error) == (0.0, 0.0)
    assert "All runs are identical" in text(found)


def test_the_rules_it_writes_are_read_again(tmp_path: Path) -> None:
    runs = repeated(tmp_path, 3, 0.5)
    found = calibrate(runs, None, false_alarm=0.01, power=0.95)
    save_rules(found, tmp_path / "gate.yaml")
    again = read_rules(tmp_path / "gate.yaml")
    by_name = {rule.measure: rule for rule in again.measures}
    for line in found.lines:
        rule = by_name[line.measure.name]
        assert rule.worsening >= max(line.tolerance, line.rule.worsening)
        assert rule.worsening <= 1.1 * max(line.tolerance, line.rule.worsening)
        assert (rule.cap, rule.confidence, rule.systems) == (line.rule.cap, line.rule.confidence, ("A",))
        assert rule.accept_blind == (line.measure.name != "mcd")  # the others do not differ from run to run
    assert {rule.what for rule in again.counts} == {"failures", "flags"}


def test_flags_that_come_and_go_are_allowed(tmp_path: Path, rules: Rules) -> None:
    flags = [{}, {("A", "s1-t1"): ["clipped"], ("A", "s2-t1"): ["clipped"]}, {("A", "s3-t1"): ["clipped"]}]
    runs = [MadeRun(flags=dict(some)).fill().write(tmp_path / f"{n}") for n, some in enumerate(flags)]
    found = calibrate(runs, rules, false_alarm=0.01, power=0.95)
    assert (found.failures, found.flags) == (0, 2)
    assert "new flags: up to 2" in text(found)
    save_rules(found, tmp_path / "gate.yaml")
    assert {(r.what, r.allowed) for r in read_rules(tmp_path / "gate.yaml").counts} == {("failures", 0), ("flags", 2)}


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(run) for run in repeated(tmp_path, 3, 0.5)]
    assert main(["gate", "calibrate", *runs, "--save-rules", str(tmp_path / "r.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "3 runs of one model" in printed
    assert "3 runs say little" in printed
    assert re.search(r"^A +mcd \(dB\) +\d", printed, re.MULTILINE)
    assert main(["gate", runs[1], "--baseline", runs[0], "--rules", str(tmp_path / "r.yaml")]) == 0
    assert main(["gate", "calibrate", runs[0]]) == 2
    assert "at least two runs" in capsys.readouterr().err
    assert main(["gate", "calibrate", *runs, "--power", "95"]) == 2


def test_calibrate_is_a_command_and_a_folder_of_that_name_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MadeRun().fill().write(tmp_path / "calibrate")
    monkeypatch.chdir(tmp_path)
    small = str(write_rules(tmp_path))
    assert main(["gate", "./calibrate", "--baseline", "calibrate", "--rules", small]) == 0
    with pytest.raises(SystemExit) as left:
        main(["gate", "calibrate"])
    assert left.value.code == 2
    assert "required: RUN" in capsys.readouterr().err
    for command, holds, lacks in ((["gate"], "--baseline", "--power"), (["gate", "calibrate"], "--power", "--junit")):
        with pytest.raises(SystemExit) as left:
            main([*command, "--help"])
        assert left.value.code == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"usage: vceval {' '.join(command)} [-h]")
        assert holds in printed
        assert lacks not in printed


def test_runs_that_may_not_be_compared_are_refused(tmp_path: Path, rules: Rules) -> None:
    runs = [MadeRun(suite=name).fill().write(tmp_path / name) for name in ("one@1", "two@1")]
    with pytest.raises(UsageError, match="suites differ"):
        calibrate(runs, rules, false_alarm=0.01, power=0.95)


def test_no_run_is_taken_twice(tmp_path: Path, rules: Rules, capsys: pytest.CaptureFixture[str]) -> None:
    runs = repeated(tmp_path, 2, 0.5)
    (tmp_path / "link").symlink_to(runs[0])
    with pytest.raises(UsageError, match="is given twice"):
        calibrate([*runs, tmp_path / "link"], rules, false_alarm=0.01, power=0.95)
    shutil.copytree(runs[0], tmp_path / "copy")
    with pytest.raises(UsageError, match="hold the same run"):
        calibrate([*runs, tmp_path / "copy"], rules, false_alarm=0.01, power=0.95)
    assert main(["gate", "calibrate", str(runs[0]), str(runs[0])]) == 2
    assert "of their own" in capsys.readouterr().err


def test_the_share_of_speakers_is_found(tmp_path: Path, rules: Rules) -> None:
    """Half of the noise is that of target speakers, as between many runs of 24 of them."""
    runs = []
    for n in range(5):
        made, generator = MadeRun(targets=24, created=f"{n}").fill(), np.random.default_rng(n)
        shifts = generator.normal(0, 0.4, 24)
        for key, (numerator, denominator) in made.sums.items():
            if key[2] == "mcd":
                moved = shifts[int(key[1].partition("-t")[2])] + generator.normal(0, 0.4)
                made.sums[key] = (numerator + moved, denominator)
        runs.append(made.write(tmp_path / f"{n}"))
    found = calibrate(runs, rules, false_alarm=0.01, power=0.95)
    [line] = found.lines
    assert line.shares["target"] == pytest.approx(0.5, abs=0.1)
    assert line.shares["source"] < 0.05
    said = text(found)
    assert f"target {line.shares['target']:.0%}," in said
    assert f"source {line.shares['source']:.0%}" in said
    assert "hardly known" not in text(found)
