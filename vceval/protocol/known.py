"""What is known of natural speech: a corpus, or a table, asked by the names that files of conversions bear."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from vceval.protocol.sampling import normalise, ranked
from vceval.records import ConversionPair, Utterance
from vceval.storage.paths import composed

__all__ = ["PROMPTS", "Known", "other_speech"]

#: Recordings of a speaker that conversions are compared with where the target is no recording.
PROMPTS = 5
#: The order in which they are taken.
_SEED = 0
#: What VCTK's recordings have behind the name of the utterance.
_MICROPHONE = re.compile("_mic[12]$", re.IGNORECASE)
#: Names that one is compared with.
_COMPARED = 2_000
#: Names nearest to one that is nowhere.
_NEAREST = 3


def other_speech(
    spoken: Iterable[Utterance], prompts: Sequence[str], said: Collection[str | None], seed: int, purpose: str
) -> Utterance | None:
    """Choose natural speech of a target by rank: no prompt, and none with words that source or prompts say.

    Args:
        spoken: recordings of the target.
        prompts: ids of those that are prompts.
        said: normalised texts of source and prompts.
        seed: of the ranks.
        purpose: keeps the orders of different choices apart, as in :func:`~vceval.protocol.sampling.ranked`.
    """
    taken = set(said) - {None}
    others = {u.id: u for u in spoken if u.id not in prompts and normalise(u.transcript) not in taken}
    first = next(iter(ranked(others, seed, purpose)), None)
    return None if first is None else others[first]


class Known:
    """Utterances by their ids, by the names of their files, and by their speakers.

    Args:
        utterances: of a corpus or a table; the ids of one that has none are the names of its files.
        what: what messages call it.
        settles: whether what it says of a dataset holds against what a table says, as thresholds are those of a corpus.
    """

    def __init__(self, utterances: Iterable[Utterance], what: str, settles: bool = False) -> None:
        self.what, self.settles = what, settles
        self._spoken: dict[str, list[Utterance]] = defaultdict(list)
        self._ids: dict[str, Utterance] = {}
        self._paths: dict[Path, Utterance] = {}
        stems: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            self._ids[composed(utterance.id)] = utterance
            self._paths[utterance.path] = utterance
            stems[composed(utterance.path.stem)].append(utterance)
            if utterance.speaker is not None:
                self._spoken[composed(utterance.speaker)].append(utterance)
        self._stems = {stem: some[0] for stem, some in stems.items() if len(some) == 1}
        self._parallel: dict[str, dict[str, list[Utterance]]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, name: str) -> Utterance | None:
        """The utterance of a name: its id, or the name of its file; the microphone may be left out or named."""
        name = composed(name)
        plain = _MICROPHONE.sub("", name)
        return self._ids.get(name) or self._stems.get(name) or self._ids.get(plain) or self._stems.get(plain)

    def is_name(self, word: str) -> bool:
        """Whether a word is an utterance, a speaker or a microphone: nothing that a system is called."""
        return self.find(word) is not None or bool(self.speaks(word) or _MICROPHONE.fullmatch(f"_{word}"))

    def of(self, path: Path) -> Utterance | None:
        """The utterance whose recording a file is, or whose name it bears."""
        return self._paths.get(path) or self.find(path.stem)

    def speaks(self, name: str) -> list[Utterance]:
        """The recordings of a speaker, those of nobody for another name."""
        return self._spoken.get(composed(name), [])

    def nearest(self, name: str, speakers: bool = False) -> list[str]:
        """The names nearest to one that is not there: those that differ in zeros or case first."""
        names = {*self._ids, *self._stems, *(self._spoken if speakers else ())}
        alike = sorted(one for one in names if _loose(one) == _loose(name))
        if alike:
            return alike[:_NEAREST]
        begins = list(names)
        for length in range(1, len(name)):  # of tens of thousands, those that begin alike
            if len(begins) <= _COMPARED:
                break
            begins = [one for one in begins if one[:length].casefold() == name[:length].casefold()]
        return difflib.get_close_matches(composed(name), sorted(begins), _NEAREST)

    def prompts(self, speaker: str, avoided: Collection[str | None]) -> tuple[Utterance, ...]:
        """Recordings of a speaker to compare conversions with: none that says one of some texts, where others do."""
        spoken = {one.id: one for one in self.speaks(speaker)}
        order = ranked(spoken, _SEED, "prompts")
        texts = set(avoided) - {None}
        fitting = [name for name in order if normalise(spoken[name].transcript) not in texts] or order
        return tuple(spoken[name] for name in fitting[:PROMPTS])

    def reference(self, source: Utterance, speaker: str | None, prompts: Sequence[Utterance]) -> Utterance | None:
        """The target reading what the source says; a prompt only where it has no other recording of it."""
        text = normalise(source.transcript)
        if text is None or speaker is None or source.speaker == speaker:
            return None
        if speaker not in self._parallel:
            read: dict[str, list[Utterance]] = defaultdict(list)
            for one in self.speaks(speaker):
                if (words := normalise(one.transcript)) is not None:
                    read[words].append(one)
            self._parallel[speaker] = read
        readings = self._parallel[speaker].get(text, [])
        given = {prompt.id for prompt in prompts}
        return next((one for one in readings if one.id not in given), readings[0] if readings else None)

    def natural(self, pair: ConversionPair) -> Utterance | None:
        """Natural speech of a pair's target that no converter was given: its reference where there is one.

        None where the reference is a prompt: other words could not be held against it.
        """
        prompts = [prompt.id for prompt in pair.prompts]
        if pair.reference is not None:
            return pair.reference if pair.reference.id not in prompts else None
        if pair.target_speaker is None:
            return None
        said = [normalise(pair.transcript), *(normalise(prompt.transcript) for prompt in pair.prompts)]
        return other_speech(self.speaks(pair.target_speaker), prompts, said, _SEED, pair.id)


def _loose(name: str) -> str:
    return re.sub(r"0+(?=\d)", "", composed(name).casefold())
