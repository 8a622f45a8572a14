"""``vceval selfcheck``: says whether this installation computes what it should."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from vceval import registry
from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.conformance.base import Port
    from vceval.conformance.kits import KitReport

__all__ = ["add_commands", "check_installation", "check_kits", "port_for"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("selfcheck", help="say whether this installation computes the canonical numbers")
    parser.add_argument("--kits", type=Path, metavar="DIR", help="run the reference cases in a folder instead")
    parser.add_argument("--only", action="append", default=[], metavar="KIT", help="with --kits: only this one")
    parser.add_argument("--verbose", action="store_true", help="show every stage")
    parser.set_defaults(command=_selfcheck)


def _selfcheck(options: argparse.Namespace) -> int:
    if options.kits is None:
        return check_installation()
    return check_kits(options.kits, options.only, options.verbose)


def check_installation() -> int:
    """Compute the canonical numbers and print a line for each; 0 when all agree, 1 when one does not."""
    from vceval.conformance import golden

    verdicts = golden.run()
    for verdict in verdicts:
        found = verdict.problem if verdict.difference != verdict.difference else f"{verdict.difference:.1e}"
        result = "pass" if verdict.passed else "FAIL"
        print(f"{result}  {verdict.name:<24}{verdict.title:<58}{found} (allowed {verdict.tolerance:.0e})")
    failed = sum(not verdict.passed for verdict in verdicts)
    print("This installation computes the canonical numbers" if not failed else f"{failed} of {len(verdicts)} differ")
    return 1 if failed else 0


def port_for(kit: str) -> Port:
    """Find the port of a kit's network: that of its name, or of the longest name that it begins with.

    So a second kit of one network, such as ``autovc_long``, needs no entry point of its own.

    Raises:
        UsageError: nobody has registered one.
    """
    from vceval.conformance.base import Port

    points = {point.name: point for point in entry_points(group="vceval.ports")}
    if kit not in points:
        begun = [name for name in points if kit.startswith((f"{name}_", f"{name}-", f"{name}."))]
        kit = max(begun, key=len, default=kit)
    if kit not in points:
        raise registry.unknown_name("kit", kit, sorted(points))
    try:
        port = points[kit].load()()
    except ImportError as error:
        raise UsageError(f"kit {kit!r}: {points[kit].value} can't be imported: {error}") from error
    if not isinstance(port, Port):
        raise UsageError(f"kit {kit!r}: {points[kit].value} is no Port")
    return port


def check_kits(folder: Path, only: Sequence[str] = (), verbose: bool = False) -> int:
    """Run every kit in a folder and print a line for each; 0 when all pass, 1 when one fails.

    Raises:
        UsageError: there is no kit in the folder.
    """
    from vceval.conformance.kits import Kit, KitReport, run_kit

    kits = sorted(place.parent for place in folder.glob("*/kit.json"))
    if (folder / "kit.json").is_file():
        kits = [folder]
    kits = [kit for kit in kits if not only or kit.name in only]
    if not kits:
        raise UsageError(f"{folder}: holds no kit (a folder with kit.json)")
    print(f"{'kit':<27}{'keys':>12}{'stages':>10}  {'largest difference (allowed)':<58}result")
    failed = 0
    for place in kits:
        try:
            report = run_kit(place, port_for(Kit(place).name))
        except UsageError as error:
            report = KitReport(place.name, 0, 0, problems=[str(error)])
        failed += not report.passed
        print(_line(report), flush=True)
        for problem in report.problems:
            print(f"    {problem}")
        for stage in report.stages:
            if verbose or not stage.passed:
                state = stage.problem or f"{stage.difference:.3g} (allowed {stage.allowed:.3g})"
                print(f"    {stage.where} {stage.name}: {state}")
        if verbose and report.skipped:
            print(f"    not exposed: {', '.join(report.skipped)}")
    print(f"{len(kits) - failed} of {len(kits)} kits pass")
    return 1 if failed else 0


def _line(report: KitReport) -> str:
    worst = report.worst
    largest = f"{worst.difference:.2e} ({worst.allowed:.2e}) {worst.name}" if worst else "-"
    result = "pass" if report.passed else "FAIL"
    keys, stages = f"{report.matched}/{report.keys}", f"{len(report.stages)}/{report.stored}"
    return f"{report.kit:<27}{keys:>12}{stages:>10}  {largest:<58}{result}"
