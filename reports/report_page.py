"""The HTML page: no external request, everything escaped; samples and filtered figures come in chunks of data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from vceval.reports import (
    efficiency_tables,
    filter_data,
    listening_tables,
    panel_tables,
    problems,
    published_tables,
    samples,
    seed_tables,
    tables,
    training_speakers,
    verdict_panels,
)
from vceval.reports.figure_style import Drawing
from vceval.reports.page_data import compact
from vceval.reports.templating import fill, read
from vceval.results.views import Report

__all__ = ["SCRIPTS", "page"]

#: The page's script, in the order in which its parts need each other.
SCRIPTS = ("core.js", "results.js", "player.js", "words.js", "spectrogram.js", "samples.js")
#: Chunks of data, recordings and figures lie beside the page, or inside of it.
_SOURCES = {
    "script": "'self' file:", "img": "'self' file: data:", "media": "'self' file: blob:", "connect": "'self'",
}  # fmt: skip


def page(
    report: Report,
    drawings: Sequence[Drawing],
    files: Sequence[str] = (),
    *,
    figure_notes: Sequence[str] = (),
    pictures: Mapping[str, str] | None = None,
    blocks: Sequence[str] = (),
    audio_note: str = "",
    shown: Report | None = None,
) -> str:
    """Make the page of a report.

    Args:
        report: what the run holds.
        drawings: its figures.
        files: names of the tables that lie in ``tables/``.
        figure_notes: what could not be drawn, and why.
        pictures: figures by stem as data URLs, for a page of one file; None links them in ``figures/``.
        blocks: chunks of data that the page itself holds.
        audio_note: what to know about the recordings.
        shown: the run with only those pairs that are samples; None for all of them.
    """
    from markupsafe import Markup

    style, *parts = read(("style.css", *SCRIPTS))
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
    done, lacking = problems.counts(report)
    main, *more = tables.main_tables(report)
    names = problems.flag_names(report, report.converters)
    values = {
        "report": report,
        "about": Markup(compact(_about(report, names, shown or report))),  # noqa: S704 - inert: compact() leaves no "<"
        "blocks": [Markup(block) for block in blocks],  # noqa: S704 - made by page_data.embedded()
        "done": done,
        "lacking": lacking,
        "panels": verdict_panels.panels(report),
        "each": verdict_panels.each_measure(report),
        "main": main,
        "more": more,
        "numbers": _numbers(report),
        "directions": _split(report, report.directions, "direction"),
        "datasets": _split(report, report.datasets, "dataset"),
        "exposed": any(filter_data.exposed(report)),
        "trained": training_speakers.trained_marks(report),
        "training": training_speakers.training_table(report),
        "encoders": panel_tables.panel_tables(report),
        "unseen": training_speakers.unseen_tables(report),
        "flags": problems.flags_table(report),
        "flag_names": names,
        "seeds": seed_tables.seed_tables(report),
        "efficiency": efficiency_tables.efficiency_tables(report),
        "calibration": published_tables.calibration_details(report),
        "published": published_tables.published_table(report),
        "listening": listening_tables.listening_tables(report),
        "drawings": drawings,
        "figure_notes": figure_notes,
        "picture": lambda stem: pictures[stem] if pictures is not None else f"figures/{quote(stem, safe='')}.png",
        "files": files,
        "samples": samples.has_recordings(report),
        "audio_note": audio_note,
        "bundle": pictures is not None,
        "failures": problems.failure_groups(report),
        "skips": problems.skip_groups(report),
        "facts": facts(report.run),
    }
    return fill("report.html.j2", style, script, _SOURCES, values)


def _about(report: Report, flag_names: Sequence[str], shown: Report) -> dict[str, Any]:
    """What the page's script knows before it loads any chunk."""
    measures = []
    for measure in report.measures:
        signature = report.metrics[measure.metric].signature if measure.metric in report.metrics else ""
        parts = (
            measure.title,
            measure.hint,
            "in brackets: 95 % interval",
            "below: pairs scored/expected, target×source speakers",
        )
        words = "; ".join(part for part in parts if part)
        best = None if measure.best is None else measure.best * measure.scale
        measures.append({"better": measure.better, "best": best, "title": f"{words}. {signature}".strip()})
    found = samples.about(shown, flag_names)
    trained = training_speakers.trained_marks(report)
    for system, entry in zip(report.systems, found["systems"], strict=True):
        if system.name in trained:
            entry["trained"] = trained[system.name]
    return {**found, "all": measures}


def _numbers(report: Report) -> dict[Any, int]:
    """Places of measures by name and of systems by (name, "system"), as chunks of data use them."""
    numbers: dict[Any, int] = {measure.name: place for place, measure in enumerate(report.measures)}
    return numbers | {(system.name, "system"): place for place, system in enumerate(report.systems)}


def _split(report: Report, names: Sequence[str], kind: str) -> set[str]:
    """Name the measures that have figures to be split by direction or dataset; none where there is only one."""
    if len(names) < 2:
        return set()
    found = report.cells.items()
    place = {"dataset": 2, "direction": 3}[kind]
    return {key[1] for key, cell in found if key[place] != "all" and key[5 - place] == "all" and cell.value is not None}


def facts(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Flatten ``run.json`` into (heading, [(name, value)]), plain values first under an empty heading."""
    plain = [(key, _fact(value)) for key, value in run.items() if not isinstance(value, Mapping | list)]
    if isinstance(run.get("command"), list):
        plain.append(("command", shlex.join(str(part) for part in run["command"])))
    groups = [("", plain)] if plain else []
    for key, value in run.items():
        if isinstance(value, Mapping) and value:
            groups.append((key, [(str(name), _fact(entry)) for name, entry in value.items()]))
        elif isinstance(value, list) and value and key != "command":
            named = all(isinstance(entry, Mapping) and "name" in entry for entry in value)
            groups.append((
                key,
                [
                    (str(entry["name"]), _fact({k: v for k, v in entry.items() if k != "name"}))
                    if named
                    else ("", _fact(entry))
                    for entry in value
                ],
            ))  # fmt: skip
    return groups


def _fact(value: Any) -> str:
    """Put a value of ``run.json`` in words."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_fact(entry)}" for name, entry in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(map(_fact, value)) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None or value == "" else str(value)
