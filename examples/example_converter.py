"""A converter: the source at the level of its prompts, where a model would stand."""

from collections.abc import Sequence

import numpy as np

from vceval.converters.base import Converter, ConverterInfo
from vceval.signal.audio import Waveform


class SameLevel(Converter):
    """Gives the source the peak of the target's prompts."""

    info = ConverterInfo("same-level", "Same level", None, "Apache-2.0", "Doe, Levels, 2026", "native")

    def encode_content(self, sources: Sequence[Waveform]) -> list[Waveform]:
        """Encode what is said; batched, one result per source."""
        return list(sources)

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[float]:
        """Encode who shall say it, one result per list of prompts."""
        return [max(float(np.abs(wave.samples).max()) for wave in voice) for voice in prompts]

    def decode(self, items: Sequence[tuple[Waveform, float]], seeds: Sequence[int]) -> list[Waveform]:
        """Make audio from (content, speaker); seeds drive whatever noise a model draws."""
        return [Waveform(said.samples * np.float32(peak / np.abs(said.samples).max()), said.sample_rate)
                for said, peak in items]  # fmt: skip
