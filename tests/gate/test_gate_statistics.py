"""The gate's statistics: it does not cry wolf, it catches a worse model, and says so when it can't tell."""

from __future__ import annotations

import json
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.benchmarks.simulations.nights import Pattern, World, decide, judge, measured_noise, simulate
from vceval.benchmarks.simulations.speakers import row
from vceval.gate.decide import Family, Worsening, measure_worsening, one_sided
from vceval.gate.rules import MeasureRule, read_rules
from vceval.statistics.components import Design
from vceval.statistics.inference import paired_estimate

NIGHTS = 120
PATTERN = Pattern(targets=20, sources=20, each=3)
DESIGN = PATTERN.design()
NOISE = measured_noise()
RULES = read_rules().measures
RULE = {rule.measure: rule for rule in RULES}


def judged(measure: str, nights: int = NIGHTS, noise: Any = None, **more: Any) -> list[Worsening]:
    night = simulate(measure, noise or NOISE[measure], PATTERN, nights, list(NOISE).index(measure), **more)
    return judge(night, RULE[measure], DESIGN)


@pytest.fixture(scope="module")
def unchanged() -> dict[str, dict[str, list[Worsening]]]:
    """Nights of an unchanged model, per kind of noise."""
    return {kind: {name: judged(name, kind=kind) for name in NOISE} for kind in ("closest", "variants")}


def shares(outcomes: dict[str, list[str]], what: str) -> dict[str, float]:
    """How often each rule says it, and (``any``) how often some rule does."""
    each = {name: found.count(what) / len(found) for name, found in outcomes.items()}
    return {**each, "any": float(np.mean([what in night for night in zip(*outcomes.values(), strict=True)]))}


def test_the_pattern_is_that_of_the_promise() -> None:
    assert DESIGN.items == PATTERN.pairs == 1200
    assert set(NOISE) == {rule.measure for rule in RULES}


@pytest.mark.parametrize("kind", ["closest", "variants"])
def test_an_unchanged_model_is_seldom_red(unchanged: dict[str, Any], kind: str) -> None:
    """In one night of a hundred at most, however large the noise is."""
    assert shares(decide(unchanged[kind], RULES, DESIGN), "regress")["any"] <= 0.01


@pytest.mark.parametrize("kind", ["closest", "variants"])
@pytest.mark.parametrize(("measure", "worse"), [("mcd", 0.3), ("bandwidth", 1.0)])
def test_a_worse_measure_is_caught(unchanged: dict[str, Any], kind: str, measure: str, worse: float) -> None:
    nights = {**unchanged[kind], measure: judged(measure, worse=worse, kind=kind)}
    assert shares(decide(nights, RULES, DESIGN), "regress")[measure] >= 0.95


@pytest.mark.parametrize(("mean", "evenly", "least"), [(None, False, 0.7), (0.9, False, 0.55), (0.9, True, 0.9)])
def test_a_fall_of_acceptance_is_caught_where_speakers_are_alike(
    unchanged: dict[str, Any], mean: float | None, evenly: bool, least: float
) -> None:
    """0.05 fewer accepted, of a typical and of a good system: as similarity falls, or as some conversions fail.

    A fall of similarity costs the speakers near the threshold most, and so is less sure: the other nights are blind.
    """
    noise = {**NOISE["sv_accept"], **({} if mean is None else {"mean": mean})}
    worse = judged("sv_accept", noise=noise, worse=0.05, evenly=evenly, world=World())
    found = decide({**unchanged["closest"], "sv_accept": worse}, RULES, DESIGN)
    red, blind = (shares(found, what)["sv_accept"] for what in ("regress", "blind"))
    assert red >= least
    assert red + blind >= 0.9


def test_a_fall_of_acceptance_is_caught_or_not_seen_where_half_of_the_noise_is_the_speakers() -> None:
    world = World(0.25, 0.25)
    worse = shares(decide({"sv_accept": judged("sv_accept", worse=0.05, world=world)}, RULES, DESIGN), "regress")
    blind = shares(decide({"sv_accept": judged("sv_accept", world=world)}, RULES, DESIGN), "blind")
    assert worse["sv_accept"] < 0.5
    assert blind["sv_accept"] >= 0.9


def test_a_larger_fall_is_caught_more_often() -> None:
    found = []
    for worse in (0.0, 0.04, 0.12):
        nights = judged("sv_accept", 60, worse=worse)
        found.append(shares(decide({"sv_accept": nights}, RULES, DESIGN), "regress")["sv_accept"])
    assert found == sorted(found)
    assert found[0] <= 0.02
    assert found[-1] == 1.0


def test_a_worse_model_seldom_passes() -> None:
    """A worsening just beyond the allowance passes in at most 5 % of nights."""
    worse = {"sv_accept": judged("sv_accept", 300, worse=0.011), "mcd": judged("mcd", 300, worse=0.101)}
    passed = shares(decide(worse, RULES, DESIGN), "pass")
    assert max(passed["sv_accept"], passed["mcd"]) <= 0.08


@pytest.mark.parametrize("pattern", [Pattern(4, 4, 4), Pattern(6, 8, 1)])
def test_the_level_holds_with_few_speakers(pattern: Pattern) -> None:
    """Allowed nothing, unchanged: the one-sided test at 5 % rejects about as often as it says."""
    design = pattern.design()
    night = simulate("mcd", NOISE["mcd"], pattern, 300, 5, kind="variants")
    found = judge(night, MeasureRule("mcd", 0.0), design)
    assert np.mean([one_sided(one)[0] <= 0.05 for one in found]) <= 0.08


@pytest.mark.parametrize(
    ("pattern", "world"),
    [
        (Pattern(1, 20, 3), World(0.0, 0.25)),
        (Pattern(2, 20, 3), World(0.25, 0.25)),
        (Pattern(20, 2, 3), World(0.1, 0.1)),
        (Pattern(3, 20, 2), World(0.5, 0.0)),
        (Pattern(4, 4, 6), World(0.25, 0.25)),
        (Pattern(10, 10, 2), World(0.0, 0.5)),
    ],
)
def test_few_speakers_see_or_say_that_they_are_blind(pattern: Pattern, world: World) -> None:
    """Whatever the noise: five times the allowance is red or the rule blind in 90 %, unchanged models red in 1 %."""
    found = row(pattern, world, 200 if pattern.targets == 1 else 100)
    assert float(str(found["caught"])) >= 0.9
    assert float(str(found["alarms"])) <= 0.01


def test_a_more_confident_rule_gets_less_of_the_common_chance() -> None:
    rules = [MeasureRule("a", 0.1, confidence=0.95), MeasureRule("b", 0.1, confidence=0.99)]
    family = Family(rules)
    assert family.alarm == pytest.approx(0.05)
    assert [family.level(rule) for rule in rules] == pytest.approx([1 - 0.05 * 5 / 6, 1 - 0.05 / 6])
    for p, outcome in ((0.041, "regress"), (0.042, "undecided")):
        assert family.outcome(rules[0], False, family.corrected([p, 1.0])[0], 1.0) == outcome
    for p, outcome in ((0.0083, "regress"), (0.0084, "undecided")):
        assert family.outcome(rules[1], False, family.corrected([1.0, p])[1], 1.0) == outcome


VALUES = st.lists(st.floats(0, 10), min_size=8, max_size=8)


@settings(max_examples=60)
@given(old=VALUES, new=VALUES, sign=st.sampled_from([1.0, -1.0]), allowed=st.floats(0, 1))
def test_better_and_worse_are_mirror_images(old: list[float], new: list[float], sign: float, allowed: float) -> None:
    ones, design = [1.0] * 8, Design(list("aabbccdd"))
    found = measure_worsening((new, ones), (old, ones), design, sign=sign, allowed=0.0)
    mirrored = measure_worsening((old, ones), (new, ones), design, sign=-sign, allowed=0.0)
    assert found.beyond.value == pytest.approx(mirrored.beyond.value)
    worse, within = one_sided(found)
    assert 0.0 <= worse <= 1.0
    assert 0.0 <= within <= 1.0
    more = measure_worsening((new, ones), (old, ones), design, sign=sign, allowed=allowed)
    assert more.beyond.value == pytest.approx(found.beyond.value - allowed)
    assert one_sided(more)[0] >= worse - 1e-9
    outcome = Family(RULES).outcome(RULES[0], found.identical, worse, within)
    assert outcome == "pass" if old == new else outcome in ("pass", "regress", "undecided")


def test_it_is_the_paired_estimate_with_texts_and_a_relative_allowance() -> None:
    generator = np.random.default_rng(1)
    design = Design([n % 4 for n in range(48)], [n % 6 for n in range(48)], [n % 8 for n in range(48)])
    new, old, words = generator.uniform(4, 8, 48), generator.uniform(3, 7, 48), generator.integers(5, 15, 48)
    found = measure_worsening((new, words), (old, words), design, sign=1.0, allowed=0.2, relative=True)
    known = paired_estimate(new, words, 1.2 * old, words, design)
    assert found.beyond == known
    assert known.value == pytest.approx(new.sum() / words.sum() - 1.2 * old.sum() / words.sum())
    assert {"target", "source", "text"} <= found.beyond.shares.keys()


def test_speakers_who_happen_to_be_alike_say_nothing_about_their_pairs() -> None:
    """Six speakers of equal means: their component is zero, and the error that of independent pairs."""
    generator = np.random.default_rng(1)
    changes = generator.normal(0, 1, (6, 8))
    changes -= changes.mean(axis=1, keepdims=True) - 0.3
    design = Design([f"t{n}" for n in range(6) for _ in range(8)])
    found = measure_worsening(
        (changes.ravel(), np.ones(48)), (np.zeros(48), np.ones(48)), design, sign=1.0, allowed=0.0
    )
    assert found.beyond.error == pytest.approx(changes.std() / np.sqrt(48), rel=0.05)
    assert one_sided(found)[0] > 0.01


def test_a_change_that_all_pairs_share_is_certain() -> None:
    ones, design = np.ones(40), Design([f"t{n % 4}" for n in range(40)])
    for change, outcome in ((0.5, "regress"), (0.05, "pass"), (-3.0, "pass")):
        found = measure_worsening((ones + change, ones), (ones, ones), design, sign=1.0, allowed=0.1)
        worse, within = one_sided(found)
        assert Family(RULES).outcome(RULES[0], False, worse, within) == outcome


def test_one_pair_alone_has_no_error() -> None:
    found = measure_worsening(([1.0], [1.0]), ([2.0], [1.0]), Design(["t"], ["s"]), sign=1.0, allowed=0.0)
    assert isnan(found.beyond.error)
    assert all(isnan(p) for p in one_sided(found))
    assert Family(RULES).outcome(MeasureRule("mcd", 0.1), False, None, nan) == "undecided"


def test_a_blind_rule_says_nothing_but_what_is_plain() -> None:
    rule = MeasureRule("mcd", 0.1, confidence=0.98)
    family = Family([rule])
    for p, outcome in ((0.0019, "regress"), (0.0021, "blind")):
        assert family.outcome(rule, False, 0.001, 1.0, blind=p) == outcome
    assert family.outcome(rule, True, 1.0, 0.0, blind=1.0) == "pass"


def test_the_noise_is_measured_from_the_published_demos() -> None:
    for noise in NOISE.values():
        assert noise["closest"]["values"] > 0
        assert all(noise[kind]["pair"] > 0 for kind in ("level", "closest", "variants"))
    assert json.dumps(NOISE)
