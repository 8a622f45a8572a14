"""What the two releases of VCTK share: speaker-info.txt, one text file per utterance, one folder per speaker."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from vceval.corpora.folders import FolderCorpus, gender_of
from vceval.corpora.layouts import named, subfolders
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

    def _read(self) -> Iterator[Utterance]:
        table, genders = self._speakers()
        texts = {name.lower(): path for name, path in subfolders(self.root / "txt").items()}
        if not texts:
            self._note(self.root / "txt", "no texts: every transcript is unknown")
        present: set[str] = set()
        for name, folder in subfolders(self.root / self.audio_folder).items():
            if not _SPEAKER.fullmatch(name):
                self._note(folder, f"{name!r} is not the name of a speaker (p225); left out")
                continue
            speaker = name.lower()
            present.add(speaker)
            audio = self._audio(speaker, folder)
            if not audio:
                self._note(folder, f"holds no recording of {speaker}")
                continue
            if table is not None and speaker not in genders:
                self._note(table, f"speaker {speaker} is not listed: gender unknown")
            transcripts = self._texts(speaker, audio, texts.get(speaker)) if texts else {}
            for utterance, path in audio.items():
                yield Utterance(
                    id=utterance,
                    path=path,
                    dataset=self.info.name,
                    speaker=speaker,
                    gender=genders.get(speaker),
                    language="en",
                    transcript=transcripts.get(utterance),
                )
        absent = [speaker for speaker in genders if speaker not in present]
        if table is not None and absent:
            self._note(table, f"{len(absent)} speakers listed have no recordings here: {named(absent)}")

    def _texts(self, speaker: str, audio: dict[str, Path], folder: Path | None) -> dict[str, str | None]:
        if folder is None:
            missing = self.root / "txt" / speaker
            self._note(missing, f"no texts of {speaker}: {len(audio)} recordings have no transcript")
            return {}
        listed = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
        files = {path.stem.lower(): path for path in listed if not path.name.startswith(".")}
        without = [(name, folder / f"{name}.txt", None) for name in audio if name not in files]
        self._note_each(without, "no text file: transcript unknown", folder)
        unspoken = [(name, files[name], None) for name in sorted(files) if name not in audio]
        self._note_each(unspoken, "a text without a recording", folder)
        return {name: self._text(files[name]) for name in audio if name in files}

    def _speakers(self) -> tuple[Path | None, dict[str, Gender | None]]:
        """The path of speaker-info.txt and the gender of every speaker listed in it."""
        tables = self._file(self.root, "speaker-info.txt")
        if not tables:
            self._note(self.root / "speaker-info.txt", "not there: every gender is unknown")
            return None, {}
        table, genders = tables[0], {}  # type: Path, dict[str, Gender | None]
        for number, line in self._lines(table):
            fields = line.split()
            if fields[0].upper() == "ID":
                continue
            listed = _LISTED.fullmatch(fields[0])
            if listed is None:
                self._note(table, f"{fields[0]!r} is not the id of a speaker (p225); line left out", number)
                continue
            speaker = (listed[1] or "p").lower() + listed[2]
            # The columns are id, age, gender and more words; an age is never a letter, so it may be left out
            gender = next((found for word in fields[1:3] if (found := gender_of(word)) is not None), None)
            if gender is None:
                written = fields[2] if len(fields) > 2 else ""
                self._note(table, f"speaker {speaker}: gender {written!r} is neither F nor M; unknown", number)
            if genders.setdefault(speaker, gender) != gender:
                self._note(table, f"speaker {speaker} is listed twice; the first line is used", number)
        return table, genders
