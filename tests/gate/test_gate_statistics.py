"""The gate's statistics: it does not cry wolf, it catches a worse model, and says so when it can't tell."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.benchmarks.simulations.nights import Design, Night, decide, measured_noise, simulate
from vceval.gate.decide import Family, enough, measure_worsening, one_sided
from vceval.gate.rules import MeasureRule, read_rules
from vceval.statistics.intervals import paired_difference, paired_effects

NIGHTS = 1000
DESIGN = Design(targets=20, sources=20, each=3)
NOISE = measured_noise()
RULES = read_rules().measures


@pytest.fixture(scope="module")
def unchanged() -> dict[str, dict[str, Night]]:
    """Nights of an unchanged model, per kind of noise."""
    return {
        kind: {
            name: simulate(name, noise, DESIGN, NIGHTS, seed, kind=kind)
            for seed, (name, noise) in enumerate(NOISE.items())
        }
        for kind in ("closest", "variants")
    }


def shares(outcomes: dict[str, list[str]], what: str) -> dict[str, float]:
    """How often each rule says it, and (``any``) how often some rule does."""
    each = {name: found.count(what) / len(found) for name, found in outcomes.items()}
    return {**each, "any": float(np.mean([what in night for night in zip(*outcomes.values(), strict=True)]))}


def test_the_design_is_that_of_the_promise() -> None:
    assert DESIGN.pairs == 1200
    assert set(NOISE) == {rule.measure for rule in RULES}


@pytest.mark.parametrize(("kind", "most"), [("closest", 0.01), ("variants", 0.05)])
def test_an_unchanged_model_is_seldom_red(unchanged: dict[str, Any], kind: str, most: float) -> None:
    """With noise as measured in one night of a hundred; never more often than the rules say, however large it is."""
    assert shares(decide(unchanged[kind], RULES, DESIGN), "regress")["any"] <= most


@pytest.mark.parametrize("kind", ["closest", "variants"])
def test_a_rise_of_mcd_is_caught(unchanged: dict[str, Any], kind: str) -> None:
    worse = simulate("mcd", NOISE["mcd"], DESIGN, NIGHTS, 1, worse=0.3, kind=kind)
    assert shares(decide({**unchanged[kind], "mcd": worse}, RULES, DESIGN), "regress")["mcd"] >= 0.95


@pytest.mark.parametrize("kind", ["closest", "variants"])
def test_a_fall_of_bandwidth_is_caught(unchanged: dict[str, Any], kind: str) -> None:
    worse = simulate("bandwidth", NOISE["bandwidth"], DESIGN, NIGHTS, 3, worse=1.0, kind=kind)
    assert shares(decide({**unchanged[kind], "bandwidth": worse}, RULES, DESIGN), "regress")["bandwidth"] >= 0.95


@pytest.mark.parametrize(("mean", "evenly"), [(None, False), (0.9, False), (0.9, True)])
def test_a_fall_of_acceptance_is_caught(unchanged: dict[str, Any], mean: float | None, evenly: bool) -> None:
    """0.05 fewer accepted, of a typical and of a good system: as similarity falls, or as some conversions fail."""
    noise = {**NOISE["sv_accept"], **({} if mean is None else {"mean": mean})}
    worse = simulate("sv_accept", noise, DESIGN, NIGHTS, 0, worse=0.05, kind="closest", evenly=evenly)
    found = decide({**unchanged["closest"], "sv_accept": worse}, RULES, DESIGN)
    assert shares(found, "regress")["sv_accept"] >= 0.95


def test_a_larger_fall_is_caught_more_often(unchanged: dict[str, Any]) -> None:
    found = []
    for worse in (0.0, 0.03, 0.06, 0.12):
        night = simulate("sv_accept", NOISE["sv_accept"], DESIGN, 200, 0, worse=worse, kind="closest")
        found.append(shares(decide({"sv_accept": night}, RULES, DESIGN), "regress")["sv_accept"])
    assert found == sorted(found)
    assert found[0] <= 0.02
    assert found[-1] == 1.0


def test_a_worse_model_seldom_passes(unchanged: dict[str, Any]) -> None:
    """A worsening just beyond the allowance passes in at most 5 % of nights."""
    worse = {
        "sv_accept": simulate("sv_accept", NOISE["sv_accept"], DESIGN, NIGHTS, 0, worse=0.011, kind="closest"),
        "mcd": simulate("mcd", NOISE["mcd"], DESIGN, NIGHTS, 1, worse=0.101, kind="closest"),
    }
    passed = shares(decide(worse, RULES, DESIGN), "pass")
    assert max(passed["sv_accept"], passed["mcd"]) <= 0.065


@pytest.mark.parametrize("design", [Design(3, 4, 4), Design(6, 4, 2), Design(6, 8, 1), Design(12, 12, 1)])
@pytest.mark.parametrize("measure", ["sv_accept", "mcd", "wer"])
def test_the_level_holds_with_few_speakers(design: Design, measure: str) -> None:
    """Allowed nothing, unchanged: the one-sided test at 5 and 1 % rejects no more often than it says."""
    night = simulate(measure, NOISE[measure], design, 2000, 5, kind="variants")
    targets, sources = design.speakers()
    found = measure_worsening(night.new, night.old, targets, sources, sign=1.0, allowed=0.0)
    worse, _ = one_sided(found)
    assert np.mean(worse <= 0.05) <= 0.06
    assert np.mean(worse <= 0.01) <= 0.015


def test_a_more_confident_rule_gets_less_of_the_common_chance() -> None:
    rules = [MeasureRule("a", 0.1, confidence=0.95), MeasureRule("b", 0.1, confidence=0.99)]
    family = Family(rules)
    assert family.alarm == pytest.approx(0.05)
    assert [family.share(rule) for rule in rules] == pytest.approx([0.05 * 5 / 6, 0.05 / 6])
    for p, outcome in ((0.041, "regress"), (0.042, "undecided")):
        assert family.outcome(rules[0], False, family.corrected([p, 1.0])[0], 1.0) == outcome
    for p, outcome in ((0.0083, "regress"), (0.0084, "undecided")):
        assert family.outcome(rules[1], False, family.corrected([1.0, p])[1], 1.0) == outcome


def test_many_series_are_what_each_alone_is() -> None:
    generator = np.random.default_rng(0)
    design = Design(5, 4, 2)
    targets, sources = design.speakers()
    numerators = generator.random((4, 6, design.pairs))
    denominators = generator.integers(1, 9, (2, 6, design.pairs)).astype(float)
    for crossed in (None, sources):
        given = (numerators[0], denominators[0], numerators[1], denominators[1])
        together = paired_effects(*given, targets, crossed=crossed)
        for n in range(6):
            alone = paired_effects(*(part[n] for part in given), targets, crossed=crossed)
            known = paired_difference(*(part[n] for part in given), targets, crossed=crossed)
            assert float(together.values[n]) == float(alone.values) == known.value
            assert float(together.errors[n]) == float(alone.errors)
            assert together.clusters == alone.clusters


VALUES = st.lists(st.floats(0, 10), min_size=8, max_size=8)


@settings(max_examples=60, deadline=None)
@given(old=VALUES, new=VALUES, sign=st.sampled_from([1.0, -1.0]), allowed=st.floats(0, 1))
def test_better_and_worse_are_mirror_images(old: list[float], new: list[float], sign: float, allowed: float) -> None:
    ones, targets = [1.0] * 8, list("aabbccdd")
    found = measure_worsening((new, ones), (old, ones), targets, [None] * 8, sign=sign, allowed=0.0)
    mirrored = measure_worsening((old, ones), (new, ones), targets, [None] * 8, sign=-sign, allowed=0.0)
    assert float(found.beyond) == pytest.approx(float(mirrored.beyond))
    worse, within = one_sided(found)
    assert 0.0 <= float(worse) <= 1.0
    assert 0.0 <= float(within) <= 1.0
    more = measure_worsening((new, ones), (old, ones), targets, [None] * 8, sign=sign, allowed=allowed)
    assert float(more.beyond) == pytest.approx(float(found.beyond) - allowed)
    assert float(one_sided(more)[0]) >= float(worse) - 1e-9
    outcome = Family(RULES).outcome(RULES[0], bool(found.identical), float(worse), float(within))
    assert outcome == "pass" if old == new else outcome in ("pass", "regress", "undecided")


def test_the_error_is_never_below_that_of_independent_pairs() -> None:
    """Six speakers whose means happen to be alike say nothing about their pairs, which differ a lot."""
    generator = np.random.default_rng(1)
    changes = generator.normal(0, 1, (6, 8))
    changes -= changes.mean(axis=1, keepdims=True) - 0.3
    targets = [f"t{n}" for n in range(6) for _ in range(8)]
    found = measure_worsening(
        (changes.ravel(), np.ones(48)), (np.zeros(48), np.ones(48)), targets, [None] * 48, sign=1.0, allowed=0.0
    )
    assert float(found.errors) == pytest.approx(changes.std() / np.sqrt(48), rel=0.05)
    assert float(one_sided(found)[0]) > 0.01


def test_a_change_that_all_pairs_share_is_certain() -> None:
    ones, targets = np.ones(40), [f"t{n % 4}" for n in range(40)]
    for change, outcome in ((0.5, "regress"), (0.05, "pass"), (-3.0, "pass")):
        found = measure_worsening((ones + change, ones), (ones, ones), targets, [None] * 40, sign=1.0, allowed=0.1)
        worse, within = (float(p) for p in one_sided(found))
        assert Family(RULES).outcome(RULES[0], False, worse, within) == outcome


def test_one_pair_alone_has_no_error() -> None:
    found = measure_worsening(([1.0], [1.0]), ([2.0], [1.0]), ["t"], ["s"], sign=1.0, allowed=0.0)
    assert isnan(float(found.errors))
    assert all(isnan(float(p)) for p in one_sided(found))
    assert Family(RULES).outcome(MeasureRule("mcd", 0.1), False, None, float("nan")) == "undecided"


@settings(max_examples=50, deadline=None)
@given(error=st.floats(1e-4, 10), clusters=st.integers(2, 60), each=st.integers(1, 50), allowed=st.floats(1e-3, 5))
def test_enough_is_enough_and_no_more(error: float, clusters: int, each: int, allowed: float) -> None:
    found = enough(error, clusters, clusters * each, allowed, 0.95)
    if found is None:
        assert error / allowed > 10
        return
    count, pairs = found
    assert pairs == each * count
    less = enough(error, clusters, clusters * each, allowed * 2, 0.95)
    assert less is not None
    assert less[0] <= count


def test_enough_follows_the_normal_approximation_for_many() -> None:
    found = enough(0.02, 400, 4000, 0.01, 0.95)
    assert found is not None
    assert found[0] == pytest.approx(400 * ((1.645 + 0.842) * 2) ** 2, rel=0.02)
    assert enough(0.02, 400, 4000, 0.0, 0.95) is None
    assert enough(0.0, 400, 4000, 0.01, 0.95) is None


def test_the_noise_is_measured_from_the_published_demos() -> None:
    for noise in NOISE.values():
        assert noise["closest"]["values"] > 0
        assert all(noise[kind]["pair"] > 0 for kind in ("level", "closest", "variants"))
    assert json.dumps(NOISE)
