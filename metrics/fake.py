"""Fake-speech detection by similarity to real speech of the target speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.band import narrow_band
from vceval.metrics.base import Measure, Recipe, Statistics, Workspace
from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
from vceval.metrics.trials import SpeakerMetric, Speech, Trials, calibration, embed_natural, pair_keys, smallest
from vceval.protocol.sampling import rank
from vceval.records import Conversion, Utterance
from vceval.storage.cache import file_digest

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

    ``fake_auc`` is the probability that a real recording, scored in the same way for its own speaker, scores
    higher than a converted one: 0.5, the best value, where the score can't tell them, 1 where it always can. Real
    recordings are those of the cell's target speakers where there are 30 or more, else those of all speakers.

    ``fake_target`` is the share of conversions that are on the target's side: more like the references of
    the target speaker than like as many of the source speaker, whose recording of the converted utterance is never
    among them. Tables by direction show it for pairs of the same and of different gender.

    Source: Resemble AI, Resemblyzer, demo 05 (fake speech detection); encoder as in the ``sv`` metric; side of the
    target: speaker classification in ClsVC, figure 4a.
    """

    references: int = 6
    threshold: float = 0.84
    trials: int = 30_000
    seed: int = 0

    name: ClassVar[str] = "fake"
    title: ClassVar[str] = "Fake-speech detection"
    version: ClassVar[str] = "2.0"
    needs: ClassVar[frozenset[str]] = frozenset({"natural"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("fake_score", "Fake score", "", "higher", decimals=3),
        Measure(
            "fake_accept", "Real at 0.84", "%", "higher", scale=100.0, decimals=1, secondary=True, worst=0.0, rate=True
        ),
        Measure(
            "fake_accept_calibrated",
            "Real (cal.)",
            "%",
            "higher",
            scale=100.0,
            decimals=1,
            worst=0.0,
            rate=True,
            thresholded="fake_score",
        ),
        Measure("fake_auc", "Fake AUC", "", "lower", decimals=3, reduction="auc", secondary=True, best=0.5),
        Measure(
            "fake_target", "Target side", "%", "higher", scale=100.0, decimals=1, secondary=True, worst=0.0, rate=True
        ),
    )
    source: ClassVar[str] = "Resemble AI, Resemblyzer, fake speech detection demo"
    recipes: ClassVar[Mapping[str, Recipe | str]] = {
        "resemblyzer": Recipe(
            """Fake-speech detection with Resemblyzer's own preparation of recordings, the default up to version 1.1.

            Quiet recordings are raised to -30 dB, loud ones left alone, and padding counts for the level.
            """,
            "Resemblyzer",
            "Resemblyzer's own levels",
            changes={
                "encoder_type": ResemblyzerEncoder,
                "version": "1.1",
                # All of them: 0.84 is the threshold of this very preparation
                "measures": tuple(
                    replace(
                        measure,
                        name=f"{measure.name}:resemblyzer",
                        label=f"{measure.label} (Resemblyzer)",
                        thresholded=measure.thresholded and f"{measure.thresholded}:resemblyzer",
                    )
                    for measure in measures
                ),
            },
        ),
    }
    choices: ClassVar[str] = (
        "FAKE|enc:{0.encoder_identity}|{0.encoder_type.front_end}|refs:{0.references}"
        "|thr:{0.threshold:g},eer-interpolated|trials:{0.trials}|seed:{0.seed}"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **SpeakerMetric.facts,
        "score": "mean cosine",
        "references": "natural speech of the speaker, drawn by seed, never the scored recording or a copy",
        "aggregation": "mean over pairs; fake_auc: area under the curve of a cell's scores, datasets pooled",
        "natural-scores": "target speakers of the cell where 30 or more, else all",
        "side": "target against source speaker, the converted utterance itself left out",
        "missing": "counted, no value",
    }

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
        return calibration(speech, trials, self.encoder.name, self.seed, keep_scores=True)

    def _trials(self, speech: Speech) -> Trials:
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
        used = self._references(pair.dataset, pair.target_speaker, {file_digest(conversion.path)})
        if not used:
            raise UnmetNeed(
                "natural",
                f"no natural speech of speaker {pair.target_speaker!r} of {pair.dataset} besides {conversion.path}",
            )
        score = _mean_cosine(voice, used)
        sums = {"fake_score": (score, 1.0), "fake_accept": (float(score >= self.threshold), 1.0)}
        details: dict[str, Any] = {"references": list(used), **narrow_band(conversion)}
        unmet: dict[str, tuple[str, str]] = {}
        others = self._of_source(conversion)
        if isinstance(others, tuple):
            unmet["fake_target"] = others
        else:
            sums["fake_target"] = (float(score > _mean_cosine(voice, others)), 1.0)
            details["source_references"] = list(others)
        learnt = self.workspace.calibrations.get(pair.dataset, {})
        reason = str(learnt.get("unavailable", f"nothing was calibrated for dataset {pair.dataset!r}"))
        if learnt.get("natural_scores"):
            sums["fake_auc"] = (score, 1.0)
        else:
            unmet["fake_auc"] = ("calibration", reason)
        if "threshold" in learnt:
            sums["fake_accept_calibrated"] = (float(score >= float(learnt["threshold"])), 1.0)
            details["threshold"] = float(learnt["threshold"])
        else:
            unmet["fake_accept_calibrated"] = ("calibration", reason)
        own = dict(zip((measure.name for measure in FakeDetection.measures), self.measures, strict=True))
        return Statistics(
            {own[name].name: pair for name, pair in sums.items()},
            details,
            {own[name].name: why for name, why in unmet.items()},
        )

    def _of_source(self, conversion: Conversion) -> dict[str, NDArray[np.float64]] | tuple[str, str]:
        """Embed natural speech of the source speaker besides the converted utterance, or say what is lacking."""
        pair = conversion.pair
        if pair.source_speaker is None:
            return "natural", f"pair {pair.id} does not name its source speaker"
        if pair.source_speaker == pair.target_speaker:
            return "other", f"pair {pair.id} has the same source and target speaker"
        without = {file_digest(conversion.path)}
        if pair.source is not None and pair.source.path.is_file():
            without.add(file_digest(pair.source.path))
        found = self._references(pair.dataset, pair.source_speaker, without)
        lacking = f"no natural speech of source speaker {pair.source_speaker!r} of {pair.dataset} besides the source"
        return found or ("natural", lacking)

    def _references(self, dataset: str, speaker: str, without: set[str]) -> dict[str, NDArray[np.float64]]:
        """Embed the first usable natural recordings of a speaker in the order of the seed, by id.

        Recordings whose bytes have one of the digests ``without`` are left out.
        """
        voices: Mapping[tuple[str, str], list[Utterance]] = self._voices  # type: ignore[attr-defined]
        used: dict[str, NDArray[np.float64]] = {}
        for utterance in voices.get((dataset, speaker), []):
            if len(used) == self.references:
                break
            try:
                embedding = self.encoder.embed(utterance.path)
            except ItemError:
                continue  # counted as unusable by calibrate(); the next one in order takes its place
            if file_digest(utterance.path) not in without:
                used[utterance.id] = embedding
        return used


def _mean_cosine(voice: NDArray[np.float64], references: Mapping[str, NDArray[np.float64]]) -> float:
    return sum(float(voice @ embedding) for embedding in references.values()) / len(references)
