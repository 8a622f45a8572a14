"""What a report is made of: one run, or several put together where their systems may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.results import views
from vceval.results.comparable import Side, differences, identities
from vceval.results.marks import rankings_of
from vceval.results.outcomes import Outcomes
from vceval.results.panel import panels_of
from vceval.results.ranking import ranked
from vceval.results.rundir import RunDirectory
from vceval.results.scores import joined
from vceval.results.views import Report, SystemView

__all__ = ["Material", "material", "run_names"]


@dataclass(frozen=True, slots=True)
class Material:
    """A report and what is behind its figures."""

    report: Report
    outcomes: Outcomes


@dataclass(frozen=True, slots=True)
class _Part:
    """One of several runs; ``pairs`` translates its pair ids into those of the first, ``systems`` its names."""

    report: Report
    pairs: Mapping[str, str]
    systems: Mapping[str, str]


def material(runs: Sequence[RunDirectory | Report], *, checkpoints: bool = False) -> Material:
    """Read one finished run, or put several together; what is a report already, as of result files, is taken as it is.

    Several go together if and only if they are of the same suite, with the same conversion pairs, metrics, signatures
    and calibrations; numbers of seeds may differ. Systems of the same name are told apart by the name of their run,
    unless all their figures agree. Runs of ``checkpoints`` of one model give their own names to what they converted,
    all of it stays, and nothing is ranked.

    Raises:
        UsageError: a run is not finished or malformed; or several differ, and the message says in what.
    """
    first = runs[0]
    if len(runs) == 1:
        report = first if isinstance(first, Report) else views.load(first)
        if not checkpoints or len(report.converters) > 1:
            return Material(report, Outcomes.of_report(report))
    if len({run.root.resolve() for run in runs}) < len(runs):
        raise UsageError("the same run is given twice")
    names = run_names([run.root for run in runs])
    # Scores of two listening tests are not comparable: people judge by what else they hear
    reports = [run if isinstance(run, Report) else views.load(run, listened=False) for run in runs]
    known = [identities(report.pairs) for report in reports]
    given = [(Side.of(name, one), one.suite, pairs) for name, one, pairs in zip(names, reports, known, strict=True)]
    reasons = [reason for other in given[1:] for reason in _reasons(given[0], other)]
    if reasons:
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise UsageError(
            f"these runs can't stand in one table:\n{listed}\n'vceval compare' shows what of them may be compared"
        )
    back = {identity: pair for pair, identity in known[0].items()}
    taken: dict[str, Report] = {}
    parts = []
    for report, name, mine in zip(reports, names, known, strict=True):
        systems = _system_names(report, name, taken, checkpoints)
        taken |= {new: report for old, new in systems.items()}
        parts.append(_Part(report, {pair: back[identity] for pair, identity in mine.items()}, systems))
    return _merged(parts, names, checkpoints)


def run_names(folders: Sequence[Path]) -> list[str]:
    """Call runs by their folders, by as much of the paths as tells them apart."""
    paths = [folder.resolve() for folder in folders]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


_Given = tuple[Side, str, Mapping[str, str]]


def _reasons(one: _Given, another: _Given) -> list[str]:
    """Say why two runs (side, suite, pairs) may not be put together; empty where they may."""
    found = []
    first, suite, ours = one
    other, second, theirs = another
    if suite != second:
        found.append(f"suites differ: {suite} in {first.name}, {second} in {other.name}")
    if set(ours.values()) != set(theirs.values()):
        common = len(set(ours.values()) & set(theirs.values()))
        found.append(
            f"conversion pairs differ: {len(ours)} in {first.name}, {len(theirs)} in {other.name}, {common} in both"
        )
    for here, there in ((first, other), (other, first)):
        found += [f"metric {name}: only in {here.name}" for name in here.metrics if name not in there.metrics]
    for metric in first.metrics:
        if metric in other.metrics:
            found += [f"{metric}: {reason}" for reason in differences(metric, first, other)]
    return found


def _system_names(report: Report, run: str, taken: Mapping[str, Report], checkpoints: bool) -> dict[str, str]:
    """Name the systems of a further run; those that agree with an earlier one in every figure are left out."""
    names = {}
    for system in report.systems:
        earlier = taken.get(system.name)
        if checkpoints and not system.control:
            names[system.name] = run if len(report.converters) == 1 else f"{run}/{system.name}"
        elif earlier is None:
            names[system.name] = system.name
        elif _figures(earlier, system.name) != _figures(report, system.name):
            names[system.name] = f"{system.name} ({run})"
    return names


def _figures(report: Report, system: str) -> dict[Any, Any]:
    return {key[1:]: cell for key, cell in report.cells.items() if key[0] == system}


def _merged(parts: Sequence[_Part], names: Sequence[str], checkpoints: bool) -> Material:
    first = parts[0].report
    systems: list[SystemView] = []
    for part in parts:
        for system in part.report.systems:
            if (new := part.systems.get(system.name)) is not None:
                own = checkpoints and not system.control
                title = new if own else system.title + new.removeprefix(system.name)
                systems.append(replace(system, name=new, title=title))
    systems.sort(key=lambda system: not system.control)  # controls first, as in a single run
    report = replace(
        first,
        run={
            "name": " + ".join(names),
            "suite": first.suite,
            "runs": [{**part.report.run, "name": name} for part, name in zip(parts, names, strict=True)],
        },
        name=" + ".join(names),
        partial=any(part.report.partial for part in parts),
        custom=any(part.report.custom for part in parts),
        systems=systems,
        cells={(new, *key[1:]): cell for part in parts for new, key, cell in _renamed(part, part.report.cells)},
        missing=max(part.report.missing for part in parts),
        pairs=[_absolute(row, first.root) for row in first.pairs],
        audio={
            key: str((part.report.root / path).resolve()) if (part.report.root / path).exists() else path
            for part in parts
            for key, path in _by_pair(part, part.report.audio)
        },
        scores=joined(
            [(part.report.scores, part.systems, part.pairs) for part in parts], [row["pair"] for row in first.pairs]
        ),
        exposures={key: found for part in parts for key, found in _by_pair(part, part.report.exposures)},
        flags={key: found for part in parts for key, found in _by_pair(part, part.report.flags)},
        failures=[row for part in parts for row in _rows(part, part.report.failures)],
        skips=[row for part in parts for row in _rows(part, part.report.skips)],
        training=_training(parts),
        kin={(new, key[1]): why for part in parts for new, key, why in _renamed(part, part.report.kin)},
        seeds=_seeds(parts),
        efficiency=[
            replace(one, system=part.systems[one.system])
            for part in parts
            for one in part.report.efficiency
            if one.system in part.systems
        ],
        published=[dict(row) for row in first.published],
    )
    outcomes = Outcomes.of_report(report)
    if checkpoints:
        return Material(report, outcomes)
    names = [system.name for system in report.converters]
    found = ranked(outcomes, names, report.measures, natural=report.natural, kin=report.kin)
    encoders = [(metric.name, metric.encoder) for metric in report.metrics.values()]
    panels = panels_of(outcomes, names, encoders, report.measures, found[1], report.kin)
    return Material(replace(report, rankings=rankings_of(*found), panels=panels), outcomes)


def _renamed(part: _Part, found: Mapping[Any, Any]) -> list[tuple[str, Any, Any]]:
    return [(part.systems[key[0]], key, value) for key, value in found.items() if key[0] in part.systems]


def _by_pair(part: _Part, found: Mapping[tuple[str, str], Any]) -> list[tuple[tuple[str, str], Any]]:
    return [((new, part.pairs[key[1]]), value) for new, key, value in _renamed(part, found) if key[1] in part.pairs]


def _rows(part: _Part, rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Rename systems and pairs; rows of systems that were left out go, those of no system stay."""
    dropped = {system.name for system in part.report.systems} - set(part.systems)
    return [
        {
            **row,
            "system": part.systems.get(row["system"], row["system"]),
            "pair": part.pairs.get(row["pair"], row["pair"]),
        }
        for row in rows
        if row["system"] not in dropped
    ]


def _absolute(row: Mapping[str, str], root: Path) -> dict[str, str]:
    """Write the paths of a pair so that they are found from anywhere."""

    def found(path: str) -> str:
        return str((root / path).resolve()) if path and (root / path).exists() else path

    single = {key: found(row[key]) for key in ("source_path", "reference_path", "natural_path")}
    return {**row, **single, "prompt_paths": "|".join(found(path) for path in row["prompt_paths"].split("|"))}


def _training(parts: Sequence[_Part]) -> dict[str, Any] | None:
    """Put the audits together; a run in which no pair is left out has its ordinary figures as those that are left."""
    audited = [part for part in parts if part.report.training]
    if not audited:
        return None
    entries: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    touched = any((part.report.training or {}).get("cells") for part in audited)
    for part in audited:
        audit = part.report.training or {}
        entries += [
            {**entry, "system": part.systems[entry["system"]]}
            for entry in audit["systems"]
            if entry["system"] in part.systems
        ]
        left = audit.get("cells") or (_overall(part.report) if touched else [])
        cells += [{**cell, "system": part.systems[cell["system"]]} for cell in left if cell["system"] in part.systems]
    return {
        "systems": entries,
        "same_pairs": all(entry["left"] == entry["pairs"] for entry in entries),
        "cells": cells,
        "rankings": [],
        "comparisons": [],
    }


def _seeds(parts: Sequence[_Part]) -> dict[str, Any] | None:
    """Put what seeds did together; two systems of different runs are not among the differences."""
    found: dict[str, Any] = {}
    for part in parts:
        if part.report.seeds is None:
            continue
        found.setdefault("share", part.report.seeds["share"])
        for kind, names in (("figures", ("system",)), ("differences", ("first", "second"))):
            found.setdefault(kind, []).extend(
                {**entry, **{name: part.systems[entry[name]] for name in names}}
                for entry in part.report.seeds[kind]
                if all(entry[name] in part.systems for name in names)
            )
    return found or None


def _overall(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "system": key[0], "measure": key[1], "value": cell.value, "low": cell.low, "high": cell.high, "n": cell.n,
            "expected": cell.expected, "failed": cell.failed, "skipped": cell.skipped,
        }
        for key, cell in report.cells.items()
        if key[2:] == (views.ALL, views.ALL)
    ]  # fmt: skip
