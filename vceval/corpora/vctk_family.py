"""What the two releases of VCTK share: speaker-info.txt, one text file per utterance, one folder per speaker."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from vceval.corpora.base import gender_of
from vceval.corpora.folders import FolderCorpus, Speakers, subfolders
from vceval.records import Gender, Utterance

__all__ = ["VctkFamily"]

_SPEAKER = re.compile(r"[ps]\d+", re.IGNORECASE)
#: In speaker-info.txt the older release leaves out the p.
_LISTED = re.compile(r"(?:([ps])?(\d+))", re.IGNORECASE)


class VctkFamily(FolderCorpus):
    """Reads speakers, texts and recordings; a subclass says how recordings are named."""

    #: The folder of the recordings.
    audio_folder: ClassVar[str]

    @abstractmethod
    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        """Utterance id to recording for one speaker, sorted."""

    def read(self) -> Iterator[Utterance]:
        """Walk the speakers and their recordings."""
        listed = self._speakers()
        texts = {name.lower(): path for name, path in subfolders(self.root / "txt").items()}
        if not texts:
            self.note(self.root / "txt", "no texts: every transcript is unknown")
        for speaker, _, audio in self.speakers_in(self.root / self.audio_folder, _SPEAKER, "p225", self._audio, listed):
            transcripts = self._texts(speaker, audio, texts.get(speaker)) if texts else {}
            yield from self.spoken(speaker, audio, transcripts, "en", listed)
        self.note_absent(listed, "here")

    def _texts(self, speaker: str, audio: dict[str, Path], folder: Path | None) -> dict[str, str | None]:
        if folder is None:
            missing = self.root / "txt" / speaker
            self.note(missing, f"no texts of {speaker}: {len(audio)} recordings have no transcript")
            return {}
        listed = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
        files = {path.stem.lower(): path for path in listed if not path.name.startswith(".")}
        without = [(name, folder / f"{name}.txt", None) for name in audio if name not in files]
        self.note_each(without, "no text file: transcript unknown", folder)
        unspoken = [(name, files[name], None) for name in sorted(files) if name not in audio]
        self.note_each(unspoken, "a text without a recording", folder)
        return {name: self.text_of(files[name]) for name in audio if name in files}

    def _speakers(self) -> Speakers:
        """The path of speaker-info.txt and the gender of every speaker listed in it."""
        tables = self.files_named(self.root, "speaker-info.txt")
        if not tables:
            self.note(self.root / "speaker-info.txt", "not there: every gender is unknown")
            return Speakers(None, {})
        table = tables[0]
        genders: dict[str, Gender | None] = {}
        for number, line in self.lines_of(table):
            fields = line.split()
            if fields[0].upper() == "ID":
                continue
            listed = _LISTED.fullmatch(fields[0])
            if listed is None:
                self.note(table, f"{fields[0]!r} is not the id of a speaker (p225); line left out", number)
                continue
            speaker = (listed[1] or "p").lower() + listed[2]
            # The columns are id, age, gender and more words; an age is never a letter, so it may be left out
            gender = next((found for word in fields[1:3] if (found := gender_of(word)) is not None), None)
            if gender is None:
                written = fields[2] if len(fields) > 2 else ""
                self.note(table, f"speaker {speaker}: gender {written!r} is neither F nor M; unknown", number)
            if genders.setdefault(speaker, gender) != gender:
                self.note(table, f"speaker {speaker} is listed twice; the first line is used", number)
        return Speakers(table, genders)
