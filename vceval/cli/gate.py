"""``vceval gate``, ``vceval gate calibrate`` and ``vceval baseline save`` on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vceval.errors import UsageError

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    gate = commands.add_parser(
        "gate",
        help="say whether a run is worse than a baseline",
        usage="vceval gate RUN --baseline RUN_OR_FILE [--rules FILE] [--undecided fail|pass|warn] [--junit FILE]\n"
        "                   [--markdown FILE] [--json FILE] [--audio-url URL]\n"
        "       vceval gate calibrate RUN RUN [RUN ...] [--false-alarm P] [--power P] [--save-rules FILE]",
        description="Hold a finished run against a baseline, pair by pair: pass, regress or undecided for each rule. "
        "With calibrate: from repeated runs of one model, how noisy each measure is, and the tolerances and numbers of "
        "pairs that follow (a run folder of that name is ./calibrate).",
        epilog="exit codes: 0 pass (also undecided, unless --undecided fail), 1 regress, 2 wrong use or not comparable",
    )
    gate.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of the run; calibrate takes several")
    gate.add_argument("--baseline", type=Path, metavar="RUN_OR_FILE", help="a run, a baseline file, or demo")
    gate.add_argument("--rules", type=Path, metavar="FILE", help="rules (YAML) instead of the default ones")
    gate.add_argument("--undecided", choices=("fail", "pass", "warn"), default="warn", help="what undecided means")
    gate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for GitLab, Jenkins, GitHub")
    gate.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown for a job summary or a comment")
    gate.add_argument("--json", type=Path, metavar="FILE", help="write everything for machines")
    gate.add_argument("--audio-url", metavar="URL", help="where the run's folder can be reached, for links in Markdown")
    calibrate = gate.add_argument_group("calibrate")
    calibrate.add_argument("--false-alarm", type=float, default=0.01, metavar="P", help="nights wrongly red (0.01)")
    calibrate.add_argument("--power", type=float, default=0.95, metavar="P", help="worse nights that are caught (0.95)")
    calibrate.add_argument("--save-rules", type=Path, metavar="FILE", help="write the tolerances found as rules")
    gate.set_defaults(command=_gate)
    baseline = commands.add_parser("baseline", help="save what later runs are held against")
    actions = baseline.add_subparsers(title="actions", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="write the baseline file of a finished run; safe to commit")
    save.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    save.add_argument("file", type=Path, metavar="FILE", help="a .json or .json.gz file")
    save.set_defaults(command=_save)


def _save(options: argparse.Namespace) -> int:
    from vceval.gate.baseline import save

    saved = save(options.run, options.file)
    size = options.file.stat().st_size
    print(
        f"{options.file}: {len(saved.pairs)} pairs, {len(saved.systems)} systems, {len(saved.measures)} measures of "
        f"{saved.suite}, {size / 1e3:.0f} kB"
    )
    if saved.failures:
        print(f"vceval: {len(saved.failures)} failures of the run are in the baseline as known ones", file=sys.stderr)
    return 0


def _gate(options: argparse.Namespace) -> int:
    if str(options.runs[0]) == "calibrate":
        return _calibrate(options)
    if len(options.runs) > 1:
        raise UsageError("one run at a time is held against a baseline")
    if options.baseline is None:
        raise UsageError("say with --baseline what to hold the run against: a run, or a file of vceval baseline save")
    from vceval.gate import write
    from vceval.gate.baseline import resolve
    from vceval.gate.check import check
    from vceval.gate.evidence import of_run
    from vceval.gate.rules import read_rules

    where = write.Places(options.junit, options.markdown, options.json, options.audio_url)
    try:
        result = check(of_run(options.runs[0]), resolve(options.baseline), read_rules(options.rules))
    except UsageError as error:
        write.refusal(str(error), where)
        raise
    print(write.text(result, options.undecided))
    write.everything(result, where, options.undecided)
    return 1 if write.red(result.outcome, options.undecided) else 0


def _calibrate(options: argparse.Namespace) -> int:
    from vceval.gate import calibrate
    from vceval.gate.rules import read_rules

    found = calibrate.calibrate(
        options.runs[1:], read_rules(options.rules), false_alarm=options.false_alarm, power=options.power
    )
    print(calibrate.text(found))
    if options.save_rules:
        calibrate.save_rules(found, options.save_rules)
    return 0
