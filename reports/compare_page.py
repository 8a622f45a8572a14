"""The page of ``vceval compare``: differences between runs on the same pairs, and the pairs that changed most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.reports.audio_links import AudioLinks
from vceval.reports.templating import fill, read
from vceval.results.compare import Change, Comparison, Line, Verdict
from vceval.results.marks import ALPHA, p_text
from vceval.results.rundir import write_atomically
from vceval.results.views import MeasureView, Report

__all__ = ["write"]

#: Width of a bar of differences in units of its own picture, and what is left free at both ends.
WIDTH, MARGIN = 200.0, 6.0


@dataclass(frozen=True, slots=True)
class Gap:
    """How one run differs from the first: printed texts, a verdict, and where low end, value and high end stand."""

    value: str
    interval: str
    p_value: str
    verdict: str
    bar: Sequence[float]


def write(comparison: Comparison, out: Path) -> Path:
    """Write ``index.html`` and the recordings it plays to a folder, and return the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    *styles, script = read(("style.css", "compare.css", "compare.js"))
    links = AudioLinks(out, out)
    values = {
        "runs": [_run(name, report) for name, report in zip(comparison.runs, comparison.reports, strict=True)],
        "comparison": comparison,
        "measures": [
            (measure, _rows(comparison.of(measure), len(comparison.runs)),
             [_change(comparison, change, links) for change in comparison.changes[measure.name]])
            for measure in comparison.measures
        ],
        "verdicts": [_verdicts(comparison, run) for run in range(1, len(comparison.runs))],
        "alpha": ALPHA,
        "width": WIDTH,
    }  # fmt: skip
    page = fill("compare.html.j2", "".join(styles), script, {"media": "'self' file:"}, values)
    index = out / "index.html"
    write_atomically(index, page)
    links.clean()
    return index


def _run(name: str, report: Report) -> dict[str, str]:
    return {
        "name": name,
        "folder": str(report.root),
        "suite": report.suite,
        "created": str(report.run.get("created") or ""),
        "version": str((report.run.get("versions") or {}).get("vceval", "")),
        "device": str(report.run.get("device") or ""),
    }


def _rows(lines: Sequence[Line], runs: int) -> list[dict[str, Any]]:
    """Print the lines of one measure; their bars have one scale."""
    gaps = [gap for line in lines for gap in line.differences if gap]
    reach = max((abs(end) for gap in gaps for end in (gap.value, *(gap.interval or ())[:2])), default=0.0) or 1.0
    return [
        {
            "line": line,
            "cells": [
                (line.measure.text(cell.value), _ends(cell.low, cell.high, line.measure.text))
                if cell and cell.value is not None
                else None
                for cell in line.cells
            ],
            "gaps": [_gap(line, run, reach) for run in range(1, runs)],
        }
        for line in lines
    ]


def _ends(low: float | None, high: float | None, text: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f"[{text(low)}, {text(high)}]"


def _gap(line: Line, run: int, reach: float) -> Gap | None:
    if (found := line.differences[run]) is None:
        return None
    low, high = found.interval[:2] if found.interval else (None, None)
    ends = (found.value if low is None else low, found.value, found.value if high is None else high)
    bar = [round(WIDTH / 2 + end / reach * (WIDTH / 2 - MARGIN), 1) for end in ends]
    signed = line.measure.signed
    return Gap(signed(found.value), _ends(low, high, signed), p_text(line.corrected[run]), line.verdict(run), bar)


def _verdicts(comparison: Comparison, run: int) -> dict[str, Any]:
    """Count per measure that decides the converters that are better, worse, or not significantly different."""
    rows: dict[str, tuple[MeasureView, Counter[Verdict]]] = {}
    for shown in comparison.measures:
        measure = comparison.decided_by(shown)
        lines = comparison.of(measure) if not shown.secondary else []
        counts = Counter(line.verdict(run) for line in lines if not line.system.control and line.differences[run])
        if counts:
            rows[measure.name] = measure, counts
    return {"number": run + 1, "rows": list(rows.values())}


def _change(comparison: Comparison, change: Change, links: AudioLinks) -> dict[str, Any]:
    """A change with links to its recordings; a link is None where there is no recording."""
    first, other = ((comparison.reports[run], comparison.rows[run][change.pair]) for run in (0, change.run))
    pair = first[1]

    def href(report: Report, path: str) -> str | None:
        inside = report.root / path
        return links.href(str(inside.resolve()) if path and inside.is_file() else path)

    target = pair["reference_path"] or pair["natural_path"] or pair["prompt_paths"].split("|")[0]
    return {
        "title": first[0].titles[change.system],
        "system": change.system,
        "run": change.run + 1,
        "pair": pair["pair"],
        "transcript": pair["transcript"],
        "values": change.values,
        "worse": change.worse,
        "source": href(first[0], pair["source_path"]),
        "target": href(first[0], target),
        "converted": [href(run, run.audio.get((change.system, row["pair"]), "")) for run, row in (first, other)],
    }
