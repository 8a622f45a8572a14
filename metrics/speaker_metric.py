"""What metrics of the speaker's voice have in common: an encoder, and natural speech embedded ahead of calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from vceval.metrics.base import Metric, Workspace
from vceval.metrics.dvectors import Encoder
from vceval.metrics.sv_encoder import SpeakerEncoder
from vceval.records import Utterance

__all__ = ["SpeakerMetric"]


class SpeakerMetric(Metric):
    """A metric that compares speaker embeddings."""

    encoder_type: ClassVar[type[SpeakerEncoder]] = Encoder
    facts: ClassVar[Mapping[str, str]] = {"resampler": "soxr-HQ", "channels": "mean", "dtype": "float32"}
    packages: ClassVar[tuple[str, ...]] = ("resemblyzer", "webrtcvad", "torch", "soxr", "numpy")

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the encoder's weights are read when the first recording needs them."""
        super().open(workspace)
        object.__setattr__(self, "_encoder", self.encoder_type(workspace.cache, workspace.device))

    @property
    def encoder(self) -> SpeakerEncoder:
        """The speaker encoder."""
        self.workspace  # noqa: B018 - complains where open() was not called
        encoder: SpeakerEncoder = self._encoder  # type: ignore[attr-defined]
        return encoder

    def analyse(self, utterance: Utterance) -> None:
        """Embed one natural utterance into the cache.

        Raises:
            ItemError: it can't be read or holds no speech.
        """
        if utterance.speaker is not None:
            self.encoder.embed(utterance.path)

    def analyse_many(self, natural: Sequence[Utterance]) -> None:
        """Embed natural utterances into the cache, all of them together."""
        self.encoder.embed_many(utterance.path for utterance in natural if utterance.speaker is not None)
