"""VCTK 0.80: one microphone, WAV, the release that most published systems were trained on."""

from __future__ import annotations

import re
from pathlib import Path

from vceval.corpora.base import CorpusInfo, Layout
from vceval.corpora.folders import has_folder
from vceval.corpora.vctk_family import VctkFamily

__all__ = ["Vctk080"]


class Vctk080(VctkFamily):
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
    audio_folder = "wav48"
    layout = Layout(
        "wav48/<speaker>/<speaker>_<number>.wav",
        has_folder(audio_folder),
        ("VCTK-Corpus", "VCTK-Corpus-0.80", "VCTK"),
    )

    def _audio(self, speaker: str, folder: Path) -> dict[str, Path]:
        pattern = re.compile(rf"{speaker}_(\d+)", re.IGNORECASE)
        found = self.recordings(folder, pattern, ".wav", f"{speaker}_<number>")
        return {f"{speaker}_{recording.match[1]}": recording.path for recording in found}
