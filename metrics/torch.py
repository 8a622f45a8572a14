"""Metrics for training loops: ``update`` with audio in memory, ``compute`` the figure of a table, ``reset``.

Values and signatures are those that the command line gives for the same audio. Sums are kept, so figures of several
processes add up: :meth:`RunningMetric.compute` asks all of them where ``torch.distributed`` is initialised;
elsewhere :attr:`RunningMetric.state` of one goes into :meth:`RunningMetric.merge` of another.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval import registry
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.base import Measure, Metric, Workspace
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal.audio import MAX_RATE, MIN_RATE
from vceval.storage.tables import FrameTable

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import torch
    from numpy.typing import ArrayLike, NDArray

    #: A batch (items, samples), a list of recordings (samples,), or one recording.
    Audio = torch.Tensor | ArrayLike | Sequence[torch.Tensor | ArrayLike]

__all__ = ["MCD", "MOS", "SV", "WER", "RunningMetric", "State"]

#: What speech belongs to here.
_DATASET = "training"
#: Counts that come before the sums of measures, and numbers of each measure.
_COUNTS = ("scored", "failed", "skipped")
_EACH = 3


@dataclass(frozen=True, slots=True)
class State:
    """What a metric has seen: plain numbers, for :meth:`RunningMetric.merge` of the same metric elsewhere.

    sums: items scored, failed and skipped, then numerator, denominator and items of each measure.
    """

    signature: str
    sums: tuple[float, ...]


class RunningMetric:
    """A metric that sees a batch at a time.

    A recording that can't be scored (silent, say) raises nothing: it is counted as failed, and as the worst value of
    measures that have one, as in tables. :attr:`reasons` says why.

    Args:
        metric: what scores.
        sample_rate: of the converted audio, in Hz.
        device: of the networks: cpu, or cuda:N.
    """

    def __init__(self, metric: Metric, sample_rate: int, device: str = "cpu") -> None:
        unfit = [measure.name for measure in metric.measures if measure.reduction != "ratio"]
        if unfit:
            raise UsageError(f"{metric.name}: {', '.join(unfit)} is no ratio of sums; score a run for it")
        self.metric, self.sample_rate = metric, _rate(sample_rate)
        self._numbers = itertools.count()
        self.workspace = Workspace(device=device)
        metric.open(self.workspace)
        self.reset()

    @property
    def signature(self) -> str:
        """What values rest on, as the command line prints it."""
        return self.metric.signature()

    @property
    def measures(self) -> list[Measure]:
        """The figures that :meth:`compute` gives."""
        return list(self.metric.measures)

    def reset(self) -> None:
        """Forget everything that was seen."""
        self._sums = [0.0] * (len(_COUNTS) + _EACH * len(self.measures))
        #: Why recordings failed or were skipped, and how often.
        self.reasons: Counter[str] = Counter()

    @property
    def state(self) -> State:
        """What this process has seen."""
        return State(self.signature, tuple(self._sums))

    def merge(self, other: State) -> None:
        """Add what another process has seen.

        Raises:
            UsageError: it is of a metric with another signature.
        """
        if other.signature != self.signature:
            raise UsageError(f"states of different metrics can't be added: {self.signature} and {other.signature}")
        self._sums = [mine + theirs for mine, theirs in zip(self._sums, other.sums, strict=True)]

    def compute(self) -> dict[str, float]:
        """Give the figure of each measure over all that all processes have seen, and how much that is.

        Every process must call it where ``torch.distributed`` is initialised.

        Returns:
            By measure the figure as stored (a rate is a fraction), NaN where there is none; and how many items were
            ``scored``, ``failed`` and ``skipped``, as they lack what the metric needs.
        """
        sums = _over_processes(self._sums)
        counts = dict(zip(_COUNTS, sums, strict=False))
        found = {}
        for place, measure in enumerate(self.measures):
            start = len(_COUNTS) + _EACH * place
            numerator, denominator, items = sums[start : start + _EACH]
            exists = items or not counts["scored"]  # there is no leakage of a source that nobody gave
            if measure.worst is not None and counts["failed"] and exists:
                size = counts["failed"] * (denominator / items if items else 1.0)
                numerator, denominator = numerator + measure.worst * size, denominator + size
            found[measure.name] = numerator / denominator if denominator else float("nan")
        return found | counts

    def _score(self, audio: Audio, pairs: Sequence[Mapping[str, Any]], lengths: Sequence[int] | None) -> None:
        """Score recordings; of each pair ``audio`` of others by their part in it, with rates, and what is said."""
        waves = _waves(audio, lengths, "audio")
        if len(waves) != len(pairs):
            raise UsageError(f"{len(waves)} recordings, but {len(pairs)} pairs to score them by")
        with tempfile.TemporaryDirectory(prefix="vceval-") as folder, _one_thread():
            place = Path(folder)
            conversions = [self._conversion(place, wave, facts) for wave, facts in zip(waves, pairs, strict=True)]
            if len(conversions) > 1 or self.metric.on_device:
                self.metric.prepare(conversions)
            for conversion in conversions:
                self._add(conversion)

    def _add(self, conversion: Conversion) -> None:
        try:
            found = self.metric.checked_statistics(conversion)
        except UnmetNeed as missing:
            self._sums[2] += 1.0
            self.reasons[_without_place(missing, conversion)] += 1
            return
        except ItemError as error:
            self._sums[1] += 1.0
            self.reasons[_without_place(error, conversion)] += 1
            return
        self._sums[0] += 1.0
        for place, measure in enumerate(self.measures):
            if measure.name in found.sums:
                start = len(_COUNTS) + _EACH * place
                for offset, number in enumerate((*found.sums[measure.name], 1.0)):
                    self._sums[start + offset] += number

    def _conversion(self, folder: Path, wave: NDArray[np.float32], facts: Mapping[str, Any]) -> Conversion:
        """Write the recordings of a pair down: metrics read files, and look at their bytes."""
        number = f"{next(self._numbers):09d}"

        def utterance(name: str, samples: NDArray[np.float32], rate: int) -> Utterance:
            return Utterance(name, _written(folder / f"{number}-{name}.wav", samples, rate), _DATASET)

        source, reference = (
            utterance(name, *facts[name]) if name in facts else None for name in ("source", "reference")
        )
        prompts = tuple(utterance(f"prompt{k}", *one) for k, one in enumerate(facts.get("prompts", ())))
        text, language = facts.get("transcript"), facts.get("language")
        pair = ConversionPair(number, _DATASET, source, prompts, reference, transcript=text, language=language)
        path = _written(folder / f"{number}.wav", wave, self.sample_rate)
        return Conversion("model", pair, path, text, language)


class MCD(RunningMetric):
    """Mel-cepstral distortion in dB against recordings of the target speaker saying the same text.

    Args:
        sample_rate: of the converted audio, in Hz.
        reference_rate: of the references; the same where it is None.
        recipe: another definition, such as ``pymcd``.
    """

    def __init__(self, sample_rate: int, reference_rate: int | None = None, recipe: str = "") -> None:
        super().__init__(_metric("mcd", recipe), sample_rate)
        self._rate = _rate(reference_rate or sample_rate)

    def update(
        self,
        audio: Audio,
        reference: Audio,
        lengths: Sequence[int] | None = None,
        reference_lengths: Sequence[int] | None = None,
    ) -> None:
        """Score converted recordings against their references.

        Args:
            audio: a batch (items, samples), a list of recordings, or one.
            reference: likewise, one for each.
            lengths: how many samples of each row count, where a batch is padded.
            reference_lengths: likewise.
        """
        references = _waves(reference, reference_lengths, "reference")
        self._score(audio, [{"reference": (one, self._rate)} for one in references], lengths)


class SV(RunningMetric):
    """Speaker verification: cosines with recordings of the target speaker, and acceptance where there is a threshold.

    Args:
        sample_rate: of the converted audio, in Hz.
        target_rate: of the recordings of targets and sources; the same where it is None.
        threshold: a cosine; or what a run learnt from natural speech, ``vceval.load(run).calibration()``. Where neither
            it nor ``natural`` is given, there is no acceptance.
        natural: natural speech to calibrate the threshold with, a table as ``vceval score --natural`` takes.
        recipe: another encoder or published thresholds, such as ``dvector``.
        device: of the encoder.
    """

    def __init__(
        self,
        sample_rate: int,
        target_rate: int | None = None,
        threshold: float | Mapping[str, Any] | None = None,
        natural: str | Path | pandas.DataFrame | None = None,
        recipe: str = "",
        device: str = "cpu",
    ) -> None:
        self._given: float | None = None
        self._learnt: Mapping[str, Any] = {}
        drawn = _drawn(threshold) if isinstance(threshold, Mapping) else {}
        super().__init__(_metric("sv", recipe, **drawn), sample_rate, device)
        self._rate = _rate(target_rate or sample_rate)
        if threshold is not None and natural is not None:
            raise UsageError("give a threshold or natural speech to find one with, not both")
        if isinstance(threshold, Mapping):
            self._learn(threshold)
        elif threshold is not None:
            self._given = float(threshold)
            self._learn({"threshold": self._given})
        elif natural is not None:
            self._learn(self._calibrated(natural))

    @property
    def signature(self) -> str:
        """What values rest on; a threshold that was given by its value stands in it."""
        signed = super().signature
        if self._given is None:
            return signed
        before, _, after = signed.partition("|thr:")
        return f"{before}|thr:{self._given:g}|{after.partition('|')[2]}"

    @property
    def measures(self) -> list[Measure]:
        """The figures that :meth:`compute` gives: acceptance needs a threshold, places need natural speech."""
        return [
            one
            for one in super().measures
            if (self._learnt or not one.thresholded) and ("same_mean" in self._learnt or not one.placed)
        ]

    def update(
        self,
        audio: Audio,
        target: Audio | Sequence[Audio],
        source: Audio | None = None,
        lengths: Sequence[int] | None = None,
        target_lengths: Sequence[int] | None = None,
        source_lengths: Sequence[int] | None = None,
    ) -> None:
        """Score converted recordings against recordings of their target speakers.

        Args:
            audio: a batch (items, samples), a list of recordings, or one.
            target: likewise, one for each; or a list of several for each.
            source: what was converted, one for each: how much of that voice is left.
            lengths: how many samples of each row count, where a batch is padded.
            target_lengths: likewise.
            source_lengths: likewise.
        """
        pairs: list[dict[str, Any]] = [
            {"prompts": [(wave, self._rate) for wave in some]} for some in _several(target, target_lengths)
        ]
        if source is not None:
            sources = _waves(source, source_lengths, "source")
            if len(sources) != len(pairs):
                raise UsageError(f"{len(sources)} sources, but {len(pairs)} targets")
            for pair, wave in zip(pairs, sources, strict=True):
                pair["source"] = wave, self._rate
        self._score(audio, pairs, lengths)

    def _learn(self, learnt: Mapping[str, Any]) -> None:
        if "threshold" not in learnt:
            raise UsageError(f"no threshold was learnt: {learnt.get('unavailable', 'the mapping has none')}")
        encoder = getattr(self.metric, "encoder_identity", "")
        if learnt.get("encoder", encoder) != encoder:
            raise UsageError(f"the threshold is that of another encoder: {learnt['encoder']}, not {encoder}")
        signed = str(learnt.get("signature", self.metric.signature())).partition("|channel:")[0]
        if signed != self.metric.signature():
            raise UsageError(f"the threshold is that of another metric: {signed}, not {self.metric.signature()}")
        self._learnt = learnt
        self.workspace.calibrations = {_DATASET: learnt}
        self.reset()

    def _calibrated(self, natural: str | Path | pandas.DataFrame) -> Mapping[str, Any]:
        from vceval.corpora.csv_manifest import read_manifest

        table = Path(natural) if isinstance(natural, str | Path) else FrameTable.of(natural)
        speech, _ = read_manifest(table, dataset=_DATASET)
        corpora = sorted({one.dataset for one in speech})
        if len(corpora) > 1:
            raise UsageError(f"{table}: natural speech of {', '.join(corpora)}; a threshold is that of one corpus")
        with _one_thread():
            self.metric.analyse_many(speech)
            return self.metric.learn(_DATASET, speech) or {}


class WER(RunningMetric):
    """Word error rate: errors of a recogniser over words that should be said, both summed.

    Args:
        sample_rate: of the converted audio, in Hz.
        language: of the transcripts.
        recogniser: as ``--recogniser`` names them; the best that is on disk where it is empty.
        recipe: another rule, such as ``seedtts``.
        device: of the recogniser.
    """

    def __init__(
        self, sample_rate: int, language: str = "en", recogniser: str = "", recipe: str = "", device: str = "cpu"
    ) -> None:
        super().__init__(_metric("wer", recipe, **({"asr": recogniser} if recogniser else {})), sample_rate, device)
        self._language = language

    def update(self, audio: Audio, transcripts: str | Sequence[str], lengths: Sequence[int] | None = None) -> None:
        """Score converted recordings by what they should say.

        Args:
            audio: a batch (items, samples), a list of recordings, or one.
            transcripts: one for each.
            lengths: how many samples of each row count, where a batch is padded.
        """
        texts = [transcripts] if isinstance(transcripts, str) else list(transcripts)
        self._score(audio, [{"transcript": text, "language": self._language} for text in texts], lengths)


class MOS(RunningMetric):
    """Predicted opinion, 1 to 5: DistillMOS, or DNSMOS and UTMOS as recipes.

    Args:
        sample_rate: of the converted audio, in Hz.
        recipe: another predictor.
        device: of the predictor.
    """

    def __init__(self, sample_rate: int, recipe: str = "", device: str = "cpu") -> None:
        super().__init__(_metric("mos", recipe), sample_rate, device)

    def update(self, audio: Audio, lengths: Sequence[int] | None = None) -> None:
        """Score converted recordings.

        Args:
            audio: a batch (items, samples), a list of recordings, or one.
            lengths: how many samples of each row count, where a batch is padded.
        """
        waves = _waves(audio, lengths, "audio")
        self._score(waves, [{}] * len(waves), None)


def _metric(name: str, recipe: str, **parameters: Any) -> Metric:
    metric: Metric = registry.load("metric", f"{name}:{recipe}" if recipe else name)(**parameters)
    return metric


def _drawn(learnt: Mapping[str, Any]) -> dict[str, int]:
    """How many trials a run asked for to learn a threshold, and by which seed they were drawn."""
    signed = str(learnt.get("signature", ""))
    return {name: int(found[1]) for name in ("trials", "seed") if (found := re.search(rf"\|{name}:(\d+)", signed))}


def _rate(sample_rate: int) -> int:
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise UsageError(f"sample rate {sample_rate} Hz: must lie in {MIN_RATE} to {MAX_RATE} Hz")
    return int(sample_rate)


def _waves(audio: Any, lengths: Sequence[int] | None, what: str) -> list[NDArray[np.float32]]:
    """Recordings out of a batch, a list or a single one, as float32 (samples,).

    Raises:
        UsageError: it is none of these, or lengths do not fit.
    """
    import numpy as np

    if isinstance(audio, list | tuple) and not all(isinstance(one, int | float) for one in audio):
        arrays = [_array(one) for one in audio]
    else:
        array = _array(audio)
        arrays = [array] if array.ndim == 1 else list(array)
    waves = [one[0] if one.ndim == 2 and len(one) == 1 else one for one in arrays]  # (1, samples): one channel
    if lengths is not None:
        if len(lengths) != len(waves):
            raise UsageError(f"{what}: {len(lengths)} lengths for {len(waves)} recordings")
        waves = [wave[..., : int(length)] for wave, length in zip(waves, lengths, strict=True)]
    for wave in waves:
        if wave.ndim != 1:
            raise UsageError(f"{what}: expected (items, samples), or recordings (samples,), not a shape {wave.shape}")
    return [np.ascontiguousarray(wave) for wave in waves]


def _several(audio: Any, lengths: Sequence[int] | None) -> list[list[NDArray[np.float32]]]:
    """The recordings of each item's target: one, or a list of several."""
    if isinstance(audio, list | tuple) and any(isinstance(one, list | tuple) for one in audio):
        if lengths is not None:
            raise UsageError("target: lengths go with one recording for each item")
        return [_waves(some, None, "target") for some in audio]
    return [[wave] for wave in _waves(audio, lengths, "target")]


def _array(one: Any) -> NDArray[np.float32]:
    import numpy as np

    array = np.asarray(one.detach().cpu().float() if hasattr(one, "detach") else one)
    if not (np.issubdtype(array.dtype, np.floating)):
        raise UsageError(f"audio of {array.dtype}: give floats with a full scale of 1")
    return array.astype(np.float32, copy=False)


def _written(path: Path, samples: NDArray[np.float32], rate: int) -> Path:
    """Write samples as they are: 32-bit floats in WAV."""
    import soundfile

    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def _without_place(error: Exception, conversion: Conversion) -> str:
    """Say what is wrong without the names of files that are gone."""
    text = str(error).replace(f"{conversion.path.parent}/", "").replace(f"{conversion.pair.id}-", "")
    return text.replace(f"{conversion.pair.id}.wav", "recording").replace(f"pair {conversion.pair.id}", "the pair")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread, as workers of a run do: sums of floats depend on it. The training gets its own back."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _over_processes(sums: Sequence[float]) -> list[float]:
    """Add numbers over all processes of a training; alone they are what they are."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(sums)
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(list(sums), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return [float(number) for number in total.cpu()]
