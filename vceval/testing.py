"""Conformance tests for plug-ins and networks, for this project's and for anybody else's.

Authors of converters, metrics and corpora run :func:`check_converter`, :func:`check_metric` and :func:`check_corpus` in
tests of their own; the author of a network with reference cases runs :func:`run_kit`::

    from vceval.testing import check_converter, check_corpus, check_metric, run_kit
    assert not check_converter(MyConverter(), [("a.wav", ["b.wav"])]).problems
    assert not check_metric(MyMetric(), [Conversion("mine", pair, Path("converted.wav"))]).problems
    assert not check_corpus(MyCorpus(Path("a/small/copy"))).problems
    assert run_kit(Path("kits/mine"), MyPort()).passed
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from vceval.conformance.base import Case, Port, captured
from vceval.conformance.kits import Kit, KitReport, StageReport, made_up_weights, run_kit
from vceval.converters.base import Converter, Outcome, Request, fitting
from vceval.corpora.base import Corpus
from vceval.errors import ContractError, ItemError, UnmetNeed, reason_of
from vceval.languages import same_language
from vceval.metrics.base import Metric, Statistics, Workspace
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal.audio import Waveform, load

__all__ = [
    "TOLERANCE",
    "Case",
    "ConverterReport",
    "CorpusReport",
    "Kit",
    "KitReport",
    "MetricReport",
    "Port",
    "StageReport",
    "captured",
    "check_converter",
    "check_corpus",
    "check_metric",
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
    """Convert pairs as one batch, one by one, as a batch again and with other seeds, and compare.

    Checked are: what it declares; one outcome per pair, audio as the contract asks for; batch equals single within
    1e-4 of full scale (an outcome that is an error must be one both times); the second run equals the first bit by bit
    (on the CPU); the sample rate is the declared one; every sample is finite; other seeds give other audio where it
    declares to draw noise, and the same where it does not.

    Args:
        converter: constructed, not opened.
        pairs: source file and prompt files of each conversion; take unequal lengths.
        seed: first of the pairs' seeds.
        device: where to run.

    Raises:
        UsageError: the converter can't be opened.
    """
    report = ConverterReport()
    report.problems += converter.declaration_faults(converter, getattr(getattr(converter, "info", None), "name", ""))
    if report.problems:
        return report
    converter.open(device)
    try:
        with tempfile.TemporaryDirectory() as folder:
            requests = [_request(place, pair, seed, Path(folder)) for place, pair in enumerate(pairs)]
            given = list(converter.convert(_fresh(requests)))
            if len(given) != len(requests):
                report.problems.append(f"{len(given)} outcomes for {len(requests)} pairs")
                return report
            report.outcomes = [_wave(fitting(outcome)) for outcome in given]
            report.problems += [
                f"pair {place}: {made}" for place, made in enumerate(report.outcomes) if isinstance(made, ContractError)
            ]
            single = []
            for request in requests:
                converter.forget()
                single.append(_wave(fitting(converter.convert(_fresh([request]))[0])))
            converter.forget()
            again = [_wave(fitting(outcome)) for outcome in converter.convert(_fresh(requests))]
            others = [_wave(fitting(outcome)) for outcome in converter.convert(_fresh(requests, len(requests)))]
    finally:
        converter.close()
    for place, (first, alone, second) in enumerate(zip(report.outcomes, single, again, strict=True)):
        _check(report, f"pair {place}", converter, first, alone, second, exact=device == "cpu")
    if not report.problems:
        report.problems += _seeds_told(converter, report.outcomes, others, 0.0 if device == "cpu" else TOLERANCE)
    return report


def _seeds_told(
    converter: Converter,
    ones: Sequence[Waveform | ItemError | UnmetNeed],
    others: Sequence[Waveform | ItemError | UnmetNeed],
    allowed: float,
) -> list[str]:
    """Hold what two series of seeds gave against what is declared of noise."""
    made = [(one, other) for one, other in zip(ones, others, strict=True)
            if isinstance(one, Waveform) and isinstance(other, Waveform)]  # fmt: skip
    differ = [not _alike(one, other, allowed) for one, other in made]
    if converter.info.draws_noise and made and not any(differ):
        return ["info: draws_noise is True, but another seed gives the same audio"]
    if not converter.info.draws_noise and any(differ):
        return ["info: draws_noise is False, but another seed gives other audio"]
    return []


def _alike(one: Waveform, other: Waveform, allowed: float) -> bool:
    import numpy as np

    if one.samples.shape != other.samples.shape:
        return False
    return float(np.abs(one.samples - other.samples).max(initial=0.0)) <= allowed


def _request(
    place: int, pair: tuple[str | PathLike[str], Sequence[str | PathLike[str]]], seed: int, folder: Path
) -> Request:
    source, prompts = pair
    utterance = Utterance(f"source{place}", Path(source), "checked")
    voices = tuple(Utterance(f"prompt{place}.{k}", Path(path), "checked") for k, path in enumerate(prompts))
    conversion = ConversionPair(f"pair{place}", "checked", source=utterance, prompts=voices)
    return Request("checked", conversion, seed + place, folder / f"{place}.wav")


def _fresh(requests: Sequence[Request], later: int = 0) -> list[Request]:
    """The same requests, nothing read yet; ``later`` is added to their seeds."""
    return [Request(request.system, request.pair, request.seed + later, request.output) for request in requests]


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


@dataclass
class MetricReport:
    """What a conformance test found.

    outcomes: of the conversions, in order: statistics, or why there are none; None where a problem says so.
    learnt: by the metric, per dataset. problems: what is wrong, in words; empty for a conforming metric.
    """

    outcomes: list[Statistics | ItemError | UnmetNeed | None] = field(default_factory=list)
    learnt: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_metric(
    metric: Metric, conversions: Sequence[Conversion], natural: Sequence[Utterance] = (), device: str = "cpu"
) -> MetricReport:
    """Score conversions as a run does, and once more, and compare.

    Checked are: what the metric declares; that its recipes can be imported; that it can be sent to another process;
    that its signature is one line that always is the same; that what it learns can be kept; that every conversion
    gives each declared measure once, as finite sums or as unmet; that no error but ItemError and UnmetNeed is raised;
    that the same conversion gives the same again, prepared together with others or alone.

    Args:
        metric: constructed, not opened.
        conversions: take some that lack what the metric needs, and some that can't be read.
        natural: natural speech to learn from, of every dataset that the pairs are of.
        device: where to run.

    Raises:
        UsageError: the metric can't be opened.
    """
    report = MetricReport()
    report.problems += metric.declaration_faults(metric, getattr(metric, "name", ""))
    if report.problems:
        return report
    for name in metric.recipes:
        _told(report.problems, f"recipe {name}", partial(metric.of_recipe, name))
    signature = _told(report.problems, "signature()", metric.signature)
    if signature is not None and (not isinstance(signature, str) or len(signature.splitlines()) != 1):
        report.problems.append(f"signature() must give one line of text, not {signature!r}")
    sent = _told(report.problems, "sending it to another process", lambda: pickle.loads(pickle.dumps(metric)))  # noqa: S301 - made here
    if report.problems:
        return report
    assert isinstance(sent, Metric)
    if sent.signature() != signature:
        report.problems.append(f"signature() is {signature!r}, and {sent.signature()!r} in another process")
    metric.open(Workspace(natural=natural, device=device))
    for dataset in sorted({utterance.dataset for utterance in natural}):
        learnt = _told(report.problems, f"calibrate() on {dataset}", partial(_learn, metric, dataset, natural))
        if learnt is not None:
            report.learnt[dataset] = learnt
    for one in (metric, sent):
        one.open(Workspace(natural=natural, calibrations=report.learnt, device=device))
    if metric.batch > 1:
        _told(report.problems, "prepare()", lambda: metric.prepare(conversions))
    for conversion in conversions:
        where = f"pair {conversion.pair.id}"
        first = _told(report.problems, where, partial(_score, metric, conversion))
        again = _told([], where, partial(_score, sent, conversion))
        report.outcomes.append(first)
        if type(again) is not type(first) or (isinstance(first, Statistics) and again != first):
            report.problems.append(f"{where}: in another process it gave {again}, here {first}")
    return report


def _told(problems: list[str], what: str, ask: Callable[[], Any]) -> Any:
    """What an author's code gives; None, with a problem, where it raises."""
    try:
        return ask()
    except ContractError as error:
        problems.append(f"{what}: {error}")
    except Exception as error:  # whatever it is, it is what the author wants to know
        problems.append(f"{what} raises {reason_of(error)}")
    return None


def _learn(metric: Metric, dataset: str, natural: Sequence[Utterance]) -> dict[str, Any] | None:
    mine = [utterance for utterance in natural if utterance.dataset == dataset]
    metric.analyse_many(mine)
    return metric.learn(dataset, mine)


def _score(metric: Metric, conversion: Conversion) -> Statistics | ItemError | UnmetNeed:
    try:
        return metric.checked_statistics(conversion)
    except ContractError:
        raise
    except (ItemError, UnmetNeed) as refusal:
        return refusal


@dataclass
class CorpusReport:
    """What a conformance test found.

    utterances: that were read. notes: what the reader itself noted about the files.
    problems: what is wrong with the reader, in words; empty for a conforming one.
    """

    utterances: list[Utterance] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


#: Recordings of a corpus that are opened, evenly over all.
_OPENED = 20


def check_corpus(corpus: Corpus) -> CorpusReport:
    """Read a corpus twice, and look at what it says of its recordings.

    Checked are: what the reader declares; that it yields utterances, at least one, each with an id of its own, an
    existing file, texts where texts belong, in a language that it declares; that it yields the same again, in the same
    order; that recordings, evenly over all, can be read, at the declared rate where one is declared.

    Args:
        corpus: opened on a small copy of the corpus, or one that is made up.

    Raises:
        UsageError: the reader gives up.
    """
    report = CorpusReport()
    report.problems += corpus.declaration_faults(corpus, getattr(getattr(corpus, "info", None), "name", ""))
    if report.problems:
        return report
    report.utterances = list(corpus.utterances())
    report.notes = [str(problem) for problem in corpus.problems]
    ids: list[str] = []
    known: set[str] = set()
    for place, found in enumerate(corpus.read()):
        where = f"utterance {place} ({getattr(found, 'id', found)!r})"
        before = len(corpus.problems)
        fits = corpus.fitting(found)
        report.problems += [f"{where}: {problem.message}" for problem in corpus.problems[before:]]
        if fits is None:
            continue
        report.problems += [
            f"{where}: {name} is {getattr(found, name)!r}; give {getattr(fits, name)!r}"
            for name in Utterance.__slots__
            if type(getattr(found, name)) is not type(getattr(fits, name))
        ]
        if fits.id in known:
            report.problems.append(f"{where}: the id was there before")
        else:
            ids.append(fits.id)
            known.add(fits.id)
        languages = corpus.info.languages
        tag = fits.language
        if languages and tag is not None and not any(same_language(tag, one) for one in languages):
            report.problems.append(f"{where}: language {fits.language!r} is none of info's {', '.join(languages)}")
    if not ids:
        report.problems.append("read() yields no utterance")
    elif ids != [utterance.id for utterance in report.utterances]:
        report.problems.append("read() yields other utterances the second time, or in another order")
    _open_some(report, corpus)
    return report


def _open_some(report: CorpusReport, corpus: Corpus) -> None:
    step = max(1, len(report.utterances) // _OPENED)
    for utterance in report.utterances[::step]:
        try:
            rate = load(utterance.path, allow_silence=True).sample_rate
        except ItemError as error:
            report.problems.append(f"utterance {utterance.id!r}: {error}")
            continue
        if corpus.info.sample_rate and rate != corpus.info.sample_rate:
            wanted = corpus.info.sample_rate
            report.problems.append(f"utterance {utterance.id!r}: {rate} Hz, but info declares {wanted} Hz")
