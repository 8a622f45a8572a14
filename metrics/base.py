"""The contract of a metric: frozen parameters, statistics per pair, one reduction."""

from __future__ import annotations

import functools
import math
import numbers
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any, ClassVar, Literal, get_args

from vceval.declared import fault, is_text, is_texts, is_whole, unwritten
from vceval.errors import ContractError, ItemError, UnmetNeed, UsageError
from vceval.records import NEEDS, Conversion, Utterance
from vceval.signal.audio import USUAL, Reading
from vceval.storage.cache import Cache

__all__ = ["QUESTIONS", "Calibrations", "Measure", "Metric", "Question", "Recipe", "Statistics", "Workspace"]

#: Per dataset: what a metric learnt from natural speech, as plain JSON values.
Calibrations = Mapping[str, Mapping[str, Any]]

Better = Literal["lower", "higher"]
Reduction = Literal["ratio", "eer", "auc"]
Placed = Literal["", "means", "trials"]
Question = Literal["voice", "words", "quality", ""]
#: What a report answers first: is it the target's voice, are these the source's words, does it sound good?
QUESTIONS: tuple[Question, ...] = ("voice", "words", "quality")
#: Names of measures are columns of tables and parts of file names.
_MEASURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*")
#: A number has no more digits that say anything.
_MOST_DECIMALS = 17


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure that a metric yields; a metric may yield several from the same statistics.

    The corpus figure is sum(numerator) / sum(denominator) over pairs: a mean where the denominator is 1 for
    every pair, a micro-averaged rate where it counts words. Stored values are plain (a rate is a fraction);
    ``scale`` and ``unit`` say how tables print them, with ``decimals`` digits.

    ``reduction`` names corpus figures that are no such ratio. ``eer`` and ``auc`` say how well a detector tells
    natural from converted speech: pairs store the detector's score (denominator 1), and the metric's calibration
    holds the scores of natural speech, ``natural_scores``: speaker to list (:mod:`vceval.statistics.separation`).

    ``secondary`` figures stand in a second table: the first one must fit on a page.

    A ``rate`` counts pairs, each 0 or 1 or in between; its interval keeps to 0 to 1. ``resolution`` is the smallest
    step that a value can make, in stored units: no figure is more certain than its rounding.

    ``thresholded`` names the measure of the same metric whose scores this one, an acceptance rate, holds against the
    threshold of the calibration. Its intervals and tests then hold the threshold's uncertainty
    (:func:`vceval.statistics.calibrations.threshold_variance`); without the name, or of a threshold that was not
    calibrated, they take it for exact.

    How systems are ranked (:mod:`vceval.results.ranking`): ``worst`` is what a failed pair counts as, in stored units:
    0 for a share of accepted recordings, 1 for a share of errors. Without one, systems are ranked on the pairs that all
    have a value for. ``best`` is the value of an ``eer`` or ``auc`` that is best, one half for a detector that
    guesses: systems are ranked by their distance from it, whichever side is ``better``. ``ranked_by`` names the measure
    of the same metric by which this one's systems are ranked: this one stands beside it, unmarked. ``natural_limit`` is
    the worst figure of natural speech (the row that :attr:`Metric.beside` names) with which the measure ranks: what
    judges natural speech worse can't tell whose fault it is.

    ``placed`` says that values are places among trials of natural speech, which the calibration has learnt: ``means``,
    0 at the mean of impostors and 1 at that of same-speaker trials, so that figures of different encoders compare, or
    ``trials``, the share of same-speaker trials that score no more. Intervals of ``means`` hold the uncertainty of both
    ends (:func:`vceval.statistics.calibrations.scale_variance`); those of ``trials`` take the trials for exact. Recipes
    keep such measures though they are secondary.

    ``question``, one of :data:`QUESTIONS`, says which of the report's verdicts the measure may decide
    (:mod:`vceval.results.verdicts`); empty for a measure that explains and decides nothing.
    """

    name: str
    label: str
    unit: str
    better: Better
    scale: float = 1.0
    decimals: int = 2
    reduction: Reduction = "ratio"
    secondary: bool = False
    rate: bool = False
    resolution: float = 0.0
    thresholded: str = ""
    worst: float | None = None
    best: float | None = None
    ranked_by: str = ""
    natural_limit: float | None = None
    question: Question = ""
    placed: Placed = ""

    def declaration_faults(self) -> list[str]:
        """Say what is declared wrongly, each in words; nothing where all is well."""
        found = [
            *fault(self, "name", lambda v: isinstance(v, str) and _MEASURE.fullmatch(v) is not None,
                   "of letters, digits and ._:+-"),
            *fault(self, "label", is_text, "a text"),
            *fault(self, "unit", lambda v: isinstance(v, str), "a text, empty for a figure without a unit"),
            *_one_of(self, "better", get_args(Better)),
            *fault(self, "scale", lambda v: _number(v) not in (None, 0.0), "a number other than 0"),
            *fault(self, "decimals", lambda v: is_whole(v) and v <= _MOST_DECIMALS,
                   f"a whole number from 0 to {_MOST_DECIMALS}"),
            *_one_of(self, "reduction", get_args(Reduction)),
            *fault(self, "secondary", lambda v: isinstance(v, bool), "True or False"),
            *fault(self, "rate", lambda v: isinstance(v, bool), "True or False"),
            *fault(self, "resolution", lambda v: (_number(v) or 0.0) >= 0.0 and _number(v) is not None,
                   "a number, 0 or above"),
            *fault(self, "thresholded", lambda v: isinstance(v, str), "the name of a measure, empty for none"),
            *fault(self, "worst", lambda v: v is None or (self.reduction == "ratio" and _is_finite(v)),
                   "None or a finite number, and None for an eer or auc, of which no pair has a value"),
            *fault(self, "best", lambda v: v is None or (self.reduction != "ratio" and _is_finite(v)),
                   "None or a finite number, and None for a ratio, of which the lowest or highest value is best"),
            *fault(self, "natural_limit", lambda v: v is None or (self.reduction == "ratio" and _is_finite(v)),
                   "None or a finite number, and None for an eer or auc"),
            *fault(self, "ranked_by", lambda v: isinstance(v, str), "a text: the name of a measure, or empty"),
            *_one_of(self, "placed", get_args(Placed)),
            *fault(self, "question", lambda v: v == "" or (v in QUESTIONS and not self.ranked_by),
                   f"{', '.join(QUESTIONS)}, or empty, as where another measure ranks this one's systems"),
        ]  # fmt: skip
        return [f"measure {self.name!r}: {text}" for text in found]


def measure_faults(measures: Sequence[Measure], metric: str, *, calibrates: bool = True) -> list[str]:
    """Say what the measures of a metric declare wrongly, each by itself and beside the others, in words.

    Args:
        measures: all that the metric has.
        metric: how messages call it.
        calibrates: whether it learns from natural speech.
    """
    found = list[str]()
    ranked = [one.name for one in measures if not one.ranked_by]
    scores = [one.name for one in measures if one.reduction == "ratio" and not one.thresholded]
    for measure in measures:
        found += measure.declaration_faults()
        if measure.ranked_by and measure.ranked_by not in ranked:
            found.append(
                f"measure {measure.name!r}: ranked_by must be another measure of {metric} that is ranked by itself, "
                f"not {measure.ranked_by!r}"
            )
        if measure.reduction != "ratio" and not calibrates:
            found.append(f"measure {measure.name!r} is an {measure.reduction}: it needs a method calibrate()")
        if measure.thresholded and not (calibrates and measure.reduction == "ratio"):
            found.append(
                f"measure {measure.name!r} is thresholded: it needs reduction 'ratio' and a method calibrate()"
            )
        if measure.thresholded and measure.thresholded not in scores:
            found.append(
                f"measure {measure.name!r}: thresholded must name a measure of scores of the same metric "
                f"({', '.join(scores) or 'there is none'}), not {measure.thresholded!r}"
            )
    return found


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sufficient statistics of one pair: measure name to (numerator, denominator), and what else to show.

    ``unmet`` holds the measures that have no value for this pair though others have: measure name to
    (need, reason), the need a key of :data:`vceval.records.NEEDS`.

    Numbers of any library become floats, and details JSON values, None for those that are not finite.

    Raises:
        ContractError: a sum is no finite number, a denominator is not above 0, or a detail can't be stored.
    """

    sums: Mapping[str, tuple[float, float]]
    details: Mapping[str, Any] = field(default_factory=dict)
    unmet: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("sums", "details", "unmet"):
            if not isinstance(getattr(self, name), Mapping):
                raise ContractError(f"{name} of Statistics must be a mapping, not {_kind(getattr(self, name))}")
        object.__setattr__(self, "sums", {measure: _sums(measure, pair) for measure, pair in self.sums.items()})
        object.__setattr__(self, "unmet", {measure: _unmet(measure, why) for measure, why in self.unmet.items()})
        try:
            object.__setattr__(self, "details", _plain(self.details, gaps=True))
        except (TypeError, RecursionError) as error:
            raise ContractError(f"details of Statistics: {error}") from None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Another definition of a metric's quantity, called ``NAME:RECIPE``: what it changes of a class.

    about: the definition, as the docstring of a class would give it.
    label: stands in brackets after the labels of the class's measures; without one they stay as they are.
    variant: stands in brackets after the title of the class; the label where it is not given.
    of: ``module:class`` of the class, where that is not the metric's own.
    changes: parameters (the fields of the class) and class attributes such as ``source``, with their values; they
        come last, so that ``title`` and ``measures`` can be given whole.
    """

    about: str
    label: str = ""
    variant: str = ""
    of: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Workspace:
    """What a metric may use while it works.

    natural: natural speech of the corpora scored, for calibration and references.
    calibrations: what :meth:`Metric.calibrate` returned earlier, per dataset.
    device: ``cpu``, or ``cuda:N`` for a metric that works on it (:attr:`Metric.on_device`).
    reading: how :func:`vceval.signal.audio.load` reads recordings here.
    shared: what metrics of one process have in common, such as an encoder.
    """

    cache: Cache = field(default_factory=lambda: Cache(None))
    natural: Sequence[Utterance] = ()
    calibrations: Calibrations = field(default_factory=dict)
    device: str = "cpu"
    reading: Reading = USUAL
    shared: dict[Any, Any] = field(default_factory=dict)


class Metric(ABC):
    """A plug-in that scores converted speech.

    A subclass is a frozen dataclass: its fields are the parameters, and with ``version`` they make the
    signature. It must be picklable before :meth:`open` is called, and load torch and the like only from there on.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str]
    #: Keys of :data:`vceval.records.NEEDS`.
    needs: ClassVar[frozenset[str]]
    measures: ClassVar[tuple[Measure, ...]]
    #: What to cite: "Author, Title, Venue Year".
    source: ClassVar[str]
    #: Other definitions of the same quantity, called ``NAME:RECIPE``: what each changes of this class, or the
    #: ``module:class`` that is it.
    recipes: ClassVar[Mapping[str, Recipe | str]] = {}
    #: The control whose row stands beside those of all systems, measured on this metric whether it was asked for or
    #: not: ``source``, natural speech of the same pairs; empty for none.
    beside: ClassVar[str] = ""
    #: Which row of that table this class is; empty for the default.
    recipe: ClassVar[str] = ""
    #: Names that stand for several metrics: what follows the colon, to their names; those that are here are scored.
    groups: ClassVar[Mapping[str, Sequence[str]]] = {}
    #: The signature without the version: ``MCD|order:{0.order}|c0:no``, where braces put in parameters and other
    #: attributes of the metric (:meth:`str.format`). Where it is empty, the name and all parameters stand there.
    choices: ClassVar[str] = ""
    #: What the short signature leaves out because it never varies within this metric: key to value.
    facts: ClassVar[Mapping[str, str]] = {}
    #: Distributions whose version can change the value.
    packages: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def declaration_faults(owner: object, name: str) -> list[str]:
        """Say what a metric, or its class, declares wrongly, each in words; nothing where all is well.

        ``name`` is the one that it is registered under.
        """
        known = ", ".join(NEEDS)
        found = [
            *fault(owner, "name", lambda v: v == name, f"{name!r}, as it is registered"),
            *(text for key in ("title", "version", "source") for text in fault(owner, key, is_text, "a text")),
            *fault(owner, "needs", lambda v: isinstance(v, frozenset | set) and v <= set(NEEDS),
                   f"a frozenset of any of {known}; frozenset() for none"),
            *fault(owner, "measures", _are_measures,
                   "a tuple of one Measure or more, each with a name of its own; (Measure(...),) for one"),
            *fault(owner, "recipes", _are_recipes, "a mapping of names to Recipe(...) or 'module:class'"),
            *fault(owner, "facts", lambda v: isinstance(v, Mapping), "a mapping of keys to values"),
            *fault(owner, "packages", is_texts, "a tuple of names of distributions"),
            *unwritten(owner),
        ]  # fmt: skip
        if not _are_measures(getattr(owner, "measures", ())):
            return found
        kind = owner if isinstance(owner, type) else type(owner)
        calibrates = getattr(kind, "calibrate", None) is not Metric.calibrate
        measures: Sequence[Measure] = owner.measures  # type: ignore[attr-defined]
        return [*found, *measure_faults(measures, name, calibrates=calibrates)]

    @property
    def judge(self) -> str:
        """What made the figures, such as a recogniser, as heads of tables name it; empty where the metric says all."""
        return ""

    @property
    def encoder_kin(self) -> Mapping[str, str]:
        """Speaker encoders whose systems the metric favours: as converters declare them, to what each is here.

        The first is the encoder that judges, its title the text; the others are related to it. Empty for a metric that
        no encoder judges for. Systems that one of them was made with are shown and not ranked.
        """
        return {}

    @property
    def cites(self) -> str:
        """What to cite for the figures as they were made: the source, and that of the judge where it is another."""
        return self.source

    def signature(self) -> str:
        """Name every choice that changes the value, ``MCD|order:24|...|v:1.0``; needs no open workspace.

        Raises:
            UsageError: what the signature names is missing on this machine (weights, say).
        """
        parts = [self.choices.format(self)] if self.choices else [self.name.upper(), *self._parameters()]
        return "|".join([*parts, f"v:{self.version}"])

    def _parameters(self) -> list[str]:
        return [f"{one.name}:{getattr(self, one.name)}" for one in fields(self)] if is_dataclass(self) else []

    def long_signature(self) -> str:
        """The short signature, then all parameters, unvarying facts and versions of the packages that matter."""
        parts = [self.signature(), *self._parameters(), *(f"{key}:{value}" for key, value in self.facts.items())]
        for package in (*self.packages, "vceval"):
            try:
                parts.append(f"{package}:{version(package)}")
            except PackageNotFoundError:
                parts.append(f"{package}:none")
        return "|".join(parts)

    @classmethod
    def of_recipe(cls, name: str) -> type[Metric]:
        """Make the class of one of the :attr:`recipes`; the same class each time.

        Raises:
            UsageError: the recipe changes what the class does not have.
        """
        return _of_recipe(cls, name)

    def open(self, workspace: Workspace) -> None:
        """Take the workspace and load what is needed; called once per process, before any other method below.

        Raises:
            UsageError: the metric can't work on this machine (the message says what to install).
        """
        object.__setattr__(self, "_workspace", workspace)

    @property
    def workspace(self) -> Workspace:
        """The workspace given to :meth:`open`."""
        found = getattr(self, "_workspace", None)
        if found is None:
            raise RuntimeError(f"metric {self.name} is used before open()")
        return found  # type: ignore[no-any-return]

    def analyse(self, utterance: Utterance) -> None:  # noqa: B027 - most metrics need no preparation
        """Put into the cache what :meth:`calibrate` will need of one natural utterance (runs in parallel).

        Raises:
            ItemError: the recording can't be used; it is left out of the calibration and counted.
        """

    def analyse_many(self, natural: Sequence[Utterance]) -> None:
        """Do what :meth:`analyse` does for some utterances, together where that is faster.

        Recordings that can't be used are passed over: :meth:`calibrate` meets them again and counts them.
        """
        for utterance in natural:
            try:
                self.analyse(utterance)
            except ItemError:
                continue

    def calibrate(self, dataset: str, natural: Sequence[Utterance]) -> Mapping[str, Any] | None:
        """Learn from the natural speech of one dataset; JSON values, or None where there is nothing to learn.

        When there is too little speech the result is ``{"unavailable": "<reason>"}``.
        """
        return None

    @property
    def on_device(self) -> bool:
        """Whether a GPU makes it faster: on one, the worker of the GPU scores it, in large batches.

        All other metrics are scored on processors, beside, by workers that do not load what GPUs need.
        """
        return False

    @property
    def batch(self) -> int:
        """How many conversions :meth:`prepare` likes to be given at once on a processor; 1 where it does nothing."""
        return 1

    def read_ahead(self, items: Sequence[Conversion | Utterance]) -> None:  # noqa: B027 - most metrics read little
        """Read what :meth:`prepare` will take of conversions, or :meth:`analyse_many` of natural recordings.

        Called for a metric that is :attr:`on_device`, in another thread, while the device works on earlier ones.
        Nothing that is left out, and no error, changes a result.
        """

    def prepare(self, conversions: Sequence[Conversion]) -> None:  # noqa: B027 - most metrics work one by one
        """Put into the cache what :meth:`statistics` will need of some conversions, together where that is faster.

        Called before :meth:`statistics` of each of them. What can't be prepared is passed over: :meth:`statistics`
        meets it again and says why.
        """

    @abstractmethod
    def statistics(self, conversion: Conversion) -> Statistics:
        """Score one conversion.

        Raises:
            UnmetNeed: the pair lacks what the metric needs (no value, counted).
            ItemError: the audio can't be scored (a failure, counted).
        """

    def checked_statistics(self, conversion: Conversion) -> Statistics:
        """Score one conversion by :meth:`statistics`, and hold what it gives against what the metric declares.

        Raises:
            UnmetNeed, ItemError: as :meth:`statistics` does.
            ContractError: it gives something else than Statistics of the declared measures, each with sums or unmet.
        """
        try:
            return self.complete(self.statistics(conversion))
        except UnmetNeed as missing:
            if missing.need not in NEEDS:
                raise ContractError(f"UnmetNeed of {missing.need!r}, which is none of {', '.join(NEEDS)}") from missing
            raise

    def complete(self, found: object) -> Statistics:
        """Give statistics back that hold every declared measure once, as sums or unmet.

        Raises:
            ContractError: these don't.
        """
        if not isinstance(found, Statistics):
            raise ContractError(f"statistics() gave {_kind(found)}, not Statistics")
        declared = [measure.name for measure in self.measures]
        given = [*found.sums, *found.unmet]
        unknown = [repr(name) for name in given if name not in declared]
        absent = [repr(name) for name in declared if given.count(name) != 1]
        if unknown:
            raise ContractError(
                f"statistics() names {', '.join(unknown)}; the measures declared are {', '.join(declared)}"
            )
        if absent:
            raise ContractError(f"statistics() must give each measure once, in sums or unmet: see {', '.join(absent)}")
        return found

    def learn(self, dataset: str, natural: Sequence[Utterance]) -> dict[str, Any] | None:
        """Learn by :meth:`calibrate`, as plain JSON values that a run can keep.

        Raises:
            ContractError: it gives something that can't be kept, or no scores of natural speech where a measure's
                reduction compares with them.
        """
        found = self.calibrate(dataset, natural)
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise ContractError(f"calibrate() gave {_kind(found)}, not a mapping")
        try:
            learnt: dict[str, Any] = _plain(found)
        except (TypeError, ValueError, RecursionError) as error:
            raise ContractError(f"calibrate() gave what can't be kept: {error}") from None
        scores = learnt.get("natural_scores", {})
        fits = isinstance(scores, dict) and all(_are_numbers(some) for some in scores.values())
        compares = any(measure.reduction != "ratio" for measure in self.measures)
        if not fits or (compares and "unavailable" not in learnt and not scores):
            raise ContractError("calibrate() must give natural_scores, a mapping of speakers to lists of numbers")
        return learnt


@functools.cache
def _of_recipe(metric: type[Metric], name: str) -> type[Metric]:
    row = metric.recipes[name]
    if isinstance(row, str):
        found: type[Metric] = pkgutil.resolve_name(row)
        return found
    kind: type[Metric] = pkgutil.resolve_name(row.of) if row.of else metric
    known: dict[str, Any] = {one.name: one.type for one in fields(kind)} if is_dataclass(kind) else {}
    unknown = [key for key in row.changes if key not in known and not hasattr(kind, key)]
    if unknown:
        raise UsageError(
            f"recipe {metric.name}:{name} changes {', '.join(unknown)}, which {kind.__name__} does not have"
        )
    parameters = [(key, known[key], value) for key, value in row.changes.items() if key in known]
    attributes: dict[str, Any] = {
        "__doc__": row.about,
        "__module__": kind.__module__,
        "__reduce__": lambda self: (_restored, (metric, name, self.__dict__)),
        "name": f"{metric.name}:{name}",
        "recipe": name,
        "recipes": {},
    }
    if row.label:
        attributes["title"] = f"{kind.title} ({row.variant or row.label})"
        # ``mcd:pymcd`` has no measure besides its own: what is secondary, or ranks another one, stays with the default,
        # unless rates need its scores
        rankers = {measure.ranked_by for measure in kind.measures}
        asked = {measure.name: measure.question for measure in kind.measures}
        primary = [measure for measure in kind.measures if not measure.secondary and measure.name not in rankers]
        needed = {measure.thresholded for measure in primary}
        attributes["measures"] = tuple(
            replace(
                measure,
                name=_in_recipe(measure.name, name),
                thresholded=measure.thresholded and _in_recipe(measure.thresholded, name),
                label=f"{measure.label.partition(' (')[0]} ({row.label})",
                ranked_by="",
                question=measure.question or asked.get(measure.ranked_by, ""),
            )
            for measure in kind.measures
            if measure in primary or measure.name in needed or measure.placed
        )
    attributes |= {key: value for key, value in row.changes.items() if key not in known}
    return make_dataclass(f"{kind.__name__}[{name}]", parameters, bases=(kind,), namespace=attributes, frozen=True)


def _in_recipe(measure: str, recipe: str) -> str:
    return f"{measure.partition(':')[0]}:{recipe}"


def _restored(metric: type[Metric], name: str, state: Mapping[str, Any]) -> Metric:
    """Unpickle a metric whose class was made from a recipe and so stands in no module."""
    made: Metric = object.__new__(metric.of_recipe(name))
    made.__dict__.update(state)
    return made


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _one_of(owner: object, name: str, known: tuple[str, ...]) -> list[str]:
    return fault(owner, name, lambda value: value in known, f"one of {', '.join(known)}")


def _are_recipes(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(row, str | Recipe) for row in value.values())


def _are_measures(value: object) -> bool:
    if not isinstance(value, tuple | list) or not value or not all(isinstance(item, Measure) for item in value):
        return False
    return len({str(item.name) for item in value}) == len(value)


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _number(value: Any) -> float | None:
    """Read a number of any library, also an array or a tensor without axes; None for anything else."""
    if type(value) is float:
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    try:
        return float(value) if isinstance(value, numbers.Real) else None
    except OverflowError:
        return math.inf


def _is_finite(value: Any) -> bool:
    number = None if isinstance(value, bool) else _number(value)
    return number is not None and math.isfinite(number)


def _sums(measure: object, pair: Any) -> tuple[float, float]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ContractError(f"measure {measure!r} must have (numerator, denominator), not {pair!r}")
    read = [_number(part) for part in pair]
    for what, number, part in zip(("numerator", "denominator"), read, pair, strict=True):
        if number is None or not math.isfinite(number):
            raise ContractError(f"measure {measure!r}: {what} {part!r} is no finite number")
    numerator, denominator = (float(number or 0.0) for number in read)
    if denominator <= 0.0:
        raise ContractError(f"measure {measure!r}: denominator {denominator:g} is not above 0, so there is no value")
    return numerator, denominator


def _unmet(measure: object, why: Any) -> tuple[str, str]:
    if not isinstance(why, tuple | list) or len(why) != 2 or why[0] not in NEEDS or not isinstance(why[1], str):
        raise ContractError(
            f"unmet measure {measure!r} must have (need, reason), not {why!r}; needs: {', '.join(NEEDS)}"
        )
    return why[0], _plain(why[1])


def _plain(value: Any, *, gaps: bool = False) -> Any:
    """Turn a value into those that JSON has. ``gaps`` turns numbers that are not finite into None.

    Raises:
        TypeError: JSON has nothing like it.
        ValueError: a number is not finite, and there may be no gaps.
    """
    kind = type(value)
    if value is None or kind is bool or kind is int or (kind is str and value.isascii()):
        return value
    if isinstance(value, str | PurePath):
        return str(value).encode(errors="backslashreplace").decode()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value) or gaps:
            return float(value) if math.isfinite(value) else None
        raise ValueError(f"{value} is not finite")
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item, gaps=gaps) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item, gaps=gaps) for item in value]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, tensors
        return _plain(value.tolist(), gaps=gaps)
    raise TypeError(f"{_kind(value)} can't be stored; give numbers, texts, lists and mappings")
