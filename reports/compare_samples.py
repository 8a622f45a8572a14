"""The pairs on which two runs differ most, with their recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.comparable import Identity, identities
from vceval.reports.audio_links import AudioLinks
from vceval.rundir import RunDirectory

__all__ = ["Change", "changes"]

#: Pairs shown of one measure that got worse most, and as many that got better most.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One system's conversion of one pair in the first run and in another: values as stored, links to recordings.

    ``worse`` says whether it changed for the worse; None where the measure has no better side. A link is None where
    there is no recording.
    """

    system: str
    pair: str
    run: int
    values: tuple[float, float]
    worse: bool | None
    source: str | None
    target: str | None
    converted: tuple[str | None, str | None]
    transcript: str


@dataclass(frozen=True, slots=True)
class _Side:
    root: Path
    pairs: Mapping[Identity, Mapping[str, str]]
    scores: Mapping[tuple[str, str, Identity], float]
    audio: Mapping[tuple[str, str], str]


def changes(
    folders: Sequence[Path], measures: Sequence[Mapping[str, Any]], links: AudioLinks
) -> dict[str, list[Change]]:
    """Find per measure the conversions that changed most from the first run to another, for the worse and the better.

    Args:
        folders: of finished runs.
        measures: entries of ``summary.json`` that may be compared.
        links: that make recordings reachable from the page.

    Returns:
        By name of the measure, at most twice ``EXAMPLES`` conversions, the worst first; none that did not change.
    """
    first, *others = [_side(RunDirectory(folder), {str(m["name"]) for m in measures}) for folder in folders]
    found = {}
    for measure in measures:
        name, sign = str(measure["name"]), {"lower": 1.0, "higher": -1.0}.get(str(measure["better"]), 0.0)
        moved = [
            (abs(after - before) if not sign else sign * (after - before), number, key)
            for number, other in enumerate(others, 2)
            for key, after in other.scores.items()
            if key[1] == name and (before := first.scores.get(key)) is not None and before != after
        ]
        moved.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
        worst = [entry for entry in moved if entry[0] > 0][:EXAMPLES]
        best = [entry for entry in moved if entry[0] < 0][-EXAMPLES:]
        found[name] = [
            _change(first, others[number - 2], number, key, (amount > 0) if sign else None, links)
            for amount, number, key in [*worst, *best]
        ]
    return found


def _side(run: RunDirectory, measures: set[str]) -> _Side:
    rows = run.read_pairs()
    known = identities(rows)
    return _Side(
        run.root,
        {known[row["pair"]]: row for row in rows},
        {(system, measure, known[pair]): value for system, measure, pair, value in _values(run, measures)},
        {(row["system"], row["pair"]): row["path"] for row in run.read_audio()},
    )


def _values(run: RunDirectory, measures: set[str]) -> Iterator[tuple[str, str, str, float]]:
    frame = run.read_scores()
    frame = frame[frame["measure"].isin(measures) & frame["value"].notna()]
    columns = [frame[name].tolist() for name in ("system", "measure", "pair", "value")]
    for system, measure, pair, value in zip(*columns, strict=True):
        yield str(system), str(measure), str(pair), float(value)


def _change(
    first: _Side,
    other: _Side,
    number: int,
    key: tuple[str, str, Identity],
    worse: bool | None,
    links: AudioLinks,
) -> Change:
    system, _, identity = key
    pair = first.pairs[identity]
    target = next((pair[name] for name in ("reference_path", "natural_path") if pair[name]), "")

    def href(side: _Side, path: str) -> str | None:
        inside = side.root / path
        return links.href(str(inside.resolve()) if path and inside.is_file() else path)

    converted = [href(side, side.audio.get((system, side.pairs[identity]["pair"]), "")) for side in (first, other)]
    return Change(
        system=system,
        pair=pair["pair"],
        run=number,
        values=(first.scores[key], other.scores[key]),
        worse=worse,
        source=href(first, pair["source_path"]),
        target=href(first, target or pair["prompt_paths"].split("|")[0]),
        converted=(converted[0], converted[1]),
        transcript=pair["transcript"],
    )
