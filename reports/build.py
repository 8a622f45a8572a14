"""Makes the report of a finished run, or of several: HTML, tables in LaTeX, Markdown, CSV and JSON, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vceval.reports import figures, filter_data, problems, report_page, samples
from vceval.reports.audio_links import AudioLinks
from vceval.reports.figure_style import Drawing
from vceval.reports.page_data import Chunks
from vceval.reports.table_files import DEFAULTS, Options, clear, write_tables
from vceval.results.merge_runs import material
from vceval.results.rundir import RunDirectory, write_atomically
from vceval.results.views import Report

__all__ = ["SPECTROGRAMS", "Made", "Options", "build", "make"]

#: Recordings whose spectrograms are drawn beforehand, so that a page opened from disk can show them.
SPECTROGRAMS = 1000


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was made: its page, what it shows and from where, its figures, and why others are missing."""

    index: Path
    report: Report
    links: AudioLinks
    drawings: Sequence[Drawing]
    notes: Sequence[str]


def build(run: RunDirectory, options: Options = DEFAULTS) -> Path:
    """Write the report of one run into its folder and return the path of ``report/index.html``; see :func:`make`."""
    return make([run], run.report, options).index


def make(
    runs: Sequence[RunDirectory | Report],
    folder: Path,
    options: Options = DEFAULTS,
    *,
    spectrograms: int = SPECTROGRAMS,
) -> Made:
    """Write the report of a finished run, or one of several with their systems side by side.

    What is a report already, as of result files, is taken as it is.

    Reads run.json, summary.json, pairs.csv, audio.csv, scores.parquet, failures.csv, skipped.csv, leakage.csv,
    efficiency.json and calibration.json; writes into ``folder`` the page ``index.html``, its data in ``data/*``,
    ``tables/*``, ``figures/*``, ``pictures/*`` (spectrograms of up to ``spectrograms`` recordings) and, for recordings
    outside of the run directory, ``audio/*``. No score is computed. A report that is there is replaced.

    Raises:
        UsageError: a run is not finished or malformed, or several differ in suite, pairs, metrics, signatures or
            calibrations.
    """
    found = material(runs)
    report = replace(found.report, published=[*found.report.published, *options.published])
    folder.mkdir(parents=True, exist_ok=True)
    files = write_tables(replace(found, report=report), folder / "tables", options)
    clear(folder / "figures", ("*.png", "*.pdf"))
    links = AudioLinks(runs[0].root if len(runs) == 1 else folder, folder)
    drawings, notes = figures.draw(report, folder / "figures", links.file)
    clear(folder / "data", ("*.js",))
    chunks = Chunks(folder / "data")
    chunks.add("cells", filter_data.cells(report))
    flag_names = problems.flag_names(report, report.converters)
    if samples.has_recordings(report):
        samples.add_samples(report, chunks, links, flag_names, drawn=samples.spread(report, spectrograms))
    index = folder / "index.html"
    write_atomically(index, report_page.page(report, drawings, files, figure_notes=notes))
    links.clean()
    return Made(index, report, links, drawings, notes)
