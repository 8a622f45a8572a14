"""The contract of a metric: frozen parameters, statistics per pair, one reduction."""

from __future__ import annotations

import functools
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

from vceval.errors import ItemError, UsageError
from vceval.records import Conversion, Utterance
from vceval.storage.cache import Cache

__all__ = ["Calibrations", "Measure", "Metric", "Recipe", "Statistics", "Workspace"]

#: Per dataset: what a metric learnt from natural speech, as plain JSON values.
Calibrations = Mapping[str, Mapping[str, Any]]


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
    """

    name: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    scale: float = 1.0
    decimals: int = 2
    reduction: Literal["ratio", "eer", "auc"] = "ratio"
    secondary: bool = False


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sufficient statistics of one pair: measure name to (numerator, denominator), and what else to show.

    ``unmet`` holds the measures that have no value for this pair though others have: measure name to
    (need, reason).
    """

    sums: Mapping[str, tuple[float, float]]
    details: Mapping[str, Any] = field(default_factory=dict)
    unmet: Mapping[str, tuple[str, str]] = field(default_factory=dict)


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
    device: ``cpu`` or ``cuda`` or ``cuda:N``.
    """

    cache: Cache = field(default_factory=lambda: Cache(None))
    natural: Sequence[Utterance] = ()
    calibrations: Calibrations = field(default_factory=dict)
    device: str = "cpu"
    allow_download: bool = False


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
    #: Which row of that table this class is; empty for the default.
    recipe: ClassVar[str] = ""
    #: The signature without the version: ``MCD|order:{0.order}|c0:no``, where braces put in parameters and other
    #: attributes of the metric (:meth:`str.format`). Where it is empty, the name and all parameters stand there.
    choices: ClassVar[str] = ""
    #: What the short signature leaves out because it never varies within this metric: key to value.
    facts: ClassVar[Mapping[str, str]] = {}
    #: Distributions whose version can change the value.
    packages: ClassVar[tuple[str, ...]] = ()

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
    def batch(self) -> int:
        """How many conversions :meth:`prepare` likes to be given at once; 1 where it does nothing."""
        return 1

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
        # ``mcd:pymcd`` has no measure besides its own: what is secondary stays with the default
        attributes["measures"] = tuple(
            replace(
                measure,
                name=f"{measure.name.partition(':')[0]}:{name}",
                label=f"{measure.label.partition(' (')[0]} ({row.label})",
            )
            for measure in kind.measures
            if not measure.secondary
        )
    attributes |= {key: value for key, value in row.changes.items() if key not in known}
    return make_dataclass(f"{kind.__name__}[{name}]", parameters, bases=(kind,), namespace=attributes, frozen=True)


def _restored(metric: type[Metric], name: str, state: Mapping[str, Any]) -> Metric:
    """Unpickle a metric whose class was made from a recipe and so stands in no module."""
    made: Metric = object.__new__(metric.of_recipe(name))
    made.__dict__.update(state)
    return made
