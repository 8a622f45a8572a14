"""How often ``vceval select`` names the best of several checkpoints, in made-up trainings whose truth is known.

    python benchmarks/statistics/selection.py [--trainings 1000] [--cases 0,5] [--out docs/pages/how-to/select.md]

Every training has checkpoints of one model, scored on the same pairs: a conversion is accepted where its similarity,
the levels of target, source, text and pair, which all checkpoints share, and a checkpoint's own noise of the same four,
is above what gives the checkpoint its true acceptance. Levels and noise were measured on published demos
(``benchmarks/simulations/noise.json``); a text has half of a pair's variance. The rule itself decides
(:func:`vceval.results.selection.select`). Seeds are fixed. Every case is put into the table of the
page that explains it, in place of the row that it has there, after every hundred trainings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vceval.benchmarks.simulations.nights import World, measured_noise
from vceval.benchmarks.statistics.designs import Pattern, crossed
from vceval.benchmarks.statistics.table import END, START, put_between
from vceval.results.outcomes import Outcomes, Speakers
from vceval.results.selection import select
from vceval.results.views import MeasureView

COLUMNS = (
    "Checkpoints", "trainings", "best named", "or not worse", "best held", "bound holds", "alone", "wrongly alone",
    "covers", "behind", "too good", "corrected",
)  # fmt: skip

__all__ = ["CASES", "Case", "Found", "study"]

Floats = NDArray[np.float64]
ACCEPT = MeasureView("sv_accept", "sv", "SV acc.", "%", "higher", 100.0, 1, worst=0.0, rate=True, question="voice")
WORDS = MeasureView("wer_capped", "wer", "WER cap.", "%", "lower", 100.0, 1, worst=1.0, rate=True, question="words")
QUALITY = MeasureView("utmos", "utmos", "UTMOS", "", "higher", 1.0, 2, worst=1.0, question="quality")
#: Trainings after which the table is written anew.
AT_ONCE = 100
#: True acceptance of the best checkpoint.
TOP = 0.72
#: Standard deviations of word error rate and predicted MOS by level and by a checkpoint's own noise.
OTHERS = {"wer_capped": (0.15, 0.08), "utmos": (0.4, 0.15)}


def _square(random: np.random.Generator) -> Pattern:
    """Every target speaker meets every source speaker once, on one of 20 texts: a Latin square, 400 pairs."""
    found = crossed(20, 20)(random)
    return found._replace(texts=None if found.sources is None else (found.targets + found.sources) % 20)


def _uniform(random: np.random.Generator) -> Floats:
    return random.uniform(0.0, 0.05, 10)


def _fixed(*gaps: float) -> Callable[[np.random.Generator], Floats]:
    return lambda _: np.array(gaps)


@dataclass(frozen=True)
class Case:
    """Trainings of one kind.

    gaps: how far the true acceptance of each checkpoint lies below that of the best possible. pattern: who meets whom.
    noise: two variants of one model that are closest, or typical ones. half: whether half of their noise lies between
    speakers, and otherwise none. all_three: whether words and quality, equal for all, are asked too.
    """

    name: str
    gaps: Callable[[np.random.Generator], Floats]
    pattern: Callable[[np.random.Generator], Pattern] = _square
    noise: Literal["closest", "variants"] = "variants"
    half: bool = True
    all_three: bool = False


_STEPS = _fixed(*np.linspace(0.0, 0.05, 10).tolist())
_ONE = _fixed(0.0, *[0.05] * 9)
_TWO = _fixed(0.0, 0.0, *[0.05] * 8)
CASES: tuple[Case, ...] = (
    Case("10, even steps from 0 to 5 points", _STEPS),
    Case("10, drawn from 0 to 5 points", _uniform),
    Case("10, one is 5 points better, close variants", _ONE, noise="closest", half=False),
    Case("10, two tie, 5 points better, close variants", _TWO, noise="closest", half=False),
    Case("10, all alike", _fixed(*[0.0] * 10)),
    Case("3, all alike", _fixed(*[0.0] * 3)),
    Case("2, alike", _fixed(0.0, 0.0)),
    Case("2, alike, close variants", _fixed(0.0, 0.0), noise="closest", half=False),
    Case("2, alike, all three questions", _fixed(0.0, 0.0), all_three=True),
    Case("3, alike, all three questions", _fixed(0.0, 0.0, 0.0), all_three=True),
)


@dataclass
class Found:
    """What came of the trainings of a case, counted.

    best: the truly best was named (of several that tie, one). equal: it was, or the paired test of this training, at
    0.05 and not corrected for anything, finds no difference between the truly best and the one that was named.
    held: the truly best, or one that ties with it, was named or not told apart. within: the one that was named is no
    further behind the best than was said. alone: one was left alone. wrongly: it was, and another is as good or better.
    loss: sum of how far the named ones truly are behind. plain, corrected: sums of how much the figure of the named one
    lies above its truth, as it is and as corrected. covered: the interval of the named one holds its truth.
    """

    trainings: int = 0
    best: int = 0
    equal: int = 0
    held: int = 0
    within: int = 0
    alone: int = 0
    wrongly: int = 0
    covered: int = 0
    loss: float = 0.0
    plain: float = 0.0
    corrected: float = 0.0


def study(case: Case, trainings: int, seed: Sequence[int], found: Found) -> Found:
    """Draw trainings of one case, let the rule decide each, and add what came of them to what was found before."""
    random = np.random.default_rng(seed)
    for _ in range(trainings):
        gaps = case.gaps(random)
        names = [f"step-{number}" for number in range(len(gaps))]
        outcomes = _training(case, names, TOP - gaps, random)
        asked = [("voice", ACCEPT), ("words", WORDS), ("quality", QUALITY)][: 3 if case.all_three else 1]
        _count(found, outcomes, names, gaps, select(outcomes, names, asked))
    return found


def _count(found: Found, outcomes: Outcomes, names: Sequence[str], gaps: Floats, chosen: Any) -> None:
    behind = dict(zip(names, (gaps - gaps.min()).tolist(), strict=True))
    tops = [name for name, gap in behind.items() if gap == 0.0]
    named, left, cell = chosen.named, {chosen.named, *chosen.tied}, chosen.cell
    truth = TOP - gaps.min() - behind[named]
    differences = [outcomes.difference(top, named, ACCEPT, outcomes.everything) for top in tops if named not in tops]
    told = [one.value > 0 and one.p_value is not None and one.p_value < 0.05 for one in differences]
    found.trainings += 1
    found.best += named in tops
    found.equal += not any(told)
    found.held += bool(left & set(tops))
    found.within += behind[named] <= chosen.behind + 1e-12
    found.alone += len(left) == 1
    found.wrongly += len(left) == 1 and (len(tops) > 1 or named not in tops)
    found.covered += cell.low <= truth <= cell.high
    found.loss += behind[named]
    found.plain += cell.value - truth
    found.corrected += (cell.value if chosen.corrected is None else chosen.corrected) - truth


@lru_cache(maxsize=8)
def _speakers(pattern: Callable[[np.random.Generator], Pattern]) -> tuple[Pattern, Speakers]:
    found = pattern(np.random.default_rng(0))  # crossed: nothing of it is drawn
    rows = zip(*(codes.tolist() for codes in found if codes is not None), strict=True)
    return found, Speakers.of((f"t{t}", f"s{s}", f"x{x}", "made", "") for t, s, x in rows)


def _training(case: Case, names: Sequence[str], truths: Floats, random: np.random.Generator) -> Outcomes:
    """Draw the scores of all checkpoints of one training."""
    pattern, speakers = _speakers(case.pattern)
    noise = measured_noise()["sv_accept"]
    sizes = World(0.25, 0.25).sizes(noise[case.noise]) if case.half else noise[case.noise]
    shared = _effects(random, noise["level"], pattern)
    wide = float(np.sqrt(sum(size[part] ** 2 for size in (noise["level"], sizes) for part in _PARTS)))
    columns = [[
        (shared + _effects(random, sizes, pattern) > wide * ndtri(1.0 - truth)).astype(np.float64) for truth in truths
    ]]  # fmt: skip
    measures = ["sv_accept"]
    if case.all_three:
        for name, (level, own) in OTHERS.items():
            everywhere = _effects(random, _evenly(level), pattern)
            middle, low, high = (0.1, 0.0, 1.0) if name == "wer_capped" else (3.5, 1.0, 5.0)
            columns.append([
                np.clip(middle + everywhere + _effects(random, _evenly(own), pattern), low, high) for _ in truths
            ])  # fmt: skip
            measures.append(name)
    values = np.array(columns).transpose(1, 2, 0)
    return Outcomes.of_sums(speakers, names, measures, np.stack([values, np.ones_like(values)], axis=-1))


_PARTS = ("target", "source", "pair")


def _evenly(deviation: float) -> dict[str, float]:
    """A quarter of the variance of each side of speakers, half of it of pairs."""
    return {"target": deviation / 2.0, "source": deviation / 2.0, "pair": deviation * 0.5**0.5}


def _effects(random: np.random.Generator, sizes: Any, pattern: Pattern) -> Floats:
    """What targets, sources, texts and pairs add to each pair; a text has half of the variance of a pair."""
    own = sizes["pair"] * 0.5**0.5
    found = random.normal(0.0, own, len(pattern.targets))
    for codes, size in zip(pattern, (sizes["target"], sizes["source"], own), strict=True):
        if codes is not None:
            found += random.normal(0.0, size, int(codes.max()) + 1)[codes]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all cases and write the table."""
    parser = argparse.ArgumentParser(description="How often the best of several checkpoints is named.")
    parser.add_argument("--trainings", type=int, default=1000)
    parser.add_argument("--cases", type=lambda text: [int(part) for part in text.split(",")], metavar="N,N")
    page = Path(__file__).parents[2] / "docs" / "pages" / "how-to" / "select.md"
    parser.add_argument("--out", type=Path, default=page, metavar="PAGE")
    options = parser.parse_args(arguments)
    for number in range(len(CASES)) if options.cases is None else options.cases:
        found = Found()
        while found.trainings < options.trainings:
            study(CASES[number], min(AT_ONCE, options.trainings - found.trainings), [number, found.trainings], found)
            _put(options.out, _row(CASES[number], found))
        print(_row(CASES[number], found), flush=True)


def _row(case: Case, one: Found) -> str:
    shares = [one.best, one.equal, one.held, one.within, one.alone, one.wrongly, one.covered]
    points = [one.loss, one.plain, one.corrected]
    cells = [f"{one.trainings:,}", *(f"{share / one.trainings:.1%}" for share in shares)]
    cells += [f"{100.0 * total / one.trainings:.1f}".replace("-", "−") for total in points]
    return f"| {' | '.join([case.name, *cells])} |"


def _put(page: Path, line: str) -> None:
    """Put a row into the table of a page, in place of the one of the same name."""
    table = page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    rows = {row.split(" | ")[0]: row for row in [*table.split("\n"), line]}
    known = [rows[name] for case in CASES if (name := f"| {case.name}") in rows]
    put_between(page, [f"| {' | '.join(COLUMNS)} |", f"| :-- |{' --: |' * (len(COLUMNS) - 1)}", *known], START, END)


if __name__ == "__main__":
    main()
