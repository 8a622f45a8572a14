"""A result file: what one run found of one system, as a model, as JSON, and as the bytes that are signed.

The file is ``{"result":...,"signature":"..."}``. What is signed are the bytes of the result as they stand in the file:
JSON with sorted keys, without blanks, in ASCII, with numbers in the shortest form that gives them again.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import from_json

from vceval.errors import UsageError
from vceval.protocol.schema import Model, checked
from vceval.publish.columns import MOST
from vceval.results.efficiency import Efficiency
from vceval.results.views import Cell, MeasureView, MetricView
from vceval.storage.paths import no_such_file

if TYPE_CHECKING:
    from vceval.publish.keys import Key

__all__ = [
    "FORM", "FORMAT", "HUGE", "LARGEST", "Environment", "Failed", "Figure", "Learnt", "Pairs", "Publisher", "Result",
    "ResultFile", "RunFacts", "SeedFigure", "Signed", "Skipped", "SuiteFacts", "Sums", "SystemFacts", "Weights",
    "begins_as_result", "read", "render",
]  # fmt: skip

#: What a file says that it is, and the version of its form.
FORMAT: Literal["vceval result"] = "vceval result"
FORM: Literal[1] = 1
#: Bytes of the largest file that is read: 1,200 pairs take some 100,000.
LARGEST = 1 << 24
#: Larger numbers are no scores, and their squares and fourth powers no numbers.
HUGE = 1e30
#: No network has more parameters.
_PARAMETERS = 10**15
_BEGIN, _END = b'{"result":', re.compile(rb',"signature":"([A-Za-z0-9+/]{86}==)"\}\s*')
#: No line ends, nothing that turns the direction of a text, and nothing that is no letter in XML.
_SHOWN = r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
_ALL_SHOWN = re.compile(f"{_SHOWN}*")
#: Of JSON, the only bytes that can stand for what is not shown: most files have none, and need no closer look.
_ODD = re.compile(rb'\\[^"\\/]|[^ -~]')

#: Text for people, in one line.
Plain = Annotated[str, Field(max_length=2000, pattern=f"^{_SHOWN}*$")]
Name = Annotated[str, Field(max_length=200, pattern=f"^{_SHOWN}+$")]
Count = Annotated[int, Field(ge=0, le=MOST)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
#: A number of which the fourth power is one.
Real = Annotated[float, Field(ge=-HUGE, le=HUGE)]
#: Numbers as :mod:`vceval.publish.columns` writes them.
Packed = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class _Part(Model):
    model_config = ConfigDict(allow_inf_nan=False)


class SuiteFacts(_Part):
    """What was to be converted."""

    name: Name
    """With its version, as demo@1; score where audio from elsewhere was scored."""
    pairs_sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """Of the pair list; empty where there is none."""
    pairs: Count
    """Of the run, whichever system they are for."""
    listed: Count | None = None
    """Pairs on the suite's list."""
    partial: bool = False
    """Whether the run took only some of the list."""
    custom: bool = False
    """Whether it took pairs that are none of the suite's."""
    public: bool = False
    """Whether speakers have the names of the suite's corpus; else they are numbered."""


class RunFacts(_Part):
    """The run that the result is of."""

    manifest_sha256: Hash
    """Of run.json."""
    created: Plain
    """When it began, in UTC."""
    seed: int = 0
    max_seconds: float | None = None
    """Recordings are read up to this length."""
    channel: Plain = ""
    """Which one of several is read; all, where nothing is said."""


class Environment(_Part):
    """What computed the result."""

    versions: dict[Name, Plain]
    platform: Plain = ""
    device: Plain = ""
    executor: Plain = ""
    commit: Plain = ""
    """Of the repository from which the command was given."""
    changed: bool = False
    """Whether its tree differed from that commit."""


class Weights(_Part):
    """One weight file."""

    sha256: Hash
    edition: Plain = ""
    """Which published file it is, as far as that is known."""


class SystemFacts(_Part):
    """The row of the tables."""

    name: Name
    title: Name
    place: Count
    """Among the rows of the run, from 0."""
    control: bool = False
    """Whether it converts nothing: natural speech or resynthesis."""
    kind: Plain = ""
    converter: Plain = ""
    options: dict[Name, Any] = Field(default_factory=dict)
    """Of the converter; what may name a file is left out."""
    signature: Plain = ""
    """Resampler, trimming and level of the converter."""
    sample_rate: Count | None = None
    sample_rates: list[Count] = Field(default_factory=list)
    licence: Plain = ""
    paper: Plain = ""
    seeds: Annotated[int, Field(ge=1, le=MOST)] = 1
    """How many times it converted each pair."""
    expected: Count
    """Conversions that it should have made."""
    failed: Count = 0
    """Conversions that it did not make."""
    weights: list[Weights] = Field(default_factory=list)
    encoders: dict[Name, Plain] = Field(default_factory=dict)
    """Speaker encoders that it was made with, each with what it was used for."""
    kin: dict[Name, Plain] = Field(default_factory=dict)
    """Metrics whose encoder is its own or related to it, with the reason: they do not rank it."""


class Pairs(_Part):
    """The pairs that the system was given, in the order of the run; columns of one number per pair."""

    count: Annotated[int, Field(ge=1, le=MOST)]
    identities: Packed
    """8 bytes of each pair, in base64: a hash of dataset, recordings and text."""
    numbers: Packed
    """Place of each in the run's list, from 0."""
    listed: Packed | None = None
    """Place of each in the suite's list."""
    targets: Packed
    """Target speaker: place among the speakers, one more than the last where it is not known."""
    sources: Packed
    texts: Packed
    """Which pairs have the same text; one more than the largest where it is not known."""
    text_count: Count
    datasets: Packed
    directions: Packed
    languages: Packed
    speakers: list[Plain]
    dataset_names: list[Plain]
    direction_names: list[Plain]
    language_names: list[Plain]
    source_exposures: Packed | None = None
    """What is known of the system's training on each source speaker: trained, unseen or unknown."""
    target_exposures: Packed | None = None


class Sums(_Part):
    """Sums of one measure, one per pair: the figure is that of the numerators over that of the denominators."""

    numerators: Packed
    """NaN where a pair has no value."""
    denominators: Packed
    """NaN likewise; what a failed pair would weigh, where the measure has a worst value."""


class Failed(_Part):
    """Pairs that failed at one stage."""

    stage: Name
    metric: Plain = ""
    seed: Count = 0
    pairs: Packed


class Skipped(_Part):
    """Pairs for which a measure can't have a value."""

    metric: Name
    measure: Name
    need: Name
    seed: Count = 0
    pairs: Packed


class Flags(_Part):
    """What sanity checks and recognisers found."""

    checked: Packed
    """The pairs whose recording was checked."""
    raised: dict[Name, Packed] = Field(default_factory=dict)
    """Flags, each with its pairs."""
    later: dict[Name, Packed] = Field(default_factory=dict)
    """Those of other seeds than the first."""


class Curve(_Part):
    """Error rates by threshold, all of the same length."""

    thresholds: list[Real]
    false_alarms: list[Real]
    misses: list[Real]


class Learnt(_Part):
    """What a metric learnt from natural speech of a dataset, as far as figures, intervals and pages rest on it."""

    model_config = ConfigDict(extra="allow")

    encoder: str = ""
    unavailable: str = ""
    trials_sha256: str = ""
    eer: Real | None = None
    eer_low: Real | None = None
    eer_high: Real | None = None
    threshold: Real = 0.0
    threshold_low: Real | None = None
    threshold_high: Real | None = None
    threshold_draws: list[Real] = Field(default_factory=list)
    impostor_mean: Real | None = None
    same_mean: Real | None = None
    mean_draws: list[Annotated[list[Real], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    natural_scores: dict[str, list[Real]] = Field(default_factory=dict)
    speakers: Count = 0
    utterances: Count = 0
    unusable: Count = 0
    target_trials: Count = 0
    nontarget_trials: Count = 0
    same_gender: dict[str, Real | str | None] = Field(default_factory=dict)
    curve: Curve | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.mean_draws and None in (self.impostor_mean, self.same_mean):
            raise ValueError("mean_draws needs impostor_mean and same_mean")
        if self.curve and self.eer is None:
            raise ValueError("curve needs eer")
        if self.curve and len({len(one) for _, one in self.curve}) > 1:
            raise ValueError("the columns of curve are not of one length")
        return self


class SeedVariance(_Part):
    """Variance of one conversion by what it comes from; speakers: of source and target, sentence: what is left."""

    seed: float | None
    speakers: float | None
    sentence: float | None


class SeedFigure(_Part):
    """What several seeds do to a figure, as the run has it."""

    system: Name
    measure: Name
    scored: Count
    expected: Count
    pairs: Count
    values: list[float]
    sd: float | None
    variance: SeedVariance | None
    part: float | None
    enough: Count | None


class Figure(_Part):
    """A figure that follows from the sums, for readers; whoever computes takes the sums."""

    measure: Name
    dataset: Name
    """All for every dataset."""
    direction: Name
    cell: Cell


class Publisher(_Part):
    """Who signed, and when."""

    name: Name
    key: Annotated[str, Field(pattern="^ed25519:[A-Za-z0-9+/]{43}=$")]
    published: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    vceval: Name
    """The version that made the figures of the sums."""


class Result(_Part):
    """What one run found of one system."""

    format: Literal["vceval result"]
    version: Literal[1]
    suite: SuiteFacts
    run: RunFacts
    environment: Environment
    system: SystemFacts
    metrics: list[MetricView]
    measures: list[MeasureView]
    calibrations: dict[Name, dict[Name, dict[Name, Any]]] = Field(default_factory=dict)
    """Metric to dataset to what was learnt from natural speech; long lists of numbers are packed."""
    pairs: Pairs
    sums: dict[Name, Sums]
    """By measure."""
    failures: list[Failed] = Field(default_factory=list)
    skips: list[Skipped] = Field(default_factory=list)
    flags: Flags | None = None
    figures: list[Figure]
    efficiency: list[Efficiency] = Field(default_factory=list)
    seeds: list[SeedFigure] = Field(default_factory=list)
    """What several seeds do to each figure."""
    by: Publisher

    @model_validator(mode="after")
    def _plausible(self, info: ValidationInfo) -> Self:
        if info.mode != "json":  # of files, read() knows which can hold such
            self.check_texts()
        for text in (self.by.name, self.system.name, self.system.title):
            if not text.strip():
                raise ValueError(f"a name is blank, {text!r:.80}")
        for one in self.efficiency:
            if any(not 0 <= count <= _PARAMETERS for count in (one.parameters or {}).values()):
                raise ValueError(f"efficiency: {one.system} has a number of parameters that no network has")
        return self

    def check_texts(self) -> None:
        """Look at the texts that no pattern holds: whoever prints a result prints them too.

        Raises:
            ValueError: one holds what no line may hold.
        """
        for text in _texts((self.metrics, self.measures, self.efficiency, self.calibrations, self.system.options)):
            if not _ALL_SHOWN.fullmatch(text):
                raise ValueError(f"holds a text with what no line may hold, {text!r:.80}")


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, names of keys and fields of records too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _texts(getattr(value, one.name))


class ResultFile(_Part):
    """A result file of vceval: what one run found of one system, signed."""

    result: Result
    signature: Annotated[str, Field(pattern="^[A-Za-z0-9+/]{86}==$")]
    """Ed25519, in base64, of the bytes of the result as they stand in the file."""


class Signed(NamedTuple):
    """A result as it was read: the model, the bytes that are signed, the signature, and the hash of the file."""

    result: Result
    message: bytes
    signature: str
    sha256: str


def render(result: Result, key: Key) -> bytes:
    """Write and sign a result file.

    Raises:
        ValueError: a number is not finite.
    """
    content = result.model_dump(exclude_defaults=True)
    message = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b'%b%b,"signature":"%b"}\n' % (_BEGIN, message, key.sign(message).encode("ascii"))


def begins_as_result(path: Path) -> bool:
    """Whether a file begins as result files do.

    Raises:
        OSError: it can't be read.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_BEGIN)) == _BEGIN


def read(path: Path) -> Signed:
    """Read a result file; nothing in it is trusted, and what is too large is not opened.

    The signature is not looked at: :func:`vceval.publish.check.check` does.

    Raises:
        UsageError: there is no such file, it is none, is cut, or is of a version that this vceval does not know.
    """
    data = _bytes(path)
    end = _END.fullmatch(data, data.rfind(b',"signature":'))
    if not data.startswith(_BEGIN) or end is None:
        what = "is cut, or was edited" if data.startswith(_BEGIN) else "is no result file"
        raise UsageError(f"{path}: {what}; 'vceval publish RUN' writes them, whole or not at all")
    message = data[len(_BEGIN) : end.start()]
    try:
        if b"NaN" in message or b"Infinity" in message:  # the model would take them where anything may stand
            from_json(message, allow_inf_nan=False)
        result = checked(message, Result, str(path))
    except UsageError:
        _known(path, message)
        raise
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON ({error})") from error
    if _ODD.search(message):
        try:
            result.check_texts()
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
    return Signed(result, message, end[1].decode("ascii"), hashlib.sha256(data).hexdigest())


def _known(path: Path, message: bytes) -> None:
    """Say what is the matter with a file that is none of this version."""
    try:
        values = from_json(message, allow_inf_nan=False)
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON ({error})") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UsageError(f"{path}: is no result file; 'vceval publish RUN' writes them")
    if values.get("version") != FORM:
        told = f"has version {values.get('version')!r:.80}, this vceval reads {FORM}"
        raise UsageError(f"{path}: {told}; a newer vceval may read it")


def _bytes(path: Path) -> bytes:
    """The bytes of a file of moderate size."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UsageError(f"{path}: is no file")
        if about.st_size > LARGEST:
            raise UsageError(f"{path}: has {about.st_size:,} bytes; no result file has more than {LARGEST:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(no_such_file(path)) from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
