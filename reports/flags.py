"""Sanity flags in a report: how often each occurs with each system, and in which order flags are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vceval.reports.tables import PlainTable, suite_label
from vceval.results.views import WRONG_RATE, Report, SystemView

__all__ = ["flag_names", "flag_sentence", "flags_table"]


def flag_names(report: Report, systems: Sequence[SystemView]) -> list[str]:
    """Name the flags that recordings of these systems bear, the most frequent first."""
    tally = _tally(report, systems)
    return sorted(tally, key=lambda flag: (-tally[flag], flag))


def flag_sentence(report: Report) -> str:
    """Say how many recordings of converters (not of controls) are flagged and for what; empty where none is."""
    checked = sum(_checked(report, system) for system in report.converters)
    flagged = sum(_flagged(report, system) for system in report.converters)
    if not flagged:
        return ""
    tally = _tally(report, report.converters)
    what = ", ".join(f"{tally[flag]:,} {flag}" for flag in flag_names(report, report.converters))
    return f"{flagged:,} of {checked:,} converted recordings bear a sanity flag: {what}"


def flags_table(report: Report) -> PlainTable | None:
    """Build the table of flags: systems × flags that occur; None where no recording was checked."""
    rows, systems = [], [*report.converters, *report.controls]
    names = flag_names(report, systems)
    for system in systems:
        checked, flagged = _checked(report, system), _flagged(report, system)
        if not checked:
            continue
        tally = _tally(report, [system])
        rows.append([
            f"Control: {system.title}" if system.control else system.title,
            str(checked),
            f"{100 * flagged / checked:.1f}",
            *(str(tally[name] or "–") for name in names),
        ])  # fmt: skip
    if not rows:
        return None
    caption = f"Of n recordings, those that look wrong. Suite {suite_label(report)}. One can bear several flags."
    if any(system.control and system.converter == "source" for system in systems):
        caption += " The source control is the source: being the same is its purpose."
    if WRONG_RATE in names:
        caption += " Rates are compared with those that the systems declare; this is no part of the measure."
    headings = ("System", "n", "Any (%)", *(name[:1].upper() + name[1:] for name in names))
    return PlainTable("flags", "Sanity flags", caption, headings, rows, frozenset(range(1, len(headings))))


def _tally(report: Report, systems: Sequence[SystemView]) -> Counter[str]:
    wanted = {system.name for system in systems}
    return Counter(flag for (system, _), found in report.flags.items() if system in wanted for flag in found)


def _checked(report: Report, system: SystemView) -> int:
    return sum(name == system.name for name, _ in report.flags)


def _flagged(report: Report, system: SystemView) -> int:
    return sum(bool(found) for (name, _), found in report.flags.items() if name == system.name)
