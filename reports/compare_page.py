"""The page of ``vceval compare``: differences between runs on the same pairs, and the pairs that changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.audio_links import AudioLinks
from vceval.reports.templating import fill, read
from vceval.results.comparable import Identity, identities
from vceval.results.compare import Comparison, Line
from vceval.results.marks import ALPHA
from vceval.results.merge_runs import run_names
from vceval.results.rundir import RunDirectory, write_atomically
from vceval.results.views import MeasureView

if TYPE_CHECKING:
    import pandas

__all__ = ["write"]

#: Width of a bar of differences in units of its own picture, and what is left free at both ends.
WIDTH, MARGIN = 200.0, 6.0
#: Pairs shown of one measure that got worse most, and as many that got better most.
EXAMPLES = 5


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
    out.mkdir(parents=True, exist_ok=True)
    *styles, script = read(("style.css", "compare.css", "compare.js"))
    links = AudioLinks(out, out)
    measures = [MeasureView.of(entry) for entry in comparison.measures.values()]
    systems = _systems(folders)
    moved = _changes(folders, measures, links)
    values = {
        "runs": [_run(name, folder) for name, folder in zip(run_names(folders), folders, strict=True)],
        "comparison": comparison,
        "signatures": comparison.signatures,
        "measures": [(measure, _entries(comparison, measure, systems), moved[measure.name]) for measure in measures],
        "titles": {name: title for name, (title, _) in systems.items()},
        "verdicts": _verdicts(comparison, measures, {name for name, (_, control) in systems.items() if control}),
        "refused": comparison.refused,
        "alpha": ALPHA,
        "width": WIDTH,
    }
    page = fill("compare.html.j2", "".join(styles), script, {"media": "'self' file:"}, values)
    index = out / "index.html"
    write_atomically(index, page)
    links.clean()
    return index


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
        value=measure.signed(difference.value),
        interval=f"[{measure.signed(low)}, {measure.signed(high)}]" if interval else "",
        p_value="" if p_value is None else "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}",
        verdict=_verdict(difference.value, p_value, measure),
        bar=Bar(*(_place(end, reach) for end in (low, difference.value, high))),
    )


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


@dataclass(frozen=True, slots=True)
class Change:
    """One system's conversion of one pair in the first run and in another: values as stored, links to recordings.

    ``worse`` says whether it changed for the worse; None where the measure has no better side. A link is None where
    there is no recording.
    """

    system: str
    pair: str
    run: int
    values: Sequence[float]
    worse: bool | None
    source: str | None
    target: str | None
    converted: Sequence[str | None]
    transcript: str


@dataclass(frozen=True, slots=True)
class _Side:
    root: Path
    pairs: Mapping[Identity, Mapping[str, str]]
    audio: Mapping[tuple[str, str], str]


def _changes(folders: Sequence[Path], measures: Sequence[MeasureView], links: AudioLinks) -> dict[str, list[Change]]:
    """Find per measure the conversions that changed most from the first run to another, for the worse and the better.

    Args:
        folders: of finished runs.
        measures: those that may be compared.
        links: that make recordings reachable from the page.

    Returns:
        By name of the measure, at most twice ``EXAMPLES`` conversions, the worst first; none that did not change.
    """
    import pandas

    runs = [RunDirectory(folder) for folder in folders]
    sides = [_side(run) for run in runs]
    order = list(dict.fromkeys(identity for side in sides for identity in side.pairs))
    numbers = {identity: number for number, identity in enumerate(order)}
    first, *others = (_values(run, side, numbers) for run, side in zip(runs, sides, strict=True))
    both = pandas.concat(
        first.merge(other, on=["system", "measure", "identity"], suffixes=("", "_after")).assign(run=number)
        for number, other in enumerate(others, 2)
    )
    both = both[both["value"] != both["value_after"]].sort_values(["run", "system", "identity"])
    found = {}
    for measure in measures:
        sign = {"lower": 1.0, "higher": -1.0}.get(measure.better, 0.0)
        moved = both[both["measure"] == measure.name]
        gap = moved["value_after"] - moved["value"]
        moved = moved.assign(worse=gap.abs() if not sign else sign * gap).sort_values(
            "worse", ascending=False, kind="stable"
        )
        chosen = pandas.concat([moved[moved["worse"] > 0].head(EXAMPLES), moved[moved["worse"] < 0].tail(EXAMPLES)])
        columns = (chosen[name].tolist() for name in ("run", "system", "identity", "value", "value_after", "worse"))
        found[measure.name] = [
            _change(sides, run, str(system), order[place], values, (worse > 0) if sign else None, links)
            for run, system, place, *values, worse in zip(*columns, strict=True)
        ]
    return found


def _side(run: RunDirectory) -> _Side:
    rows = run.read_pairs()
    known = identities(rows)
    return _Side(
        run.root,
        {known[row["pair"]]: row for row in rows},
        {(row["system"], row["pair"]): row["path"] for row in run.read_audio()},
    )


def _values(run: RunDirectory, side: _Side, numbers: Mapping[Identity, int]) -> pandas.DataFrame:
    """System, measure, number of the pair's identity, and value of every score."""
    frame = run.read_scores()[["system", "measure", "pair", "value"]].dropna()
    places = {row["pair"]: numbers[identity] for identity, row in side.pairs.items()}
    return frame.assign(identity=frame["pair"].map(places)).drop(columns="pair").dropna()


def _change(
    sides: Sequence[_Side],
    run: int,
    system: str,
    identity: Identity,
    values: Sequence[float],
    worse: bool | None,
    links: AudioLinks,
) -> Change:
    first, other = sides[0], sides[run - 1]
    pair = first.pairs[identity]

    def href(side: _Side, path: str) -> str | None:
        inside = side.root / path
        return links.href(str(inside.resolve()) if path and inside.is_file() else path)

    return Change(
        system=system,
        pair=pair["pair"],
        run=run,
        values=values,
        worse=worse,
        source=href(first, pair["source_path"]),
        target=href(first, pair["reference_path"] or pair["natural_path"] or pair["prompt_paths"].split("|")[0]),
        converted=[href(side, side.audio.get((system, side.pairs[identity]["pair"]), "")) for side in (first, other)],
        transcript=pair["transcript"],
    )
