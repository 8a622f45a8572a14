"""A run from its plan to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vceval.results import views
from vceval.results.rundir import RunDirectory
from vceval.results.views import Report
from vceval.runner.execute import execute, locked, prepare
from vceval.runner.integrity import faulty
from vceval.runner.options import Options
from vceval.runner.plan import Plan
from vceval.runner.progress import stage

__all__ = ["Performed", "folder_of", "perform"]


@dataclass(frozen=True, slots=True)
class Performed:
    """A run that came to its end.

    failures: how many values failed. unlearnt: why something could not be learnt from natural speech; the same
    request tries again.
    """

    run: RunDirectory
    report: Report
    page: Path
    failures: int
    unlearnt: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether nothing failed."""
        return not self.failures and not self.unlearnt


def folder_of(plan: Plan, out: Path | None) -> Path:
    """The folder of a run: ``out``, or where nobody says one of the plan's name."""
    return Path("runs") / plan.name if out is None else out


def perform(plan: Plan, folder: Path, options: Options, fresh: bool = False) -> Performed:
    """Do all of a plan that is not done yet, and write the report where it is not there or changed.

    Args:
        plan: what is asked for.
        folder: of the run.
        options: how it is done.
        fresh: throw away what an earlier attempt left there.

    Raises:
        UsageError: the folder holds other things or a different run, or another process is working in it.
    """
    from vceval.reports.build import make

    run = prepare(folder)
    page = run.report / "index.html"
    with locked(run.root):
        summary, changed = execute(plan, run, options, fresh)
        finished = RunDirectory(run.root)
        if changed or not page.is_file():
            with stage("report", 1, "page") as advance:
                report = make([finished], run.report).report
                advance(1)
        else:
            report = views.load(finished)
    return Performed(run, report, page, summary["counts"]["failures"], faulty(summary["calibration"]))
