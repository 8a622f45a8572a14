"""Fake-speech detection by similarity to real speech of the target speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.cache import file_digest
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Statistics, Workspace
from vceval.metrics.dvectors import encoder_name
from vceval.metrics.speaker_metric import SpeakerMetric
from vceval.metrics.trials import Speech, Trials, calibration, embed_natural, pair_keys, smallest
from vceval.records import Conversion, Utterance
from vceval.sampling import rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FakeDetection"]


@dataclass(frozen=True)
class FakeDetection(SpeakerMetric):
    """Mean similarity to a few real recordings of the target speaker, as in Resemblyzer's fake-speech demo.

    ``fake_score`` is the mean cosine of the converted recording and ``references`` natural recordings of the target
    speaker, which ``seed`` draws: never the scored recording or a copy of it; fewer where there are no
    more (``details`` says how many). ``fake_accept`` is the share taken for real at the demo's published
    threshold, ``fake_accept_calibrated`` at the threshold of equal errors on natural speech of the same
    corpus: real recordings of the speaker against those of others. A high score says that the voice is
    like the speaker's; it does not say that a listener or a trained detector would be deceived.

    Source: Resemble AI, Resemblyzer, demo 05 (fake speech detection); encoder as in the ``sv`` metric.
    """

    references: int = 6
    threshold: float = 0.84
    trials: int = 30_000
    seed: int = 0

    name: ClassVar[str] = "fake"
    title: ClassVar[str] = "Fake-speech detection"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"natural"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("fake_score", "Fake score", "", "higher", decimals=3),
        Measure("fake_accept", "Real at 0.84", "%", "higher", scale=100.0, decimals=1),
        Measure("fake_accept_calibrated", "Real (cal.)", "%", "higher", scale=100.0, decimals=1),
    )
    source: ClassVar[str] = "Resemble AI, Resemblyzer, fake speech detection demo"

    def signature(self) -> str:
        """Name every choice that changes the values."""
        return (
            f"FAKE|enc:{encoder_name()}|sr:16000|level:-30dB|vad:webrtc3|refs:{self.references}"
            f"|thr:{self.threshold:g},eer-interpolated|trials:{self.trials}|seed:{self.seed}|v:{self.version}"
        )

    def open(self, workspace: Workspace) -> None:
        """Take the workspace and sort its natural speech by dataset and speaker."""
        super().open(workspace)
        voices: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
        for utterance in workspace.natural:
            if utterance.speaker is not None:
                voices[utterance.dataset, utterance.speaker].append(utterance)
        for group in voices.values():
            group.sort(key=lambda item: (rank(self.seed, "trial", item.id), item.id))
        object.__setattr__(self, "_voices", dict(voices))

    def calibrate(self, dataset: str, natural: Sequence[Utterance]) -> Mapping[str, Any]:
        """Find EER and threshold: real recordings scored as conversions are, for their own and for other speakers."""
        speech = embed_natural(natural, self.encoder, self.seed)
        trials = self._trials(speech) if len(speech.ids) > 1 else None
        return calibration(speech, trials, self.encoder.name, self.seed)

    def _trials(self, speech: Speech) -> Trials:
        import numpy as np

        order = np.lexsort((np.arange(len(speech.ids)), speech.rank))
        claims = np.array([rank(self.seed, "claim", speaker) for speaker in speech.speakers], dtype=np.uint64)
        scores = np.zeros((len(speech.ids), len(speech.speakers)))
        valid = np.ones(scores.shape, dtype=bool)
        for claimed in range(len(speech.speakers)):
            voice = order[speech.speaker[order] == claimed]
            scores[:, claimed] = speech.embeddings @ self._mean(speech, voice)
            contents = set(speech.content[voice].tolist())
            for utterance in np.flatnonzero([content in contents for content in speech.content.tolist()]):
                others = voice[speech.content[voice] != speech.content[utterance]]
                if len(others):
                    scores[utterance, claimed] = speech.embeddings[utterance] @ self._mean(speech, others)
                valid[utterance, claimed] = len(others) > 0
        own = speech.speaker[:, None] == np.arange(len(speech.speakers))[None, :]
        keys = pair_keys(speech.rank[:, None], claims[None, :])
        chosen = []
        for kind in (own & valid, ~own & valid):
            cells = np.argwhere(kind)
            chosen.append(cells[smallest(keys[kind], self.trials // 2)])
        cells = np.concatenate(chosen)
        return Trials(
            scores[cells[:, 0], cells[:, 1]],
            np.arange(len(cells)) < len(chosen[0]),
            np.stack([speech.speaker[cells[:, 0]], cells[:, 1]], axis=1),
            [(speech.ids[utterance], speech.speakers[claimed]) for utterance, claimed in cells],
        )

    def _mean(self, speech: Speech, voice: NDArray[np.intp]) -> NDArray[np.float64]:
        """Mean of the references drawn: the mean of cosines is the cosine with their mean."""
        mean: NDArray[np.float64] = speech.embeddings[voice[: self.references]].mean(axis=0)
        return mean

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with real speech of its target speaker.

        Raises:
            UnmetNeed: the target speaker is unknown or there is no natural speech of them besides this recording.
            ItemError: the recording can't be read or holds no speech.
        """
        pair = conversion.pair
        if pair.target_speaker is None:
            raise UnmetNeed("natural", f"pair {pair.id} does not name its target speaker")
        voice = self.encoder.embed(conversion.path)
        used = self._references(conversion, pair.target_speaker)
        if not used:
            raise UnmetNeed(
                "natural",
                f"no natural speech of speaker {pair.target_speaker!r} of {pair.dataset} besides {conversion.path}",
            )
        score = sum(float(voice @ embedding) for embedding in used.values()) / len(used)
        sums = {"fake_score": (score, 1.0), "fake_accept": (float(score >= self.threshold), 1.0)}
        details: dict[str, Any] = {"references": list(used)}
        learnt = self.workspace.calibrations.get(pair.dataset, {})
        if "threshold" not in learnt:
            reason = learnt.get("unavailable", f"nothing was calibrated for dataset {pair.dataset!r}")
            return Statistics(sums, details, {"fake_accept_calibrated": ("calibration", str(reason))})
        sums["fake_accept_calibrated"] = (float(score >= float(learnt["threshold"])), 1.0)
        return Statistics(sums, {**details, "threshold": float(learnt["threshold"])})

    def _references(self, conversion: Conversion, speaker: str) -> dict[str, NDArray[np.float64]]:
        """Embed the first usable natural recordings of the speaker in the order of the seed, by id."""
        voices: Mapping[tuple[str, str], list[Utterance]] = self._voices  # type: ignore[attr-defined]
        own = file_digest(conversion.path)
        used: dict[str, NDArray[np.float64]] = {}
        for utterance in voices.get((conversion.pair.dataset, speaker), []):
            if len(used) == self.references:
                break
            try:
                embedding = self.encoder.embed(utterance.path)
            except ItemError:
                continue  # counted as unusable by calibrate(); the next one in order takes its place
            if file_digest(utterance.path) != own:
                used[utterance.id] = embedding
        return used
