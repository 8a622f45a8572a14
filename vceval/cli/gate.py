"""``vceval gate``, ``vceval gate plan``, ``vceval gate calibrate`` and ``vceval baseline save`` on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vceval.errors import UsageError
from vceval.registry import did_you_mean

__all__ = ["add_commands", "joined_words"]

#: The commands of two words, as the parser knows them.
CALIBRATE, PLAN = "gate calibrate", "gate plan"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    gate = commands.add_parser(
        "gate",
        help="say whether a run is worse than a baseline",
        description="Hold a finished run against a baseline, pair by pair: pass, regress, undecided or blind for each "
        "rule.",
        epilog="exit codes: 0 pass (also undecided, unless --undecided fail), 1 regress or blind, 2 wrong use or not "
        "comparable. See also 'vceval gate plan' and 'vceval gate calibrate'; a run folder called plan is ./plan.",
    )
    gate.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    gate.add_argument("others", type=Path, nargs="*", help=argparse.SUPPRESS)
    gate.add_argument("--baseline", type=Path, metavar="RUN_OR_FILE", help="a run, baseline or result file, or demo")
    _add_rules(gate)
    gate.add_argument("--undecided", choices=("fail", "pass", "warn"), default="warn", help="what undecided means")
    gate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for GitLab, Jenkins, GitHub")
    gate.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown for a job summary or a comment")
    gate.add_argument("--json", type=Path, metavar="FILE", help="write everything for machines")
    gate.add_argument("--audio-url", metavar="URL", help="where the run's folder can be reached, for links in Markdown")
    gate.set_defaults(command=_gate)
    plan = commands.add_parser(
        PLAN,
        help="say what the gate can see, before there is anything to decide",
        description="For every rule the smallest worsening that the gate catches in 8 of 10 nights, on the speakers "
        "and pairs of a suite or a run. A rule that can't see five times what it allows is blind.",
        epilog="exit codes: 0 the gate sees, 1 it is blind, 2 wrong use or not comparable",
    )
    plan.add_argument("what", metavar="SUITE|RUN", help="a suite, the folder of a run, or a baseline file")
    plan.add_argument("--baseline", type=Path, metavar="RUN_OR_FILE", help="measure the noise between it and RUN")
    plan.add_argument("--data", type=Path, metavar="DIR", help="folder of the suite's corpus")
    _add_rules(plan)
    plan.set_defaults(command=_plan)
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
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help="rules (YAML) instead of those of the suite, or the default ones"
    )


def joined_words(arguments: Sequence[str]) -> list[str]:
    """Make one word of ``gate calibrate``: argparse takes no command that begins like another one."""
    words = list(arguments)
    joined = " ".join(words[:2])
    return [joined, *words[2:]] if joined in (CALIBRATE, PLAN) else words


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
        near = did_you_mean(str(options.run), ("plan", "calibrate"))
        raise UsageError(f"one run at a time is held against a baseline{near}")
    if options.baseline is None:
        raise UsageError("say with --baseline what to hold the run against: a run, or a file of vceval baseline save")
    from vceval.gate import outputs
    from vceval.gate.baseline import resolve
    from vceval.gate.check import check
    from vceval.gate.evidence import of_run
    from vceval.gate.rules import read_rules

    where = outputs.Places(options.junit, options.markdown, options.json, options.audio_url)
    try:
        baseline = resolve(options.baseline)
        result = check(of_run(options.run), baseline, read_rules(options.rules, baseline.suite))
    except UsageError as error:
        outputs.write_refusal(str(error), where)
        raise
    print(outputs.to_text(result, options.undecided))
    outputs.write(result, where, options.undecided)
    return 1 if outputs.red(result.outcome, options.undecided) else 0


def _plan(options: argparse.Namespace) -> int:
    from vceval.gate import plan
    from vceval.gate.baseline import resolve
    from vceval.gate.rules import read_rules
    from vceval.gate.verdict import blind_of

    place = Path(options.what)
    if place.is_dir() or options.what.endswith((".json", ".json.gz")):
        run = resolve(place)
        baseline = resolve(options.baseline) if options.baseline else run
        label = baseline.suite
        views = plan.of_runs(run, baseline, read_rules(options.rules, label))
    else:
        if options.baseline:
            raise UsageError(f"{options.what}: is no run; noise is measured between a run and --baseline")
        label, pairs, systems, metrics = plan.open_suite(options.what, options.data)
        views = plan.of_suite(label, pairs, systems, metrics, read_rules(options.rules, label))
    print("\n".join(plan.table(views)))
    return 1 if blind_of([view.sight for view in views]) else 0


def _calibrate(options: argparse.Namespace) -> int:
    from vceval.gate import calibrate
    from vceval.gate.rules import read_rules

    rules = read_rules(options.rules) if options.rules else None
    found = calibrate.calibrate(options.runs, rules, false_alarm=options.false_alarm, power=options.power)
    print(calibrate.text(found))
    if options.save_rules:
        calibrate.save_rules(found, options.save_rules)
    return 0
