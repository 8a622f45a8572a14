"""The gate on real converted speech: each way of spoiling it is worse by the right measure, copies are not.

AdaIN-VC of the published demos on VCTK, scored again after its recordings were changed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from made_runs import write_rules
from numpy.typing import NDArray

from vceval.cli.main import main
from vceval.corpora.demo import Demo
from vceval.gate.check import check
from vceval.gate.evidence import of_run
from vceval.gate.rules import read_rules
from vceval.gate.verdict import Result
from vceval.records import Utterance

#: What 33 pairs, and 14 with a text, can see where nothing differs: the default rules are blind there.
RULES = """\
schema: 1
rules:
  - {measure: sv_accept, worsening: 0.07}
  - {measure: wer, worsening: 0.07, confidence: 0.995, cap: 1.0}
  - {measure: bandwidth, worsening: 0.5, confidence: 0.995}
  - {new: failures}
  - {new: flags}
"""

Samples = NDArray[np.float64]
Change = Callable[[Samples, int], Samples]


def low_pass(samples: Samples, rate: int) -> Samples:
    """What is left of speech at a sampling rate of 8 kHz."""
    from scipy import signal

    return np.clip(signal.sosfiltfilt(signal.butter(10, 4000, fs=rate, output="sos"), samples), -1.0, 1.0)


def muffled(samples: Samples, rate: int) -> Samples:
    """Speech without what lies above 8 kHz, where no recogniser and no speaker encoder listens."""
    from scipy import signal

    if rate <= 16_000:
        return samples
    return np.clip(signal.sosfiltfilt(signal.butter(8, 8000, fs=rate, output="sos"), samples), -1.0, 1.0)


def noisy(samples: Samples, rate: int) -> Samples:
    """White noise 10 dB below the speech."""
    noise = np.random.default_rng(len(samples)).normal(size=len(samples))
    noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2) / 10.0)
    mixed: Samples = samples + noise
    return mixed / max(1.0, float(np.abs(mixed).max()))


class Demos:
    """Tables of one published system, as it is or changed."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self.demos, self.folder = shared / "published_demos", folder
        with open(self.demos / "conversions.csv", encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["system"] == "AdaIN-VC"]
        self.rows = [self._absolute(row) for row in rows if row["dataset"] == "VCTK"]
        with open(self.demos / "natural_speech.csv", encoding="utf-8", newline="") as stream:
            natural = [row for row in csv.DictReader(stream) if row["dataset"] == "VCTK"]
        self._write("natural", [{**row, "file": str(self.demos / row["file"])} for row in natural])

    def _absolute(self, row: dict[str, str]) -> dict[str, str]:
        paths = ("converted", "source", "target", "reference")
        return {name: str(self.demos / value) if name in paths and value else value for name, value in row.items()}

    def _write(self, name: str, rows: list[dict[str, str]]) -> Path:
        path = self.folder / f"{name}.csv"
        with open(path, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def scored(self, name: str, rows: list[dict[str, str]]) -> Path:
        """Score a table; returns the run."""
        table, run = self._write(name, rows), self.folder / f"run-{name}"
        code = main(
            ["score", str(table), "--natural", str(self.folder / "natural.csv"), "--root", "/", "--out", str(run),
             "--metrics", "sv,wer,sanity,bandwidth", "--recogniser", "pocketsphinx", "--workers", "1", "--no-controls"]
        )  # fmt: skip
        assert code == 0
        return run

    def changed(self, name: str, change: Change, every: int = 1) -> Path:
        """Score the recordings after a change of all, or of every so many."""
        rows = [dict(row) for row in self.rows]
        for number, row in list(enumerate(rows))[::every]:
            samples, rate = soundfile.read(row["converted"])
            path = self.folder / name / f"{number}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, change(samples, rate), rate, subtype="DOUBLE")
            row["converted"] = str(path)
        return self.scored(name, rows)

    def swapped(self) -> Path:
        """Every second recording is one of another target."""
        rows = [dict(row) for row in self.rows]
        for number in range(0, len(rows), 2):
            others = (self.rows[(number + step) % len(rows)] for step in range(1, len(rows)))
            rows[number]["converted"] = next(
                other["converted"] for other in others if other["target_speaker"] != rows[number]["target_speaker"]
            )
        return self.scored("swapped", rows)


def test_spoiled_speech_is_worse_by_the_right_measure_and_copies_are_not(shared: Path, tmp_path: Path) -> None:
    demos = Demos(shared, tmp_path)
    before = of_run(demos.scored("before", demos.rows))
    rules = read_rules(write_rules(tmp_path, RULES))

    def gate(run: Path) -> Result:
        return check(of_run(run), before, rules)

    def worse(run: Path) -> set[str]:
        result = gate(run)
        assert result.outcome == "regress"
        return {verdict.rule for verdict in result.verdicts if verdict.outcome == "regress"}

    assert gate(demos.scored("again", demos.rows)).outcome == "pass"
    copies = gate(demos.changed("lossless", lambda samples, rate: samples, every=4))
    assert copies.outcome == "pass"
    assert all(verdict.figures.worsening == 0.0 for verdict in copies.verdicts if verdict.figures)

    def shown(run: Path, *measures: str) -> None:
        """So few pairs can't be sure of acceptance and words; they show the fall, and pass nothing."""
        found = {verdict.rule: verdict for verdict in gate(run).verdicts if verdict.rule in measures}
        assert found.keys() == set(measures)
        for verdict in found.values():
            assert verdict.outcome != "pass"
            assert verdict.figures is not None
            assert verdict.figures.worsening > 0.1

    low = demos.changed("low-pass", low_pass)
    assert "bandwidth" in worse(low)
    shown(low, "wer")
    assert worse(demos.changed("muffled", muffled)) == {"bandwidth"}
    hissing, swapped = demos.changed("noise", noisy), demos.swapped()
    assert "sv_accept" in worse(hissing)
    for run in (hissing, swapped):
        assert "new flags" in worse(run)
        shown(run, "sv_accept", "wer")


def test_hiss_hidden_behind_silence_is_red(tmp_path: Path) -> None:
    """Readings of the demo corpus, a little slower and brighter, as conversions: zeros hide no hiss from MCD."""
    texts: dict[str, dict[str, Utterance]] = {}
    for utterance in Demo().utterances():
        texts.setdefault(str(utterance.transcript), {})[str(utterance.speaker)] = utterance
    rows: list[dict[str, str]] = []
    for text, read in texts.items():
        voices = sorted(read)
        for voice, target in zip(voices, voices[1:] + voices[:1], strict=True):
            rows.append({
                "system": "A", "source": str(read[voice].path), "reference": str(read[target].path),
                "transcript": text, "source_speaker": voice, "target_speaker": target,
            })  # fmt: skip
    rows, runs = rows[:36], []
    for name in ("before", "hidden"):
        for number, row in enumerate(rows):
            samples, rate = soundfile.read(row["reference"])
            slower = np.interp(np.arange(0, len(samples) - 1, 0.96), np.arange(len(samples)), samples)
            samples = np.append(slower[0], slower[1:] - 0.3 * slower[:-1])
            if name == "hidden":
                hiss = np.random.default_rng(number).standard_normal(len(samples)) * np.sqrt(np.mean(samples**2))
                samples = np.concatenate([np.zeros(3 * rate), samples + 0.03 * hiss])
            row["converted"] = str(tmp_path / f"{name}{number}.wav")
            soundfile.write(row["converted"], samples, rate, subtype="FLOAT")
        with open(tmp_path / f"{name}.csv", "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        table, out = str(tmp_path / f"{name}.csv"), tmp_path / name
        given = ["score", table, "--root", "/", "--out", str(out), "--metrics", "mcd,sanity", "--workers", "1"]
        assert main([*given, "--no-controls"]) == 0
        runs.append(of_run(out))
    found = {verdict.rule: verdict for verdict in check(runs[1], runs[0], read_rules()).verdicts}
    assert (found["mcd"].outcome, found["new flags"].outcome) == ("regress", "regress"), found["mcd"].message
