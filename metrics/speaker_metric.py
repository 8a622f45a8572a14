"""What metrics of the speaker's voice have in common: an encoder, and natural speech embedded ahead of calibration."""

from __future__ import annotations

from vceval.metrics.base import Metric, Workspace
from vceval.metrics.dvectors import Encoder
from vceval.records import Utterance

__all__ = ["SpeakerMetric"]


class SpeakerMetric(Metric):
    """A metric that compares speaker embeddings."""

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the encoder's weights are read when the first recording needs them."""
        super().open(workspace)
        object.__setattr__(self, "_encoder", Encoder(workspace.cache, workspace.device))

    @property
    def encoder(self) -> Encoder:
        """The speaker encoder."""
        self.workspace  # noqa: B018 - complains where open() was not called
        encoder: Encoder = self._encoder  # type: ignore[attr-defined]
        return encoder

    def analyse(self, utterance: Utterance) -> None:
        """Embed one natural utterance into the cache.

        Raises:
            ItemError: it can't be read or holds no speech.
        """
        if utterance.speaker is not None:
            self.encoder.embed(utterance.path)
