"""What a finished run says, as tables of pandas, words, LaTeX and a view for notebooks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vceval import registry
from vceval.api.plain_text import plain_text
from vceval.errors import UsageError
from vceval.results.marks import UNDECIDED, Ranking
from vceval.results.rundir import FAILURE_COLUMNS, SKIP_COLUMNS, RunDirectory
from vceval.results.verdicts import Verdict, verdicts
from vceval.results.views import ALL, Cell, MeasureView, Report, SystemView

if TYPE_CHECKING:
    import pandas

__all__ = ["Results"]

By = Literal["system", "direction", "dataset"]
#: Of figures: how much they rest on.
_COUNTS = ("n", "expected", "failed", "skipped", "targets", "sources")


class Results:
    """The results of one finished run; made by ``vceval.run``, ``vceval.score`` and ``vceval.load``.

    Figures, bounds and differences are in the unit of their measure, as tables print them: a rate of 0.042 is 4.2 %.
    All of it was computed when the run ended, and stands in its folder; only systems chosen for LaTeX are ranked anew.

    Args:
        found: what a report shows of the run.
    """

    def __init__(self, found: Report) -> None:
        self._found = found
        self._measures = {measure.name: measure for measure in found.measures}

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._found.root

    @property
    def ok(self) -> bool:
        """Whether nothing failed: the command line would have ended with exit code 0."""
        from vceval.runner.integrity import faulty

        return not self._found.failures and not faulty(self._found.calibration)

    @property
    def systems(self) -> list[str]:
        """Names of the systems in the order of tables, controls last."""
        return [system.name for system in [*self._found.converters, *self._found.controls]]

    @property
    def measures(self) -> list[str]:
        """Names of the measures, in the order of tables."""
        return list(self._measures)

    @property
    def signatures(self) -> dict[str, str]:
        """By metric what its values rest on: only where signatures agree may values be compared."""
        return {name: metric.signature for name, metric in self._found.metrics.items()}

    # Figures

    def table(
        self, measures: str | Sequence[str] | None = None, systems: str | Sequence[str] | None = None, by: By = "system"
    ) -> pandas.DataFrame:
        """Every figure with its interval, its counts and its mark.

        Args:
            measures: names; all where it is None.
            systems: names; all where it is None.
            by: ``system``; ``direction`` or ``dataset`` give each system a row of each of these besides, ``all`` first.

        Returns:
            A row by system (by direction or dataset) and measure: ``value``, the 95 % interval ``low`` to ``high``,
            pairs scored ``n`` and ``expected``, ``failed``, ``skipped``, the speakers (``targets``, ``sources``),
            ``mark``, ``unit``, and the side that is ``better``. The mark is ``best``, ``second``, or ``not told apart``
            where no system is worse than the first. ``table()["value"].unstack()`` has a column a measure. ``attrs``
            holds signatures and suite.

        Raises:
            UsageError: a name is unknown.
        """
        import pandas

        if by not in ("system", "direction", "dataset"):
            raise registry.unknown_name("grouping", str(by), ["system", "direction", "dataset"])
        parts = {"system": [], "direction": self._found.directions, "dataset": self._found.datasets}[by]
        keys = ["system", *([by] if by != "system" else []), "measure"]
        rows = [
            {"system": system.name, by: part, "measure": measure.name} | self._figure(system, measure, by, part)
            if by != "system"
            else {"system": system.name, "measure": measure.name} | self._figure(system, measure, by, part)
            for system in self._chosen_systems(systems)
            for part in [ALL, *parts]
            for measure in self._chosen_measures(measures)
        ]
        columns = [*keys, "value", "low", "high", *_COUNTS, "mark", "unit", "better"]
        return self._signed(pandas.DataFrame(rows, columns=columns).set_index(keys))

    def scores(self, measures: str | Sequence[str] | None = None) -> pandas.DataFrame:
        """The value of every system on every pair, one row each, of several seeds the mean.

        ``value`` is in the unit of the measure, ``numerator`` and ``denominator`` as stored; ``details`` is JSON.

        Raises:
            UsageError: a measure is unknown.
        """
        chosen = {measure.name: measure.scale for measure in self._chosen_measures(measures)}
        found = self._run.read_scores().drop(columns="signature")
        found = found[found["measure"].isin(list(chosen))].reset_index(drop=True)
        return self._signed(found.assign(value=found["value"] * found["measure"].map(chosen).astype("float64")))

    def comparisons(self, measures: str | Sequence[str] | None = None) -> pandas.DataFrame:
        """Every two systems on the pairs that all ranked systems have: ``first`` minus ``second``.

        ``p`` is that of the test, ``p_holm`` corrected for the number of comparisons on the measure. Of a measure with
        a best value, distances from it are compared.

        Raises:
            UsageError: a measure is unknown.
        """
        import pandas

        rows = [
            {
                "measure": measure.name, "first": one.first, "second": one.second, "n": one.n,
                "difference": one.difference * measure.scale, "low": _scaled(one.low, measure),
                "high": _scaled(one.high, measure), "p": one.plain_p_value, "p_holm": one.p_value,
                "unit": measure.unit, "better": measure.better,
            }
            for measure in self._chosen_measures(measures)
            for one in self._found.ranking(measure.name).comparisons
        ]  # fmt: skip
        columns = ["measure", "first", "second", "n", "difference", "low", "high", "p", "p_holm", "unit", "better"]
        return self._signed(_numbers(pandas.DataFrame(rows, columns=columns), "low", "high", "p", "p_holm"))

    def verdict(self) -> dict[str, Verdict]:
        """What the run says first, by question: ``voice``, ``words`` and ``quality``.

        Each has ``winners``, ``tied``, its measure, and its text as ``sentence``.
        """
        return {one.question: one for one in verdicts(self._found)}

    def compare(self, *others: Results | str | os.PathLike[str]) -> pandas.DataFrame:
        """Hold other runs against this one, on the pairs that all of them have.

        Returns:
            A row for each measure, system and other ``run``: the values of this run (``before``) and of that one
            (``value``), their ``difference`` with ``low``, ``high``, ``p``, ``p_holm`` and pairs ``n``, and the
            ``verdict``: better, worse, same, or nothing where another measure decides. ``attrs["refused"]`` says which
            metrics can't be compared, and why; ``attrs["notes"]`` what else to know.

        Raises:
            UsageError: the runs have no metric or no pair in common, or no metric may be compared.
        """
        import pandas

        from vceval.results.compare import compare

        folders = [one.path if isinstance(one, Results) else Path(one).expanduser() for one in others]
        found = compare([self.path, *folders])
        if not found.signatures:
            reasons = "; ".join(f"{name}: {', '.join(why)}" for name, why in found.refused.items())
            raise UsageError(f"nothing may be compared: {reasons}")
        rows = []
        for line in found.lines:
            for number, (cell, difference) in enumerate(zip(line.cells, line.differences, strict=True)):
                if not number or cell is None or difference is None:
                    continue
                base = line.cells[0]
                low, high = difference.interval[:2] if difference.interval else (None, None)
                rows.append({
                    "measure": line.measure.name, "system": line.system.name, "run": found.runs[number],
                    "before": _scaled(base.value if base else None, line.measure),
                    "value": _scaled(cell.value, line.measure),
                    "difference": _scaled(difference.value, line.measure), "low": _scaled(low, line.measure),
                    "high": _scaled(high, line.measure), "p": difference.p_value, "p_holm": line.corrected[number],
                    "n": line.pairs, "verdict": line.verdict(number), "unit": line.measure.unit,
                })  # fmt: skip
        columns = [
            "measure", "system", "run", "before", "value", "difference", "low", "high", "p", "p_holm", "n", "verdict",
            "unit",
        ]  # fmt: skip
        table = _numbers(pandas.DataFrame(rows, columns=columns), *columns[3:10])
        table.attrs |= {
            "signatures": dict(found.signatures),
            "refused": {name: list(why) for name, why in found.refused.items()},
            "notes": list(found.notes()),
        }
        return table

    # What is missing

    @property
    def failures(self) -> pandas.DataFrame:
        """What should have worked and did not: system, pair, seed, stage, metric and reason."""
        return _rows(self._found.failures, FAILURE_COLUMNS)

    @property
    def skipped(self) -> pandas.DataFrame:
        """Values that can't exist: system, pair, seed, metric, measure, what the pair lacks (``need``), and reason."""
        return _rows(self._found.skips, SKIP_COLUMNS)

    @property
    def calibrations(self) -> pandas.DataFrame:
        """What metrics learnt from natural speech, by metric and dataset: EER, threshold, counts of trials."""
        import pandas

        rows = [
            {"metric": metric, "dataset": dataset}
            | {key: value for key, value in facts.items() if not isinstance(value, dict | list)}
            for metric, datasets in self._found.calibration_file.items()
            for dataset, facts in datasets.items()
        ]
        return pandas.DataFrame(rows, columns=None if rows else ["metric", "dataset"]).set_index(["metric", "dataset"])

    def calibration(self, metric: str = "sv", dataset: str | None = None) -> Mapping[str, Any]:
        """All that a metric learnt from the natural speech of one dataset, and its signature.

        :class:`vceval.metrics.torch.SV` takes its threshold from it.

        Raises:
            UsageError: there is none, or there are several datasets and none is named.
        """
        learnt = self._found.calibration_file.get(metric, {})
        if not learnt:
            raise registry.unknown_name("calibrated metric", metric, list(self._found.calibration_file))
        if dataset is None and len(learnt) > 1:
            raise UsageError(f"{metric} was calibrated on {', '.join(learnt)}: name one as dataset")
        if dataset is not None and dataset not in learnt:
            raise registry.unknown_name("dataset", dataset, list(learnt))
        found = learnt[next(iter(learnt)) if dataset is None else dataset]
        return {**found, "signature": self.signatures[metric]}

    # Outputs

    def to_latex(
        self,
        measures: str | Sequence[str] | None = None,
        systems: str | Sequence[str] | None = None,
        style: str = "plain",
        rows: By = "system",
        *,
        wide: bool = False,
        caption: str = "",
    ) -> str:
        """One float for a paper, as ``vceval table`` makes it; it warns of columns that are left out, and why.

        Args:
            measures: names, also ``params``, ``rtf`` and ``memory``; as many of the usual ones as fit where it is None.
            systems: names; they are ranked among themselves. All where it is None.
            style: the paper's.
            rows: what rows are.
            wide: over the line instead of one column.
            caption: instead of the one made from suite and counts.

        Raises:
            UsageError: a name or the style is unknown, no system has a figure, or the table does not fit.
        """
        import warnings

        from vceval.reports import latex
        from vceval.reports.paper_table import Choice
        from vceval.reports.table_files import fitting_table
        from vceval.results.merge_runs import material

        if style not in latex.STYLES:
            raise registry.unknown_name("style", style, list(latex.STYLES))
        chosen = Choice(_listed(measures), _listed(systems), rows, caption)
        setting = latex.STYLES[style]
        table = fitting_table(material([self._run]), chosen, setting, warnings.warn, wide=wide)
        return latex.PREAMBLE + latex.one_float(table, setting, wide=wide)

    def report(self) -> Path:
        """The page of the report; it is made where it is not there."""
        page = self._run.report / "index.html"
        if not page.is_file():
            from vceval.reports.build import build

            build(self._run)
        return page

    def __repr__(self) -> str:
        return plain_text(self._found)

    def _repr_html_(self) -> str:
        from vceval.reports.notebook import notebook

        return notebook(self._found)

    # What is asked for

    @property
    def _run(self) -> RunDirectory:
        return RunDirectory(self._found.root)

    def _chosen_measures(self, names: str | Sequence[str] | None) -> list[MeasureView]:
        return list(_chosen("measure", self._measures, names))

    def _chosen_systems(self, names: str | Sequence[str] | None) -> list[SystemView]:
        known = {system.name: system for system in [*self._found.converters, *self._found.controls]}
        return list(_chosen("system", known, names))

    def _figure(self, system: SystemView, measure: MeasureView, by: By, part: str) -> dict[str, Any]:
        place = {} if by == "system" else {by: part}
        cell = self._found.cell(system.name, measure.name, **place) or Cell(None, None, None, 0, 0, 0, 0)
        return {
            **{name: _scaled(getattr(cell, name), measure) for name in ("value", "low", "high")},
            **{name: getattr(cell, name) for name in _COUNTS},
            "mark": _mark(self._found.ranking(measure.name, **place), system.name, cell),
            "unit": measure.unit,
            "better": measure.better,
        }

    def _signed(self, table: pandas.DataFrame) -> pandas.DataFrame:
        table.attrs |= {"signatures": self.signatures, "suite": self._found.suite, "run": str(self.path)}
        return table


def _mark(ranking: Ranking, system: str, cell: Cell) -> str:
    if not ranking.best and ranking.reason == UNDECIDED and system in ranking.order and cell.n:
        return "not told apart"
    return ranking.mark(system)


def _scaled(value: float | None, measure: MeasureView) -> float:
    """A stored value in the unit of its measure; NaN where there is none."""
    return float("nan") if value is None else value * measure.scale


def _chosen(what: str, known: Mapping[str, Any], names: str | Sequence[str] | None) -> Iterator[Any]:
    for name in known if names is None else [names] if isinstance(names, str) else names:
        if name not in known:
            raise registry.unknown_name(what, name, list(known))
        yield known[name]


def _rows(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> pandas.DataFrame:
    import pandas

    table = pandas.DataFrame(list(rows), columns=[*columns[:2], "seed", *columns[2:]])
    return table.astype({"seed": "int64"})


def _numbers(table: pandas.DataFrame, *columns: str) -> pandas.DataFrame:
    return table.astype(dict.fromkeys(columns, "float64"))


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return () if names is None else [names] if isinstance(names, str) else names
