"""The one rule by which a checkpoint of several is named; the command only says what it finds.

1. **Voice.** The first by the measure that decides this question in verdicts
   (:data:`vceval.results.verdicts.PREFERENCE`) is compared with every other (:mod:`vceval.statistics.best`). Who is
   significantly worse than it is out; with a floor, so is who lies significantly below that.
2. **Words** are a guard: of those left, who is significantly worse than the first of them is out.
3. **Quality** breaks ties: likewise.
4. Nothing tells those apart that are left. The one with the best figure on the first question is named.

Who is out of a question is not looked at in the next: an unconverted source has the best words of all. A question that
the runs can't answer is passed over. Failed pairs count, and who can't be ranked is out, as in every ranking. The
5 % that may go wrong are shared out evenly among questions and floor, and within each among all checkpoints: so a
checkpoint is left alone, where another one is as good on all questions, in at most 5 % of trainings.

A speaker encoder that a checkpoint was made with does not rank it, unless all were made with it and no other encoder
judges: then it treats all alike, and what was trained to please it may still be all that differs, which is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vceval.errors import UsageError
from vceval.results.marks import ALPHA, UNDECIDED, Comparison, Enough, Ranking, p_text, rankings_of
from vceval.results.outcomes import Outcomes
from vceval.results.ranking import rankable, ranked, would_do
from vceval.results.verdicts import Verdict, verdicts
from vceval.results.views import ALL, Cell, MeasureView, Report
from vceval.statistics.best import behind, corrected, level, opposite, shrunk
from vceval.statistics.inference import Difference

__all__ = ["FLOOR", "Selection", "of_report", "select"]

#: What puts those out that lie below the floor, beside the questions.
FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is named of several checkpoints, and what that rests on.

    named: empty where all are out. tied: those that nothing tells from it, by their figures. out: by checkpoint what
    put it out, a question or :data:`FLOOR`, and the reason in words. verdicts: of each question, on those that were
    left; p-values and intervals are corrected for the numbers of checkpoints and of questions. figures: by question
    those of all that it can rank. floor: as stored. own_judge: why all are kin to the encoder that judges the voice,
    where they are.

    Of the one that is named, on the first question: ``cell`` with an interval that holds whichever of them was picked,
    ``corrected``, its figure without the luck of being first (None for fewer than four), and how far it is ``behind``
    the best at most, whichever that is. All are None where nobody is named.
    """

    named: str
    tied: Sequence[str]
    out: Mapping[str, tuple[str, str]]
    verdicts: Sequence[Verdict]
    figures: Sequence[Mapping[str, float]]
    floor: float | None
    cell: Cell | None = None
    corrected: float | None = None
    behind: float | None = None
    own_judge: str = ""

    @property
    def names(self) -> list[str]:
        """All checkpoints: the one that is named, those that tie with it, the others by their figures."""
        others = [name for name in self.figures[0] if name in self.out]
        return [*filter(None, [self.named]), *self.tied, *dict.fromkeys([*others, *self.out])]


def of_report(report: Report, outcomes: Outcomes, floor: float | None = None) -> Selection:
    """Name one of the systems of a report that are no controls.

    Args:
        report: of one run, or of several put together.
        outcomes: of the same.
        floor: of the measure that decides on the voice, as it is printed: a figure that is good enough.

    Raises:
        UsageError: nothing answers any question; or there is a floor, and nothing answers that of the voice.
    """
    names = [system.name for system in report.converters]
    asked = [measure for measure in report.measures if measure.question]
    groups = {(ALL, ALL): outcomes.everything}
    kin = {key: why for key, why in report.kin.items() if key[0] in names}
    shared = {metric for _, metric in kin if all((name, metric) in kin for name in names)}

    def answered(own: Mapping[tuple[str, str], str]) -> list[Verdict]:
        entries = ranked(outcomes, names, asked, groups, report.natural, own)
        return verdicts(replace(report, rankings=rankings_of(*entries)))

    found = answered(kin)
    if any(one.question == "voice" and (not one.measure or one.lacking) for one in found):
        kin = {key: why for key, why in kin.items() if key[1] not in shared}
        found = answered(kin)
    usable = [(one.question, one.measure) for one in found if one.measure and (not one.lacking or len(names) == 1)]
    if not usable:
        raise UsageError("nothing to select by: " + "; ".join(f"{one.question}: {one.lacking}" for one in found))
    if floor is not None:
        question, measure = usable[0]
        if question != "voice":
            raise UsageError(f"--floor: there is no figure of the voice: {found[0].lacking}")
        floor /= measure.scale
        if measure.rate and not 0.0 <= floor <= 1.0:
            raise UsageError(f"--floor {measure.text(floor)}: {measure.label} lies in 0 to {measure.text(1.0)}")
    selection = select(outcomes, names, usable, floor, report.titles, kin, plan=True)
    judge = usable[0][1].metric
    return replace(selection, own_judge=report.kin[names[0], judge] if judge in shared else "")


def select(
    outcomes: Outcomes,
    names: Sequence[str],
    measures: Sequence[tuple[str, MeasureView]],
    floor: float | None = None,
    titles: Mapping[str, str] | None = None,
    kin: Mapping[tuple[str, str], str] | None = None,
    *,
    plan: bool = False,
) -> Selection:
    """Name one of several checkpoints by the measures of some questions, in their order.

    Args:
        outcomes: of all of them.
        names: of the checkpoints.
        measures: question and what answers it.
        floor: of the first measure, as stored.
        titles: what the checkpoints are called, where not by their names.
        kin: checkpoint and metric to why the encoder that judges there does not rank the checkpoint.
        plan: say also what would tell those apart that tie.
    """
    left, out = list(names), dict[str, tuple[str, str]]()
    shares = len(measures) + (floor is not None)
    works = [_Work(outcomes, names, measure, shares, kin or {}) for _, measure in measures]
    found: list[Verdict] = []
    can: list[str] = []
    for (question, measure), work in zip(measures, works, strict=True):
        out |= {name: (question, reason) for name, reason in work.unranked.items() if name in left}
        if floor is not None and not found:
            out |= {name: (FLOOR, reason) for name, reason in work.beyond(floor).items()}
        ranking = work.ranking([name for name in left if name not in work.unranked], plan)
        can = can if found else [name for name in ranking.order if not _worse(ranking, name)]
        for name in ranking.order:
            if name not in out and (lost := _worse(ranking, name)):
                out[name] = question, f"worse than {ranking.order[0]} on {measure.label} ({p_text(lost.p_value)})"
        lacking = "" if len(ranking.order) > 1 else "fewer than two are left to compare"
        found.append(Verdict(question, measure, ranking, lacking, titles or {}))
        left = [name for name in left if name not in out]
    first, figures = works[0], [work.figures for work in works]
    left = [name for name in first.figures if name in left]
    if not left:
        return Selection("", [], out, found, figures, floor)
    named = left[0]
    return Selection(
        named, left[1:], out, found, figures, floor, first.cell(named, 1.0 - ALPHA / len(names)),
        first.shrunk().get(named), first.behind(named, can),
    )  # fmt: skip


def _worse(ranking: Ranking, name: str) -> Comparison | None:
    """The comparison by which one is significantly worse than the first."""
    found = ranking.between(ranking.order[0], name)
    return found if found and found.p_value is not None and found.p_value < ALPHA else None


class _Work:
    """One measure of all checkpoints, on the pairs that a ranking of them rests on."""

    def __init__(
        self,
        outcomes: Outcomes,
        names: Sequence[str],
        measure: MeasureView,
        shares: int,
        kin: Mapping[tuple[str, str], str],
    ) -> None:
        self._outcomes, self._measure, self._shares, self._count = outcomes, measure, shares, len(names)
        self._alpha = ALPHA / shares
        self._tests: dict[tuple[str, str], Difference] = {}
        self._confidence = level(len(names), self._alpha)
        given = [name for name in names if outcomes.outcome(name, measure).given.any()]
        own = {name: kin[name, measure.metric] for name in given if (name, measure.metric) in kin}
        fair = [name for name in given if name not in own]
        self._pairs, self._common, out = rankable(outcomes, fair, measure, outcomes.everything)
        self.unranked = {name: f"has no {measure.label}" for name in names if name not in given} | own | out
        values = {name: outcomes.value(name, measure, self._common) for name in names if name not in self.unranked}
        known = {name: value for name, value in values.items() if value is not None}
        middle, sign = measure.best or 0.0, measure.sign
        place = {name: sign * (v if measure.best is None else abs(v - middle)) for name, v in known.items()}
        #: Figures, the best first.
        self.figures = {name: known[name] for name in sorted(known, key=place.__getitem__)}

    def cell(self, name: str, confidence: float) -> Cell:
        """The figure of one with its interval."""
        return self._outcomes.cell(name, self._measure, self._common, confidence)

    def beyond(self, floor: float) -> dict[str, str]:
        """Those that lie significantly on the wrong side of a floor, with the reason."""
        measure, found = self._measure, dict[str, str]()
        for name in self.figures:
            cell = self.cell(name, 1.0 - 2.0 * self._alpha / self._count)
            end = cell.high if measure.sign < 0 else cell.low
            if end is not None and measure.sign * (end - floor) > 0:
                found[name] = f"{measure.label} is worse than the floor of {measure.text(floor)} {measure.unit}".strip()
        return found

    def behind(self, name: str, can: Sequence[str]) -> float | None:
        """How far one is behind the best at most, which is one of some."""
        return behind(self._lead(other, name) for other in can if other != name)

    def shrunk(self) -> Mapping[str, float]:
        """Figures without the luck of being first; empty where that can't be said."""
        if self._measure.reduction != "ratio":
            return {}
        first = next(iter(self.figures))
        return shrunk(self.figures, (self._difference(first, name) for name in self.figures if name != first)) or {}

    def ranking(self, left: Sequence[str], plan: bool) -> Ranking:
        """Compare the first of those that are left with the others; ``plan`` what would tell it from the nearest."""
        order = [name for name in self.figures if name in left]
        tests = {name: self._difference(order[0], name) for name in order[1:]}
        p_values = {
            name: None if test.p_value is None else min(corrected(test.p_value, self._count) * self._shares, 1.0)
            for name, test in tests.items()
        }
        tied = {name: p for name, p in p_values.items() if p is not None and p >= ALPHA}
        near = min(tied, key=lambda name: tests[name].p_value or 0.0, default="") if plan else ""
        common = int(self._common.sum())
        comparisons = []
        for name, test in tests.items():
            low, high = test.interval[:2] if test.interval else (None, None)
            wanted = self._enough(order[0], name) if name == near else None
            comparisons.append(Comparison(order[0], name, common, test.value, low, high, p_values[name], wanted))
        best = [name for name in order if (p := p_values.get(name)) is None or p >= ALPHA]
        undecided = len(best) == len(order)
        levels = self._outcomes.design(self._common).levels if order else {"target": 0, "source": 0}
        pairs = int(self._pairs.sum())
        return Ranking(
            [*best, *(name for name in order if name not in best)], {name: self.figures[name] for name in order},
            pairs, pairs - common, levels["target"], levels["source"], unranked=self.unranked,
            best=frozenset() if undecided else frozenset(best), reason=UNDECIDED if undecided else "",
            comparisons=comparisons,
        )  # fmt: skip

    def _difference(self, first: str, second: str) -> Difference:
        if (second, first) in self._tests:
            return opposite(self._tests[second, first])
        if (first, second) not in self._tests:
            found = self._outcomes.difference(first, second, self._measure, self._common, self._confidence)
            self._tests[first, second] = found
        return self._tests[first, second]

    def _lead(self, first: str, second: str) -> Difference:
        """By how much the first is better."""
        found = self._difference(first, second)
        return opposite(found) if self._measure.sign > 0 else found

    def _enough(self, first: str, second: str) -> Enough:
        """What would tell two that tie."""
        found = self._outcomes.estimate(first, second, self._measure, self._common)
        design = self._outcomes.design(self._common)
        return Enough.of(found and would_do(found, design, 0.5 + self._confidence / 2.0))
