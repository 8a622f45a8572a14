"""Every table of a report as files: LaTeX, Markdown, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.reports import (
    beside,
    bibliography,
    exposure,
    flags,
    latex,
    latex_plain,
    latex_signature,
    listening,
    markdown,
    shapes,
    table_json,
    tables,
    training,
)
from vceval.reports.latex_style import STYLES, Style
from vceval.reports.tables import PlainTable, Table
from vceval.results import views
from vceval.results.merge_runs import Material
from vceval.results.rundir import write_atomically

__all__ = ["DEFAULTS", "Options", "clear", "write_tables"]

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
        table = shapes.ablation_table(found.report, names, number)
        _add(texts, f"ablation-{number}" if len(options.ablations) > 1 else "ablation", [table], [table], style)
    _add_plain(texts, found, style)
    texts["signatures.tex"] = latex_signature.macros(found.report)
    if references := bibliography.bibtex(found.report):
        texts["references.bib"] = references
    clear(folder, _KINDS)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return list(texts)


def _add_results(texts: dict[str, str], found: Material, style: Style) -> None:
    report = found.report
    main = tables.main_tables(report)
    _add(texts, "main", main, main, style)
    texts["main.csv"] = markdown.cells_csv(report, _columns(main))
    for split, models in (
        ("direction", tables.direction_tables(report)),
        ("dataset", tables.dataset_tables(report)),
    ):
        if models:
            grouped = shapes.grouped_table(report, split)
            _add(texts, f"main_{split}s", models, [grouped] if grouped else [], style)
            texts[f"main_{split}s.csv"] = markdown.cells_csv(report, _columns(models))
    if seen := exposure.exposure_table(report, found.scores, found.exposures):
        _add(texts, "main_seen", [seen], [seen], style)
    if unseen := training.unseen_tables(report):
        _add(texts, "main_unseen", unseen, unseen, style)
        left = replace(report, cells=views.cells_of((report.training or {})["cells"]))
        texts["main_unseen.csv"] = markdown.cells_csv(left, _columns(unseen))


def _columns(models: Iterable[Table]) -> list[tables.Column]:
    return [column for model in models for column in model.columns]


def _add(
    texts: dict[str, str], name: str, models: Sequence[Table], set_in_latex: Sequence[Table], style: Style
) -> None:
    texts[f"{name}.tex"] = latex.preamble() + "\n".join(latex.table(model, style) for model in set_in_latex)
    texts[f"{name}.md"] = "\n".join(markdown.table(model) for model in models)
    texts[f"{name}.csv"] = markdown.table_csv(models)
    texts[f"{name}.json"] = table_json.tables_json(models)


def _add_plain(texts: dict[str, str], found: Material, style: Style) -> None:
    report = found.report
    plains: tuple[PlainTable | None, ...] = (
        training.training_table(report),
        flags.flags_table(report),
        beside.calibration_shape(report),
        *beside.comparison_tables(report),
        tables.published_table(report),
        *listening.listening_tables(report),
    )
    for plain in plains:
        if plain is not None:
            texts[f"{plain.id}.tex"] = latex.preamble() + latex_plain.plain_table(plain, style)
            texts[f"{plain.id}.md"] = markdown.plain_table(plain)
            texts[f"{plain.id}.csv"] = markdown.plain_csv(plain)
            texts[f"{plain.id}.json"] = table_json.plain_json(plain)
    if report.calibration:
        texts["calibration.csv"] = markdown.calibration_csv(report)


def clear(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what an earlier report wrote, so that nothing of it stands beside new figures."""
    if folder.is_dir():
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()
