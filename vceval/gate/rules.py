"""The rules of the gate: what may become how much worse, and how sure one must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vceval.errors import UsageError
from vceval.protocol.schema import Section, read_document
from vceval.records import DIRECTIONS

__all__ = ["DEFAULT", "CountRule", "MeasureRule", "Rules", "read_rules"]

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
    systems: names, or None for every system that is no control.
    directions: some of DIRECTIONS, or ``all``: a decision for each.
    """

    measure: str
    worsening: float
    relative: bool = False
    confidence: float = 0.95
    pass_confidence: float = 0.95
    minimum_pairs: int = 10
    cap: float | None = None
    systems: tuple[str, ...] | None = None
    directions: tuple[str, ...] = ("all",)


@dataclass(frozen=True, slots=True)
class CountRule:
    """There may be no more than ``allowed`` failures, or sanity flags, that the baseline does not have."""

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


def read_rules(path: Path | None = None) -> Rules:
    """Read a rules file; without one, the default rules.

    Raises:
        UsageError: a key is unknown, missing or mistyped, or a value makes no sense.
    """
    document = read_document(path or DEFAULT)
    schema = document.whole("schema", 1)
    if schema != SCHEMA:
        raise document.error("schema", f"is {schema}; this vceval reads {SCHEMA}")
    usual = MeasureRule(
        "", 0.0,
        confidence=_share(document, "confidence", 0.95),
        pass_confidence=_share(document, "pass_confidence", 0.95),
        minimum_pairs=document.whole("minimum_pairs", 1, 10),
    )  # fmt: skip
    measures: list[MeasureRule] = []
    counts: list[CountRule] = []
    for section in document.sections("rules"):
        if "new" in section:
            counts.append(_count_rule(section))
        else:
            measures.append(_measure_rule(section, usual))
        section.end()
    document.end()
    if not measures and not counts:
        raise UsageError(f"{path}: rules: there is none; a gate without a rule guards nothing")
    return Rules(str(path) if path else "the default rules", tuple(measures), tuple(counts), path is not None)


def _measure_rule(section: Section, usual: MeasureRule) -> MeasureRule:
    measure = section.text("measure")
    if ("worsening" in section) == ("relative_worsening" in section):
        raise section.error("worsening", "give this or relative_worsening, one of the two")
    relative = "relative_worsening" in section
    key = "relative_worsening" if relative else "worsening"
    worsening: float = section.number(key)
    if not 0.0 <= worsening < (1.0 if relative else float("inf")):
        raise section.error(key, f"must be {'from 0 to below 1' if relative else '0 or more'}, not {worsening}")
    cap: float | None = section.number("cap", None)
    if cap is not None and not cap > 0:
        raise section.error("cap", f"must be above 0, not {cap}")
    return MeasureRule(
        measure,
        worsening,
        relative,
        _share(section, "confidence", usual.confidence),
        _share(section, "pass_confidence", usual.pass_confidence),
        section.whole("minimum_pairs", 1, usual.minimum_pairs),
        cap,
        section.texts("systems") if "systems" in section else None,
        _directions(section),
    )


def _count_rule(section: Section) -> CountRule:
    what = section.choice("new", ("failures", "flags"))
    systems = section.texts("systems") if "systems" in section else None
    return CountRule("failures" if what == "failures" else "flags", section.whole("allowed", 0, 0), systems)


def _directions(section: Section) -> tuple[str, ...]:
    if "directions" not in section:
        return ("all",)
    directions = section.texts("directions")
    wrong = [name for name in directions if name not in (*DIRECTIONS, "all")]
    if wrong or not directions:
        raise section.error("directions", f"must be some of all, {', '.join(DIRECTIONS)}, not {wrong or 'none'}")
    return directions


def _share(section: Section, key: str, default: float) -> float:
    value: float = section.number(key, default)
    if not 0.5 <= value < 1.0:
        raise section.error(key, f"must be at least 0.5 and below 1, not {value}")
    return value
