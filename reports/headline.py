"""The sentences at the top of a report, and failures and skips grouped by reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vceval.records import NEEDS
from vceval.reports.flags import flag_sentence
from vceval.reports.tables import heard_sentence
from vceval.results.views import Report

__all__ = ["Group", "counts", "failure_groups", "skip_groups"]

#: Examples shown of one group of failures or skips.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Group:
    """Failures (or skips) for what is, but for names and numbers, the same reason."""

    stage: str
    metric: str
    reason: str
    count: int
    systems: Sequence[str]
    examples: Sequence[tuple[str, str]]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Count something: ``1 pair``, ``2 pairs``."""
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
    lacking += [sentence for sentence in (flag_sentence(report), heard_sentence(report)) if sentence]
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
