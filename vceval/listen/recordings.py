"""Which recordings of a run a listening test can use: systems, anchors, references."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vceval.errors import UsageError
from vceval.results.rundir import RunDirectory

__all__ = ["ANCHOR_TITLES", "HIGH", "LOW", "MNRU_Q", "PREFIX", "Condition", "Pool", "Recording", "read_pool"]

#: Signal-to-noise ratio of the worst naturalness anchor, dB: speech with noise that follows it (ITU-T P.810).
MNRU_Q = 10.0
#: What names of anchors begin with; no system of a test may bear such a name.
PREFIX = "anchor:"
NATURAL, MNRU, SOURCE, TARGET = (f"{PREFIX}{name}" for name in ("natural", "mnru", "source", "target"))
#: How tables call the anchors.
ANCHOR_TITLES: Mapping[str, str] = {
    NATURAL: "Natural speech",
    MNRU: f"Natural speech with noise (MNRU, {MNRU_Q:g} dB)",
    SOURCE: "Source speaker",
    TARGET: "Target speaker",
}
#: Rows that an attentive listener puts above the others, and below them, by kind of test.
HIGH: Mapping[str, frozenset[str]] = {
    "mos": frozenset({NATURAL, "source", "target"}),
    "smos": frozenset({TARGET, "target"}),
}
LOW: Mapping[str, frozenset[str]] = {"mos": frozenset({MNRU}), "smos": frozenset({SOURCE, "source"})}

#: What is judged: one system or anchor, or the two systems of a preference test in the order of the results.
Condition = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as it will be heard: a file, and what is done to it besides making it equally loud.

    ``mnru`` is the ratio of speech to added noise in dB; ``beeps`` replace the speech after its first second.
    """

    path: str
    mnru: float | None = None
    beeps: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """What can be heard.

    pairs: rows of ``pairs.csv`` by pair.
    systems: the rows of the results that take part, controls included.
    converters: those of them that are no controls.
    audio: recording of each (system or anchor, pair).
    references: natural recording of each pair's target speaker, with other words where there is one.
    sources: natural recording of each pair's source speaker, with other words where there is one.
    natural: any natural recording of a pair, for training and checks.
    """

    pairs: Mapping[str, Mapping[str, str]]
    systems: tuple[str, ...]
    converters: tuple[str, ...]
    audio: Mapping[tuple[str, str], Recording]
    references: Mapping[str, Recording]
    sources: Mapping[str, Recording]
    natural: Mapping[str, Recording]

    def conditions(self, test: str) -> dict[Condition, list[str]]:
        """Name what is judged in a test, with the pairs for which all that is needed is there."""
        found: dict[Condition, list[str]] = {}
        if test == "ab":
            conditions: list[Condition] = list(itertools.combinations(self.converters, 2))
        else:
            conditions = [(name,) for name in (*self.systems, *self._anchors(test))]
        for condition in conditions:
            pairs = [p for p in self.pairs if all(self.fits(test, name, p) for name in condition)]
            if pairs:
                found[condition] = pairs
        return found

    def _anchors(self, test: str) -> tuple[str, ...]:
        """The anchors that a test needs beside the controls that take part."""
        have = set(self.systems)
        if test == "mos":
            return (MNRU,) if have & HIGH["mos"] else (NATURAL, MNRU)
        wanted = ((TARGET, "target"), (SOURCE, "source"))
        return tuple(anchor for anchor, control in wanted if control not in have)

    def beside(self, test: str, pair: str) -> tuple[Recording, ...] | None:
        """The natural recordings that are heard beside what is judged: source, then target; None where one lacks."""
        needed = {"smos": (self.references,), "abx": (self.sources, self.references)}.get(test, ())
        found = tuple(given[pair] for given in needed if pair in given)
        return found if len(found) == len(needed) else None

    def fits(self, test: str, name: str, pair: str) -> bool:
        """Whether a system's or anchor's recording of a pair can be judged: beside itself it says nothing."""
        judged, beside = self.audio.get((name, pair)), self.beside(test, pair)
        return judged is not None and beside is not None and judged not in beside


def read_pool(run: RunDirectory, systems: Sequence[str] = ()) -> Pool:
    """Read what a run offers to listeners.

    Args:
        run: a finished run.
        systems: rows of its results that shall take part, all of them where none is named.

    Raises:
        UsageError: the run is not finished, has no such system, or no converter's audio is there.
    """
    rows = run.read_json("summary.json").get("systems", [])
    known = {str(row["name"]): bool(row.get("control")) for row in rows}
    if unknown := [name for name in systems if name not in known]:
        raise UsageError(f"{run.root}: no system {unknown[0]!r} in this run; it has {', '.join(known)}")
    if named := [name for name in known if name.startswith(PREFIX)]:
        raise UsageError(f"{run.root}: system {named[0]!r} bears a name that anchors have; rename it")
    chosen = tuple(name for name in known if not systems or name in systems)
    pairs = {row["pair"]: row for row in run.read_pairs()}
    audio: dict[tuple[str, str], Recording] = {}
    for row in run.read_audio():
        place = _place(run.root, row["path"])
        if row["system"] in chosen and row["pair"] in pairs and place:
            audio[row["system"], row["pair"]] = Recording(place)
    converters = tuple(name for name in chosen if not known[name])
    if not any(system in converters for system, _ in audio):
        raise UsageError(f"{run.root}: no converted recording is there to listen to; was the run's audio moved?")
    speakers = _speakers(run.root, pairs)
    references, sources, natural = {}, {}, {}
    for name, row in pairs.items():
        source = _place(run.root, row["source_path"])
        prompt = next((p for path in row["prompt_paths"].split("|") if (p := _place(run.root, path))), None)
        held = _place(run.root, row["natural_path"])
        if prompt or held:
            references[name] = Recording(prompt or held or "")
        if source:
            sources[name] = Recording(_other(speakers, row, "source_speaker", source) or source)
        if any_natural := source or held or prompt:
            natural[name] = Recording(any_natural)
            audio[NATURAL, name] = Recording(held or source or any_natural)
            audio[MNRU, name] = Recording(any_natural, mnru=MNRU_Q)
        if source:
            audio[SOURCE, name] = Recording(source)
        target = held or _other(speakers, row, "target_speaker", prompt or "")
        if target:
            audio[TARGET, name] = Recording(target)
    return Pool(pairs, chosen, converters, audio, references, sources, natural)


def _place(root: Path, path: str) -> str | None:
    """Find a recording: relative paths start at the run or at the folder that vceval works in."""
    if not path:
        return None
    return next((str(place.resolve()) for place in (root / path, Path(path)) if place.is_file()), None)


def _speakers(root: Path, pairs: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    """Natural recordings of each speaker of each dataset, with what is said in them where that is known."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in pairs.values():
        said = [(row["source_speaker"], row["source_path"], row["transcript"])]
        said += [(row["target_speaker"], path, "") for path in row["prompt_paths"].split("|")]
        for speaker, path, text in said:
            if speaker and (place := _place(root, path)):
                mine = found.setdefault((row["dataset"], speaker), {})
                mine[place] = text or mine.get(place, "")
    return found


def _other(
    speakers: Mapping[tuple[str, str], Mapping[str, str]], row: Mapping[str, str], who: str, given: str
) -> str | None:
    """Another recording of a speaker with other words, so that words do not give away whose voice is heard."""
    mine = speakers.get((row["dataset"], row[who]), {})
    said = row["transcript"]
    return next((path for path, text in sorted(mine.items()) if path != given and not (said and text == said)), None)
