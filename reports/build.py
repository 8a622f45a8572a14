"""Makes the report of a finished run: HTML, tables in LaTeX, Markdown and CSV, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vceval.reports import (
    cells,
    data,
    figures,
    flags,
    html,
    latex,
    latex_plain,
    listening,
    markdown,
    samples,
    tables,
    training,
)
from vceval.reports.audio_links import AudioLinks
from vceval.reports.chunks import Chunks
from vceval.reports.data import Report
from vceval.reports.figure_style import Drawing
from vceval.rundir import RunDirectory, write_atomically

__all__ = ["SPECTROGRAMS", "Made", "build", "make"]


#: Recordings whose spectrograms are drawn beforehand, so that a page opened from disk can show them.
SPECTROGRAMS = 1000


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was made: its page, what it shows, its figures, and why others are missing."""

    index: Path
    report: Report
    drawings: Sequence[Drawing]
    notes: Sequence[str]


def build(run: RunDirectory) -> Path:
    """Write the report of a finished run and return the path of ``report/index.html``; see :func:`make`."""
    return make(run).index


def make(run: RunDirectory, *, spectrograms: int = SPECTROGRAMS) -> Made:
    """Write the report of a finished run.

    Reads run.json, summary.json, pairs.csv, audio.csv, scores.parquet, failures.csv, skipped.csv, leakage.csv and
    calibration.json; writes ``report/index.html``, its data in ``report/data/*``, ``report/tables/*``,
    ``report/figures/*``, ``report/pictures/*`` (spectrograms of up to ``spectrograms`` recordings) and, for
    recordings outside of the run directory, ``report/audio/*``. No score is computed. A report that is there is
    replaced.

    Raises:
        UsageError: one of the files is missing or malformed.
    """
    report = data.load(run)
    folder = run.report
    folder.mkdir(parents=True, exist_ok=True)
    files = _write_tables(report, folder / "tables")
    _clear(folder / "figures", ("*.png", "*.pdf"))
    links = AudioLinks(run.root, folder)
    drawings, notes = figures.draw(report, folder / "figures", links.file)
    _clear(folder / "data", ("*.js",))
    chunks = Chunks(folder / "data")
    chunks.add("cells", cells.cells(report))
    flag_names = flags.flag_names(report, report.converters)
    samples.add_samples(report, chunks, links, flag_names, drawn=samples.spread(report, spectrograms))
    index = folder / "index.html"
    write_atomically(index, html.page(report, drawings, files, figure_notes=notes))
    links.clean()
    return Made(index, report, drawings, notes)


def _write_tables(report: Report, folder: Path) -> list[str]:
    """Write every table in every format and return the file names."""
    _clear(folder, ("*.tex", "*.md", "*.csv"))
    texts: dict[str, str] = {}
    results = {
        "main": tables.main_tables(report),
        "main_directions": tables.direction_tables(report),
        "main_datasets": tables.dataset_tables(report),
    }
    for name, models in results.items():
        if models:
            columns = [column for model in models for column in model.columns]
            texts[f"{name}.tex"] = latex.preamble() + _joined(latex.table, models)
            texts[f"{name}.md"] = _joined(markdown.table, models)
            texts[f"{name}.csv"] = markdown.cells_csv(report, columns)
    if unseen := training.unseen_tables(report):
        texts["main_unseen.tex"] = latex.preamble() + _joined(latex.table, unseen)
        texts["main_unseen.md"] = _joined(markdown.table, unseen)
        texts["main_unseen.csv"] = markdown.cells_csv(
            replace(report, cells=data.cells_of((report.training or {})["cells"])),
            [column for model in unseen for column in model.columns],
        )
    plains = (
        training.training_table(report),
        flags.flags_table(report),
        tables.calibration_table(report),
        tables.published_table(report),
        *listening.listening_tables(report),
    )
    for plain in plains:
        if plain is not None:
            texts[f"{plain.id}.tex"] = latex.preamble() + latex_plain.plain_table(plain)
            texts[f"{plain.id}.md"] = markdown.plain_table(plain)
            texts[f"{plain.id}.csv"] = markdown.plain_csv(plain)
    if report.calibration:
        texts["calibration.csv"] = markdown.calibration_csv(report)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return list(texts)


def _joined(render: Callable[[tables.Table], str], models: Sequence[tables.Table]) -> str:
    return "\n".join(render(model) for model in models)


def _clear(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what an earlier report wrote, so that nothing of it stands beside new figures."""
    if folder.is_dir():
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()
