"""Plans of listening tests: power against the test that is made of the answers."""

from __future__ import annotations

import csv
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from vceval.cli.main import main
from vceval.listen.differences import comparisons
from vceval.listen.key import Rating
from vceval.listen.power import LEVEL, Noise, listeners_needed, noise_of, of_vcc2020, precision

NOISE = Noise(listener=0.2, pair=0.1, rating=4.0)
PAIRS, EACH, LISTENERS = 16, 4, 12


def answers(
    random: np.random.Generator, difference: float, systems: str = "AB", listeners: int = LISTENERS
) -> list[Rating]:
    """A test in which every listener hears other pairs of each system."""
    tastes = random.normal(0, sqrt(NOISE.listener / 2), (len(systems), listeners))
    said = random.normal(0, sqrt(NOISE.pair / 2), (len(systems), PAIRS))
    found = []
    for who in range(listeners):
        level = random.normal(3, 0.5)
        for place, system in enumerate(systems):
            for pair in random.permutation(PAIRS)[:EACH]:
                noise = tastes[place, who] + said[place, pair] + random.normal(0, sqrt(NOISE.rating) / 2)
                found.append(Rating(f"L{who}", "mos", (system,), f"p{pair}", level - place * difference + noise))
    return found


def test_power_is_that_of_the_test_of_the_answers() -> None:
    random = np.random.default_rng(0)
    difference = 0.6
    planned = {("mos", (system,)): {f"p{n}" for n in range(PAIRS)} for system in "AB"}
    hits = [
        comparisons(answers(random, difference), "AB", planned)[0]["p_value"] < 0.05 for _ in range(100)
    ]  # fmt: skip
    expected = precision(NOISE, LISTENERS, PAIRS, EACH).power(LEVEL, difference)
    assert 0.5 < expected < 0.95
    assert np.mean(hits) == pytest.approx(expected, abs=0.13)


def test_noise_is_told_from_a_test() -> None:
    found = noise_of(answers(np.random.default_rng(1), 0.3, "ABCDEF", 60))
    assert found.rating == pytest.approx(NOISE.rating, rel=0.15)
    assert found.listener == pytest.approx(NOISE.listener, rel=0.6)
    assert found.pair == pytest.approx(NOISE.pair, rel=0.8)


def test_more_of_anything_is_never_worse() -> None:
    one = of_vcc2020("quality", "English")
    powers = [precision(one, count, 24, 4).power(LEVEL, 0.3) for count in (6, 12, 24, 48)]
    assert powers == sorted(powers)
    needed = [listeners_needed(one, 0.3, 0.8, count, 4) or 10_000 for count in (12, 24, 48)]
    assert needed == sorted(needed, reverse=True)


def test_few_pairs_are_never_enough() -> None:
    assert listeners_needed(NOISE, 0.05, 0.8, 4, 4) is None


def test_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "plan", "--difference", "0.5", "--power", "0.8", "--cost", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "found in 80% of such tests" in said
    assert "VCC2020, quality, English listeners" in said
    assert "vceval listen export RUN --listeners" in said
    assert main(["listen", "plan", "--difference", "0.01", "--pairs", "8"]) == 1
    assert "No number of listeners" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--difference", "0"], "--difference must lie between 0 and 4"),
        (["--difference", "0.2", "--power", "1"], "--power must lie between"),
        (["--difference", "0.2", "--pairs", "3"], "a listener can't rate 4 recordings"),
        (["--difference", "0.2", "--each", "0"], "--each must be at least 1"),
        (["--difference", "0.2", "--cost", "-1"], "--cost must be 0 or more"),
    ],
)
def test_plans_that_are_none(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "plan", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_noise_of_a_test_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "listening.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["listener", "test", "system", "other", "pair", "value"])
        for one in answers(np.random.default_rng(2), 0.3):
            writer.writerow([one.rater, one.test, one.conditions[0], "", one.pair, f"{one.value:.4f}"])
        writer.writerow(["L1", "ab", "A", "B", "p1", "1"])
    assert main(["listen", "plan", "--difference", "0.5", "--from", str(tmp_path)]) == 0
    assert "96 ratings by 12 listeners" in capsys.readouterr().out
