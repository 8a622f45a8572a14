"""The rules of the gate: what may become how much worse, and how sure one must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from vceval.errors import UsageError
from vceval.protocol.schema import Names, Section, Text, meaning, mistake, read_document
from vceval.records import DIRECTIONS

__all__ = ["DEFAULT", "CountRule", "MeasureRule", "Rules", "RulesFile", "read_rules"]

#: The rules that hold where no others are given.
DEFAULT = Path(__file__).parent / "default.yaml"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """A measure may not become worse by more than ``worsening``.

    worsening: in stored units (a rate is a fraction), or a share of the baseline's value where ``relative``.
    confidence: 1 - confidence is the rule's claim on the chance of a false ``regress``, which all rules share.
    pass_confidence: 1 - pass_confidence is the chance of a false ``pass`` of this rule.
    cap: largest value that counts for one pair; None for no limit.
    accept_blind: whether the rule may decide though it can't see five times what it allows.
    systems: names, or None for every system that is no control.
    directions: some of DIRECTIONS, or ``all``: a decision for each.
    """

    measure: str
    worsening: float
    relative: bool = False
    confidence: float = 0.97
    pass_confidence: float = 0.95
    minimum_pairs: int = 10
    cap: float | None = None
    accept_blind: bool = False
    systems: tuple[str, ...] | None = None
    directions: tuple[str, ...] = ("all",)


@dataclass(frozen=True, slots=True)
class CountRule:
    """There may be no more than ``allowed`` failures, or flagged pairs, that the baseline does not have."""

    what: Literal["failures", "flags"]
    allowed: int = 0
    systems: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one file. ``given``: by the user, so that a rule about something unmeasured is an error."""

    place: str
    measures: Sequence[MeasureRule]
    counts: Sequence[CountRule]
    given: bool


Confidence = Annotated[float, Field(ge=0.5, lt=1.0), meaning("at least 0.5 and below 1")]
Pairs = Annotated[int, Field(ge=1)]


class _MeasureRule(Section):
    """A measure may not become worse by more than is allowed."""

    one_of: ClassVar[Mapping[str, str]] = {
        "worsening": "in stored units",
        "relative_worsening": "a share of the baseline's value",
    }

    measure: Text
    """Such as wer, mcd or sv_accept."""
    worsening: Annotated[float, Field(ge=0, allow_inf_nan=False), meaning("0 or more")] | None = None
    """In stored units: 0.01 of a rate is one percentage point."""
    relative_worsening: Annotated[float, Field(ge=0, lt=1), meaning("from 0 to below 1")] | None = None
    """As a share of the baseline's value."""
    confidence: Confidence | None = None
    """Where it is not that of the file."""
    pass_confidence: Confidence | None = None
    """Where it is not that of the file."""
    minimum_pairs: Pairs | None = None
    """Where it is not that of the file."""
    cap: Annotated[float, Field(gt=0), meaning("above 0")] | None = None
    """Largest value that counts for one pair."""
    accept_blind: bool = False
    """Whether the rule may decide though it can't see five times what it allows."""
    systems: Names | None = None
    """Every system that is no control, where left out."""
    directions: Annotated[
        tuple[Literal["all", "F2F", "F2M", "M2F", "M2M"], ...],
        Field(strict=False, min_length=1, json_schema_extra={"uniqueItems": True}),
        meaning(f"some of all, {', '.join(DIRECTIONS)}"),
    ] = ("all",)


class _CountRule(Section):
    """There may be no more new failures, or newly flagged pairs, than are allowed."""

    new: Literal["failures", "flags"]
    allowed: int = Field(default=0, ge=0)
    systems: Names | None = None
    """Every system, where left out."""


def _kind(rule: Any) -> str | None:
    return ("count" if "new" in rule else "measured") if isinstance(rule, dict) else None


class RulesFile(Section):
    """Rules for vceval gate: what may become how much worse, and how sure one must be."""

    schema_: Literal[1] = Field(alias="schema")
    """The form of this file."""
    confidence: Confidence = 0.97
    """1 less this is the chance of a red night where nothing is worse than allowed, over all rules together."""
    pass_confidence: Confidence = 0.95
    """1 less this is the chance that a rule passes though the worsening is larger than allowed."""
    minimum_pairs: Pairs = 10
    """With fewer a rule is undecided, unless nothing differs at all."""
    rules: tuple[
        Annotated[Annotated[_MeasureRule, Tag("measured")] | Annotated[_CountRule, Tag("count")], Discriminator(_kind)],
        ...,
    ] = Field(strict=False, json_schema_extra={"minItems": 1})

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, values: Any) -> Any:
        """Look at the form first: another one may have other keys."""
        if isinstance(values, dict) and isinstance(form := values.get("schema"), int) and form != SCHEMA:
            raise mistake("schema", f"is {form}; this vceval reads {SCHEMA}")
        return values


def read_rules(path: Path | None = None, suite: str = "") -> Rules:
    """Read a rules file; without one, the rules that come with a suite (``demo@1``), else the default rules.

    Raises:
        UsageError: a key is unknown, missing or mistyped, or a value makes no sense.
    """
    own = Path(str(files("vceval.benchmarks"))) / "rules" / f"{suite.partition('@')[0]}.yaml"
    chosen = path or (own if own.is_file() else DEFAULT)
    place = str(path) if path else f"the rules of {suite}" if chosen == own else "the default rules"
    found = read_document(chosen, RulesFile)
    usual = found.model_dump(include={"confidence", "pass_confidence", "minimum_pairs"})
    measures: list[MeasureRule] = []
    counts: list[CountRule] = []
    for rule in found.rules:
        if isinstance(rule, _CountRule):
            counts.append(CountRule(rule.new, rule.allowed, rule.systems))
        else:
            given = rule.model_dump(exclude_none=True)
            share = given.pop("relative_worsening", None)
            amount = {} if share is None else {"worsening": share, "relative": True}
            measures.append(MeasureRule(**usual | given | amount))
    if not found.rules:
        raise UsageError(f"{place}: rules: there is none; a gate without a rule guards nothing")
    return Rules(place, tuple(measures), tuple(counts), path is not None)
