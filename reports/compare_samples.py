"""The pairs on which two runs differ most, with their recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.audio_links import AudioLinks
from vceval.results.comparable import Identity, identities
from vceval.results.rundir import RunDirectory

if TYPE_CHECKING:
    import pandas

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
        sign = {"lower": 1.0, "higher": -1.0}.get(str(measure["better"]), 0.0)
        moved = both[both["measure"] == measure["name"]]
        gap = moved["value_after"] - moved["value"]
        moved = moved.assign(worse=gap.abs() if not sign else sign * gap).sort_values(
            "worse", ascending=False, kind="stable"
        )
        chosen = pandas.concat([moved[moved["worse"] > 0].head(EXAMPLES), moved[moved["worse"] < 0].tail(EXAMPLES)])
        found[str(measure["name"])] = [
            _change(
                sides[0], sides[run - 1], run, str(system), order[identity], (float(before), float(after)),
                (worse > 0) if sign else None, links,
            )
            for run, system, identity, before, after, worse in zip(
                *(chosen[name].tolist() for name in ("run", "system", "identity", "value", "value_after", "worse")),
                strict=True,
            )
        ]  # fmt: skip
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
    first: _Side,
    other: _Side,
    number: int,
    system: str,
    identity: Identity,
    values: tuple[float, float],
    worse: bool | None,
    links: AudioLinks,
) -> Change:
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
        values=values,
        worse=worse,
        source=href(first, pair["source_path"]),
        target=href(first, target or pair["prompt_paths"].split("|")[0]),
        converted=(converted[0], converted[1]),
        transcript=pair["transcript"],
    )
