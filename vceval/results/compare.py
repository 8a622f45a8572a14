"""``vceval compare``: the values of several runs side by side, where they may stand side by side.

Two values may be compared where the signatures of their metric agree, where the metric was calibrated on the same
trials, and on the pairs that both runs have. Everything else is refused, with what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.results.comparable import Identity, Side, differences, identities
from vceval.results.rundir import RunDirectory
from vceval.results.views import with_interval
from vceval.statistics.components import Design
from vceval.statistics.holm import holm_tested
from vceval.statistics.inference import Difference, Interval, Kind, interval, paired_test

if TYPE_CHECKING:
    import pandas

__all__ = ["Comparison", "Line", "compare", "to_markdown"]


@dataclass(frozen=True, slots=True)
class Line:
    """One system on one measure: its value in every run on the common pairs, and how each run differs from the first.

    ``corrected`` holds the p-values of the differences, corrected by Holm over the systems of the measure. A run that
    does not have the system has None in ``values``, ``differences`` and ``corrected``.
    """

    measure: str
    system: str
    pairs: int
    values: list[tuple[float, Interval | None] | None]
    differences: list[Difference | None]
    corrected: list[float | None] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """What could be compared, and what was refused: metric to the reasons.

    ``pairs`` counts the conversion pairs of every run, ``common`` those that all have. ``alone`` holds per run the
    systems that no other run has, ``whole`` the labels of measures that have no value per pair (an EER, an AUC),
    ``seeds`` how many times each run converted a pair where its system draws noise.
    """

    runs: list[str]
    pairs: list[int] = field(default_factory=list)
    common: int = 0
    alone: list[list[str]] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    measures: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)


#: Target speaker, source speaker and text of a pair, where known.
_Sides = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _Run:
    name: str
    summary: Mapping[str, Any]
    scores: pandas.DataFrame
    pairs: dict[str, Identity]
    sides: dict[str, _Sides]

    @property
    def side(self) -> Side:
        return Side.of(self.name, self.summary)

    @property
    def metrics(self) -> Mapping[str, str]:
        return self.side.metrics


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare finished runs with the first one.

    Raises:
        UsageError: fewer than two runs, one is not finished, no metric is common to two of them, or no pair.
    """
    if len(folders) < 2:
        raise UsageError("at least two runs are needed to compare")
    runs = [_open(folder) for folder in folders]
    first = runs[0]
    comparison = Comparison([run.name for run in runs])
    shared = [name for name in first.metrics if all(name in run.metrics for run in runs[1:])]
    if not shared:
        raise UsageError(
            "the runs have no metric in common: "
            + "; ".join(f"{run.name} has {', '.join(run.metrics) or 'none'}" for run in runs)
        )
    common = set.intersection(*(set(run.pairs.values()) for run in runs))
    if not common:
        raise UsageError("the runs have no conversion pair in common: were they made from the same suite?")
    comparison.pairs, comparison.common = [len(run.pairs) for run in runs], len(common)
    comparison.seeds = [max([1, *(s.get("seeds", 1) for s in run.summary.get("systems", ()))]) for run in runs]
    systems = [list(dict.fromkeys(run.scores["system"].tolist())) for run in runs]
    everywhere = Counter(name for mine in systems for name in mine)
    comparison.alone = [sorted(name for name in mine if everywhere[name] == 1) for mine in systems]
    for metric in shared:
        reasons = [reason for run in runs[1:] for reason in differences(metric, first.side, run.side)]
        if reasons:
            comparison.refused[metric] = reasons
            continue
        comparison.signatures[metric] = first.metrics[metric]
        for measure in first.summary["measures"]:
            if measure["metric"] != metric:
                continue
            if measure.get("reduction", "ratio") != "ratio":
                comparison.whole.append(str(measure["label"]))
            else:
                comparison.measures[measure["name"]] = measure
                comparison.lines += _corrected(list(_lines(measure, runs, common)), runs)
    return comparison


def _open(folder: Path) -> _Run:
    directory = RunDirectory(folder)
    summary = directory.read_json("summary.json")
    rows = directory.read_pairs()
    sides: dict[str, _Sides] = {
        row["pair"]: (row["target_speaker"] or None, row["source_speaker"] or None, row["transcript"] or None)
        for row in rows
    }
    return _Run(str(folder), summary, directory.read_scores(), identities(rows), sides)


def _lines(measure: Mapping[str, Any], runs: Sequence[_Run], common: set[Identity]) -> Iterator[Line]:
    tables = [_sums(run, measure["name"], common) for run in runs]
    kind: Kind = "rate" if measure.get("rate") else "mean"
    resolution = float(measure.get("resolution", 0.0))
    systems = list(dict.fromkeys(system for table in tables for system in table))
    for system in systems:
        have = [table[system] for table in tables if system in table]
        keys = sorted(set.intersection(*(set(one) for one in have)))
        if len(have) < 2 or not keys:
            continue
        design = Design(*zip(*(have[0][key][2] for key in keys), strict=True))
        values: list[tuple[float, Interval | None] | None] = []
        differences: list[Difference | None] = []
        base = tables[0].get(system)
        for table in tables:
            mine = table.get(system)
            if mine is None:
                values.append(None)
                differences.append(None)
                continue
            numerators, denominators = [mine[key][0] for key in keys], [mine[key][1] for key in keys]
            value = sum(numerators) / sum(denominators)
            found = interval(numerators, denominators, design, kind=kind, resolution=resolution)
            values.append((value, found))
            if base is None or mine is base:
                differences.append(None)
            else:
                ours, theirs = [base[key][0] for key in keys], [base[key][1] for key in keys]
                differences.append(paired_test(numerators, denominators, ours, theirs, design, resolution=resolution))
        yield Line(measure["name"], system, len(keys), values, differences)


def _corrected(lines: Sequence[Line], runs: Sequence[_Run]) -> list[Line]:
    """Correct the p-values of one measure, run by run; converters and controls answer different questions."""
    controls = {str(s["name"]) for run in runs for s in run.summary.get("systems", ()) if s.get("control")}
    corrected: list[list[float | None]] = [[None] * len(runs) for _ in lines]
    for number in range(len(runs)):
        for wanted in (False, True):
            mine = [place for place, line in enumerate(lines) if (line.system in controls) is wanted]
            found = [lines[place].differences[number] for place in mine]
            p_values = holm_tested(None if one is None else one.p_value for one in found)
            for place, p_value in zip(mine, p_values, strict=True):
                corrected[place][number] = p_value
    return [replace(line, corrected=found) for line, found in zip(lines, corrected, strict=True)]


def _sums(run: _Run, measure: str, common: set[Identity]) -> dict[str, dict[Identity, tuple[float, float, _Sides]]]:
    """Per system and pair: numerator, denominator, speakers and text."""
    found: dict[str, dict[Identity, tuple[float, float, _Sides]]] = {}
    chosen = run.scores[run.scores["measure"] == measure]
    columns = (chosen[name] for name in ("system", "pair", "numerator", "denominator"))
    for system, pair, numerator, denominator in zip(*columns, strict=True):
        key = run.pairs[pair]
        if key in common:
            found.setdefault(system, {})[key] = (float(numerator), float(denominator), run.sides[pair])
    return found


def to_markdown(comparison: Comparison) -> str:
    """Write a comparison as Markdown: a table per measure, then what was refused."""
    runs = zip(comparison.runs, comparison.pairs, strict=True)
    runs_text = ", ".join(f"({n}) {name} with {count:,} pairs" for n, (name, count) in enumerate(runs, 1))
    parts = [f"Runs: {runs_text}; {comparison.common:,} in common"]
    parts += [f"Only in ({n}): {', '.join(names)}" for n, names in enumerate(comparison.alone, 1) if names]
    if comparison.whole:
        parts.append(f"Without a value per pair, so not compared: {', '.join(comparison.whole)}")
    if len(set(comparison.seeds)) > 1:
        told = ", ".join(f"({n}) {seeds}" for n, seeds in enumerate(comparison.seeds, 1))
        parts.append(f"Seeds of systems that draw noise: {told}; values are means over them")
    if comparison.lines:
        parts.append("Values and differences with 95 % intervals (over speakers and texts), on the pairs that all of a "
                     "line have; p-values corrected by Holm over the systems of a measure.")  # fmt: skip
    for name, measure in comparison.measures.items():
        lines = [line for line in comparison.lines if line.measure == name]
        if not lines:
            continue
        unit = f" ({measure['unit']})" if measure["unit"] else ""
        arrow = {"lower": "↓", "higher": "↑"}.get(measure["better"], "")
        heads = [f"({n})" for n in range(1, len(comparison.runs) + 1)]
        heads += [f"({n}) − (1)" for n in range(2, len(comparison.runs) + 1)]
        table = [
            f"**{measure['label']}{unit} {arrow}** `{comparison.signatures[measure['metric']]}`",
            "",
            f"| System | pairs | {' | '.join(heads)} |",
            f"| :-- | --: |{' --: |' * len(heads)}",
        ]
        for line in lines:
            cells = ["–" if found is None else _figure(*found, measure) for found in line.values]
            cells += [
                _difference(difference, p_value, measure)
                for difference, p_value in zip(line.differences[1:], line.corrected[1:], strict=True)
            ]
            table.append(f"| {line.system} | {line.pairs} | {' | '.join(cells)} |")
        parts.append("\n".join(table))
    for metric, reasons in comparison.refused.items():
        parts.append(f"Not compared: {metric}\n" + "\n".join(f"- {reason}" for reason in reasons))
    return "\n\n".join(parts)


def _number(value: float, measure: Mapping[str, Any], sign: str = "") -> str:
    text = f"{value * measure['scale']:{sign}.{measure['decimals']}f}"
    return text.replace("-", "−")


def _figure(value: float, interval: Interval | None, measure: Mapping[str, Any], sign: str = "") -> str:
    low, high = interval[:2] if interval else (None, None)
    return with_interval(value, low, high, lambda figure: _number(figure, measure, sign))


def _difference(difference: Difference | None, p_value: float | None, measure: Mapping[str, Any]) -> str:
    if difference is None:
        return "–"
    text = _figure(difference.value, difference.interval, measure, "+")
    return text if p_value is None else f"{text} p={p_value:.2g}"
