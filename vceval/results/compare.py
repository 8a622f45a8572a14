"""``vceval compare``: the values of several runs side by side, where they may stand side by side.

Two values may be compared where the signatures of their metric agree, where the metric was calibrated on the same
trials, and on the pairs that both runs have. Everything else is refused, with what differs. Figures and differences are
those of :class:`vceval.results.outcomes.Outcomes`, as in the tables of a single run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vceval.errors import UsageError
from vceval.results import views
from vceval.results.comparable import Side, differences, identities
from vceval.results.marks import ALPHA, interval_words, p_text
from vceval.results.merge_runs import run_names
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import RunDirectory, reading_of
from vceval.results.terminal import Cell as TextCell
from vceval.results.terminal import clean, grid, paragraph, width
from vceval.results.views import Cell, MeasureView, Report, SystemView, with_interval
from vceval.signal.audio import LENGTH_OPTION
from vceval.statistics.holm import holm_tested
from vceval.statistics.inference import Difference

__all__ = ["Change", "Comparison", "Line", "Verdict", "compare", "to_text"]

Verdict = Literal["better", "worse", "same", ""]
#: Pairs shown of one measure that got worse most, and as many that got better most.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One system's conversion of one pair in the first run and in run ``run``, with its values as stored.

    ``pair`` is its place in ``Comparison.rows``; ``worse`` whether it changed for the worse.
    """

    system: str
    run: int
    pair: int
    values: tuple[float, float]
    worse: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One system on one measure: its figure in every run on the common pairs, and how each run differs from the first.

    ``pairs`` are those that all runs of the line have a value for, of ``wanted`` that all were given; a failed pair
    counts as the worst value of a measure that has one. Where the measure has a best value, differences are those of
    the distances from it. ``corrected`` holds the p-values, corrected by Holm over the systems of the measure. A run
    that does not have the system has None in ``cells``, ``differences`` and ``corrected``.
    """

    measure: MeasureView
    system: SystemView
    pairs: int
    wanted: int
    cells: list[Cell | None]
    differences: list[Difference | None]
    corrected: list[float | None] = field(default_factory=list)

    @property
    def count(self) -> str:
        """The pairs in words: ``20``, ``19 of 20``."""
        return f"{self.pairs:,}" + (f" of {self.wanted:,}" if self.pairs < self.wanted else "")

    def verdict(self, run: int) -> Verdict:
        """Whether a run is significantly better or worse than the first; nothing where another measure decides."""
        found, p_value = self.differences[run], self.corrected[run]
        if found is None or self.measure.ranked_by:
            return ""
        if p_value is None or p_value >= ALPHA or not found.value:
            return "same"
        return "worse" if self.measure.sign * found.value > 0 else "better"


@dataclass(slots=True)
class Comparison:
    """What could be compared, and what was refused: metric to the reasons.

    ``rows`` holds of every run its rows of ``pairs.csv`` that all runs have, in one order. ``alone`` holds per run the
    systems that no other run has, ``seeds`` how many times each run converted a pair where its system draws noise,
    ``changes`` by measure the conversions that changed most, the worst first.
    """

    runs: list[str]
    reports: list[Report]
    rows: list[list[Mapping[str, str]]]
    alone: list[list[str]] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    measures: list[MeasureView] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)

    @property
    def common(self) -> int:
        """Number of the pairs that all runs have."""
        return len(self.rows[0])

    def of(self, measure: MeasureView) -> list[Line]:
        """The lines of one measure, converters first."""
        return [line for line in self.lines if line.measure == measure]

    def decided_by(self, measure: MeasureView) -> MeasureView:
        """The measure by which this one's systems are judged."""
        return next((one for one in self.measures if one.name == measure.ranked_by), measure)

    def notes(self) -> Iterator[str]:
        """Say what a reader should know of the runs, and of all lines."""
        for name, systems in zip(self.runs, self.alone, strict=True):
            if systems:
                yield f"Only in {name}: {', '.join(systems)}"
        if len(set(self.seeds)) > 1:
            told = ", ".join(f"{seeds} in {name}" for name, seeds in zip(self.runs, self.seeds, strict=True))
            yield f"Seeds of systems that draw noise: {told}; values are means over them"
        limits = [reading_of(report.run).max_seconds for report in self.reports]
        lost = [_too_long(report) for report in self.reports]
        if len(set(limits)) > 1 and any(lost):
            told = ", ".join(
                f"{limit:g} s in {name}" + (f", where {count:,} conversions failed by it" if count else "")
                for name, limit, count in zip(self.runs, limits, lost, strict=True)
            )
            yield f"Recordings are read up to ({LENGTH_OPTION}): {told}"

    def legend(self) -> str:
        """Say what figures, differences and p-values rest on."""
        words = interval_words(cell.method for line in self.lines for cell in line.cells if cell)
        best = any(measure.best is not None for measure in self.measures)
        return (
            f"Figures and differences with 95 % intervals ({words}), on the pairs that all runs of a line have a value "
            "for; a failed pair has the worst value of a measure that has one. p-values: corrected by Holm over the "
            f"systems of a measure, significant below {ALPHA:g}."
            + (" Where a value is best, the distances from it are compared." if best else "")
        )


def _too_long(report: Report) -> int:
    """Count the conversions that failed as a recording is longer than the run reads."""
    return len({(row["system"], row["pair"]) for row in report.failures if LENGTH_OPTION in row["reason"]})


def compare(runs: Sequence[Path | Report]) -> Comparison:
    """Compare finished runs with the first one: folders, or reports, as of result files.

    Raises:
        UsageError: fewer than two runs, one is not finished, no metric is common to two of them, or no pair.
    """
    if len(runs) < 2:
        raise UsageError("at least two runs are needed to compare")
    # Scores of two listening tests are not comparable: people judge by what else they hear
    reports = [run if isinstance(run, Report) else views.load(RunDirectory(run), listened=False) for run in runs]
    names = run_names([report.root for report in reports])
    sides = [Side.of(name, report) for name, report in zip(names, reports, strict=True)]
    shared = [metric for metric in sides[0].metrics if all(metric in side.metrics for side in sides[1:])]
    if not shared:
        raise UsageError(
            "the runs have no metric in common: "
            + "; ".join(f"{side.name} has {', '.join(side.metrics) or 'none'}" for side in sides)
        )
    known = [
        {identity: place for place, identity in enumerate(identities(report.pairs).values())} for report in reports
    ]
    common = [identity for identity in known[0] if all(identity in one for one in known[1:])]
    if not common:
        raise UsageError("the runs have no conversion pair in common: were they made from the same suite?")
    places = [[one[identity] for identity in common] for one in known]
    rows = [[report.pairs[place] for place in at] for report, at in zip(reports, places, strict=True)]
    comparison = Comparison(names, reports, rows)
    everywhere = Counter(system.name for report in reports for system in report.systems)
    comparison.alone = [sorted(one.name for one in report.systems if everywhere[one.name] == 1) for report in reports]
    comparison.seeds = [max((system.seeds for system in report.systems), default=1) for report in reports]
    for metric in shared:
        if reasons := [reason for side in sides[1:] for reason in differences(metric, sides[0], side)]:
            comparison.refused[metric] = reasons
        else:
            comparison.signatures[metric] = sides[0].metrics[metric]
    outcomes = Outcomes.side_by_side(
        [(Outcomes.of_report(report), at) for report, at in zip(reports, places, strict=True)]
    )
    for measure in reports[0].measures:
        if measure.metric in comparison.signatures and all(measure.name in one.scores.measures for one in reports):
            comparison.measures.append(measure)
            comparison.lines += _corrected(list(_lines(measure, reports, outcomes)), len(reports))
            comparison.changes[measure.name] = _changes(measure, outcomes, len(reports))
    return comparison


def _lines(measure: MeasureView, reports: Sequence[Report], outcomes: Outcomes) -> Iterator[Line]:
    systems = {one.name: one for report in reversed(reports) for one in report.systems}
    order = dict.fromkeys(one.name for report in reports for one in report.systems)
    for system in sorted((systems[name] for name in order), key=lambda one: one.control):
        have = [number for number in range(len(reports)) if (number, system.name) in outcomes.systems]
        wanted, chosen = outcomes.shared([(number, system.name) for number in have], measure, outcomes.everything)
        if len(have) < 2 or not wanted.any():
            continue
        cells: list[Cell | None] = [None] * len(reports)
        found: list[Difference | None] = [None] * len(reports)
        for number in have:
            cells[number] = cell = outcomes.cell((number, system.name), measure, chosen)
            base = cells[0]
            if number and base and base.value is not None and cell.value is not None:
                found[number] = outcomes.difference((number, system.name), (0, system.name), measure, chosen)
        # An EER has no value without natural speech
        known = any(cell and cell.value is not None for cell in cells)
        yield Line(measure, system, int(chosen.sum()) if known else 0, int(wanted.sum()), cells, found)


def _corrected(lines: Sequence[Line], runs: int) -> list[Line]:
    """Correct the p-values of one measure, run by run; converters and controls answer different questions."""
    corrected: list[list[float | None]] = [[None] * runs for _ in lines]
    for number in range(runs):
        for wanted in (False, True):
            mine = [place for place, line in enumerate(lines) if line.system.control is wanted]
            found = [lines[place].differences[number] for place in mine]
            p_values = holm_tested(None if one is None else one.p_value for one in found)
            for place, p_value in zip(mine, p_values, strict=True):
                corrected[place][number] = p_value
    return [replace(line, corrected=found) for line, found in zip(lines, corrected, strict=True)]


def _changes(measure: MeasureView, outcomes: Outcomes, runs: int) -> list[Change]:
    """Find the conversions that changed most from the first run to another, the worst first."""
    import numpy as np

    if measure.reduction != "ratio":
        return []  # no pair has such a figure
    found: list[tuple[float, Change]] = []
    for number, name in (one for one in outcomes.systems if isinstance(one, tuple)):
        if not number or (0, name) not in outcomes.systems:
            continue
        before, after = (outcomes.outcome((run, name), measure) for run in (0, number))
        old, new = (np.where(one.scored, one.numerators / one.denominators, np.nan) for one in (before, after))
        gaps = np.nan_to_num(measure.sign * (new - old))
        order = np.argsort(-gaps, kind="stable")
        for place in dict.fromkeys([*order[:EXAMPLES].tolist(), *order[-EXAMPLES:].tolist()]):
            if gap := float(gaps[place]):
                values = float(old[place]), float(new[place])
                found.append((gap, Change(name, number, place, values, gap > 0)))
    found.sort(key=lambda one: -one[0])
    worse, better = ([change for _, change in found if change.worse is side] for side in (True, False))
    return worse[:EXAMPLES] + better[-EXAMPLES:]


def to_text(comparison: Comparison, columns: int | None = None) -> str:
    """Write a comparison for a terminal: what was compared, one table with a section per measure, what was refused.

    Args:
        comparison: of two runs or more.
        columns: of the terminal; its own where None.
    """
    columns = columns or width()
    told = ", ".join(
        f"{name} with {len(report.pairs):,} pairs"
        for name, report in zip(comparison.runs, comparison.reports, strict=True)
    )
    parts = [f"Runs: {told}; {comparison.common:,} in common", *comparison.notes()]
    parts = [paragraph(clean(part), columns=columns) for part in parts]
    first, *others = comparison.runs
    heads = ["System", "pairs", *comparison.runs, *(f"{name} − {first}" for name in others)]
    sections: list[list[list[str | TextCell]]] = []
    for measure in comparison.measures:
        if not (lines := comparison.of(measure)):
            continue
        judge = comparison.decided_by(measure)
        judged = f", judged by {judge.label}" if judge is not measure else ""
        sections.append([[TextCell(f"{measure.heading}{judged}", "bold")], *(_row(line) for line in lines)])
    if sections:
        parts += [grid(heads, sections, range(1, len(heads)), columns), paragraph(comparison.legend(), columns=columns)]
    for metric, reasons in comparison.refused.items():
        parts.append("\n".join([f"Not compared: {metric}", *(paragraph(f"- {r}", columns=columns) for r in reasons)]))
    return "\n\n".join(parts)


def _row(line: Line) -> list[str | TextCell]:
    """A system's figures in all runs, and below each difference its interval, its p-value and what follows."""
    cells = [
        with_interval(cell.value, cell.low, cell.high, line.measure.text).replace(" [", "\n[") if cell else "–"
        for cell in line.cells
    ]
    gaps = [_difference(line, run) for run in range(1, len(line.cells))]
    return [line.system.title, line.count, *(cell.replace("-", "−") for cell in cells), *gaps]


def _difference(line: Line, run: int) -> TextCell:
    found, verdict = line.differences[run], line.verdict(run)
    if found is None:
        return TextCell("–")
    low, high = found.interval[:2] if found.interval else (None, None)
    words = with_interval(found.value, low, high, line.measure.signed).replace(" [", "\n[").replace("-", "−")
    told = ", ".join(filter(None, [p_text(line.corrected[run]), verdict if verdict != "same" else ""]))
    return TextCell(f"{words}\n{told}".rstrip(), {"worse": "bold red", "better": "bold green"}.get(verdict, ""))
