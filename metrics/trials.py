"""What metrics of the speaker's voice share: an encoder, trials drawn from natural speech, and calibration on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Metric, Workspace
from vceval.metrics.sv_encoders import SpeakerEncoder
from vceval.metrics.sv_resemblyzer import LevelledResemblyzer
from vceval.protocol.sampling import rank
from vceval.records import Conversion, Gender, Utterance
from vceval.statistics.calibrations import mean_draws
from vceval.statistics.eer import equal_error_rate, error_curve, error_rate_intervals
from vceval.storage.cache import file_digest

__all__ = ["SpeakerMetric", "Speech", "Trials", "calibration", "draw_pairs", "embed_natural", "pair_keys", "smallest"]

#: A threshold from fewer same-speaker trials would be a guess.
MIN_TARGET_TRIALS = 10
#: Points of the error curve that are kept to be drawn, at most.
_CURVE_POINTS = 240
#: Thresholds of resampled speakers that are kept, and their digits: a cosine has no more.
_DRAWS, _DIGITS = 200, 6
#: Quantiles of the same-speaker trials that are kept, 0 and 1 among them.
_QUANTILES = 201


class SpeakerMetric(Metric):
    """A metric that compares speaker embeddings."""

    encoder_type: ClassVar[type[SpeakerEncoder]] = LevelledResemblyzer
    facts: ClassVar[Mapping[str, str]] = {
        "resampler": "soxr-HQ",
        "channels": "equal or chosen",
        "dtype": "float32",
    }
    packages: ClassVar[tuple[str, ...]] = ("resemblyzer", "webrtcvad", "torch", "soxr", "numpy")

    #: Weight files that its encoder takes and ``vceval checkpoints`` files.
    files: ClassVar[tuple[WeightFile, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Name the files of the class's encoder, which recipes change."""
        super().__init_subclass__()
        cls.files = cls.encoder_type.files

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the encoder's weights are read when the first recording needs them."""
        super().open(workspace)
        key = self.encoder_type, workspace.device
        if key not in workspace.shared:
            workspace.shared[key] = self.encoder_type(workspace.cache, workspace.device)
        object.__setattr__(self, "_encoder", workspace.shared[key])

    @property
    def encoder_kin(self) -> Mapping[str, str]:
        """The encoder, and those related to it."""
        return {self.encoder_type.kind: self.encoder_type.title, **self.encoder_type.relatives}

    @property
    def encoder_identity(self) -> str:
        """The encoder and its weights as signatures name them."""
        return self.encoder_type.identity()

    @property
    def encoder(self) -> SpeakerEncoder:
        """The encoder, with the cache and device of the open workspace."""
        self.workspace  # noqa: B018 - complains where open() was not called
        encoder: SpeakerEncoder = self._encoder  # type: ignore[attr-defined]
        return encoder

    def recordings(self, conversion: Conversion) -> list[Path]:
        """What :meth:`statistics` embeds of a conversion."""
        return [conversion.path]

    def prompt_cosines(
        self, conversion: Conversion, voice: NDArray[np.float64], most: int | None = None
    ) -> dict[str, float]:
        """Compare a conversion, embedded, with every prompt that is no copy of it: prompt id to cosine.

        Args:
            conversion: whose prompts are meant.
            voice: its embedding.
            most: prompts that are looked at, the first ones; None for all.

        Raises:
            UnmetNeed: the pair has no prompt, or none but the recording itself.
            ItemError: a prompt can't be read or holds no speech.
        """
        pair = conversion.pair
        if not pair.prompts:
            raise UnmetNeed("target", f"pair {pair.id} names no prompt of the target speaker to compare with")
        own = file_digest(conversion.path)
        cosines: dict[str, float] = {}
        for prompt in pair.prompts[:most]:
            try:
                embedding = self.encoder.embed(prompt.path)
            except ItemError as error:
                raise ItemError(f"prompt {prompt.id} of pair {pair.id}: {error}") from error
            if file_digest(prompt.path) != own:
                cosines[prompt.id] = float(voice @ embedding)
        if not cosines:
            raise UnmetNeed("other", f"{conversion.path} is the prompt itself: a trial against itself says nothing")
        return cosines

    @property
    def on_device(self) -> bool:
        """Whether the encoder gains by a GPU."""
        return self.encoder_type.on_device

    def read_ahead(self, items: Sequence[Conversion | Utterance]) -> None:
        """Prepare for the encoder what is not embedded yet."""
        for item in items:
            if isinstance(item, Conversion):
                self.encoder.read_ahead(self.recordings(item))
            elif item.speaker is not None:
                self.encoder.read_ahead([item.path])

    @property
    def batch(self) -> int:
        """Conversions whose recordings are embedded together."""
        return self.encoder_type.together

    def prepare(self, conversions: Sequence[Conversion]) -> None:
        """Embed the recordings of some conversions into the cache, all of them together."""
        self.encoder.embed_many(path for conversion in conversions for path in self.recordings(conversion))

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


class Speech(NamedTuple):
    """Natural speech of one dataset, sorted by id: what can be used of it, embedded.

    embeddings: (n, 256); speaker: (n,) index into ``speakers``; content: (n,) number of the distinct bytes of the
    file, equal for copies; rank: (n,) uint64, the utterance's place in the order of the seed. ``genders`` are those of
    the speakers, None where their recordings name none, or two.
    """

    ids: list[str]
    speakers: list[str]
    genders: list[Gender | None]
    embeddings: NDArray[np.float64]
    speaker: NDArray[np.intp]
    content: NDArray[np.intp]
    rank: NDArray[np.uint64]
    unusable: int


class Trials(NamedTuple):
    """Scored trials: ``scores`` (t,), ``target`` (t,) bool, ``speakers`` (t, 2) indices, ``names`` of both sides."""

    scores: NDArray[np.float64]
    target: NDArray[np.bool_]
    speakers: NDArray[np.intp]
    names: list[tuple[str, str]]


def embed_natural(natural: Sequence[Utterance], encoder: SpeakerEncoder, seed: int) -> Speech:
    """Embed every utterance whose speaker is known; recordings that can't be used are counted and left out."""
    found: list[tuple[str, str, NDArray[np.float64], str]] = []
    genders: dict[str, set[Gender]] = {}
    unusable = 0
    for utterance in sorted(natural, key=lambda item: item.id):
        if utterance.speaker is None:
            continue
        try:
            embedding = encoder.embed(utterance.path)
        except ItemError:
            unusable += 1
            continue
        found.append((utterance.id, utterance.speaker, embedding, file_digest(utterance.path)))
        genders.setdefault(utterance.speaker, set()).update([utterance.gender] if utterance.gender else [])
    speakers = sorted({speaker for _, speaker, _, _ in found})
    number = {speaker: index for index, speaker in enumerate(speakers)}
    contents: dict[str, int] = {}
    return Speech(
        ids=[item[0] for item in found],
        speakers=speakers,
        genders=[next(iter(genders[name])) if len(genders[name]) == 1 else None for name in speakers],
        embeddings=np.array([item[2] for item in found]) if found else np.empty((0, 0)),
        speaker=np.array([number[item[1]] for item in found], dtype=np.intp),
        content=np.array([contents.setdefault(item[3], len(contents)) for item in found], dtype=np.intp),
        rank=np.array([rank(seed, "trial", item[0]) for item in found], dtype=np.uint64),
        unusable=unusable,
    )


def draw_pairs(speech: Speech, limit: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Draw up to ``limit`` pairs of utterances, half same-speaker, half different-speaker, without self-trials.

    Copies of one recording count as itself. Every pair has a key made of both utterances' ranks, and the pairs
    with the smallest keys are taken: the draw depends on ids and seed, not on the order of files.

    Returns:
        Index pairs (t, 2), the same-speaker ones first, each kind by key, and which of them are same-speaker (t,).
    """
    count = len(speech.ids)
    per_speaker = np.bincount(speech.speaker, minlength=1).astype(np.float64)
    possible = {True: float((per_speaker * (per_speaker - 1) / 2).sum()), False: 0.0}
    possible[False] = count * (count - 1) / 2 - possible[True]
    wanted = limit // 2
    # Only keys below a bound are kept, so that memory grows with the draw and not with the square of the corpus.
    bounds = {kind: _bound(wanted, total) for kind, total in possible.items()}
    kept: dict[bool, list[tuple[NDArray[np.uint64], NDArray[np.intp]]]] = {True: [], False: []}
    for first in range(count - 1):
        others = np.arange(first + 1, count)
        keys = pair_keys(speech.rank[first], speech.rank[others])
        distinct = speech.content[others] != speech.content[first]
        same = speech.speaker[others] == speech.speaker[first]
        for kind, mask in ((True, same), (False, ~same)):
            chosen = mask & distinct & (keys <= bounds[kind])
            pairs = np.stack([np.full(int(chosen.sum()), first), others[chosen]], axis=1)
            kept[kind].append((keys[chosen], pairs.astype(np.intp)))
    drawn: dict[bool, NDArray[np.intp]] = {}
    for kind, blocks in kept.items():
        empty = (np.empty(0, dtype=np.uint64), np.empty((0, 2), dtype=np.intp))
        keys, pairs = (np.concatenate(parts) for parts in zip(empty, *blocks, strict=True))
        drawn[kind] = pairs[smallest(keys, wanted)]
    target = np.arange(len(drawn[True]) + len(drawn[False])) < len(drawn[True])
    return np.concatenate([drawn[True], drawn[False]]), target


def _bound(wanted: int, possible: float) -> np.uint64:
    """Key below which enough of ``possible`` uniform keys lie (ten standard deviations of slack)."""
    share = (wanted + 10.0 * wanted**0.5 + 100.0) / max(possible, 1.0)
    # Copies among the pairs are left out later; twice the share leaves room for them
    return np.uint64(2**64 - 1) if share >= 0.5 else np.uint64(int(2.0 * share * 2**64))


def smallest(keys: NDArray[np.uint64], count: int) -> NDArray[np.intp]:
    """Indices of the ``count`` smallest keys, by key; ties in the order given."""
    order: NDArray[np.intp] = np.argsort(keys, kind="stable")[:count]
    return order


def pair_keys(first: np.uint64 | NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix two ranks into one key, evenly spread and the same either way round.

    Source: the finaliser of Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        key = _mix(np.minimum(first, second)) + np.maximum(first, second)
        return _mix(key)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def calibration(
    speech: Speech, trials: Trials | None, encoder: str, seed: int, *, keep_scores: bool = False
) -> Mapping[str, Any]:
    """Sum up what the trials say: EER, its interval, threshold, counts, error curve, and a hash of the trial list.

    Intervals of EER and threshold come from one bootstrap over speakers. ``threshold_draws`` keeps its thresholds, in
    the order drawn, for the uncertainty that acceptance rates inherit
    (:func:`vceval.statistics.calibrations.threshold_variance`). ``impostor_mean``, ``same_mean`` and ``mean_draws`` are
    the ends of the scale on which places stand, ``same_quantiles`` the scores of same-speaker trials. ``same_gender``
    holds EER and threshold of the harder trials that are left without speakers of two genders, or None for both and the
    ``reason``. ``curve`` holds false alarms and misses by threshold, at few enough points to be stored and drawn. With
    ``keep_scores`` the scores of the same-speaker trials are kept, sorted and by speaker (``natural_scores``), for
    measures that compare natural with converted speech. ``{"unavailable": reason}`` where there is too little speech.
    """
    counts = {"speakers": len(speech.speakers), "utterances": len(speech.ids), "unusable": speech.unusable}
    if len(speech.speakers) < 2:
        return {"unavailable": f"natural speech of {len(speech.speakers)} speaker(s); at least 2 are needed", **counts}
    targets = 0 if trials is None else int(trials.target.sum())
    if trials is None or targets < MIN_TARGET_TRIALS or targets == len(trials.target):
        reason = (
            f"{targets} same-speaker trial(s) can be made of the natural speech; "
            f"at least {MIN_TARGET_TRIALS} are needed, and different-speaker trials besides"
        )
        return {"unavailable": reason, **counts}
    accept, reject = trials.scores[trials.target], trials.scores[~trials.target]
    eer, threshold = equal_error_rate(accept, reject)
    intervals = error_rate_intervals(
        accept, reject, trials.speakers[trials.target], trials.speakers[~trials.target], len(speech.speakers), seed
    )
    lines = sorted(
        f"{first}\t{second}\t{'target' if target else 'nontarget'}"
        for (first, second), target in zip(trials.names, trials.target, strict=True)
    )
    found: dict[str, Any] = {
        "encoder": encoder,
        "eer": eer,
        "eer_low": intervals.eer[0],
        "eer_high": intervals.eer[1],
        "threshold": threshold,
        "threshold_low": intervals.threshold[0],
        "threshold_high": intervals.threshold[1],
        "threshold_draws": [round(float(value), _DIGITS) for value in intervals.draws[:_DRAWS]],
        **_scale(speech, trials, seed),
        "same_gender": _same_gender(speech, trials),
        "target_trials": targets,
        "nontarget_trials": len(trials.target) - targets,
        **counts,
        "trials_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "curve": _drawn(accept, reject),
    }
    if keep_scores:
        claimed = trials.speakers[trials.target, 1]
        found["natural_scores"] = {
            name: sorted(round(float(score), 7) for score in accept[claimed == number])
            for number, name in enumerate(speech.speakers)
            if (claimed == number).any()
        }
    return found


def _scale(speech: Speech, trials: Trials, seed: int) -> dict[str, Any]:
    """Mean scores of impostors and of same-speaker trials, of resamples of speakers, and quantiles of the latter."""
    sides = [(trials.scores[mask], trials.speakers[mask]) for mask in (~trials.target, trials.target)]
    low, high = (float(scores.mean()) for scores, _ in sides)
    draws = mean_draws(sides, len(speech.speakers), seed, _DRAWS)
    levels = np.linspace(0.0, 1.0, _QUANTILES)
    return {
        "impostor_mean": low,
        "same_mean": high,
        "mean_draws": [[round(float(value), _DIGITS) for value in row] for row in draws],
        "same_quantiles": [round(float(value), _DIGITS) for value in np.quantile(sides[1][0], levels)],
    }


def _same_gender(speech: Speech, trials: Trials) -> dict[str, Any]:
    """EER, threshold and counts of the trials between speakers of one gender; None for both, and the reason."""
    number = {None: 0, "F": 1, "M": 2}
    genders = np.array([number[gender] for gender in speech.genders])[trials.speakers]
    same = (genders[:, 0] == genders[:, 1]) & (genders[:, 0] > 0)
    accept, reject = trials.scores[same & trials.target], trials.scores[same & ~trials.target]
    found: dict[str, Any] = {"eer": None, "threshold": None}
    counts = {"target_trials": len(accept), "nontarget_trials": len(reject)}
    if not any(speech.genders):
        return {**found, "reason": "the genders of the speakers are not known"}
    if len(accept) < MIN_TARGET_TRIALS or not len(reject):
        reason = f"{len(accept)} same-speaker and {len(reject)} different-speaker trials of speakers of one gender"
        return {**found, "reason": f"{reason}; at least {MIN_TARGET_TRIALS} and 1 are needed", **counts}
    found["eer"], found["threshold"] = equal_error_rate(accept, reject)
    return {**found, **counts}


def _drawn(accept: NDArray[np.float64], reject: NDArray[np.float64]) -> dict[str, list[float]]:
    """Thin the error curve to points that lie evenly on the axes of a DET plot: equal lengths, falling thresholds."""
    from scipy.special import ndtr

    curve = error_curve(accept, reject)
    levels = ndtr(np.linspace(-4.5, 4.5, _CURVE_POINTS // 2))
    kept = np.unique(
        np.clip(
            np.concatenate([
                np.searchsorted(curve.false_alarms, levels),  # rises with the index
                len(curve.misses) - np.searchsorted(curve.misses[::-1], levels),  # falls with it
                [0, len(curve.thresholds) - 1],
            ]),
            0,
            len(curve.thresholds) - 1,
        )
    )  # fmt: skip
    return {
        name: [round(float(value), 6) for value in values[kept]]
        for name, values in (
            ("thresholds", curve.thresholds), ("false_alarms", curve.false_alarms), ("misses", curve.misses)
        )
    }  # fmt: skip
