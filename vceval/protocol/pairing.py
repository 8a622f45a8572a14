"""From files and names to conversion pairs: what belongs together, and what is known of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vceval.errors import UsageError
from vceval.protocol.known import PROMPTS, Known
from vceval.protocol.pairlist import pair_name
from vceval.protocol.sampling import normalise
from vceval.records import Conversion, ConversionPair, Failure, Gender, Utterance, direction_of

__all__ = ["RECORDINGS", "SOURCE_STEMS", "TARGET_STEMS", "UNNAMED", "Conversions", "Line", "gather", "uneven"]

#: What a line may name; lines of one system that agree in all of them are one line written twice.
RECORDINGS = ("converted", "source", "target", "reference")
#: What is known of a pair besides its recordings.
_FACTS = (
    "transcript", "language", "dataset", "direction",
    "source_speaker", "source_gender", "target_speaker", "target_gender",
)  # fmt: skip
#: What speech belongs to where nobody says, natural or converted.
UNNAMED = "unnamed"
#: Stems that mark the source and the target recording beside converted files.
SOURCE_STEMS, TARGET_STEMS = ("src", "source"), ("tgt", "target", "tar")
#: Pairs that a line about a system names.
_NAMED = 3


@dataclass(slots=True)
class Line:
    """One converted file: a row of a table, or a file whose name was read.

    where: for messages. values: text by column, empty where there is none. paths: its recordings. names: sides that
    are utterances or speakers of what is known, as they were named; and as ``pair`` what pairs files where nothing else
    does. utterances: those sides. missing: what is nowhere, in words.
    """

    where: str
    values: dict[str, str]
    paths: dict[str, Path] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    utterances: dict[str, Utterance] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def name(self, side: str, name: str, known: Known) -> bool:
        """Take a side by its name; whether it is known."""
        found = known.find(name)
        if found is not None:
            self.utterances[side], self.names[side] = found, found.id
        elif side == "target" and known.speaks(name):
            self.names[side] = name
        return side in self.names


@dataclass(slots=True)
class Conversions:
    """Conversions to be scored, what was wrong with the others, and notes on how they were read.

    missing: what is nowhere, one line each. advice: what may help against that. lines: what they were read from, by
    system, pair and seed. seeded: whether they tell seeds. encoders: by system the speaker encoders that its rows name.
    """

    conversions: list[Conversion] = field(default_factory=list)
    pairs: dict[str, ConversionPair] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    advice: str = ""
    lines: dict[tuple[str, str, int], Line] = field(default_factory=dict)
    seeded: bool = False
    encoders: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def systems(self) -> list[str]:
        """Names of all systems in the order of their first file."""
        names = [c.system for c in self.conversions] + [f.system for f in self.failures]
        return list(dict.fromkeys(names))


def gather(lines: Sequence[Line], known: Known | None) -> Conversions:
    """Make conversions of lines, and pairs of those that belong together.

    Raises:
        UsageError: a seed stands twice, or belongs to nothing; rows of a system name different encoders.
    """
    gathered = Conversions(seeded=any(line.values.get("seed") for line in lines))
    voices = _voices(lines, known)
    identity: dict[tuple[object, ...], str] = {}
    used: set[str] = set()
    seen: dict[tuple[str, str], int] = {}
    takes: dict[tuple[str, str], dict[int, str]] = {}
    width = len(str(len(lines)))
    for line in lines:
        if named := tuple(sorted({*line.values.get("encoders", "").replace(",", " ").split()})):
            before = gathered.encoders.setdefault(line.values["system"], named)
            if before != named:
                raise UsageError(f"{line.where}: {line.values['system']} has the encoders {named}, and {before} before")
        _complete(line, known)
        sides = tuple(line.names.get(side) or line.paths.get(side) for side in RECORDINGS[1:])
        facts = tuple(map(line.values.get, _FACTS))
        if not any(sides):
            sides = (line.names.get("pair"),)
        key: tuple[object, ...] = (sides, facts) if any(sides) else (line.paths["converted"], facts)
        system = line.values["system"]
        if gathered.seeded and not any(sides):
            raise UsageError(f"{line.where}: a seed needs source, target or reference, which say what the pair is")
        # the same system twice on the same pair without seeds: two takes, kept apart as two pairs
        seen[system, repr(key)] = take = 1 if gathered.seeded else seen.get((system, repr(key)), 0) + 1
        key = (*key, take)
        if key not in identity:
            identity[key] = _identity(line, f"{len(identity) + 1:0{width}d}", used)
            used.add(identity[key])
        name = identity[key]
        if name not in gathered.pairs:
            gathered.pairs[name] = _pair(name, line, known, voices)
        pair = gathered.pairs[name]
        seed = int(line.values.get("seed") or 0)
        first = takes.setdefault((system, pair.id), {}).setdefault(seed, line.where)
        if first != line.where:
            raise UsageError(f"{line.where}: seed {seed} of {system} on this pair stands in {first} already")
        gathered.lines[system, pair.id, seed] = line
        if line.missing:
            reason = f"{line.where}: {'; '.join(line.missing)}"
            gathered.missing.append(reason)
            gathered.failures.append(Failure(system, pair.id, "input", "", reason, seed))
        else:
            gathered.conversions.append(
                Conversion(system, pair, line.paths["converted"], pair.transcript, pair.language, seed)
            )
    counts: dict[str, int] = {}
    for (system, _), mine in takes.items():
        counts[system] = max(counts.get(system, 0), max(mine) + 1)
    for (system, name), mine in takes.items():
        reason = f"{next(iter(mine.values()))}: the pair has no row of this seed, and {system} has {counts[system]}"
        lacking = (seed for seed in range(counts[system]) if seed not in mine)
        gathered.failures += [Failure(system, name, "input", "", reason, seed) for seed in lacking]
    gathered.notes += [*_told_voices(voices), *_told_prompts(gathered.pairs.values())]
    return gathered


def uneven(found: Conversions) -> list[str]:
    """Say of every system that was not given all pairs how many it has, and which it lacks."""
    mine: dict[str, dict[str, None]] = defaultdict(dict)
    for one in found.conversions:
        mine[one.system][one.pair.id] = None
    every = dict.fromkeys(pair for pairs in mine.values() for pair in pairs)
    said = []
    for system, pairs in mine.items():
        if lacking := [name for name in every if name not in pairs]:
            more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            told = f"{system} has {len(pairs)} of {len(every)} pairs; it lacks {', '.join(lacking[:_NAMED])}{more}"
            said.append(told)
    return said


def _voices(lines: Sequence[Line], known: Known | None) -> dict[str, tuple[Utterance, ...]]:
    """Recordings of every speaker that is a target without a recording: with words that no source of his says."""
    if known is None:
        return {}
    said: dict[str, set[str | None]] = defaultdict(set)
    for line in lines:
        if "target" in line.names and "target" not in line.utterances:
            source = line.utterances.get("source")
            said[line.names["target"]].add(normalise(source.transcript) if source else None)
    return {speaker: known.prompts(speaker, texts) for speaker, texts in said.items()}


def _told_voices(voices: Mapping[str, Sequence[Utterance]]) -> list[str]:
    if not voices:
        return []
    speaker, prompts = next(iter(voices.items()))
    named = ", ".join(prompt.id for prompt in prompts)
    return [
        f"{len(voices)} targets are speakers, not recordings: similarity is to up to {PROMPTS} recordings of each, "
        f"chosen by hash, none with a text that is converted where others are there; of {speaker}: {named}"
    ]


def _told_prompts(pairs: Iterable[ConversionPair]) -> list[str]:
    count = sum(
        pair.reference is not None and any(one.path == pair.reference.path for one in pair.prompts) for pair in pairs
    )
    if not count:
        return []
    return [
        f"in {count} pairs the target recording says the source's text: it is prompt and reference of MCD, no control"
    ]


def _complete(line: Line, known: Known | None) -> None:
    """Fill what a line does not say with what is known of its recordings."""
    if known is None:
        return
    values = line.values
    for side in ("source", "target"):
        found = line.utterances.get(side)
        if found is None and side in line.paths:
            found = known.of(line.paths[side])
        if found is None and side in line.names:
            found = known.speaks(line.names[side])[0]
        elif found is not None:
            line.utterances[side] = found
        if found is not None:
            values[f"{side}_speaker"] = values[f"{side}_speaker"] or found.speaker or ""
            values[f"{side}_gender"] = values[f"{side}_gender"] or found.gender or ""
    if (source := line.utterances.get("source")) is not None:
        values["transcript"] = values["transcript"] or source.transcript or ""
        values["language"] = values["language"] or source.language or ""
        values["dataset"] = source.dataset if known.settles else values["dataset"] or source.dataset


def _identity(line: Line, number: str, used: set[str]) -> str:
    """Name a pair: as suites do where its recordings are known by name, else by a number and what it is about."""
    if "source" in line.names and "target" in line.names:
        name = pair_name(line.names["source"], line.names["target"])
        return name if name not in used else f"{name}-{number}"
    path = line.paths.get("source", line.paths["converted"])
    generic = path.stem.lower() in SOURCE_STEMS or not {"source"} & {*line.paths, *line.names}
    text = line.names.get("source") or (path.parent.name if generic and path.parent.name else path.stem)
    return f"{number}-{re.sub(r'[^A-Za-z0-9._-]+', '_', text).strip('._-')[:60] or 'pair'}"


def _pair(
    identifier: str, line: Line, known: Known | None, voices: Mapping[str, tuple[Utterance, ...]]
) -> ConversionPair:
    values = line.values
    dataset = values["dataset"] or UNNAMED
    language = values["language"] or None
    transcript = values["transcript"] or None

    def gender(side: str) -> Gender | None:
        return {"F": "F", "M": "M"}.get(values[f"{side}_gender"])  # type: ignore[return-value]

    def utterance(name: str, side: str, transcript: str | None) -> Utterance | None:
        if name in line.names:
            return line.utterances.get(name)
        if name not in line.paths:
            return None
        identity = values[name] if values[name] else line.paths[name].stem
        speaker = values[f"{side}_speaker"] or None
        return Utterance(identity, line.paths[name], dataset, speaker, gender(side), language, transcript)

    source = utterance("source", "source", transcript)
    prompts = voices.get(line.names.get("target", ""), ())
    if not prompts and (target := utterance("target", "target", None)) is not None:
        prompts = (target,)
    reference = utterance("reference", "target", transcript)
    speaker = values["target_speaker"] or None
    if reference is None and known is not None and (spoken := line.utterances.get("source")) is not None:
        reference = known.reference(spoken, speaker, prompts)
    pair = ConversionPair(
        id=identifier,
        dataset=dataset,
        source=source,
        prompts=prompts,
        reference=reference,
        natural=reference,
        source_speaker=values["source_speaker"] or None,
        source_gender=gender("source"),
        target_speaker=speaker,
        target_gender=gender("target"),
        direction=values["direction"] or direction_of(gender("source"), gender("target")),
        transcript=transcript,
        language=language,
    )
    return pair if known is None else replace(pair, natural=known.natural(pair))
