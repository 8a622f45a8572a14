"""VCTK 0.92: two microphones, silence trimmed, FLAC."""

from __future__ import annotations

import re
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout
from vceval.corpora.folders import has_folder, named
from vceval.corpora.vctk_family import VctkFamily
from vceval.errors import UsageError

__all__ = ["Vctk"]

MICROPHONES = ("mic1", "mic2")


class Vctk(VctkFamily):
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
    audio_folder = "wav48_silence_trimmed"
    layout = Layout(
        "wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac",
        has_folder(audio_folder),
        ("VCTK-Corpus-0.92", "VCTK-Corpus", "VCTK"),
    )

    def __init__(self, root: Path, microphone: str = "mic1") -> None:
        if microphone not in MICROPHONES:
            raise UsageError(f"VCTK 0.92 has no microphone {microphone!r}; choose {' or '.join(MICROPHONES)}")
        super().__init__(root)
        self.microphone = microphone

    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        pattern = re.compile(rf"{speaker}_(\d+)_(mic[12])", re.IGNORECASE)
        takes: dict[str, dict[str, Path]] = {}
        for recording in self.recordings(folder, pattern, ".flac", f"{speaker}_<number>_mic1 or _mic2"):
            takes.setdefault(f"{speaker}_{recording.match[1]}", {})[recording.match[2].lower()] = recording.path
        other = next(name for name in MICROPHONES if name != self.microphone)
        replaced = [utterance for utterance, paths in takes.items() if self.microphone not in paths]
        if replaced:
            self.note(
                folder,
                f"{speaker}: no {self.microphone} recording of {len(replaced)} of {len(takes)} utterances "
                f"({named(replaced)}); {other} is used for them",
            )
        return {utterance: paths.get(self.microphone) or paths[other] for utterance, paths in takes.items()}
