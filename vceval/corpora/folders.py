"""What the readers of corpora made of folders share: finding the root, listing recordings, reading small texts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vceval import registry
from vceval.corpora.base import Corpus, Layout
from vceval.declared import fault
from vceval.errors import UsageError
from vceval.records import Gender, Utterance

__all__ = [
    "ENDINGS",
    "FolderCorpus",
    "Recording",
    "Speakers",
    "chosen_splits",
    "locate",
    "named",
    "recognise",
    "stems",
    "subfolders",
]

#: Problems of one kind in one place are noted singly up to this number, else as one with their count.
_SINGLY = 5
# str.splitlines would also break at characters that text editors count as part of a line
_NEWLINE = re.compile(r"\r\n|\n|\r")
#: Endings of recordings that are read, the ones first that lose nothing, and of those that are not.
ENDINGS = (".flac", ".wav", ".aiff", ".aif", ".au", ".caf", ".sph", ".ogg", ".opus", ".mp3")
_NOT_READ = frozenset({".m4a", ".pcm", ".raw"})


def subfolders(folder: Path) -> dict[str, Path]:
    """Name and path of every visible folder in a folder, sorted by name; links to folders count."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if not entry.name.startswith((".", "__")) and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{folder}: can't be read ({error.strerror}); check its permissions") from error
    return {name: folder / name for name in sorted(found)}


def stems(folder: Path) -> Iterator[str]:
    """Names, without their ending, of the recordings in a folder, whatever their format; for the test of a layout."""
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, ending = os.path.splitext(entry.name)  # noqa: PTH122 - 44 000 times
            if ending.lower() in ENDINGS and not entry.name.startswith("."):
                yield stem


def named(names: list[str], limit: int = 8) -> str:
    """List a few names and say how many there are besides."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def locate(root: Path, kind: type[Corpus], layout: Layout) -> Path:
    """Find the folder of a corpus: the given one, or one directly in it.

    Raises:
        UsageError: neither has the corpus's layout (the message says what it looks like instead), or several
            folders in it do.
    """
    if layout.matches(root):
        return root
    inside = subfolders(root)
    for name in layout.usual:
        if name in inside and layout.fits(inside[name]):
            return inside[name]
    found = [folder for folder in inside.values() if layout.fits(folder)]
    if len(found) == 1:
        return found[0]
    title = kind.info.title
    if found:
        several = named([str(folder) for folder in found])
        raise UsageError(f"{root}: holds several folders that look like {title}; give one of them: {several}")
    raise UsageError(
        f"{root}: no {title} here; looked for {layout.looked_for} in it and in the folders in it; "
        + _instead(root, kind, layout)
    )


def recognise(folder: Path) -> tuple[str, type[Corpus]] | None:
    """Name the registered corpus that has recordings in a folder, with its class; None when there is none."""
    return next(
        ((name, kind) for name, kind, layout in _laid_out() if layout.fits(folder) and _reads(kind, folder)), None
    )


def _reads(kind: type[Corpus], folder: Path) -> bool:
    """Try a corpus's reader on a folder: whether it finds a recording there."""
    try:
        return next(iter(kind(folder).read()), None) is not None
    except Exception:  # a plug-in may throw anything, and this is asked of a folder that nobody named
        return False


def _laid_out() -> Iterator[tuple[str, type[Corpus], Layout]]:
    """Every registered corpus that can be told by its folder; manifests last, as one may lie in any folder."""
    kinds: dict[str, type[Corpus]] = {}
    for name in registry.names("corpus"):
        try:
            kinds[name] = registry.load("corpus", name)
        except UsageError:
            continue  # a broken plug-in is told by `vceval list corpora` and by `vceval doctor`
    for name, kind in sorted(kinds.items(), key=lambda item: item[0] == "csv"):
        if kind.layout is not None:
            yield name, kind, kind.layout


def _instead(root: Path, kind: type[Corpus], layout: Layout) -> str:
    """Say what a folder looks like that is not the corpus asked for."""
    seen = [(root, "this looks like")]
    seen += [(folder, f"its folder {name} looks like") for name, folder in subfolders(root).items()]
    for folder, words in seen:
        other = recognise(folder)
        if other is not None:
            return f"{words} {other[1].info.title}: use corpus {other[0]}"
    for parent in root.absolute().parents[:3]:
        if layout.fits(parent) and _reads(kind, parent):
            return f"{parent} looks like it: give that folder"
    with os.scandir(root) as entries:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    return f"it holds {named(names)}" if names else "it is empty"


@dataclass(frozen=True, slots=True)
class Recording:
    """An audio file whose name has the form that its corpus gives it: ``match`` is that of the name."""

    path: Path
    match: re.Match[str]


@dataclass(slots=True)
class Speakers:
    """Who is listed in a corpus's table of speakers, and who of them was met among the recordings.

    table: None where the corpus has none; every gender is unknown then.
    """

    table: Path | None
    genders: dict[str, Gender | None]
    met: set[str] = field(default_factory=set)


class FolderCorpus(Corpus):
    """A corpus whose layout is made of folders; the root may also be the folder around it.

    A subclass carries its ``layout``, by which its folder is found.
    """

    layout: ClassVar[Layout]

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = locate(self.root, type(self), self.layout)
        self._copies: set[str] = set()

    @staticmethod
    def declaration_faults(owner: object, name: str) -> list[str]:
        """Say what a corpus's class declares wrongly; also that it has no layout."""
        wanted = "a Layout(what is looked for, a test of a folder, usual names of the folder)"
        return [
            *Corpus.declaration_faults(owner, name),
            *fault(owner, "layout", lambda value: isinstance(value, Layout), wanted),
        ]

    def speakers_in(
        self,
        folder: Path,
        form: re.Pattern[str],
        example: str,
        recordings: Callable[[str, Path], dict[str, Path]],
        listed: Speakers,
    ) -> Iterator[tuple[str, Path, dict[str, Path]]]:
        """Every speaker with a folder in a folder: id, folder, and id and file of every utterance.

        Noted are folders that bear no speaker's name, speakers without a recording, and those who are not listed.

        Args:
            folder: that holds the speakers' folders.
            form: of the name of one.
            example: of such a name, for the notes; the id is the name in the example's case.
            recordings: finds a speaker's utterances, given id and folder.
            listed: the table of speakers; who is met is written down in it.
        """
        for name, path in subfolders(folder).items():
            if not form.fullmatch(name):
                self.note(path, f"{name!r} is not the name of a speaker ({example}); left out")
                continue
            speaker = name.upper() if example.isupper() else name.lower() if example.islower() else name
            new = speaker not in listed.met
            listed.met.add(speaker)
            found = recordings(speaker, path)
            if not found:
                self.note(path, f"holds no recording of {speaker}")
                continue
            if listed.table is not None and new and speaker not in listed.genders:
                self.note(listed.table, f"speaker {speaker} is not listed: gender unknown")
            yield speaker, path, found

    def spoken(
        self,
        speaker: str,
        recordings: dict[str, Path],
        texts: Mapping[str, str | None],
        language: str,
        listed: Speakers,
    ) -> Iterator[Utterance]:
        """The utterances of one speaker, with what is known of them; ``texts`` are by utterance."""
        for utterance, path in recordings.items():
            yield Utterance(
                id=utterance,
                path=path,
                dataset=self.info.name,
                speaker=speaker,
                gender=listed.genders.get(speaker),
                language=language,
                transcript=texts.get(utterance),
            )

    def note_absent(self, listed: Speakers, where: str) -> None:
        """Note the speakers who are listed and were not met; ``where`` completes "have no recordings"."""
        absent = [speaker for speaker in listed.genders if speaker not in listed.met]
        if listed.table is not None and absent:
            message = f"{len(absent)} speakers listed have no recordings {where}: {named(absent)}"
            self.note(listed.table, message)

    def note_each(self, found: Sequence[tuple[str, Path, int | None]], message: str, place: Path) -> None:
        """Note problems of one kind, each (name, path, line): singly while they are few, else as one of ``place``."""
        if len(found) <= _SINGLY:
            for name, path, line in found:
                self.note(path, f"{name}: {message}", line)
        else:
            self.note(place, f"{len(found)} times: {message} ({named([name for name, _, _ in found])})")

    def recordings(self, folder: Path, pattern: re.Pattern[str], suffix: str, form: str) -> list[Recording]:
        """Recordings in a folder, sorted by name, whose name without its ending fits ``pattern``.

        ``suffix`` is the ending that the corpus gives them. One that is there in another format only is a copy that
        somebody made: it is read, and this is noted once. Noted and left out: empty files, links to nothing, audio
        under another name or in a format that is not read. ``form`` is how a message writes the expected name.
        """
        found: dict[str, tuple[int, Recording]] = {}
        strange: list[tuple[str, Path, int | None]] = []
        other: dict[str, list[Path]] = {}
        order = (suffix, *ENDINGS)
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self.note(folder, f"can't be read ({error.strerror})")
            return []
        for entry in entries:
            stem, ending = os.path.splitext(entry.name)  # noqa: PTH122 - 44 000 times
            ending = ending.lower()
            if entry.name.startswith(".") or ending not in (*order, *_NOT_READ):
                continue
            path, match = Path(entry.path), pattern.fullmatch(stem)
            if ending in _NOT_READ:
                if match:
                    other.setdefault(stem.lower(), []).append(path)
                continue
            if match is None:
                strange.append((entry.name, path, None))
                continue
            rank, (best, chosen) = order.index(ending), found.get(stem.lower(), (len(order), None))
            if not entry.is_file():
                self.note(path, "is no file, or a link to nothing; left out")
            elif entry.stat().st_size == 0:
                self.note(path, "is empty; left out")
            elif rank == best and chosen is not None:
                self.note(path, f"the same name as {chosen.path.name} but for its case; left out")
            elif rank < best:
                found[stem.lower()] = rank, Recording(path, match)
        self.note_each(strange, f"not named {form}{suffix}; left out", folder)
        # A copy of a recording in another format is nobody's mistake
        formats = [(path.name, path, None) for stem, paths in other.items() if stem not in found for path in paths]
        self.note_each(formats, f"no {suffix} file of this recording; left out", folder)
        self._note_copies({order[rank] for rank, _ in found.values() if rank}, suffix, folder)
        return [found[stem][1] for stem in sorted(found)]

    def _note_copies(self, endings: set[str], suffix: str, folder: Path) -> None:
        for ending in sorted(endings - self._copies):
            self._copies.add(ending)
            self.note(
                folder,
                f"recordings end with {ending} here, those of {self.info.title} with {suffix}: they are read, but the "
                "rate, level or length of a copy may be another",
            )

    def text_of(self, path: Path) -> str | None:
        """The text of a small file as one line, without blanks around it; None, noted, where there is none."""
        text = self._decoded(path)
        if text is None:
            return None
        joined = " ".join(line for line in (part.strip() for part in _NEWLINE.split(text)) if line)
        if not joined:
            self.note(path, "holds no text")
        return joined or None

    def lines_of(self, path: Path) -> Iterator[tuple[int, str]]:
        """Number and content of the lines of a table that are not blank; a file that can't be read has none."""
        text = self._decoded(path)
        for number, line in enumerate(_NEWLINE.split(text or ""), start=1):
            if line.strip():
                yield number, line.strip()

    def _decoded(self, path: Path) -> str | None:
        try:
            with open(path, "rb") as stream:
                return stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            self.note(path, f"not valid UTF-8 at byte {error.start + 1}", line)
        except OSError as error:
            self.note(path, f"can't be read ({error.strerror})")
        return None

    def files_named(self, folder: Path, *names: str) -> list[Path]:
        """Files of a folder with one of these lower-case names, whatever their case, sorted."""
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.name.lower() in names and entry.is_file()]
        return [folder / name for name in sorted(found)]


def chosen_splits(splits: Sequence[str] | None, present: dict[str, Path], root: Path, title: str) -> dict[str, Path]:
    """The folders of the splits asked for, in the order of their names; None means all that are present.

    Raises:
        UsageError: a split is not there, or none was named.
    """
    if splits is None:
        return present
    wanted = [splits] if isinstance(splits, str) else list(splits)
    absent = [split for split in wanted if split not in present]
    if absent or not wanted:
        asked: Any = ", ".join(map(repr, absent)) or "none"
        raise UsageError(f"{root}: {title} has no split {asked} here; present: {', '.join(present) or 'none'}")
    return {name: folder for name, folder in present.items() if name in wanted}
