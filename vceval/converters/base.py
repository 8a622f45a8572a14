"""The contract of a converter: content encoding, speaker encoding, decoding, each on a batch."""

from __future__ import annotations

import re
import sys
from abc import ABC
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from vceval.declared import fault, is_text, is_texts, is_whole, unwritten
from vceval.errors import ContractError, ItemError, UnmetNeed, reason_of
from vceval.records import NEEDS, ConversionPair, Utterance
from vceval.signal import audio
from vceval.signal.audio import MAX_RATE, MIN_RATE, Waveform
from vceval.storage.cache import file_digest

__all__ = [
    "Converter", "ConverterInfo", "Footprint", "Made", "Outcome", "Request", "Unfinished", "fitting", "parameters",
]  # fmt: skip

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ConverterInfo:
    """What a table or a paper must say about a converter.

    sample_rate: of its output in Hz; None when it is that of whatever it is given.
    trained_on: corpus name to the speakers its checkpoint was trained on; empty when nothing was trained. None when it
        can't say: ``training_speakers.csv`` is then asked, which has what the authors of checkpoints published.
    encoders: speaker encoders that it was conditioned on or trained with, by the keys of
        :mod:`vceval.results.encoder_audit`, each with what it was used for; empty for none. None when it can't say:
        ``speaker_encoders.csv`` is then asked.
    front_end: what is done to recordings before a network hears them, besides resampling: ``trim:...|level:...``, part
        of the system's signature.
    any_to_one: whether each target speaker has a model of their own, so that every target was trained on.
    draws_noise: whether the seed of a pair changes its audio. One that draws none is converted once, however many seeds
        a run has.
    """

    name: str
    title: str
    sample_rate: int | None
    licence: str
    paper: str
    kind: str
    control: bool = False
    checkpoints: tuple[str, ...] = ()
    trained_on: dict[str, frozenset[str]] | None = field(default_factory=dict)
    draws_noise: bool = False
    encoders: dict[str, str] | None = None
    front_end: str = ""
    any_to_one: bool = False

    @property
    def noncommercial(self) -> bool:
        """Whether the licence forbids commercial use, by its words: ``CC BY-NC``, "non-commercial"."""
        return re.search(r"\bNC\b|\bnon-?commercial", self.licence, re.IGNORECASE) is not None

    def declaration_faults(self) -> list[str]:
        """Say what is declared wrongly, each in words; nothing where all is well."""
        found = [
            *(text for key in ("name", "title") for text in fault(self, key, is_text, "a text")),
            *fault(self, "sample_rate", lambda v: v is None or is_whole(v, 1), "a whole number of Hz, or None"),
            *(text for key in ("licence", "paper", "kind")
              for text in fault(self, key, lambda v: isinstance(v, str), "a text, which may be empty")),
            *fault(self, "front_end", lambda v: isinstance(v, str) and "\n" not in v, "a line, which may be empty"),
            *(text for key in ("control", "draws_noise", "any_to_one")
              for text in fault(self, key, lambda v: isinstance(v, bool), "True or False")),
            *fault(self, "checkpoints", is_texts, "a tuple of texts"),
            *fault(self, "encoders", _are_uses, "a dict of encoders' keys to what each was used for, or None"),
            *fault(self, "trained_on", _are_speakers, "a dict of corpus names to frozensets of speakers, or None"),
        ]  # fmt: skip
        return [f"info: {text}" for text in found]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What an open converter takes, as far as it can tell; None and empty texts stand for what nobody knows.

    parameters: of its networks, by file or name. precision: that they compute in. torch: version. threads: of one
    conversion. program: number of the process that converts, 0 while it does not run; None where this process does.
    memory, device_memory: most bytes that such a program had, by its own account. device: name of a GPU, by the same.
    """

    parameters: Mapping[str, int] | None = None
    precision: str = ""
    torch: str = ""
    threads: int | None = None
    program: int | None = None
    memory: int | None = None
    device_memory: int | None = None
    device: str = ""

    @classmethod
    def of_torch(cls, parameters: Mapping[str, int], precision: str = "") -> Footprint:
        """That of networks that torch computes in this process, by the numbers of their parameters."""
        torch: Any = sys.modules["torch"]
        return cls(parameters, precision, str(torch.__version__), torch.get_num_threads())


class Request:
    """One conversion to be done: the pair, a seed of its own, and the audio, read when asked for.

    ``system`` is the row of the table that asks, and ``number`` that of the seed among those of the pair, from 0; a
    ``precomputed`` system finds its files by them.
    """

    def __init__(self, system: str, pair: ConversionPair, seed: int, output: Path, number: int = 0) -> None:
        self.system = system
        self.pair = pair
        self.seed = seed
        self.number = number
        #: Where a converter that writes a file itself may put it; removed when the pair is done.
        self.output = output

    @cached_property
    def source(self) -> Waveform:
        """The source utterance.

        Raises:
            ItemError: the pair has no source, or it can't be read.
        """
        if self.pair.source is None:
            raise ItemError(f"pair {self.pair.id} has no source recording")
        return audio.load(self.pair.source.path)

    @cached_property
    def prompts(self) -> list[Waveform]:
        """The prompt utterances of the target speaker.

        Raises:
            ItemError: the pair has no prompt, or one can't be read.
        """
        if not self.pair.prompts:
            raise ItemError(f"pair {self.pair.id} has no prompt of the target speaker")
        return [audio.load(prompt.path) for prompt in self.pair.prompts]

    def heard(self, utterance: Utterance) -> Path:
        """A file for programs that read recordings themselves: what is read of this one, and of nothing else.

        That is the recording, or a copy beside :attr:`output` where its channels differ and one was chosen.

        Raises:
            ItemError: it can't be read.
        """
        wave = audio.load(utterance.path, allow_silence=True)
        if wave.facts is None or wave.facts.difference <= audio.SAME_CHANNEL:
            return utterance.path.resolve()
        copy = self.output.parent / f"{file_digest(utterance.path)[:16]}-{audio.reading().channel}.flac"
        if not copy.is_file():
            audio.write_flac(copy, wave)
        return copy.resolve()


#: Converted audio, a file that already holds it, or the reason why there is none: a failure (ItemError), or a
#: control that does not exist for this pair (UnmetNeed).
Outcome = Waveform | Path | ItemError | UnmetNeed


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Audio that needs no more than a processor: ``finish`` gives it, or the ItemError that stands for it.

    It is called once, in any thread, while the converter is at its next batch.
    """

    finish: Callable[[], Waveform | ItemError]


#: What decoding gives.
Made = Waveform | ItemError | Unfinished


class Converter(ABC):
    """An adapter that turns (source, prompts) into audio.

    Either implement the three steps, so that a grid of S sources and T targets costs S + T encodings, or
    override :meth:`convert` alone. Batched output must equal one-by-one output (1e-4 of full scale).
    Constructor arguments are the system's options: plain JSON values, keyword only.
    """

    info: ClassVar[ConverterInfo]
    #: Whose words the output holds: those of the source, or (some controls) those of the natural target speech.
    text_from: ClassVar[Literal["source", "natural"]] = "source"
    #: Pairs given to one call of :meth:`convert` at most.
    batch_size: int = 8
    #: Encodings of sources, and as many of prompts, that are kept from one call of :meth:`convert` to the next.
    encoding_cache_size: int = 128
    #: Whether sources and prompts are encoded one at a time. The runner sets it on a processor: a batch gains nothing
    #: there, and an encoding then depends on its recording alone, to the last bit, whatever was encoded beside it.
    encodes_alone: bool = False
    #: Whether :meth:`decode` may give :class:`Unfinished` items. The runner sets it where it finishes them in the
    #: threads that write, while the next batch is computed; whoever does not set it gets audio.
    finishes_later: bool = False
    #: Whether its weights are meant to be others than the published ones, whose training speakers alone are known.
    other_weights: bool = False

    @staticmethod
    def declaration_faults(owner: object, name: str) -> list[str]:
        """Say what a converter, or its class, declares wrongly, each in words; nothing where all is well.

        ``name`` is the one that it is registered under.
        """
        kind = owner if isinstance(owner, type) else type(owner)
        found = [
            *fault(owner, "info", lambda v: isinstance(v, ConverterInfo),
                   f"a ConverterInfo({name!r}, its title, its sample rate or None, licence, paper, kind)"),
            *fault(owner, "text_from", lambda v: v in ("source", "natural"), "source or natural"),
            *fault(owner, "batch_size", lambda v: is_whole(v, 1), "a whole number above 0"),
            *fault(owner, "encoding_cache_size", is_whole, "a whole number"),
            *unwritten(owner),
        ]  # fmt: skip
        info = getattr(owner, "info", None)
        found += info.declaration_faults() if isinstance(info, ConverterInfo) else []
        steps = ("encode_content", "encode_speaker", "decode")
        absent = [step for step in steps if getattr(kind, step, None) is getattr(Converter, step)]
        if absent and getattr(kind, "convert", None) is Converter.convert:
            found.append(f"there is no {', '.join(absent)}: write {', '.join(steps)}, or convert alone")
        return found

    def declare_noise(self, drawn: bool) -> None:
        """Say whether this very system draws noise, where that depends on its options; for constructors."""
        vars(self)["info"] = replace(self.info, draws_noise=drawn)

    def open(self, device: str) -> None:  # noqa: B027 - a converter without weights has nothing to load
        """Load weights; called once per worker process.

        Raises:
            UsageError: a file is missing or wrong.
        """

    def signature(self) -> str:
        """Name, in a line, what is done to recordings before they are converted: resampler, trimming, level."""
        return "|".join(filter(None, (self.info.name, self.info.front_end)))

    def assets(self) -> dict[str, Path]:
        """Give the files that decide what it computes (its weights), by name; a run writes down their hashes."""
        return {}

    def largest_batch(self, device: str) -> int:
        """Give the number of pairs that one call may convert on a device, where there is room."""
        return self.batch_size

    def identity(self, device: str) -> dict[str, Any] | None:
        """Name all that decides what it makes of a pair and a seed, so that audio made before can be used again.

        None where that can't be known (a program from elsewhere may change at any time), or where audio is found and
        not made: nothing is then used again. A converter of another package names its weights by their digests, the
        kind of device, and with :func:`vceval.storage.code_identity.code_identity` its code and the packages this uses.
        """
        return None

    def missing_files(self) -> list[str]:
        """Say which needed files are missing, where to get them; nothing is loaded."""
        return []

    def close(self) -> None:  # noqa: B027
        """Free what :meth:`open` took."""

    def footprint(self) -> Footprint:
        """Say what it takes, while it is open; by default what its attributes that are networks of torch take."""
        torch = sys.modules.get("torch")
        kind = torch.nn.Module if torch is not None else ()
        counts = {name.strip("_"): parameters(one) for name, one in vars(self).items() if isinstance(one, kind)}
        return Footprint.of_torch(counts) if counts else Footprint()

    def kept(self, source: Waveform) -> tuple[float, float]:
        """Say which part of a source its output stands for, from and to in seconds; one that cuts ends says where."""
        return 0.0, source.seconds

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Encode what is said, one result per source; an ItemError may stand for a result."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Encode who shall say it, one result per list of prompts; an ItemError may stand for a result."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> Sequence[Made]:
        """Make audio from (content, speaker) encodings; ``seeds`` drive whatever noise the system draws."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert a batch; one outcome per request, in order.

        Every source and every list of prompts is encoded once, and the last ``encoding_cache_size`` of both are kept
        for later calls, so a grid of S sources and T targets costs S + T encodings. A request that can't be done
        yields its ItemError and does not disturb the others: where a step refuses a batch, its items are tried one by
        one.
        """
        contents = self._encoded("contents", {_source_key(r): r for r in requests}, _source, self.encode_content)
        speakers = self._encoded("speakers", {_speaker_key(r): r for r in requests}, _prompts, self.encode_speaker)
        items: dict[int, Any] = {}
        for place, request in enumerate(requests):
            content, speaker = contents[_source_key(request)], speakers[_speaker_key(request)]
            failed = next((part for part in (content, speaker) if isinstance(part, ItemError)), None)
            items[place] = failed or (content, speaker, request.seed)

        def decode(batch: list[Any]) -> Sequence[Any]:
            return self.decode([(content, speaker) for content, speaker, _ in batch], [seed for _, _, seed in batch])

        waves = _each(items, decode)
        return [waves[place] for place in range(len(requests))]

    def checked_outcomes(self, requests: Sequence[Request]) -> list[Outcome | Unfinished]:
        """Convert a batch by :meth:`convert`, and hold what it gives against the contract; unfinished items are left.

        Samples of other libraries, of other floating-point types or with a second axis of length 1 are made those of
        a Waveform; what else does not fit becomes the ContractError of its pair.
        """
        found: Any = self.convert(requests)
        try:
            outcomes = list(found)
        except TypeError:
            raise TypeError(f"convert() gave {type(found).__name__}, not a list of results") from None
        if len(outcomes) != len(requests):
            wrong = ContractError(f"the converter gave {len(outcomes)} results for {len(requests)} pairs")
            return [wrong for _ in requests]
        return [outcome if isinstance(outcome, Unfinished) else fitting(outcome) for outcome in outcomes]

    def forget(self) -> None:
        """Drop the encodings kept from earlier calls, as after other weights were loaded."""
        self.__dict__.pop("_kept", None)

    def _encoded(
        self,
        kind: str,
        requests: Mapping[K, Request],
        read: Callable[[Request], Any],
        step: Callable[[list[Any]], Sequence[Any]],
    ) -> dict[K, Any]:
        """Encode what is not among the kept encodings of a kind; failures are not kept."""
        # Not made in a constructor: adapters of other people need not call it
        kept: dict[K, Any] = self.__dict__.setdefault("_kept", {}).setdefault(kind, {})
        found = {key: kept[key] for key in requests if key in kept}
        recordings = _read({key: r for key, r in requests.items() if key not in found}, read)
        if self.encodes_alone:
            for key, recording in recordings.items():
                found |= _each({key: recording}, step)
        else:
            found |= _each(recordings, step)
        for key, encoding in found.items():
            kept.pop(key, None)  # so that the latest used stand last
            if not isinstance(encoding, ItemError):
                kept[key] = encoding
        for key in list(kept)[: max(0, len(kept) - self.encoding_cache_size)]:
            del kept[key]
        return found


def parameters(network: Any) -> int:
    """Count the parameters of a network of torch, shared ones once."""
    return sum(one.numel() for one in network.parameters())


def _are_speakers(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_texts(speakers) for speakers in value.values()))


def _are_uses(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(is_text(text) for one in value.items() for text in one))


def fitting(found: Any) -> Outcome:
    """Make one result of :meth:`Converter.convert` what the contract asks for, or the ContractError that says why."""
    if isinstance(found, Waveform):
        return _wave(found)
    if isinstance(found, UnmetNeed) and found.need not in NEEDS:
        return ContractError(f"the converter gave an UnmetNeed of {found.need!r}, which is none of {', '.join(NEEDS)}")
    if isinstance(found, Path | ItemError | UnmetNeed):
        return found
    return ContractError(f"the converter gave a {type(found).__name__}, not audio")


def _wave(wave: Waveform) -> Waveform | ContractError:
    import numpy as np

    try:
        samples = np.asarray(wave.samples)
    except Exception as error:  # tensors on a GPU or with a gradient, lists of unequal lengths
        return ContractError(f"the converter gave samples that numpy can't read: {reason_of(error)}")
    if samples.dtype.kind != "f":
        return ContractError(
            f"the converter gave samples of type {samples.dtype}; give floats of full scale 1.0 (int16 / 32768)"
        )
    if samples.ndim > 1 and samples.size == max(samples.shape):
        samples = samples.reshape(-1)
    rate: Any = wave.sample_rate
    try:
        whole = int(rate) if not isinstance(rate, str | bytes) and int(rate) == rate else 0
    except (TypeError, ValueError, OverflowError):
        whole = 0
    if not MIN_RATE <= whole <= MAX_RATE:
        return ContractError(f"the converter gave a sample rate of {rate!r}, not one of {MIN_RATE} to {MAX_RATE} Hz")
    return Waveform(samples.astype(np.float32, copy=False), whole)


def _source(request: Request) -> Waveform:
    return request.source


def _prompts(request: Request) -> list[Waveform]:
    return request.prompts


def _source_key(request: Request) -> Hashable:
    return _file_key(request.pair.source.path) if request.pair.source else f"none:{request.pair.id}"


def _speaker_key(request: Request) -> Hashable:
    return tuple(_file_key(prompt.path) for prompt in request.pair.prompts)


def _file_key(path: Path) -> Hashable:
    """A file in its present state: another one that takes its place is not taken for it."""
    try:
        state = path.stat()
    except OSError:
        return str(path)
    return str(path), state.st_mtime_ns, state.st_size


def _read(requests: Mapping[K, Request], what: Callable[[Request], Any]) -> dict[K, Any]:
    found: dict[K, Any] = {}
    for key, request in requests.items():
        try:
            found[key] = what(request)
        except ItemError as error:
            found[key] = error
    return found


def _each(items: Mapping[K, Any], step: Callable[[list[Any]], Sequence[Any]]) -> dict[K, Any]:
    """Take the items that have not failed through a step: together, or one by one where that is refused."""
    fine = {key: item for key, item in items.items() if not isinstance(item, ItemError)}
    results: dict[K, Any] = dict(items)
    try:
        results.update(zip(fine, _step(step, list(fine.values())) if fine else [], strict=True))
    except ItemError as refusal:
        for key, item in fine.items():
            try:
                results[key] = _step(step, [item])[0] if len(fine) > 1 else refusal
            except ItemError as error:
                results[key] = error
    return results


def _step(step: Callable[[list[Any]], Sequence[Any]], items: list[Any]) -> list[Any]:
    found: Any = step(items)
    try:
        results = list(found)
    except TypeError:
        raise TypeError(f"{step.__name__}() gave {type(found).__name__}, not a list of results") from None
    if len(results) != len(items):
        raise TypeError(f"{step.__name__}() gave {len(results)} results for {len(items)} inputs")
    return results
