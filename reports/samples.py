"""The samples of a report as chunks of data: per pair the source, the target and what every system made of it.

``pairs``        one entry per pair: what the page searches, filters and orders by
``order-N``      values of measure N by system and pair, for ordering; whole numbers (value x scale x 10^decimals)
``samples-N``    all that is shown of :data:`CHUNK` pairs
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vceval.reports.filter_data import exposed
from vceval.reports.page_data import Chunks
from vceval.results.views import MeasureView, Report, SystemView

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CHUNK", "PAGE", "Links", "about", "add_samples", "has_recordings", "spread"]

#: Pairs per chunk, and pairs on a page. A page in any order needs as many chunks as it has pairs, at worst.
CHUNK, PAGE = 20, 10

#: Controls whose recording is the pair's own: their scores stand below it.
_OWN = {"source": "source_path", "target": "natural_path"}


class Links(Protocol):
    """Gives the page a recording: a URL beside it, or the name of a chunk."""

    def href(self, path: str) -> str | None:
        """Return how the page reaches a recording; None where there is none."""

    def picture(self, path: str) -> str | None:
        """Return how the page reaches a drawn spectrogram of a recording; None where it draws one itself."""


def has_recordings(report: Report) -> bool:
    """Whether there is anything to hear: published results are of pairs without recordings."""
    return bool(report.audio) or any(row["source_path"] or row["prompt_paths"] for row in report.pairs)


def about(report: Report, flags: Sequence[str]) -> dict[str, Any]:
    """Say what the page must know before it loads any chunk: names, measures, sizes."""
    return {
        "total": len(report.pairs),
        "chunk": CHUNK,
        "page": PAGE,
        "systems": [{"title": s.title, "control": s.control} for s in report.systems],
        "measures": [
            {"label": m.label, "unit": m.unit, "better": m.better, "decimals": m.decimals, "yes": _yes(report, m)}
            for m in report.sample_measures
        ],
        "flags": list(flags),
        "datasets": list(report.datasets),
        "directions": list(report.directions),
    }


def add_samples(
    report: Report, chunks: Chunks, links: Links, flags: Sequence[str], *, drawn: Collection[int] = ()
) -> None:
    """Write the chunks of all pairs, linking their recordings on the way.

    ``drawn`` are the places of the pairs whose spectrograms are drawn beforehand.
    """
    chunks.add("pairs", _index(report, flags))
    figures = [_figures(report, measure) for measure in report.sample_measures]
    for number, values in enumerate(figures):
        chunks.add(f"order-{number}", [[_whole(v) for v in row] for row in values])
    reasons: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in report.failures:
        stage = row["stage"] if row["seed"] == "0" else f"{row['stage']} with seed {row['seed']}"
        reasons[row["system"], row["pair"]].setdefault(stage, row["reason"])
    maker = _Maker(report, links, reasons, figures, drawn)
    for number, start in enumerate(range(0, len(report.pairs), CHUNK)):
        stop = min(start + CHUNK, len(report.pairs))
        chunks.add(f"samples-{number}", [maker.sample(place) for place in range(start, stop)])


def _yes(report: Report, measure: MeasureView) -> int | None:
    """How a yes is written where every pair has either a yes or a no; None where values lie between."""
    import numpy as np

    column = report.scores.values[:, :, report.scores.measures[measure.name]]
    between = ~(np.isnan(column) | (column == 0) | (column == 1))
    return None if between.any() or measure.unit != "%" else round(measure.scale * 10**measure.decimals)


def spread(report: Report, recordings: int) -> range:
    """Places of pairs, evenly over the list, that together have about so many recordings; all where there are fewer."""
    per_pair = 3 + len(report.audio) / max(1, len(report.pairs))
    wanted = int(recordings / per_pair)
    return range(0, len(report.pairs), max(1, -(-len(report.pairs) // wanted))) if wanted else range(0)


def _index(report: Report, flags: Sequence[str]) -> dict[str, Any]:
    sets, ways = ({name: n for n, name in enumerate(names)} for names in (report.datasets, report.directions))
    numbers = {flag: number for number, flag in enumerate(flags)}
    systems = {system.name: place for place, system in enumerate(report.systems) if not system.control}
    flagged: dict[str, list[list[int]]] = defaultdict(list)
    for (system, pair), found in report.flags.items():
        if system in systems:
            flagged[pair] += [[systems[system], numbers[flag]] for flag in found if flag in numbers]
    failed = {row["pair"] for row in report.failures}
    rows = report.pairs
    return {
        "id": [row["pair"] for row in rows],
        "dataset": [sets.get(row["dataset"], -1) for row in rows],
        "direction": [ways.get(row["direction"], -1) for row in rows],
        "speakers": [f"{row['source_speaker']} {row['target_speaker']}" for row in rows],
        "text": [row["transcript"] for row in rows],
        "flags": {str(place): flagged[row["pair"]] for place, row in enumerate(rows) if flagged.get(row["pair"])},
        "failed": [place for place, row in enumerate(rows) if row["pair"] in failed],
        "trained": [place for place, heard in enumerate(exposed(report)) if heard],
    }


def _figures(report: Report, measure: MeasureView) -> NDArray[Any]:
    """Values of a measure by system and pair, (systems, pairs), as printed but without the point; NaN for none."""
    import numpy as np

    column = report.scores.values[:, :, report.scores.measures[measure.name]]
    figures: NDArray[Any] = np.round(column * measure.scale * 10**measure.decimals)
    return figures


def _whole(value: float) -> int | None:
    return None if value != value else int(value)


class _Maker:
    """Makes what is shown of one pair."""

    def __init__(
        self,
        report: Report,
        links: Links,
        reasons: Mapping[tuple[str, str], Mapping[str, str]],
        figures: Sequence[NDArray[Any]],
        drawn: Collection[int],
    ) -> None:
        self.report, self.links, self.reasons, self.figures, self.drawn = report, links, reasons, figures, drawn

    def sample(self, place: int) -> dict[str, Any]:
        """All that is shown of the pair at one place of the list."""
        report, pair = self.report, self.report.pairs[place]
        own = self._own_controls(pair)
        given = self._given(pair, place, own)
        shown = [s for s in [*report.converters, *report.controls] if s.name not in own.values()]
        made = [found for system in shown if (found := self._converted(system, pair, place)) is not None]
        sample = {
            "id": pair["pair"],
            "dataset": pair["dataset"],
            "direction": pair["direction"],
            "from": pair["source_speaker"],
            "to": pair["target_speaker"],
            "text": pair["transcript"],
            "given": given,
            "made": made,
        }
        return {key: value for key, value in sample.items() if value not in ("", [])}

    def _own_controls(self, pair: Mapping[str, str]) -> dict[str, str]:
        """Find the controls that are the pair's own recordings: which of them to the control's name."""
        found = {}
        for control in self.report.controls:
            column = _OWN.get(control.converter)
            path = self.report.audio.get((control.name, pair["pair"]))
            if column and path and pair[column] and Path(path).name == Path(pair[column]).name:
                found[control.converter] = control.name
        return found

    def _given(self, pair: Mapping[str, str], place: int, own: Mapping[str, str]) -> list[dict[str, Any]]:
        prompts = [path for path in pair["prompt_paths"].split("|") if path]
        wanted = [("Source", pair["source_path"], own.get("source"), "")]
        if pair["reference_path"]:
            wanted.append(("Target", pair["reference_path"], own.get("target"), "same text"))
        elif pair["natural_path"]:
            wanted.append(("Target", pair["natural_path"], own.get("target"), pair["natural_transcript"]))
        if prompts:
            label = "Prompt" if len(prompts) == 1 else f"Prompt 1 of {len(prompts)}"
            if len(wanted) > 1:
                wanted.append((label, prompts[0], None, ""))
            else:  # all that is known of the target's voice
                wanted.append(("Target", prompts[0], None, label.lower()))
        return [
            {"label": label, "note": note, **self._recording(path, "", place), **self._facts(control, pair, place)}
            for label, path, control, note in wanted
            if path
        ]

    def _converted(self, system: SystemView, pair: Mapping[str, str], place: int) -> dict[str, Any] | None:
        key = (system.name, pair["pair"])
        path, why = self.report.audio.get(key, ""), self.reasons.get(key, {})
        if not path and not why and not self.report.scores.has(*key):
            return None
        problem = " ".join(f"{stage} failed: {reason}" for stage, reason in why.items())
        return {
            "system": self.report.scores.systems[system.name],
            **self._recording(path, problem, place),
            **self._facts(system.name, pair, place, flags=not system.control),
        }

    def _recording(self, path: str, problem: str, place: int) -> dict[str, Any]:
        href = self.links.href(path)
        if href is None and not problem:
            problem = f"not found: {Path(path).name}" if path else "no recording"
        found = {
            "src": href,
            "problem": problem,
            "picture": self.links.picture(path) if href and place in self.drawn else None,
        }
        return {key: value for key, value in found.items() if value}

    def _facts(self, system: str | None, pair: Mapping[str, str], place: int, *, flags: bool = False) -> dict[str, Any]:
        """What was measured and heard of a recording."""
        if system is None:
            return {}
        at = self.report.scores.systems[system]
        found: dict[str, Any] = {"values": [_whole(values[at, place]) for values in self.figures]}
        if all(value is None for value in found["values"]):
            del found["values"]
        if (texts := self.report.scores.transcripts.get((at, place))) is not None:
            found |= {"said": texts.reference, "heard": texts.hypothesis}
        if flags and (flagged := self.report.flags.get((system, pair["pair"]))):
            found["flags"] = list(flagged)
        if "trained" in (exposures := self.report.exposures.get((system, pair["pair"]), ("", ""))):
            speakers = zip(("source", "target"), exposures, strict=True)
            found["trained"] = " and ".join(who for who, exposure in speakers if exposure == "trained")
        return found
