"""``vceval gate``, ``vceval gate calibrate`` and ``vceval baseline save`` on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vceval.errors import UsageError

__all__ = ["add_commands", "joined_words"]

#: The command of two words, as the parser knows it.
CALIBRATE = "gate calibrate"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    gate = commands.add_parser(
        "gate",
        help="say whether a run is worse than a baseline",
        description="Hold a finished run against a baseline, pair by pair: pass, regress or undecided for each rule.",
        epilog="exit codes: 0 pass (also undecided, unless --undecided fail), 1 regress, 2 wrong use or not "
        "comparable. See also 'vceval gate calibrate'; a run folder called calibrate is ./calibrate.",
    )
    gate.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    gate.add_argument("others", type=Path, nargs="*", help=argparse.SUPPRESS)
    gate.add_argument("--baseline", type=Path, metavar="RUN_OR_FILE", help="a run, a baseline file, or demo")
    _add_rules(gate)
    gate.add_argument("--undecided", choices=("fail", "pass", "warn"), default="warn", help="what undecided means")
    gate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for GitLab, Jenkins, GitHub")
    gate.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown for a job summary or a comment")
    gate.add_argument("--json", type=Path, metavar="FILE", help="write everything for machines")
    gate.add_argument("--audio-url", metavar="URL", help="where the run's folder can be reached, for links in Markdown")
    gate.set_defaults(command=_gate)
    calibrate = commands.add_parser(
        CALIBRATE,
        help="say how noisy repeated runs of one model are, and what the gate can promise",
        description="From repeated runs of one model: how noisy each measure is, and the tolerances and numbers of "
        "pairs that follow.",
        epilog="exit codes: 0 done, 2 wrong use or not comparable",
    )
    calibrate.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of two runs or more")
    _add_rules(calibrate)
    calibrate.add_argument("--false-alarm", type=float, default=0.01, metavar="P", help="nights wrongly red (0.01)")
    calibrate.add_argument("--power", type=float, default=0.95, metavar="P", help="worse nights that are caught (0.95)")
    calibrate.add_argument("--save-rules", type=Path, metavar="FILE", help="write the tolerances found as rules")
    calibrate.set_defaults(command=_calibrate)
    baseline = commands.add_parser("baseline", help="save what later runs are held against")
    actions = baseline.add_subparsers(title="actions", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="write the baseline file of a finished run; safe to commit")
    save.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    save.add_argument("file", type=Path, metavar="FILE", help="a .json or .json.gz file")
    save.set_defaults(command=_save)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", type=Path, metavar="FILE", help="rules (YAML) instead of the default ones")


def joined_words(arguments: Sequence[str]) -> list[str]:
    """Make one word of ``gate calibrate``: argparse takes no command that begins like another one."""
    words = list(arguments)
    return [CALIBRATE, *words[2:]] if words[:2] == CALIBRATE.split() else words


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
    if options.others:
        raise UsageError("one run at a time is held against a baseline")
    if options.baseline is None:
        raise UsageError("say with --baseline what to hold the run against: a run, or a file of vceval baseline save")
    from vceval.gate import outputs
    from vceval.gate.baseline import resolve
    from vceval.gate.check import check
    from vceval.gate.evidence import of_run
    from vceval.gate.rules import read_rules

    where = outputs.Places(options.junit, options.markdown, options.json, options.audio_url)
    try:
        result = check(of_run(options.run), resolve(options.baseline), read_rules(options.rules))
    except UsageError as error:
        outputs.write_refusal(str(error), where)
        raise
    print(outputs.to_text(result, options.undecided))
    outputs.write(result, where, options.undecided)
    return 1 if outputs.red(result.outcome, options.undecided) else 0


def _calibrate(options: argparse.Namespace) -> int:
    from vceval.gate import calibrate
    from vceval.gate.rules import read_rules

    found = calibrate.calibrate(
        options.runs, read_rules(options.rules), false_alarm=options.false_alarm, power=options.power
    )
    print(calibrate.text(found))
    if options.save_rules:
        calibrate.save_rules(found, options.save_rules)
    return 0
