"""The page of ``vceval compare``: differences between runs on the same pairs, in the look of the report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.reports.audio_links import AudioLinks
from vceval.reports.compare_samples import changes
from vceval.results.compare import Comparison, Line
from vceval.results.marks import ALPHA
from vceval.results.merge_runs import run_names
from vceval.results.rundir import RunDirectory, write_atomically
from vceval.results.views import MeasureView

__all__ = ["write"]

#: Width of a bar of differences in units of its own picture, and what is left free at both ends.
WIDTH, MARGIN = 200.0, 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a difference and the ends of its interval stand in a picture of ``WIDTH``; zero is in the middle."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True)
class Gap:
    """How one run differs from the first: printed texts, a picture, and ``better``, ``worse`` or ``same``."""

    value: str
    interval: str
    p_value: str
    verdict: str
    bar: Bar


@dataclass(frozen=True, slots=True)
class Entry:
    """One system on one measure: (value, interval) per run, and a gap per further run; None where it is missing."""

    system: str
    control: bool
    pairs: int
    values: Sequence[tuple[str, str] | None]
    gaps: Sequence[Gap | None]


def write(comparison: Comparison, folders: Sequence[Path], out: Path) -> Path:
    """Write ``index.html`` and the recordings it plays to a folder, and return the path of the page.

    Raises:
        UsageError: a run is unreadable.
    """
    import jinja2
    from markupsafe import Markup

    out.mkdir(parents=True, exist_ok=True)
    templates = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = lambda text: text.replace("-", "−")
    style = "".join((templates / name).read_text(encoding="utf-8") for name in ("style.css", "compare.css"))
    script = (templates / "compare.js").read_text(encoding="utf-8")
    links = AudioLinks(out, out)
    measures = [_measure(entry) for entry in comparison.measures.values()]
    systems = _systems(folders)
    moved = changes(folders, list(comparison.measures.values()), links)
    page = environment.get_template("compare.html.j2").render(
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        runs=[_run(name, folder) for name, folder in zip(run_names(folders), folders, strict=True)],
        comparison=comparison,
        signatures=comparison.signatures,
        measures=[(measure, _entries(comparison, measure, systems), moved[measure.name]) for measure in measures],
        titles={name: title for name, (title, _) in systems.items()},
        verdicts=_verdicts(comparison, measures, {name for name, (_, control) in systems.items() if control}),
        refused=comparison.refused,
        alpha=ALPHA,
        width=WIDTH,
    )
    index = out / "index.html"
    write_atomically(index, page)
    links.clean()
    return index


def _measure(entry: Mapping[str, Any]) -> MeasureView:
    name, metric, label, unit, better = (str(entry[key]) for key in ("name", "metric", "label", "unit", "better"))
    return MeasureView(
        name,
        metric,
        label,
        unit,
        better,
        scale=float(entry["scale"]),
        decimals=int(entry["decimals"]),
        secondary=bool(entry.get("secondary", False)),
    )


def _run(name: str, folder: Path) -> dict[str, str]:
    about, summary = RunDirectory(folder).read_json("run.json"), RunDirectory(folder).read_json("summary.json")
    return {
        "name": name,
        "folder": str(folder),
        "suite": str(summary.get("suite") or ""),
        "created": str(about.get("created") or ""),
        "version": str((about.get("versions") or {}).get("vceval", "")),
        "device": str(about.get("device") or ""),
    }


def _systems(folders: Sequence[Path]) -> dict[str, tuple[str, bool]]:
    """Title of every system, and whether it is a control, as the first run says that has it; converters first."""
    found: dict[str, tuple[str, bool]] = {}
    for folder in folders:
        for entry in RunDirectory(folder).read_json("summary.json").get("systems", ()):
            name = str(entry["name"])
            found.setdefault(name, (str(entry.get("title") or name), bool(entry.get("control"))))
    return dict(sorted(found.items(), key=lambda item: item[1][1]))


def _entries(comparison: Comparison, measure: MeasureView, systems: Mapping[str, tuple[str, bool]]) -> list[Entry]:
    order = {name: place for place, name in enumerate(systems)}
    lines = [line for line in comparison.lines if line.measure == measure.name]
    lines.sort(key=lambda line: order.get(line.system, 0))
    ends = [end for line in lines for gap in line.differences if gap for end in (gap.value, *(gap.interval or ())[:2])]
    reach = max((abs(end) for end in ends), default=0.0) or 1.0
    return [
        Entry(
            *systems.get(line.system, (line.system, False)),
            line.pairs,
            [
                None
                if found is None
                else (
                    measure.text(found[0]),
                    f"[{measure.text(found[1].low)}, {measure.text(found[1].high)}]" if found[1] else "",
                )
                for found in line.values
            ],
            [_gap(line, run, measure, reach) for run in range(1, len(comparison.runs))],
        )
        for line in lines
    ]


def _gap(line: Line, run: int, measure: MeasureView, reach: float) -> Gap | None:
    difference, p_value = line.differences[run], line.corrected[run]
    if difference is None:
        return None
    interval = difference.interval
    low, high = (interval.low, interval.high) if interval else (difference.value, difference.value)
    return Gap(
        value=_signed(measure, difference.value),
        interval=f"[{_signed(measure, low)}, {_signed(measure, high)}]" if interval else "",
        p_value="" if p_value is None else "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}",
        verdict=_verdict(difference.value, p_value, measure),
        bar=Bar(*(_place(end, reach) for end in (low, difference.value, high))),
    )


def _signed(measure: MeasureView, value: float) -> str:
    text = measure.text(value)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"


def _place(value: float, reach: float) -> float:
    return round(WIDTH / 2 + value / reach * (WIDTH / 2 - MARGIN), 1)


def _verdict(value: float, p_value: float | None, measure: MeasureView) -> str:
    """Judge a difference: better or worse only where it is significant and the measure has a better side."""
    if p_value is None or p_value >= ALPHA or measure.better not in ("lower", "higher"):
        return "same"
    return "better" if (value < 0) == (measure.better == "lower") else "worse"


def _verdicts(comparison: Comparison, measures: Sequence[MeasureView], controls: set[str]) -> list[dict[str, Any]]:
    """Count per further run and measure the converters that are better, worse, or not significantly different."""
    found = []
    for run in range(1, len(comparison.runs)):
        rows = []
        for measure in measures:
            gaps = [
                _verdict(gap.value, line.corrected[run], measure)
                for line in comparison.lines
                if line.measure == measure.name
                and line.system not in controls
                and (gap := line.differences[run]) is not None
            ]
            if gaps:
                counts = {verdict: gaps.count(verdict) for verdict in ("better", "worse", "same")}
                rows.append({"measure": measure, **counts})
        found.append({"number": run + 1, "rows": rows})
    return found


def _policy(style: str, script: str) -> str:
    """Allow this page's own style and script, and recordings beside it; nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; media-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )
