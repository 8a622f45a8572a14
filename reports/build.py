"""Makes the report of a finished run: HTML, tables in LaTeX, Markdown and CSV, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vceval.reports import figures, html
from vceval.reports.audio_links import AudioLinks
from vceval.reports.samples import samples
from vceval.reports.several import Material, material
from vceval.reports.significance import with_split_tests
from vceval.reports.table_files import DEFAULTS, Options, clear, write_tables
from vceval.rundir import RunDirectory, write_atomically

__all__ = ["Options", "build", "build_several"]


def build(run: RunDirectory, options: Options = DEFAULTS) -> Path:
    """Write the report of a finished run and return the path of ``report/index.html``.

    Reads run.json, summary.json, pairs.csv, audio.csv, scores.parquet, failures.csv and skipped.csv; writes
    ``report/index.html``, ``report/tables/*``, ``report/figures/*`` and, for recordings outside of the run
    directory, ``report/audio/*``. No score is computed and no audio decoded. A report that is there is replaced.

    Raises:
        UsageError: one of the files is missing or malformed.
    """
    return _write(material([run]), run.root, run.report, options)


def build_several(runs: Sequence[RunDirectory], folder: Path, options: Options = DEFAULTS) -> Path:
    """Write one report of several runs to a folder, systems side by side, and return the path of its ``index.html``.

    Raises:
        UsageError: a run is not finished, or they differ in suite, pairs, metrics, signatures or calibrations.
    """
    return _write(material(runs), runs[0].root if len(runs) == 1 else folder, folder, options)


def _write(found: Material, root: Path, folder: Path, options: Options) -> Path:
    report = with_split_tests(found.report, found.scores)
    report = replace(report, published=[*report.published, *options.published])
    found = replace(found, report=report)
    folder.mkdir(parents=True, exist_ok=True)
    files = write_tables(found, folder / "tables", options)
    clear(folder / "figures", ("*.png", "*.pdf"))
    drawings = figures.draw(report, folder / "figures")
    links = AudioLinks(root, folder)
    listed = samples(report, links)
    index = folder / "index.html"
    write_atomically(index, html.page(report, listed, drawings, files))
    links.clean()
    return index
