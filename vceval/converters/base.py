"""The contract of a converter: content encoding, speaker encoding, decoding, each on a batch."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from vceval import audio
from vceval.audio import Waveform
from vceval.errors import ItemError, UnmetNeed
from vceval.records import ConversionPair

__all__ = ["Converter", "ConverterInfo", "Outcome", "Request"]


@dataclass(frozen=True, slots=True)
class ConverterInfo:
    """What a table or a paper must say about a converter.

    sample_rate: of its output in Hz; None when it is that of whatever it is given.
    trained_on: corpus name to the speakers its checkpoint was trained on; empty when nothing was trained,
        None when nobody published it.
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


class Request:
    """One conversion to be done: the pair, a seed of its own, and the audio, read when asked for.

    ``system`` is the row of the table that asks; a ``precomputed`` system finds its files by it.
    """

    def __init__(self, system: str, pair: ConversionPair, seed: int, output: Path) -> None:
        self.system = system
        self.pair = pair
        self.seed = seed
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


#: Converted audio, a file that already holds it, or the reason why there is none: a failure (ItemError), or a
#: control that does not exist for this pair (UnmetNeed).
Outcome = Waveform | Path | ItemError | UnmetNeed


class Converter(ABC):
    """An adapter that turns (source, prompts) into audio.

    Either implement the three steps, so that a grid of S sources and T targets costs S + T encodings, or
    override :meth:`convert` alone. Batched output must equal one-by-one output (1e-4 of full scale).
    Constructor arguments are the system's options: plain JSON values, keyword only.
    """

    info: ClassVar[ConverterInfo]
    #: Whose words the output holds: those of the source, or (some controls) those of the natural target speech.
    says: ClassVar[Literal["source", "natural"]] = "source"
    #: Pairs given to one call of :meth:`convert`.
    batch_size: int = 8

    def open(self, device: str) -> None:  # noqa: B027 - a converter without weights has nothing to load
        """Load weights; called once per worker process.

        Raises:
            UsageError: a file is missing or wrong.
        """

    def close(self) -> None:  # noqa: B027
        """Free what :meth:`open` took."""

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Encode what is said, one result per source."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Encode who shall say it, one result per list of prompts."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform]:
        """Make audio from (content, speaker) encodings; ``seeds`` drive whatever noise the system draws."""
        raise TypeError(f"converter {self.info.name} does not split into steps; call convert()")

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert a batch; one outcome per request, in order.

        A request that can't be done yields its ItemError and does not disturb the others. Encodings are kept
        for as long as the batch lasts, so a batch with one source and many targets encodes the source once.
        """
        contents: dict[str, Any] = {}
        speakers: dict[tuple[str, ...], Any] = {}
        outcomes: list[Outcome] = []
        for request in requests:
            try:
                pair = request.pair
                source_key = str(pair.source.path) if pair.source else ""
                if source_key not in contents:
                    contents[source_key] = self.encode_content([request.source])[0]
                speaker_key = tuple(str(prompt.path) for prompt in pair.prompts)
                if speaker_key not in speakers:
                    speakers[speaker_key] = self.encode_speaker([request.prompts])[0]
                outcomes.append(self.decode([(contents[source_key], speakers[speaker_key])], [request.seed])[0])
            except ItemError as error:
                outcomes.append(error)
        return outcomes
