"""Plans of listening tests: balance over systems, pairs, directions, order; nothing in them tells a listener."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import grid, make_pool

from vceval.errors import UsageError
from vceval.listen.plan import Plan, Settings, Trial, make_plan, queues
from vceval.listen.recordings import Pool

ALL = ("mos", "smos", "abx", "ab")


def plan_of(pool: Pool, wanted: Settings) -> Plan:
    return make_plan(pool, queues(pool, wanted), wanted)


def items(plan: Plan, form: int, test: str) -> list[Trial]:
    [part] = [part for part in plan.forms[form].parts if part.test == test]
    return [trial for name in part.trials if (trial := plan.trials[name]).kind == "item"]


def unordered(trial: Trial) -> frozenset[str]:
    return frozenset(trial.conditions)


wanted = st.builds(
    Settings, tests=st.just(ALL), forms=st.integers(1, 30), pairs=st.integers(2, 30), each=st.integers(1, 6),
    checks=st.none() | st.integers(0, 4), seed=st.integers(0, 99),
)  # fmt: skip
pools = st.builds(
    lambda speakers, repeats, systems, controls: make_pool(
        grid(speakers, repeats), tuple(f"sys{at}" for at in range(systems)), ("source", "target") if controls else ()
    ),
    st.integers(3, 6), st.integers(1, 2), st.integers(2, 4), st.booleans(),
)  # fmt: skip


@settings(max_examples=40)
@given(pools, wanted)
def test_every_form_hears_every_condition_equally_often(pool: Pool, wanted: Settings) -> None:
    found = queues(pool, wanted)
    plan = make_plan(pool, found, wanted)
    assert len(plan.forms) == wanted.forms
    for test in ALL:
        expected = {frozenset(c): min(wanted.each, len(queue)) for c, queue in found[test].items()}
        for form in range(wanted.forms):
            assert Counter(map(unordered, items(plan, form, test))) == expected


@settings(max_examples=40)
@given(pools, wanted)
def test_over_all_forms_no_pair_of_a_condition_is_heard_much_more_often_than_another(
    pool: Pool, wanted: Settings
) -> None:
    found = queues(pool, wanted)
    plan = make_plan(pool, found, wanted)
    for test in ALL:
        heard: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
        for form in range(wanted.forms):
            for trial in items(plan, form, test):
                heard[unordered(trial)][trial.pair] += 1
        for condition, queue in found[test].items():
            counts = [heard[frozenset(condition)][pair] for pair in queue]
            assert max(counts) - min(counts) <= 1


@settings(max_examples=40)
@given(pools, wanted)
def test_no_form_has_a_trial_twice_and_checks_never_come_first(pool: Pool, wanted: Settings) -> None:
    plan = plan_of(pool, wanted)
    for form in plan.forms:
        for part in form.parts:
            names = [*part.training, *part.trials]
            assert len(set(names)) == len(names)
            kinds = [plan.trials[name].kind for name in part.trials]
            assert kinds[0] == "item"
            if wanted.checks is not None:
                assert kinds.count("check") == min(wanted.checks, {"abx": 2, "ab": 3}.get(part.test, 5))
            assert all(plan.trials[name].kind == "training" for name in part.training)
            assert plan.trials[part.training[-1]].answer


@pytest.mark.parametrize("each", [1, 2, 4, 8])
def test_directions_are_balanced_within_every_form(each: int) -> None:
    pool = make_pool(grid(5, 3), ("one", "two", "three"))  # directions with 18, 18, 18 and 6 pairs
    plan = plan_of(pool, Settings(ALL, forms=30, pairs=24, each=each))
    for test in ALL:
        for form in range(30):
            counts: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
            for trial in items(plan, form, test):
                counts[unordered(trial)][pool.pairs[trial.pair]["direction"]] += 1
            for directions in counts.values():
                spread = [directions[name] for name in ("F2F", "F2M", "M2F", "M2M")]
                assert max(spread) - min(spread) <= 1


@pytest.mark.parametrize("test", ["ab", "abx"])
def test_order_of_a_and_b_is_balanced_and_not_tied_to_the_direction(test: str) -> None:
    pool = make_pool(grid(5, 3), ("one", "two", "three"))
    plan = plan_of(pool, Settings((test,), forms=24, pairs=24, each=4))
    orders: Counter[object] = Counter()
    by_direction: dict[str, Counter[object]] = defaultdict(Counter)
    for form in range(24):
        for trial in items(plan, form, test):
            order = trial.conditions if test == "ab" else (trial.conditions, trial.swapped)
            orders[order] += 1
            by_direction[pool.pairs[trial.pair]["direction"]][trial.swapped or trial.conditions] += 1
    assert max(orders.values()) - min(orders.values()) <= 1
    for counts in by_direction.values():
        if test == "ab":
            for one, other in (("one", "two"), ("one", "three"), ("two", "three")):
                assert abs(counts[one, other] - counts[other, one]) <= 2


def test_speakers_take_turns() -> None:
    pool = make_pool(grid(6, 4), ("one", "two"))
    found = queues(pool, Settings(("mos",), pairs=24))
    for queue in found["mos"].values():
        for who in ("target_speaker", "source_speaker"):
            counts = Counter(pool.pairs[pair][who] for pair in queue)
            assert len(counts) == 6
            assert max(counts.values()) - min(counts.values()) <= 2


def test_a_listener_hears_each_pair_once_while_there_are_enough() -> None:
    pool = make_pool(grid(6, 2), ("one", "two", "three"), ("source", "target"))
    plan = plan_of(pool, Settings(("mos",), forms=12, pairs=24, each=4))  # 6 conditions, 4 of each, 24 pairs
    for form in range(12):
        assert len({trial.pair for trial in items(plan, form, "mos")}) == 24


def test_systems_with_other_pairs_are_heard_on_what_they_have_in_common_first() -> None:
    rows = grid(5, 2)
    lost = sorted(rows)[::3]
    pool = make_pool(rows, ("whole", "part"), missing=lambda system, pair: system == "part" and pair in lost)
    found = queues(pool, Settings(("mos",), pairs=20))
    assert set(found["mos"]["whole",]) == set(found["mos"]["part",])
    assert not set(found["mos"]["part",]) & set(lost)
    more = queues(pool, Settings(("mos",), pairs=40))
    assert len(more["mos"]["whole",]) == 40
    assert len(more["mos"]["part",]) == len(rows) - len(lost)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_one() -> None:
    pool = make_pool(grid(4, 2), ("one", "two"))
    plans = [plan_of(pool, Settings(ALL, seed=seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0].id != plans[2].id
    assert set(plans[0].trials) != set(plans[2].trials)


def test_the_same_pair_rarely_follows_itself() -> None:
    pool = make_pool(grid(4, 1), ("one", "two", "three"), ("source", "target"))
    plan = plan_of(pool, Settings(("mos",), forms=20, pairs=12, each=4))
    repeats = 0
    for form in range(20):
        order = [trial.pair for trial in items(plan, form, "mos")]
        repeats += sum(one == other for one, other in itertools.pairwise(order))
    assert repeats <= 2


def test_what_can_not_be_asked_is_said() -> None:
    pool = make_pool(grid(4), ("one",))
    with pytest.raises(UsageError, match="two systems"):
        queues(pool, Settings(("ab",)))
    bare = Pool(pool.pairs, pool.systems, pool.converters, pool.audio, {}, {}, {})
    with pytest.raises(UsageError, match="source and target"):
        queues(bare, Settings(("smos",)))


def test_preferences_can_be_limited_to_some_systems() -> None:
    pool = make_pool(grid(4), ("one", "two", "three"))
    found = queues(pool, Settings(("ab",), compare=(("three", "one"),)))
    assert list(found["ab"]) == [("one", "three")]
    with pytest.raises(UsageError, match="one and four"):
        queues(pool, Settings(("ab",), compare=(("one", "four"),)))
