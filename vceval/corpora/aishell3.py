"""AISHELL-3: Mandarin, 218 speakers, 44.1 kHz WAV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout, gender_of
from vceval.corpora.folders import FolderCorpus, Speakers, chosen_splits, subfolders
from vceval.records import Gender, Utterance

__all__ = ["Aishell3"]

_TABLE = "spk-info.txt"
_SPEAKER = re.compile(r"SSB\d+", re.IGNORECASE)
_PINYIN = re.compile(r"[a-zü:]+[1-5]", re.IGNORECASE)


def _is_split(folder: Path) -> bool:
    return any(_SPEAKER.fullmatch(name) for name in subfolders(folder / "wav"))


def _is_aishell3(folder: Path) -> bool:
    return any(_is_split(place) for place in (folder / "train", folder / "test", folder))


class Aishell3(FolderCorpus):
    """The reader of AISHELL-3; utterance ids are ``SSB00050001``.

    The transcript is the characters of content.txt joined, without the pinyin between them. The prosody labels
    (label_train-set.txt) are not read.

    Args:
        root: the folder with train, test and spk-info.txt, the folder around it, or the folder of a single split.
        splits: ``("train",)`` or ``("test",)``; None reads what is present.

    Raises:
        UsageError: the folder has another layout, or a split is not there.
    """

    info = CorpusInfo(
        name="aishell3",
        title="AISHELL-3",
        languages=("zh",),
        sample_rate=44_100,
        licence="Apache 2.0",
        url="https://www.openslr.org/93",
        citation=(
            "Shi, Bu, Xu, Zhang, Li: AISHELL-3: A Multi-Speaker Mandarin TTS Corpus, Interspeech 2021, arXiv:2010.11567"
        ),
    )
    layout = Layout("train/wav/SSB0005 or test/wav/SSB0005", _is_aishell3, ("AISHELL-3", "data_aishell3"))

    def __init__(self, root: Path, splits: Sequence[str] | None = None) -> None:
        super().__init__(root)
        present = {name: self.root / name for name in ("test", "train") if _is_split(self.root / name)}
        if not present:  # the root is a split: the speakers' table lies in it, or beside it
            split = self.root.resolve()
            present = {split.name: split}
            self.root = split if self.files_named(split, _TABLE) else split.parent
        self._folders = chosen_splits(splits, present, self.root, self.info.title)

    def read(self) -> Iterator[Utterance]:
        """Walk the splits, their speakers and recordings."""
        listed = self._speakers()
        for folder in self._folders.values():
            found = self.speakers_in(folder / "wav", _SPEAKER, "SSB0005", self._audio, listed)
            speakers = {speaker: recordings for speaker, _, recordings in found}
            texts = self._transcripts(folder / "content.txt", speakers)
            for speaker, recordings in speakers.items():
                yield from self.spoken(speaker, recordings, texts, "zh", listed)
        self.note_absent(listed, "in what is read")

    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        pattern = re.compile(rf"{speaker}\d+", re.IGNORECASE)
        found = self.recordings(folder, pattern, ".wav", f"{speaker}<number>")
        return {recording.match[0].upper(): recording.path for recording in found}

    def _transcripts(self, listing: Path, speakers: dict[str, dict[str, Path]]) -> dict[str, str | None]:
        """Text of every utterance of a split, noting recordings without a line and lines without a recording."""
        audio = {utterance: path for found in speakers.values() for utterance, path in found.items()}
        if not listing.is_file():
            self.note(listing, f"not there: {len(audio)} recordings have no transcript")
            return {}
        texts: dict[str, str | None] = {}
        silent: list[tuple[str, Path, int | None]] = []
        for number, line in self.lines_of(listing):
            name, *rest = line.split(None, 1)
            utterance = name.removesuffix(".wav").upper()
            text = _characters(rest[0]) if rest else None
            if not re.fullmatch(r"SSB\d+", utterance):
                self.note(listing, f"not a line of recording and text: {line[:60]!r}", number)
                continue
            if text is None:
                self.note(listing, f"{utterance}: not characters, each with its pinyin: {line[:60]!r}", number)
            if utterance in texts:
                self.note(listing, f"{utterance}: second line for this utterance; the first one is used", number)
            elif utterance not in audio:
                silent.append((utterance, listing, number))
            texts.setdefault(utterance, text)
        self.note_each(silent, "a transcript without a recording", listing)
        for found in speakers.values():
            untold = [(utterance, listing, None) for utterance in found if utterance not in texts]
            self.note_each(untold, "no line with its transcript", listing)
        return texts

    def _speakers(self) -> Speakers:
        """The path of spk-info.txt (speaker, age group, gender, accent; # begins a comment) and every gender in it."""
        genders: dict[str, Gender | None] = {}
        tables = self.files_named(self.root, _TABLE)
        if not tables:
            self.note(self.root / _TABLE, "not there: every gender is unknown")
            return Speakers(None, genders)
        for number, line in self.lines_of(tables[0]):
            if line.startswith("#"):
                continue
            fields = line.split()
            if len(fields) < 3 or not _SPEAKER.fullmatch(fields[0]):
                self.note(tables[0], f"not a line of speaker, age group, gender and accent: {line[:60]!r}", number)
                continue
            speaker, gender = fields[0].upper(), gender_of(fields[2])
            if gender is None:
                self.note(tables[0], f"speaker {speaker}: gender {fields[2]!r} is not female or male; unknown", number)
            if genders.setdefault(speaker, gender) != gender:
                self.note(tables[0], f"speaker {speaker} is listed twice; the first line is used", number)
        return Speakers(tables[0], genders)


def _characters(text: str) -> str | None:
    """Join the characters of ``广 guang3 州 zhou1``; None where the line does not have that form."""
    tokens = text.split()
    kept = [token for token in tokens if not _PINYIN.fullmatch(token)]
    # A syllable that ends in r may cover two characters, so they need not alternate; Latin letters must
    alternate = len(tokens) % 2 == 0 and kept == tokens[::2]
    if alternate or (kept and not any(token.isascii() for token in kept)):
        return "".join(kept)
    return None
