"""VCC2020: the data of the Voice Conversion Challenge 2020, in four languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout, gender_of
from vceval.corpora.folders import FolderCorpus, subfolders
from vceval.records import Utterance

__all__ = ["Vcc2020"]

#: The first letter of a sentence file, and how the transcription files call its language.
LANGUAGES = {"E": "en", "F": "fi", "G": "de", "M": "zh"}
_LISTS = {"eng": "E", "fin": "F", "ger": "G", "man": "M"}
_SPEAKER = re.compile(r"SE[FM]\d|T[EFGM][FM]\d")
#: Folders between the root of VCC2020 and its speakers: as the archives unpack, alone or each in its own folder.
_FOLDER = re.compile(
    r"source|target_task[12]|vcc2020_(database_)?(training|evaluation|groundtruth)(_source|_target_task[12])?",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"([EFGM])(\d{5})", re.IGNORECASE)
_LINE = re.compile(r"([EFGM]?)(\d{5})(?:\.wav)?\s+(\S.*)", re.IGNORECASE)


def _speakers(folder: Path, depth: int = 3) -> Iterator[Path]:
    """Every speaker folder of VCC2020 in the folders that its archives unpack to, sorted by path."""
    for name, path in subfolders(folder).items():
        if _SPEAKER.fullmatch(name.upper()):
            yield path
        elif depth and _FOLDER.fullmatch(name):
            yield from _speakers(path, depth - 1)


class Vcc2020(FolderCorpus):
    """The reader of VCC2020; utterance ids are speaker and sentence, ``SEF1_E10001``.

    Found in any of these arrangements: the archives unpacked side by side (``source/SEF1``, ``target_task1/TEF1``,
    ``target_task2/TFF1``, ``vcc2020_database_evaluation/SEF1``, ``vcc2020_database_groundtruth/TEF1``), each in a
    folder with its archive's name, or all speakers in one folder with ``prompts/`` beside them.
    The third letter of a speaker is the gender (as the organisers define it); the first letter of a sentence is
    the language that is spoken, whatever the speaker's own.

    Args:
        root: the folder the archives were unpacked in, or the folder around it.

    Raises:
        UsageError: the folder has another layout.
    """

    info = CorpusInfo(
        name="vcc2020",
        title="VCC2020",
        languages=("en", "fi", "de", "zh"),
        sample_rate=24_000,
        licence="ODbL 1.0, contents DbCL 1.0",
        url="https://github.com/nii-yamagishilab/VCC2020-database",
        citation=(
            "Zhao, Huang, Tian, Yamagishi, Das, Kinnunen, Ling, Toda: Voice Conversion Challenge 2020: Intra-lingual "
            "semi-parallel and cross-lingual voice conversion, Joint Workshop for the Blizzard Challenge and Voice "
            "Conversion Challenge 2020, doi:10.21437/VCC_BC.2020-14"
        ),
    )

    layout = Layout(
        "source/SEF1, target_task1/TEF1, target_task2/TFF1 or vcc2020_database_evaluation/SEF1",
        lambda folder: next(_speakers(folder), None) is not None,
        ("VCC2020-database", "VCC2020", "vcc2020"),
    )

    def read(self) -> Iterator[Utterance]:
        """Walk the speakers and their sentences."""
        texts = self._transcripts()
        if not texts:
            self.note(self.root, "no transcription files (*transcriptions*.txt): every transcript is unknown")
        folders = sorted(_speakers(self.root), key=lambda folder: (folder.name.upper(), str(folder)))
        for folder in folders:
            speaker = folder.name.upper()
            recordings = self.recordings(folder, _SENTENCE, ".wav", "E, F, G or M and five digits")
            if not recordings:
                self.note(folder, f"holds no recording of {speaker}")
            sentences = [recording.match[0].upper() for recording in recordings]
            untold = [(name, folder / f"{name}.wav", None) for name in sentences if name not in texts]
            if texts:
                self.note_each(untold, "no transcript in the transcription files", folder)
            for recording, sentence in zip(recordings, sentences, strict=True):
                yield Utterance(
                    id=f"{speaker}_{sentence}",
                    path=recording.path,
                    dataset=self.info.name,
                    speaker=speaker,
                    gender=gender_of(speaker[2]),
                    language=LANGUAGES[sentence[0]],
                    transcript=texts.get(sentence),
                )

    def _transcripts(self) -> dict[str, str]:
        """Sentence (``E10001``) to text, from every transcription file."""
        found: dict[str, str] = {}
        for listing in self._listings():
            language = re.search(r"(eng|fin|ger|man)_transcriptions", listing.name, re.IGNORECASE)
            # The evaluation sentences are English, and their file is the only one that does not say so
            letter = _LISTS[language[1].lower()] if language else "E"
            if language is None and "evaluation" not in listing.name.lower():
                self.note(listing, "its name does not say which language it is in; left out")
                continue
            for number, line in self.lines_of(listing):
                match = _LINE.fullmatch(line)
                if match is None or match[1].upper() not in ("", letter):
                    self.note(listing, f"not a line of sentence number and text: {line[:60]!r}", number)
                    continue
                sentence = letter + match[2]
                if found.setdefault(sentence, match[3]) != match[3]:
                    self.note(listing, f"{sentence} has another text elsewhere, which is used", number)
        return found

    def _listings(self) -> list[Path]:
        folders = [self.root]
        for name, folder in subfolders(self.root).items():
            if name.lower().startswith(("prompts", "transcriptions", "vcc2020")):
                # As deep as vcc2020_database_transcriptions/vcc2020_database_transcriptions/transcriptions_training
                inside = list(subfolders(folder).values())
                folders += [folder, *inside, *(deeper for path in inside for deeper in subfolders(path).values())]
        found = (path for folder in folders for path in folder.glob("*.txt"))
        return sorted(p for p in found if "transcriptions" in p.name.lower() and not p.name.startswith("."))
