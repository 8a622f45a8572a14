"""The figures of a report, in the order in which the page shows them; each as .png and .pdf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vceval.reports import figure_detection, figure_scores, figure_speakers
from vceval.reports.figure_style import Drawing
from vceval.results.views import Report

__all__ = ["draw"]


def draw(report: Report, folder: Path, find: Callable[[str], Path | None]) -> tuple[list[Drawing], list[str]]:
    """Draw everything that a run has figures for into ``folder``.

    ``find`` gives the file of a recording that the run names; None where it is not there.

    Returns:
        The figures drawn, and for those that could have been expected but are not there, a sentence each.
    """
    voices, reason = figure_speakers.speaker_map(report, folder, find)
    found = [
        figure_scores.overview(report, folder),
        *figure_scores.distributions(report, folder),
        figure_scores.against(report, "mcd", "sv_cosine", folder),
        figure_scores.against(report, "wer", "sv_cosine", folder),
        figure_detection.fake_scores(report, folder),
        figure_detection.source_or_target(report, folder),
        voices,
        *figure_detection.calibration_curves(report, folder),
    ]
    return [drawing for drawing in found if drawing is not None], [reason] if reason else []
