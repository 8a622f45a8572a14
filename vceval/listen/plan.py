"""Who hears what in which order: forms that are balanced over systems, pairs, directions and speakers.

Each form is one listener's share. In every test each condition (a system, or two systems to prefer among) is heard
equally often in every form; its pairs stand in a queue that runs through directions and speakers in turn, and each
form takes the next few, so that over all forms the pairs of a condition are heard equally often, give or take one.
Conditions start at different places of the queue: while there are enough pairs, a listener hears each pair
once only.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

from vceval.errors import UsageError
from vceval.listen.kinds import KINDS
from vceval.listen.recordings import MNRU, NATURAL, PREFIX, SOURCE, TARGET, Condition, Pool

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Form", "Part", "Plan", "Settings", "Trial", "make_plan", "queues"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a plan is made from.

    tests: names of kinds of test, in the order in which a listener meets them.
    forms: how many listeners the test is balanced for.
    pairs: conversion pairs of each system that are heard.
    each: how often a listener hears each condition in each test.
    checks: attention checks in each part; None for one in ten trials.
    compare: pairs of systems to prefer among; all where none is named.
    """

    tests: tuple[str, ...] = ("mos", "smos")
    forms: int = 24
    pairs: int = 24
    each: int = 4
    checks: int | None = None
    seed: int = 0
    compare: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One question. ``conditions`` are what is heard: X or the one recording, or A and then B.

    ``swapped`` says that A is the target and B the source speaker. ``answer`` is the right answer to a check, and to
    the training check. A listener's page holds no more of a trial than its files.
    """

    id: str
    test: str
    kind: Literal["item", "check", "training"]
    conditions: Condition
    pair: str
    swapped: bool = False
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One test within a form: trials to learn it, then those that count."""

    test: str
    training: tuple[str, ...]
    trials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What one listener hears."""

    number: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All forms and the trials that they consist of; ``id`` changes with anything in them."""

    id: str
    settings: Settings
    trials: Mapping[str, Trial]
    forms: tuple[Form, ...]


#: What shows the ends of the scale in the practice.
_ENDS: Mapping[str, Sequence[Condition]] = {
    "mos": ((NATURAL,), (MNRU,)),
    "smos": ((TARGET,), (SOURCE,)),
    "abx": ((TARGET,),),
    "ab": ((NATURAL, MNRU),),
}
#: Per test and condition: its pairs, in the order in which they are given out.
Queues = Mapping[str, Mapping[Condition, Sequence[str]]]


def queues(pool: Pool, settings: Settings) -> dict[str, dict[Condition, list[str]]]:
    """Choose the pairs that are heard, for each test and condition, in the order in which they are given out.

    Pairs run through datasets and directions in turn, and among those of one direction through target and source
    speakers. Conditions share pairs as far as they have them in common.

    Raises:
        UsageError: a test can't be made from what the run has.
    """
    found: dict[str, dict[Condition, list[str]]] = {}
    taken: list[str] = []
    for test in settings.tests:
        conditions = pool.conditions(test)
        if test == "ab" and settings.compare:
            wanted = {frozenset(condition) for condition in settings.compare}
            conditions = {one: pairs for one, pairs in conditions.items() if frozenset(one) in wanted}
            if len(conditions) < len(wanted):
                lost = next(one for one in settings.compare if not {one, one[::-1]} & set(conditions))
                raise UsageError(f"{' and '.join(lost)} can't be compared: two converters with common pairs are needed")
        if not any(not name.startswith(PREFIX) for condition in conditions for name in condition):
            needs = {"ab": "two systems that converted the same pairs", "mos": "converted recordings"}
            lacking = needs.get(test, "recordings of source and target speakers")
            raise UsageError(f"no {test} test can be made: it needs {lacking}")
        common = set.intersection(*(set(pairs) for pairs in conditions.values()))
        shared = _spread(pool, sorted(common), settings.pairs, taken, settings.seed)
        taken += [pair for pair in shared if pair not in taken]
        found[test] = {}
        for condition, pairs in conditions.items():
            if len(shared) == settings.pairs:  # enough for all: systems are heard on the same pairs
                found[test][condition] = shared
                continue
            queue = _spread(pool, sorted(pairs), settings.pairs, taken, settings.seed)
            taken += [pair for pair in queue if pair not in taken]
            found[test][condition] = queue
    return found


def _spread(pool: Pool, pairs: Sequence[str], count: int, first: Sequence[str], seed: int) -> list[str]:
    """Order up to ``count`` pairs so that any stretch of them is spread over directions, then over speakers."""
    import numpy as np

    given = {pair: at for at, pair in enumerate(first)}
    ranks = np.random.default_rng([seed, 1]).permutation(len(pairs))
    strata: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for pair, drawn in zip(pairs, ranks.tolist(), strict=True):
        row = pool.pairs[pair]
        strata.setdefault((row["dataset"], row["direction"]), []).append((pair, drawn))
    targets: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    order: list[str] = []
    while len(order) < count and any(strata.values()):
        for key in sorted(strata):
            if not strata[key] or len(order) == count:
                continue

            def rank(entry: tuple[str, int]) -> tuple[int, int, int, int]:
                row = pool.pairs[entry[0]]
                place = given.get(entry[0], len(given))
                return place, targets[row["target_speaker"]], sources[row["source_speaker"]], entry[1]

            chosen = min(strata[key], key=rank)
            strata[key].remove(chosen)
            targets[pool.pairs[chosen[0]]["target_speaker"]] += 1
            sources[pool.pairs[chosen[0]]["source_speaker"]] += 1
            order.append(chosen[0])
    return order


def make_plan(pool: Pool, given: Queues, settings: Settings, heard: Iterable[str] = ()) -> Plan:
    """Make the forms from queues of pairs; the same input gives the same plan on every machine.

    Args:
        pool: what can be heard.
        given: pairs of each test and condition.
        settings: how many, how often.
        heard: digests of the recordings, which the plan's identity is about too: the same trials with other recordings
            are another test.
    """
    import numpy as np

    maker = _Maker(pool, settings, np.random.default_rng([settings.seed, 2]))
    forms = tuple(
        Form(number, tuple(maker.part(test, given[test], number - 1, at) for at, test in enumerate(settings.tests)))
        for number in range(1, settings.forms + 1)
    )
    content = {
        "settings": asdict(settings),
        "trials": [asdict(trial) for trial in maker.trials.values()],
        "forms": [asdict(form) for form in forms],
        "heard": sorted(heard),
    }
    identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return Plan(identity, settings, maker.trials, forms)


class _Maker:
    """Makes parts one after the other; trials that several forms share exist once."""

    def __init__(self, pool: Pool, settings: Settings, rng: np.random.Generator) -> None:
        self._pool, self._settings, self._rng = pool, settings, rng
        self.trials: dict[str, Trial] = {}
        self._known: dict[tuple[object, ...], str] = {}

    def part(self, test: str, given: Mapping[Condition, Sequence[str]], form: int, place: int) -> Part:
        """Make one test of one form (counted from 0); ``place`` is that of the test in the form."""
        items: list[Trial] = []
        for at, (condition, queue) in enumerate(given.items()):
            each = min(self._settings.each, len(queue))
            strata = len({(self._pool.pairs[p]["dataset"], self._pool.pairs[p]["direction"]) for p in queue})
            for step in range(each):
                round_, turn = divmod((form + at + place * len(given)) * each + step, len(queue))
                # With an even number of directions a plain alternation would tie the order to the direction
                odd = (round_ + turn + (0 if strata % 2 else turn // strata)) % 2 == 1
                heard = condition[::-1] if odd else condition
                items.append(self._trial(test, "item", heard, queue[turn], swapped=odd and test == "abx"))
        pairs = list(next(iter(given.values())))
        ordered = self._with_checks(self._shuffled(items), self._checks(test, pairs, form, len(items)))
        return Part(test, self._training(test, given, pairs), tuple(ordered))

    def _trial(
        self,
        test: str,
        kind: Literal["item", "check", "training"],
        conditions: Condition,
        pair: str,
        swapped: bool = False,
        answer: str = "",
    ) -> Trial:
        """Find a trial or make it, under a name that says nothing."""
        what = (test, kind, conditions, pair, swapped, answer)
        if what not in self._known:
            name = ""
            while not name or name in self.trials:
                name = f"t{self._rng.integers(1 << 40):010x}"
            self._known[what] = name
            self.trials[name] = Trial(name, test, kind, conditions, pair, swapped, answer)
        return self.trials[self._known[what]]

    def _shuffled(self, items: Sequence[Trial]) -> list[Trial]:
        """Put trials into a random order in which the same pair or the same system rarely follows itself."""

        def repeats(order: Sequence[Trial]) -> int:
            return sum(
                4 * (one.pair == next_.pair) + bool(set(one.conditions) & set(next_.conditions))
                for one, next_ in itertools.pairwise(order)
            )

        tries = ([items[at] for at in self._rng.permutation(len(items))] for _ in range(30))
        return min(tries, key=repeats)

    def _checks(self, test: str, pairs: Sequence[str], form: int, trials: int) -> list[Trial]:
        """Choose the attention checks of a part; each answer has one check, and the forms take them in turn."""
        answers = KINDS[test].by_number
        wanted = self._settings.checks
        count = min(len(answers), ceil(trials / 10) if wanted is None else wanted)
        numbers = [1 + (form * count + at) % len(answers) for at in range(count)]
        return [
            self._trial(test, "check", (), pairs[number % len(pairs)], answer=answers[number]) for number in numbers
        ]

    def _with_checks(self, items: Sequence[Trial], checks: Sequence[Trial]) -> list[str]:
        """Spread the checks: one in each stretch of the part, never as the first trial."""
        order = [trial.id for trial in items]
        bounds = [1 + at * (len(items) - 1) // max(1, len(checks)) for at in range(len(checks) + 1)]
        for at in reversed(range(len(checks))):
            place = int(self._rng.integers(bounds[at], max(bounds[at] + 1, bounds[at + 1])))
            order.insert(place, checks[at].id)
        return order

    def _training(self, test: str, given: Mapping[Condition, Sequence[str]], pairs: Sequence[str]) -> tuple[str, ...]:
        """Trials that show the ends of the scale, where natural speech is there to show them, and one check."""
        heard = {pair for queue in given.values() for pair in queue}
        rest = [pair for pair in self._pool.pairs if pair not in heard]
        order = [*rest, *pairs]
        ends = _ENDS[test]
        found = []
        for end in ends:
            fits = [p for p in order if all(self._pool.fits(test, name, p) for name in end)]
            if fits:
                found.append(self._trial(test, "training", end, fits[0]).id)
        number = min(3, len(KINDS[test].options))
        able = next(
            p for p in order if p in heard or (p in self._pool.natural and self._pool.beside(test, p) is not None)
        )
        check = self._trial(test, "training", (), able, answer=KINDS[test].by_number[number])
        return (*found, check.id)
