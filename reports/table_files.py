"""Every table of a report as files: LaTeX, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.reports import (
    bibliography,
    efficiency_tables,
    grouped_tables,
    latex,
    listening_tables,
    markdown,
    panel_tables,
    problems,
    published_tables,
    seed_tables,
    tables,
    training_speakers,
)
from vceval.reports.latex import STYLES, Style
from vceval.reports.paper_table import MOST, Choice, named_system, paper_table, usual_measures
from vceval.reports.tables import WHOLE, Column, Entry, Interval, Part, PlainTable, Table, figure_place
from vceval.results import verdicts
from vceval.results.merge_runs import Material
from vceval.results.rundir import write_atomically
from vceval.results.views import Cell, Report, cells_of
from vceval.storage.csv_files import csv_text

__all__ = ["DEFAULTS", "Options", "clear", "fitting_table", "table_csv", "write_tables"]

#: Columns of every CSV file of corpus figures; values and bounds are in ``unit``.
COUNTS = ("n", "expected", "failed", "skipped", "targets", "sources")
CELL_COLUMNS = ("system", "measure", "dataset", "direction", "value", "low", "high", *COUNTS, "unit", "better")
_KINDS = ("*.tex", "*.md", "*.csv", "*.json", "*.bib")


@dataclass(frozen=True, slots=True)
class Options:
    """How tables are made: the style of LaTeX, ablations as (system, variants…), rows of published figures besides."""

    style: str = "plain"
    ablations: Sequence[Sequence[str]] = ()
    published: Sequence[Mapping[str, Any]] = ()

    @property
    def latex_style(self) -> Style:
        """The style that is meant.

        Raises:
            UsageError: there is none of that name.
        """
        if self.style not in STYLES:
            raise UsageError(f"unknown style {self.style!r}; known: {', '.join(STYLES)}")
        return STYLES[self.style]


DEFAULTS = Options()


def write_tables(found: Material, folder: Path, options: Options = DEFAULTS) -> list[str]:
    """Write every table in every format, the signatures and the bibliography; return the file names.

    What an earlier report left in the folder is removed.

    Raises:
        UsageError: an unknown style, or an ablation of systems that the run does not have.
    """
    style = options.latex_style
    texts: dict[str, str] = {}
    _add_results(texts, found, style)
    for number, names in enumerate(options.ablations, 1):
        table = grouped_tables.ablation_table(found.report, names, number)
        _add(texts, f"ablation-{number}" if len(options.ablations) > 1 else "ablation", [table], [table], style)
    _add_plain(texts, found, style)
    said = verdicts.verdicts(found.report)
    texts["verdicts.md"] = markdown.verdicts(said)
    texts["verdicts.json"] = _json(verdicts.as_json(said))
    texts["signatures.tex"] = latex.text_macros(found.report, said)
    texts["appendix.tex"] = latex.appendix(found.report, tables.main_tables(found.report))
    if references := bibliography.bibtex(found.report):
        texts["references.bib"] = references
    clear(folder, _KINDS)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return list(texts)


def _add_results(texts: dict[str, str], found: Material, style: Style) -> None:
    report = found.report
    main = tables.main_tables(report)
    paper = main[0]
    if usual_measures(report, MOST):
        paper = replace(fitting_table(found, Choice(), style, lambda _: None), id="main")
    _add(texts, "main", main, [paper], style)
    if latex.fits(paper, style):
        texts["main.tex"] = latex.PREAMBLE + latex.one_float(paper, style)
    shown = [column.measure for column in paper.columns]
    others = [measure for measure in report.measures if measure not in shown]
    if rest := tables.without_empty(tables.measure_table(report, "more", "More measures", others)):
        _add(texts, "more", [rest], [rest], style)
    texts["main.csv"] = _cells_csv(report, _columns(main))
    for split, models in (
        ("direction", tables.direction_tables(report)),
        ("dataset", tables.dataset_tables(report)),
    ):
        if models:
            grouped = grouped_tables.grouped_table(report, split)
            _add(texts, f"main_{split}s", models, [grouped] if grouped else [], style)
            texts[f"main_{split}s.csv"] = _cells_csv(report, _columns(models))
    if seen := training_speakers.exposure_table(report, found.outcomes):
        _add(texts, "main_seen", [seen], [seen], style)
    if unseen := training_speakers.unseen_tables(report):
        _add(texts, "main_unseen", unseen, unseen, style)
        left = replace(report, cells=cells_of((report.training or {})["cells"]))
        texts["main_unseen.csv"] = _cells_csv(left, _columns(unseen))


def fitting_table(
    found: Material,
    choice: Choice,
    style: Style,
    say: Callable[[str], None],
    *,
    wide: bool = False,
    interval: Interval | None = None,
) -> Table:
    """Build the table of a choice; where it names no measures, of as many of the usual ones as fit into one float.

    Raises:
        UsageError: as :func:`vceval.reports.paper_table.paper_table`; or there is no figure at all.
    """
    if choice.measures:
        return paper_table(found, choice, say)
    for name in choice.systems:
        named_system(found.report, name)
    usual = usual_measures(found.report, 2 * MOST if wide else MOST)
    if not usual:
        raise UsageError("no system has a figure: there is nothing to make a table of")
    for most in range(len(usual), 0, -1):
        table = paper_table(found, replace(choice, measures=usual_measures(found.report, most)), say)
        if latex.fits(table, style, wide=wide, interval=interval):
            break
    return table


def _columns(models: Iterable[Table]) -> list[Column]:
    return [column for model in models for column in model.columns]


def _add(
    texts: dict[str, str], name: str, models: Sequence[Table], set_in_latex: Sequence[Table], style: Style
) -> None:
    texts[f"{name}.tex"] = latex.PREAMBLE + "\n".join(latex.table(model, style) for model in set_in_latex)
    texts[f"{name}.md"] = "\n".join(markdown.table(model) for model in models)
    texts[f"{name}.csv"] = table_csv(models)
    texts[f"{name}.json"] = _tables_json(models)


def _add_plain(texts: dict[str, str], found: Material, style: Style) -> None:
    report = found.report
    plains: tuple[PlainTable | None, ...] = (
        training_speakers.training_table(report),
        *panel_tables.panel_tables(report),
        problems.flags_table(report),
        *seed_tables.seed_tables(report),
        *efficiency_tables.efficiency_tables(report),
        published_tables.calibration_table(report),
        *published_tables.comparison_tables(report),
        published_tables.published_table(report),
        *listening_tables.listening_tables(report),
    )
    for plain in plains:
        if plain is not None:
            texts[f"{plain.id}.tex"] = latex.PREAMBLE + latex.plain_table(plain, style)
            texts[f"{plain.id}.md"] = markdown.plain_table(plain)
            texts[f"{plain.id}.csv"] = _plain_csv(plain)
            texts[f"{plain.id}.json"] = _plain_json(plain)
    if report.calibration:
        texts["calibration.csv"] = _calibration_csv(report)


def clear(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what an earlier report wrote, so that nothing of it stands beside new figures."""
    if folder.is_dir():
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()


def _plain_csv(model: PlainTable) -> str:
    """Write a table of texts as CSV."""
    return csv_text(model.headings, model.rows)


def _calibration_csv(report: Report) -> str:
    """Write everything that calibration learnt as CSV, one row per metric and dataset, values as stored."""
    found = [(metric, name, facts) for metric, by in sorted(report.calibration.items()) for name, facts in by.items()]
    plain = {key for *_, facts in found for key, value in facts.items() if not isinstance(value, dict | list)}
    order = sorted(plain)
    rows = [
        [metric, name, *(str(facts.get(key, "")) for key in order)]
        for metric, name, facts in sorted(found, key=lambda row: row[:2])
    ]
    return csv_text(["metric", "dataset", *order], rows)


def _cells_csv(report: Report, columns: Sequence[Column]) -> str:
    """Write corpus figures as CSV, one row per system and column; values and bounds are in the unit named."""
    rows = []
    for column in columns:
        measure = column.measure
        for system in report.systems:
            cell = report.cell(system.name, measure.name, column.dataset, column.direction)
            if cell is None:
                continue
            rows.append(_cell_row(system.name, column, cell))
    return csv_text(CELL_COLUMNS, rows)


def table_csv(models: Sequence[Table]) -> str:
    """Write tables as CSV, one row per system and column; values and bounds are in the unit named."""
    rows = []
    for model in models:
        for row in model.rows:
            for column, entry in zip(model.columns, row.entries, strict=True):
                if entry is not None and entry.cell is not None:
                    rows.append(_cell_row(row.system.name, column, entry.cell, row.part))
    return csv_text(CELL_COLUMNS, rows)


def _cell_row(system: str, column: Column, cell: Cell, part: Part = WHOLE) -> list[str]:
    measure, place = column.measure, figure_place(column, part)
    figures = [None if v is None else v * measure.scale for v in (cell.value, cell.low, cell.high)]
    return (
        [system, *place]
        + ["" if figure is None else f"{figure:.12g}" for figure in figures]
        + [str(getattr(cell, name)) for name in COUNTS]
        + [measure.unit, measure.better]
    )


def _tables_json(models: Sequence[Table]) -> str:
    """Write results tables as one JSON document.

    Figures and bounds are in the unit of their column and not rounded; ``mark`` is ``best``, ``second`` or null.
    """
    return _json({"schema": 1, "tables": [_table_json(model) for model in models]})


def _plain_json(model: PlainTable) -> str:
    """Write a table of texts as JSON; rows of one cell are headings over the rows below them."""
    return _json({
        "schema": 1,
        "title": model.title,
        "caption": model.caption,
        "headings": list(model.headings),
        "rows": [list(row) for row in model.rows],
    })  # fmt: skip


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _table_json(model: Table) -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.full_title,
        "suite": model.suite,
        "caption": f"{model.caption} {model.count_note}".strip(),
        "signatures": {metric.name: metric.signature for metric in model.metrics},
        "columns": [
            {
                "measure": column.measure.name,
                "metric": column.measure.metric,
                "label": column.measure.label,
                "judge": column.judge,
                "heading": column.heading,
                "unit": column.measure.unit,
                "better": column.measure.better,
                "dataset": column.dataset,
                "direction": column.direction,
            }
            for column in model.columns
        ],
        "rows": [
            {
                "system": row.system.name,
                "title": row.system.title,
                "remark": row.remark or None,
                "control": row.system.control,
                "figures": [
                    entry and _figure_json(entry, column)
                    for entry, column in zip(row.entries, model.columns, strict=True)
                ],
            }
            for row in model.rows
        ],
    }  # fmt: skip


def _figure_json(entry: Entry, column: Column) -> dict[str, Any]:
    cell, scale = entry.cell, column.measure.scale
    figures = (None, None, None) if cell is None else (cell.value, cell.low, cell.high)
    value, low, high = (None if figure is None else figure * scale for figure in figures)
    counts = {} if cell is None else {key: getattr(cell, key) for key in COUNTS}
    return {"value": value, "low": low, "high": high, "printed": entry.value, "mark": entry.mark or None, **counts}
