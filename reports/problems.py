"""What was done and what is wrong with it: counts, failures and skips grouped by reason, sanity flags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vceval.metrics.hallucination import TEXT_FLAGS
from vceval.records import NEEDS
from vceval.reports.tables import PlainTable, suite_label, trained_sentence
from vceval.results.views import WRONG_RATE, Report, SystemView

__all__ = ["Group", "counts", "failure_groups", "flag_names", "flag_sentence", "flags_table", "skip_groups"]

#: Columns of the table of flags, so that it fits a page of print; what is seldom goes into the last one.
FLAG_COLUMNS = 9
#: Examples shown of one group of failures or skips.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Group:
    """Failures (or skips) whose reasons differ in names and numbers only."""

    stage: str
    metric: str
    reason: str
    count: int
    systems: Sequence[str]
    examples: Sequence[tuple[str, str]]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 pair``, ``2 pairs``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counts(report: Report) -> tuple[list[str], list[str]]:
    """Say what was done (first list) and what is not there (second list), each as short sentences."""
    expected = sum(system.expected for system in report.systems)
    failed = sum(system.failed for system in report.systems)
    done = [plural(report.pair_count, "pair"), plural(len(report.converters), "system")]
    if report.controls:
        done.append(plural(len(report.controls), "control"))
    if len(report.datasets) > 1:
        done.append(plural(len(report.datasets), "dataset"))
    lacking = []
    if failed and failed == expected:
        lacking.append(f"All {plural(expected, 'conversion')} failed" if expected > 1 else "The only conversion failed")
    elif failed:
        lacking.append(f"{failed:,} of {plural(expected, 'conversion')} failed")
    else:
        done.append(f"{plural(expected, 'conversion')}, none failed")
    stages = Counter(row["stage"] for row in report.failures)
    if stages["score"]:
        lacking.append(f"{plural(stages['score'], 'score')} failed")
    if stages["input"]:
        lacking.append(f"{plural(stages['input'], 'input recording')} could not be used")
    for need, count in sorted(Counter(row["need"] for row in report.skips).items(), key=lambda item: -item[1]):
        if need == "other":
            done.append(f"{plural(count, 'comparison')} of a recording with itself left out")
            continue
        lacking.append(f"{plural(count, 'value')} could not be made because pairs lack {NEEDS.get(need, need)}")
    lacking += [sentence for sentence in (flag_sentence(report), trained_sentence(report)) if sentence]
    if report.missing:
        lacking.append(f"{plural(report.missing, 'utterance')} of the suite’s list missing on disk")
    return done, lacking


def failure_groups(report: Report) -> list[Group]:
    """Group failures by stage, metric and reason, the most frequent first."""
    return _group(report.failures, "stage")


def skip_groups(report: Report) -> list[Group]:
    """Group skipped values by need, metric and reason, the most frequent first."""
    return _group(report.skips, "need")


def _group(rows: Sequence[Mapping[str, str]], stage: str) -> list[Group]:
    groups: dict[tuple[str, str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault((row[stage], row["metric"], _shape(row["reason"], row["pair"])), []).append(row)
    found = [
        Group(
            stage=key[0],
            metric=key[1],
            reason=members[0]["reason"],
            count=len(members),
            systems=list(dict.fromkeys(row["system"] for row in members)),
            examples=[(row["system"], row["pair"]) for row in members[:EXAMPLES]],
        )
        for key, members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.stage, group.metric, group.reason))


def _shape(reason: str, pair: str) -> str:
    """Leave out of a reason what differs from file to file: the pair's name, paths, numbers."""
    if pair:
        reason = reason.replace(pair, "…")
    return re.sub(r"[\d.]*\d", "#", re.sub(r"\S*[/\\]\S*", "…", reason))


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
    return f"{flagged:,} of {checked:,} converted recordings bear a flag: {what}"


def flags_table(report: Report) -> PlainTable | None:
    """Build the table of flags: systems × flags that occur; None where no recording was checked.

    The most frequent flags have columns of their own, the others share one: a table must fit on a page.
    """
    rows, systems = [], [*report.converters, *report.controls]
    names = flag_names(report, systems)
    shown, others = (
        (names, []) if len(names) <= FLAG_COLUMNS else (names[: FLAG_COLUMNS - 1], names[FLAG_COLUMNS - 1 :])
    )
    for system in systems:
        checked, flagged = _checked(report, system), _flagged(report, system)
        if not checked:
            continue
        tally = _tally(report, [system])
        rows.append([
            f"Control: {system.title}" if system.control else system.title,
            str(checked),
            f"{100 * flagged / checked:.1f}",
            *(str(tally[name] or "–") for name in shown),
            *([str(sum(tally[name] for name in others) or "–")] if others else []),
        ])  # fmt: skip
    if not rows:
        return None
    caption = f"Of n recordings, those that look wrong. Suite {suite_label(report)}. One can bear several flags."
    if any(system.control and system.converter == "source" for system in systems):
        caption += " The source control is the source: being the same is its purpose."
    if any(system.seeds > 1 for system in systems):
        caption += " Of several seeds, the recordings of seed 0."
    if WRONG_RATE in names:
        caption += " Rates are compared with those that the systems declare; this is no part of the measure."
    if any(name in TEXT_FLAGS for name in names):
        caption += " Words that are repeated or too many are what the recogniser wrote; this is no part of the measure."
    if others:
        caption += f" Other: {', '.join(others)}."
    columns = [*shown, *(["other"] if others else [])]
    headings = ("System", "n", "Any (%)", *(name[:1].upper() + name[1:] for name in columns))
    return PlainTable("flags", "Sanity flags", caption, headings, rows, frozenset(range(1, len(headings))))


def _tally(report: Report, systems: Sequence[SystemView]) -> Counter[str]:
    wanted = {system.name for system in systems}
    return Counter(flag for (system, _), found in report.flags.items() if system in wanted for flag in found)


def _checked(report: Report, system: SystemView) -> int:
    return sum(name == system.name for name, _ in report.flags)


def _flagged(report: Report, system: SystemView) -> int:
    return sum(bool(found) for (name, _), found in report.flags.items() if name == system.name)
