"""The two releases of VCTK: one folder per speaker, one text file per utterance, and speaker-info.txt.

Release 0.92 has two microphones, silence trimmed, in FLAC: ``wav48_silence_trimmed/p225/p225_001_mic1.flac``. Release
0.80, which most published systems were trained on, has one, in WAV: ``wav48/p225/p225_001.wav``. Copies at other rates,
in other formats and folders (``wav16``, ``vctk-16k``) are known by the names of their recordings.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout, gender_of
from vceval.corpora.folders import FolderCorpus, Speakers, named, stems, subfolders
from vceval.errors import UsageError
from vceval.records import Gender, Utterance

__all__ = ["Vctk", "Vctk080"]

MICROPHONES = ("mic1", "mic2")

_SPEAKER = re.compile(r"[ps]\d+", re.IGNORECASE)
#: In speaker-info.txt the older release leaves out the p.
_LISTED = re.compile(r"(?:([ps])?(\d+))", re.IGNORECASE)


#: The folders of the recordings, as the two releases call them.
_TRIMMED, _PLAIN = "wav48_silence_trimmed", "wav48"
_STEM = re.compile(r"[ps]\d+_\d+(_mic[12])?", re.IGNORECASE)
#: Speakers whose recordings tell which release it is.
_LOOKED_AT = 5


def _naming(folder: Path) -> set[bool]:
    """How the recordings of the first speakers in a folder are named: with a microphone (True), without one (False)."""
    try:
        speakers = [path for name, path in subfolders(folder).items() if _SPEAKER.fullmatch(name)]
        matches = [_STEM.fullmatch(stem) for path in speakers[:_LOOKED_AT] for stem in stems(path)]
    except (OSError, UsageError):
        return set()  # nobody named this folder: one that can't be read is none of the corpus
    return {match[1] is not None for match in matches if match}


def _places(root: Path) -> Iterator[tuple[str, Path, set[bool]]]:
    """Name, folder and naming of what may be the folder of the recordings: those in the root, then the root itself."""
    inside = {name: path for name, path in subfolders(root).items() if name != "txt" and not _SPEAKER.fullmatch(name)}
    for name, path in (*inside.items(), (root.resolve().name, root)):
        yield name, path, _naming(path)


class _VctkFamily(FolderCorpus):
    """Reads speakers, texts and recordings; a subclass says how recordings are found and named."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.audio = self.find_audio(self.root) or self.root
        around = self.root.resolve().parent
        if self.audio == self.root and ((around / "txt").is_dir() or self.files_named(around, "speaker-info.txt")):
            self.root = around  # the folder of the recordings was given: texts and speakers lie beside it

    @staticmethod
    @abstractmethod
    def find_audio(root: Path) -> Path | None:
        """Find the folder of the recordings: one in the root, or the root itself; None where there is none."""

    @abstractmethod
    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        """Utterance id to recording for one speaker, sorted."""

    def read(self) -> Iterator[Utterance]:
        """Walk the speakers and their recordings."""
        listed = self._speakers()
        texts = {name.lower(): path for name, path in subfolders(self.root / "txt").items()}
        if not texts:
            self.note(self.root / "txt", "no texts: every transcript is unknown")
        for speaker, _, audio in self.speakers_in(self.audio, _SPEAKER, "p225", self._audio, listed):
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


class Vctk(_VctkFamily):
    """The reader of VCTK 0.92 (110 speakers of English, 48 kHz); utterance ids are ``p225_001``.

    Args:
        root: the folder with wav48_silence_trimmed, txt and speaker-info.txt, or the folder around it.
        microphone: ``mic1`` (the recordings of release 0.80) or ``mic2``. Where its recording does not exist
            (p280 and p315 have no mic2), that of the other microphone is used, and this is noted for the speaker.

    Raises:
        UsageError: the folder has another layout, or there is no such microphone.
    """

    info = CorpusInfo(
        name="vctk",
        title="VCTK 0.92",
        languages=("en",),
        sample_rate=48_000,
        licence="CC BY 4.0",
        url="https://datashare.ed.ac.uk/handle/10283/3443",
        citation=(
            "Yamagishi, Veaux, MacDonald: CSTR VCTK Corpus: English Multi-speaker Corpus for CSTR Voice Cloning "
            "Toolkit (version 0.92), University of Edinburgh, 2019, doi:10.7488/ds/2645"
        ),
    )
    layout = Layout(
        "wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac, or such names in another folder or format,",
        lambda folder: Vctk.find_audio(folder) is not None,
        ("VCTK-Corpus-0.92", "VCTK-Corpus", "VCTK"),
    )

    @staticmethod
    def find_audio(root: Path) -> Path | None:
        """Find the recordings of release 0.92: those that name a microphone, else any not in 0.80's own folder."""
        fitting = [
            (True not in naming, name != _TRIMMED, place, path)
            for place, (name, path, naming) in enumerate(_places(root))
            if True in naming or (name == _TRIMMED and path != root) or (naming and name != _PLAIN)
        ]
        return min(fitting)[-1] if fitting else None

    def __init__(self, root: Path, microphone: str = "mic1") -> None:
        if microphone not in MICROPHONES:
            raise UsageError(f"VCTK 0.92 has no microphone {microphone!r}; choose {' or '.join(MICROPHONES)}")
        super().__init__(root)
        self.microphone = microphone

    def read(self) -> Iterator[Utterance]:
        """Walk the speakers and their recordings."""
        if True not in _naming(self.audio):
            self.note(
                self.audio, "names of recordings do not say the microphone: they are taken for those of VCTK 0.92, mic1"
            )
        yield from super().read()

    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        pattern = re.compile(rf"{speaker}_(\d+)(?:_(mic[12]))?", re.IGNORECASE)
        takes: dict[str, dict[str, Path]] = {}
        for recording in self.recordings(folder, pattern, ".flac", f"{speaker}_<number>_mic1 or _mic2"):
            microphone = (recording.match[2] or MICROPHONES[0]).lower()
            takes.setdefault(f"{speaker}_{recording.match[1]}", {})[microphone] = recording.path
        other = next(name for name in MICROPHONES if name != self.microphone)
        replaced = [utterance for utterance, paths in takes.items() if self.microphone not in paths]
        if replaced:
            self.note(
                folder,
                f"{speaker}: no {self.microphone} recording of {len(replaced)} of {len(takes)} utterances "
                f"({named(replaced)}); {other} is used for them",
            )
        return {utterance: paths.get(self.microphone) or paths[other] for utterance, paths in takes.items()}


class Vctk080(_VctkFamily):
    """The reader of VCTK 0.80 (109 speakers of English, 48 kHz); utterance ids are those of 0.92, ``p225_001``.

    Args:
        root: the folder with wav48, txt and speaker-info.txt, or the folder around it.

    Raises:
        UsageError: the folder has another layout.
    """

    info = CorpusInfo(
        name="vctk080",
        title="VCTK 0.80",
        languages=("en",),
        sample_rate=48_000,
        licence="ODC-By 1.0",
        url="https://datashare.ed.ac.uk/handle/10283/2651",
        citation=(
            "Veaux, Yamagishi, MacDonald: CSTR VCTK Corpus: English Multi-speaker Corpus for CSTR Voice Cloning "
            "Toolkit, University of Edinburgh, 2017, doi:10.7488/ds/1994"
        ),
    )
    layout = Layout(
        "wav48/<speaker>/<speaker>_<number>.wav, or such names in another folder or format,",
        lambda folder: Vctk080.find_audio(folder) is not None,
        ("VCTK-Corpus", "VCTK-Corpus-0.80", "VCTK"),
    )

    @staticmethod
    def find_audio(root: Path) -> Path | None:
        """Find the recordings of release 0.80: those that name no microphone and are not in 0.92's own folder."""
        fitting = [
            (False not in naming, name != _PLAIN, place, path)
            for place, (name, path, naming) in enumerate(_places(root))
            if (False in naming and name != _TRIMMED) or (name == _PLAIN and not naming and path != root)
        ]
        return min(fitting)[-1] if fitting else None

    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        pattern = re.compile(rf"{speaker}_(\d+)", re.IGNORECASE)
        found = self.recordings(folder, pattern, ".wav", f"{speaker}_<number>")
        return {f"{speaker}_{recording.match[1]}": recording.path for recording in found}
