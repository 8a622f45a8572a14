"""LibriTTS: read English, 24 kHz WAV, one or two text files per utterance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vceval.corpora.base import CorpusInfo
from vceval.corpora.libri_family import LibriFamily, libri_layout

__all__ = ["LibriTTS"]


class LibriTTS(LibriFamily):
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
    layout = libri_layout(".wav", "LibriTTS", "LibriTTS_R")

    def _speaker(self, folder: Path, speaker: str) -> Iterator[tuple[str, Path, str | None]]:
        self._original: list[tuple[str, Path, int | None]] = []
        self._without: list[tuple[str, Path, int | None]] = []
        yield from super()._speaker(folder, speaker)
        self.note_each(self._original, "no normalised text; the original text is used", folder)
        self.note_each(self._without, "no text: neither .normalized.txt nor .original.txt", folder)

    def _chapter(self, folder: Path, speaker: str, chapter: str) -> Iterator[tuple[str, Path, str | None]]:
        pattern = re.compile(rf"{speaker}_{chapter}_\d+_\d+")
        recordings = self.recordings(folder, pattern, ".wav", f"{speaker}_{chapter}_<paragraph>_<sentence>")
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
