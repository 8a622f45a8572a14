"""Conformance tests for converters and networks, for this project's and for anybody else's.

A converter's author runs :func:`check_converter`; the author of a network with reference cases runs :func:`run_kit`::

    from vceval.testing import check_converter, run_kit
    assert not check_converter(MyConverter(), [("a.wav", ["b.wav"])]).problems
    assert run_kit(Path("kits/mine"), MyPort()).passed
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from vceval.conformance.base import Case, Port, captured
from vceval.conformance.kits import Kit, KitReport, StageReport, made_up_weights, run_kit
from vceval.converters.base import Converter, Outcome, Request
from vceval.errors import ItemError, UnmetNeed
from vceval.records import ConversionPair, Utterance
from vceval.signal.audio import Waveform, load

__all__ = [
    "TOLERANCE",
    "Case",
    "ConverterReport",
    "Kit",
    "KitReport",
    "Port",
    "StageReport",
    "captured",
    "check_converter",
    "made_up_weights",
    "run_kit",
]

#: How far a batched conversion may be from the same conversion alone, of full scale.
TOLERANCE = 1e-4


@dataclass
class ConverterReport:
    """What a conformance test found.

    outcomes: of the batch. batch_difference: largest difference between the batch and single conversions.
    problems: what is wrong, in words; empty for a conforming converter.
    """

    outcomes: list[Waveform | ItemError | UnmetNeed] = field(default_factory=list)
    batch_difference: float = 0.0
    problems: list[str] = field(default_factory=list)


def check_converter(
    converter: Converter,
    pairs: Sequence[tuple[str | PathLike[str], Sequence[str | PathLike[str]]]],
    seed: int = 0,
    device: str = "cpu",
) -> ConverterReport:
    """Convert pairs as one batch, one by one, and as a batch again, and compare.

    Checked are: one outcome per pair; batch equals single within 1e-4 of full scale (an outcome that is an error must
    be one both times); the second run equals the first bit by bit (on the CPU); the sample rate is the declared one;
    every sample is finite.

    Args:
        converter: constructed, not opened.
        pairs: source file and prompt files of each conversion; take unequal lengths.
        seed: first of the pairs' seeds.
        device: where to run.

    Raises:
        UsageError: the converter can't be opened.
    """
    report = ConverterReport()
    converter.open(device)
    try:
        with tempfile.TemporaryDirectory() as folder:
            requests = [_request(place, pair, seed, Path(folder)) for place, pair in enumerate(pairs)]
            report.outcomes = [_wave(outcome) for outcome in converter.convert(_fresh(requests))]
            if len(report.outcomes) != len(requests):
                report.problems.append(f"{len(report.outcomes)} outcomes for {len(requests)} pairs")
                return report
            single = []
            for request in requests:
                converter.forget()
                single.append(_wave(converter.convert(_fresh([request]))[0]))
            converter.forget()
            again = [_wave(outcome) for outcome in converter.convert(_fresh(requests))]
    finally:
        converter.close()
    for place, (first, alone, second) in enumerate(zip(report.outcomes, single, again, strict=True)):
        _check(report, f"pair {place}", converter, first, alone, second, exact=device == "cpu")
    return report


def _request(
    place: int, pair: tuple[str | PathLike[str], Sequence[str | PathLike[str]]], seed: int, folder: Path
) -> Request:
    source, prompts = pair
    utterance = Utterance(f"source{place}", Path(source), "checked")
    voices = tuple(Utterance(f"prompt{place}.{k}", Path(path), "checked") for k, path in enumerate(prompts))
    conversion = ConversionPair(f"pair{place}", "checked", source=utterance, prompts=voices)
    return Request("checked", conversion, seed + place, folder / f"{place}.wav")


def _fresh(requests: Sequence[Request]) -> list[Request]:
    return [Request(request.system, request.pair, request.seed, request.output) for request in requests]


def _wave(outcome: Outcome) -> Waveform | ItemError | UnmetNeed:
    return load(outcome, allow_silence=True) if isinstance(outcome, Path) else outcome


def _check(
    report: ConverterReport,
    name: str,
    converter: Converter,
    first: Waveform | ItemError | UnmetNeed,
    alone: Waveform | ItemError | UnmetNeed,
    second: Waveform | ItemError | UnmetNeed,
    exact: bool,
) -> None:
    import numpy as np

    if not isinstance(first, Waveform) or not isinstance(alone, Waveform) or not isinstance(second, Waveform):
        if type(first) is not type(alone) or type(first) is not type(second):
            kinds = ", ".join(type(outcome).__name__ for outcome in (first, alone, second))
            report.problems.append(f"{name}: in a batch, alone and again it gave {kinds}")
        return
    rate = converter.info.sample_rate
    if rate is not None and first.sample_rate != rate:
        report.problems.append(f"{name}: {first.sample_rate} Hz, but the converter declares {rate} Hz")
    if not np.isfinite(first.samples).all():
        report.problems.append(f"{name}: samples that are not finite")
        return
    if first.samples.shape != alone.samples.shape:
        report.problems.append(f"{name}: {len(first.samples)} samples in a batch, {len(alone.samples)} alone")
        return
    apart = float(np.abs(first.samples - alone.samples).max(initial=0.0))
    report.batch_difference = max(report.batch_difference, apart)
    if apart > TOLERANCE:
        report.problems.append(f"{name}: batch and single differ by {apart:.2g} of full scale, allowed {TOLERANCE:g}")
    if exact and not np.array_equal(first.samples, second.samples):
        report.problems.append(f"{name}: a second run gave other samples")
