"""LibriSpeech: read English, 16 kHz FLAC, one transcript file per chapter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vceval.corpora.base import CorpusInfo
from vceval.corpora.libri_family import LibriFamily, libri_layout

__all__ = ["LibriSpeech"]


class LibriSpeech(LibriFamily):
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
    layout = libri_layout(".flac", "LibriSpeech")

    def _chapter(self, folder: Path, speaker: str, chapter: str) -> Iterator[tuple[str, Path, str | None]]:
        pattern = re.compile(rf"{speaker}-{chapter}-\d+")
        audio = {
            recording.match[0]: recording.path
            for recording in self.recordings(folder, pattern, ".flac", f"{speaker}-{chapter}-<number>")
        }
        listing = folder / f"{speaker}-{chapter}.trans.txt"
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
