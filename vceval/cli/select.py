"""``vceval select``: which checkpoint of a training to keep, once or while the training goes on."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.results import terminal
from vceval.storage.paths import no_such_folder

if TYPE_CHECKING:
    from vceval.results.merge_runs import Material
    from vceval.results.rundir import RunDirectory
    from vceval.results.selection import Selection
    from vceval.results.views import MeasureView

__all__ = ["add_commands", "as_json", "lines"]

#: Columns that are taken of wider terminals.
_WIDTH = 80
#: Checkpoints that a sentence names; more are counted.
_NAMED = 5


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    select = commands.add_parser(
        "select",
        help="name the best of several checkpoints of one model",
        description="Name the best of several checkpoints that were scored on the same pairs: several runs of one "
        "system each, one run of several systems, or folders of such runs. Voice decides, words are a guard, quality "
        "breaks ties; all is corrected for picking the best of many. Runs that can't be compared are refused with what "
        "differs.",
        epilog="exit codes: 0 done, also where nothing tells the best from others; 2 wrong use or not comparable; "
        "130 a watch was ended",
    )
    select.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="finished runs, or folders that hold them")
    select.add_argument(
        "--systems", metavar="NAME[,NAME]", help="only these, by the names in the table (all but controls)"
    )
    select.add_argument(
        "--floor", type=float, metavar="X", help="who is significantly below this figure of the voice is not named: "
        "60 for 60 %% of acceptance",
    )  # fmt: skip
    select.add_argument("--watch", type=Path, metavar="DIR", help="take in every run of a folder when it is finished")
    select.add_argument("--every", type=float, default=30.0, metavar="S", help="look so often, in seconds (30)")
    select.add_argument("--json", action="store_true", help="for machines; with --watch one line a checkpoint")
    select.set_defaults(command=_select)


def _select(options: argparse.Namespace) -> int:
    from vceval.results.merge_runs import material
    from vceval.results.rundir import RunDirectory
    from vceval.results.selection import of_report

    if bool(options.runs) == bool(options.watch):
        raise UsageError("give the folders of runs, or --watch DIR")
    if options.watch:
        return _watch(options)
    runs = [RunDirectory(folder) for given in options.runs for folder in _folders(given)]
    found = _chosen(material(runs, checkpoints=True), options.systems)
    if len(found.report.converters) < 2:
        raise UsageError("at least two checkpoints are needed to select one")
    selection = of_report(found.report, found.outcomes, options.floor)
    print(json.dumps(as_json(selection), indent=1) if options.json else "\n".join(lines(selection)))
    return 0


def _folders(given: Path) -> list[Path]:
    """The run itself, or the finished runs that a folder holds.

    Raises:
        UsageError: it is neither.
    """
    from vceval.results.rundir import RunDirectory

    if RunDirectory(given).exists:
        return [given]
    if not given.is_dir():
        raise UsageError(no_such_folder(given))
    found = [folder for folder in sorted(given.iterdir()) if RunDirectory(folder).finished]
    if not found:
        raise UsageError(f"{given}: holds no finished run; name the folders that runs were given with --out")
    return found


def _chosen(found: Material, systems: str | None) -> Material:
    """Leave out what was not asked for.

    Raises:
        UsageError: a name is not known.
    """
    from dataclasses import replace

    if systems is None:
        return found
    wanted = [name.strip() for name in systems.split(",")]
    names = [system.name for system in found.report.converters]
    if unknown := [name for name in wanted if name not in names]:
        raise UsageError(f"--systems: no {', '.join(unknown)}; there are {', '.join(names)}")
    kept = [system for system in found.report.systems if system.control or system.name in wanted]
    return replace(found, report=replace(found.report, systems=kept))


# A training that goes on


def _watch(options: argparse.Namespace) -> int:
    """Take in one finished run after the other until somebody ends it; what can't be taken is said once."""
    if not options.watch.is_dir():
        raise UsageError(f"--watch {no_such_folder(options.watch)}")
    if not options.every > 0.0:
        raise UsageError(f"--every {options.every:g}: give a number of seconds above 0")
    taken: list[RunDirectory] = []
    told: dict[Path, str] = {}
    while True:
        for run in _new(options.watch, taken, told):
            try:
                selection = _with(run, taken, options)
            except UsageError as error:
                _tell(told, run.root, str(error))
                continue
            taken.append(run)
            print(json.dumps({"run": run.root.name, **as_json(selection)}) if options.json else
                  f"{run.root.name}: {_headline(selection)}", flush=True)  # fmt: skip
        time.sleep(options.every)


def _new(folder: Path, taken: Sequence[RunDirectory], told: dict[Path, str]) -> Iterator[RunDirectory]:
    """The finished runs of a folder that were not taken yet, the oldest first."""
    from vceval.results.rundir import RunDirectory

    known = {run.root for run in taken}
    found = []
    for run in map(RunDirectory, folder.iterdir()):
        try:
            if run.root not in known and run.finished:
                found.append(((run.root / "run.json").stat().st_mtime, run.root.name, run))
        except (UsageError, OSError) as error:  # it is being removed or exchanged: the next look sees it whole
            _tell(told, run.root, str(error))
    yield from (run for *_, run in sorted(found, key=lambda one: one[:2]))


def _tell(told: dict[Path, str], folder: Path, reason: str) -> None:
    if told.get(folder) != reason:
        told[folder] = reason
        print(f"vceval: {folder.name} is not taken: {reason}", file=sys.stderr, flush=True)


def _with(run: RunDirectory, taken: Sequence[RunDirectory], options: argparse.Namespace) -> Selection:
    from vceval.results.merge_runs import material
    from vceval.results.selection import of_report

    found = material([*taken, run], checkpoints=True)
    return of_report(found.report, found.outcomes, options.floor)


# What is said


def _headline(selection: Selection) -> str:
    """Who is named, and who ties with it, in a sentence."""
    count = len(selection.names)
    if not selection.named:
        return f"none of {count} checkpoints is good enough"
    if count == 1:
        return f"{selection.named} is the only checkpoint"
    if not selection.tied:
        return f"{selection.named} is the best of {count}"
    few = selection.tied if len(selection.tied) <= _NAMED else selection.tied[: _NAMED - 1]
    more = [f"{len(selection.tied) - len(few)} more"] if len(few) < len(selection.tied) else []
    return f"{selection.named} is named of {count}; not told apart from it: {', '.join([*few, *more])}"


def lines(selection: Selection) -> list[str]:
    """Print a selection for a terminal of 80 columns."""
    from vceval.results import verdicts

    return [
        *_wrapped(_capital(f"{_headline(selection)}.")), "",
        *_table(selection), "",
        *([*_wrapped(_picked(selection)), ""] if selection.cell else []),
        *([*_wrapped(_own(selection)), ""] if selection.own_judge else []),
        *verdicts.lines(selection.verdicts, _width()), "",
        *_wrapped(f"Intervals and p-values are corrected for {len(selection.names)} checkpoints and for "
                  "what was asked of them."),
    ]  # fmt: skip


def _capital(text: str) -> str:
    return text if text.partition(" ")[0] != "none" else text.capitalize()


def _picked(selection: Selection) -> str:
    """How good the one is that is named, whatever luck it had."""
    measure, cell = selection.verdicts[0].measure, selection.cell
    if measure is None or cell is None:
        return ""
    words = f"{selection.named} has {_with_unit(measure, cell.value)} of {measure.label}"
    if cell.low is not None:
        words += f" [{measure.text(cell.low)}, {measure.text(cell.high)}]"
    if selection.corrected is not None:
        words += f", {_with_unit(measure, selection.corrected)} without the luck of being first of many"
    if selection.behind is not None:
        amount = selection.verdicts[0].amount(selection.behind)
        words += f"; the best, whichever that is, is better by {amount} at most"
    return f"{words}."


def _own(selection: Selection) -> str:
    """That the encoder which judges belongs to the model."""
    measure = selection.verdicts[0].measure
    label = measure.label if measure else ""
    return (
        f"All checkpoints are their own judge on {label} ({selection.own_judge}): a training can please this encoder "
        "and no other. Score them with another one as well, for example by --metrics sv:panel."
    )


def _with_unit(measure: MeasureView, value: float | None) -> str:
    return f"{measure.text(value)} {measure.unit}".rstrip()


def _table(selection: Selection) -> list[str]:
    """One row a checkpoint: figures of each question, difference from the first, and what put it out."""
    from vceval.results.views import with_unit

    measures = [one.measure for one in selection.verdicts if one.measure]
    heads = ["", *(with_unit(measure.label, measure.unit) + measure.arrow for measure in measures), "out by"]
    rows = []
    for name in selection.names:
        figures = [measure.text(found.get(name)) or "–"
                   for measure, found in zip(measures, selection.figures, strict=True)]  # fmt: skip
        mark = "*" if name == selection.named else "=" if name in selection.tied else " "
        rows.append([f"{mark} {name}", *figures, selection.out.get(name, ("",))[0]])
    numeric = range(1, len(heads) - 1)
    return terminal.grid(heads, [rows], numeric, _width()).split("\n")


def _width() -> int:
    return min(terminal.width(), _WIDTH)


def _wrapped(text: str) -> list[str]:
    return terminal.paragraph(text, columns=_width()).split("\n")


def as_json(selection: Selection) -> dict[str, Any]:
    """A selection as numbers and words; figures and differences in the units of the measures."""
    from vceval.results import verdicts

    measures = [one.measure for one in selection.verdicts]
    scale = measures[0].scale if measures[0] else 1.0

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * scale

    cell = selection.cell
    return {
        "named": selection.named or None,
        "tied": list(selection.tied),
        "figure": None if cell is None else {
            "value": scaled(cell.value), "low": scaled(cell.low), "high": scaled(cell.high),
            "corrected": scaled(selection.corrected), "behind": scaled(selection.behind),
        },
        "floor": scaled(selection.floor),
        "own_judge": selection.own_judge or None,
        "checkpoints": [
            {
                "name": name,
                "figures": {
                    measure.name: found[name] * measure.scale
                    for measure, found in zip(measures, selection.figures, strict=True) if measure and name in found
                },
                "out": None if name not in selection.out else dict(zip(("by", "reason"), selection.out[name],
                                                                       strict=True)),
            }
            for name in selection.names
        ],
        **verdicts.as_json(selection.verdicts),
    }  # fmt: skip
