"""LibriSpeech and LibriTTS, read English: splits, speakers, chapters and a table of speakers.

LibriSpeech is 16 kHz FLAC with one transcript file per chapter, LibriTTS 24 kHz WAV with one or two text files per
utterance.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout, gender_of
from vceval.corpora.folders import FolderCorpus, chosen_splits, named, stems, subfolders
from vceval.errors import UsageError
from vceval.records import Gender, Utterance

__all__ = ["LibriSpeech", "LibriTTS"]

#: Subsets as LibriSpeech and LibriTTS distribute them.
STANDARD_SPLITS = (
    "dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500",
)  # fmt: skip


def _chapters(folder: Path) -> Iterator[tuple[str, Path]]:
    for split in subfolders(folder).values():
        yield from _chapters_of_split(split)


def _chapters_of_split(split: Path) -> Iterator[tuple[str, Path]]:
    """Speakers with the folders in which they may have recordings: of their chapters, and their own."""
    for speaker, path in subfolders(split).items():
        if speaker.isdecimal():
            yield from ((speaker, chapter) for name, chapter in subfolders(path).items() if name.isdecimal())
            yield speaker, path


def _layout(form: str, written: str, *usual: str) -> Layout:
    """Make the layout <split>/<speaker>/<chapter>/<recording>, from the folder of all splits or of one.

    Both corpora have the same folders; ``form`` is that of the names of recordings, whatever their format.
    """

    def matches(folder: Path) -> bool:
        return any(
            re.fullmatch(form, stem) and re.split("[-_]", stem)[0] == speaker
            for walk in (_chapters, _chapters_of_split)
            for _, (speaker, chapter) in zip(range(40), walk(folder), strict=False)
            for stem in stems(chapter)
        )

    return Layout(f"<split>/<speaker>/<chapter>/{written} (split: test-clean and so on)", matches, usual)


class _LibriFamily(FolderCorpus):
    """Walks splits, speakers and chapters; a subclass reads one chapter.

    Copies without folders of chapters are read by the names of their recordings, which say the chapter; this is noted.

    Args:
        root: the folder that holds the splits, the folder around it, or the folder of a single split.
        splits: the splits to read (``("test-clean",)``); None reads every split that is present.

    Raises:
        UsageError: the folder has another layout, or a split is not there.
    """

    def __init__(self, root: Path, splits: Sequence[str] | None = None) -> None:
        super().__init__(root)
        self._flat = False
        inside = subfolders(self.root)
        if any(name.isdecimal() for name in inside) and not any(name in STANDARD_SPLITS for name in inside):
            # The root is a split: its speakers' table lies beside it
            present = {self.root.resolve().name: self.root}
            self.root = self.root.resolve().parent
        else:
            present = {name: path for name, path in inside.items() if name in STANDARD_SPLITS or name in (splits or ())}
        self._folders = chosen_splits(splits, present, self.root, self.info.title)
        if not self._folders:
            raise UsageError(
                f"{self.root}: none of its folders ({named(list(inside))}) is a split of {self.info.title} "
                f"({', '.join(STANDARD_SPLITS)}); name the one to read with splits"
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read."""
        return tuple(self._folders)

    @abstractmethod
    def _chapter(self, folder: Path, speaker: str, chapter: str = "") -> Iterator[tuple[str, Path, str | None]]:
        """Id, recording and transcript of every utterance of a chapter in a folder, or of all in it, sorted."""

    def _speaker(self, folder: Path, speaker: str) -> Iterator[tuple[str, Path, str | None]]:
        for chapter, path in subfolders(folder).items():
            if chapter.isdecimal():
                yield from self._chapter(path, speaker, chapter)
            else:
                self.note(path, f"{chapter!r} is not the number of a chapter; left out")
        if any(stems(folder)):
            if not self._flat:
                self.note(folder, "recordings lie here, not in folders of chapters: they are read by their names")
            self._flat = True
            yield from self._chapter(folder, speaker)

    def read(self) -> Iterator[Utterance]:
        """Walk the splits, their speakers and chapters."""
        table, genders, subsets = self._speakers()
        for split, folder in self._folders.items():
            speakers = subfolders(folder)
            if not speakers:
                self.note(folder, "holds no speakers")
            for speaker, path in speakers.items():
                if not speaker.isdecimal():
                    self.note(path, f"{speaker!r} is not the number of a speaker; left out")
                    continue
                if table is not None and speaker not in genders:
                    self.note(table, f"speaker {speaker} is not listed: gender unknown")
                count = 0
                for count, (utterance, audio, transcript) in enumerate(self._speaker(path, speaker), start=1):  # noqa: B007
                    yield Utterance(
                        id=utterance,
                        path=audio,
                        dataset=self.info.name,
                        speaker=speaker,
                        gender=genders.get(speaker),
                        language="en",
                        transcript=transcript,
                    )
                if not count:
                    self.note(path, f"holds no recording of speaker {speaker}")
            absent = [speaker for speaker, subset in subsets.items() if subset == split and speaker not in speakers]
            if table is not None and absent:
                self.note(table, f"{len(absent)} speakers listed for {split} have no folder there: {named(absent)}")

    def _speakers(self) -> tuple[Path | None, dict[str, Gender | None], dict[str, str]]:
        """The first table of speakers, and gender and subset of every speaker listed in any.

        LibriSpeech has SPEAKERS.TXT (columns parted by bars, comments begin with a semicolon), LibriTTS has
        speakers.tsv (the first line is a header) and some copies of it SPEAKERS.txt.
        """
        genders: dict[str, Gender | None] = {}
        subsets: dict[str, str] = {}
        tables = self.files_named(self.root, "speakers.txt", "speakers.tsv")
        if not tables:
            self.note(self.root / "SPEAKERS.TXT", "not there, nor speakers.tsv: every gender is unknown")
        for table in tables:
            for number, line in self.lines_of(table):
                if line.startswith(";") or (number == 1 and line.upper().startswith(("READER", "ID"))):
                    continue
                fields = line.split("|", 4) if "|" in line.split("\t", 1)[0] else line.split(None, 3)
                fields = [field.strip() for field in fields]
                if len(fields) < 3 or not fields[0].isdecimal():
                    self.note(table, f"not a line of speaker, sex and subset: {line[:60]!r}", number)
                    continue
                speaker, gender = fields[0], gender_of(fields[1])
                if gender is None:
                    self.note(table, f"speaker {speaker}: sex {fields[1]!r} is neither F nor M; unknown", number)
                if genders.setdefault(speaker, gender) != gender:
                    self.note(table, f"speaker {speaker}: sex {fields[1]} here, {genders[speaker]} before", number)
                subsets.setdefault(speaker, fields[2])
        return (tables[0] if tables else None), genders, subsets


class LibriSpeech(_LibriFamily):
    """The reader of LibriSpeech; utterance ids are ``1998-15444-0000``, texts stay in capitals as distributed.

    Args:
        root: the folder that holds the splits, the folder around it, or the folder of a single split.
        splits: the splits to read (``("test-clean",)``); None reads every split that is present.

    Raises:
        UsageError: the folder has another layout, or a split is not there.
    """

    info = CorpusInfo(
        name="librispeech",
        title="LibriSpeech",
        languages=("en",),
        sample_rate=16_000,
        licence="CC BY 4.0",
        url="https://www.openslr.org/12",
        citation=(
            "Panayotov, Chen, Povey, Khudanpur: Librispeech: an ASR corpus based on public domain audio books, "
            "ICASSP 2015"
        ),
    )
    layout = _layout(r"\d+-\d+-\d+", "<speaker>-<chapter>-<number>.flac", "LibriSpeech")

    def _chapter(self, folder: Path, speaker: str, chapter: str = "") -> Iterator[tuple[str, Path, str | None]]:
        pattern = re.compile(rf"{speaker}-({chapter or '[0-9]+'})-\d+")
        chapters: dict[str, dict[str, Path]] = {chapter: {}} if chapter else {}
        for found in self.recordings(folder, pattern, ".flac", f"{speaker}-{chapter or '<chapter>'}-<number>"):
            chapters.setdefault(found.match[1], {})[found.match[0]] = found.path
        for name, audio in chapters.items():
            yield from self._told(folder / f"{speaker}-{name}.trans.txt", audio)

    def _told(self, listing: Path, audio: dict[str, Path]) -> Iterator[tuple[str, Path, str | None]]:
        """The recordings of one chapter with the transcripts of its file."""
        texts = self._transcripts(listing)
        if texts is not None:
            silent = [(name, listing, line) for name, (line, _) in texts.items() if name not in audio]
            self.note_each(silent, "a transcript without a recording", listing)
            untold = [(name, listing, None) for name in audio if name not in texts]
            self.note_each(untold, "no line with its transcript", listing)
        elif audio:
            self.note(listing, f"not there: {len(audio)} recordings have no transcript")
        for name, path in audio.items():
            yield name, path, (texts or {}).get(name, (0, None))[1]

    def _transcripts(self, listing: Path) -> dict[str, tuple[int, str | None]] | None:
        """Line number and text of every utterance of a chapter; None where the file is missing."""
        if not listing.is_file():
            return None
        found: dict[str, tuple[int, str | None]] = {}
        for number, line in self.lines_of(listing):
            name, *text = line.split(None, 1)
            if not text:
                self.note(listing, f"{name}: no text", number)
            if name in found:
                self.note(listing, f"{name}: second line for this utterance; the first one is used", number)
            found.setdefault(name, (number, text[0] if text else None))
        return found


class LibriTTS(_LibriFamily):
    """The reader of LibriTTS and LibriTTS-R; utterance ids are ``1054_143005_000022_000001``.

    The transcript is the normalised text (numbers and abbreviations written out, as they are read); where only the
    original text exists it is used, and this is noted for the speaker.

    Args:
        root: the folder that holds the splits, the folder around it, or the folder of a single split.
        splits: the splits to read (``("test-clean",)``); None reads every split that is present.

    Raises:
        UsageError: the folder has another layout, or a split is not there.
    """

    info = CorpusInfo(
        name="libritts",
        title="LibriTTS",
        languages=("en",),
        sample_rate=24_000,
        licence="CC BY 4.0",
        url="https://www.openslr.org/60",
        citation=(
            "Zen, Dang, Clark, Zhang, Weiss, Jia, Chen, Wu: LibriTTS: A Corpus Derived from LibriSpeech for "
            "Text-to-Speech, Interspeech 2019"
        ),
    )
    layout = _layout(r"\d+_\d+_\d+_\d+", "<speaker>_<chapter>_<paragraph>_<sentence>.wav", "LibriTTS", "LibriTTS_R")

    def _speaker(self, folder: Path, speaker: str) -> Iterator[tuple[str, Path, str | None]]:
        self._original: list[tuple[str, Path, int | None]] = []
        self._without: list[tuple[str, Path, int | None]] = []
        yield from super()._speaker(folder, speaker)
        self.note_each(self._original, "no normalised text; the original text is used", folder)
        self.note_each(self._without, "no text: neither .normalized.txt nor .original.txt", folder)

    def _chapter(self, folder: Path, speaker: str, chapter: str = "") -> Iterator[tuple[str, Path, str | None]]:
        pattern = re.compile(rf"{speaker}_{chapter or '[0-9]+'}_\d+_\d+")
        form = f"{speaker}_{chapter or '<chapter>'}_<paragraph>_<sentence>"
        recordings = self.recordings(folder, pattern, ".wav", form)
        texts = {path.name for path in folder.glob("*.txt")} if recordings else set()
        for recording in recordings:
            name, transcript = recording.match[0], None
            if f"{name}.normalized.txt" in texts:
                transcript = self.text_of(folder / f"{name}.normalized.txt")
            if transcript is None and f"{name}.original.txt" in texts:
                transcript = self.text_of(folder / f"{name}.original.txt")
                if transcript is not None:
                    self._original.append((name, folder / f"{name}.normalized.txt", None))
            if not texts & {f"{name}.normalized.txt", f"{name}.original.txt"}:
                self._without.append((name, folder / f"{name}.normalized.txt", None))
            yield name, recording.path, transcript
