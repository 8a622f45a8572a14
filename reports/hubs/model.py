"""Results in the repository of a model at Hugging Face: ``.eval_results/*.yaml``, and ``model-index`` in its card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.publish.rebuild import opened
from vceval.reports.hubs import citation
from vceval.reports.hubs.files import Files, Written, dump
from vceval.reports.hubs.yaml_keys import mapping, with_key
from vceval.results import views
from vceval.results.rundir import RunDirectory
from vceval.results.views import Cell, MeasureView, MetricView, Report, SystemView

__all__ = ["CONFIG", "SPLIT", "TASK", "dataset_id", "write"]

#: Voice conversion at Hugging Face: the task, and where a benchmark's pairs lie in its repository.
TASK = {"type": "audio-to-audio", "name": "Voice conversion"}
CONFIG, SPLIT = "default", "test"
_CARD, _INDEX = "README.md", "model-index"
#: A card's metadata stand between two lines of three dashes, at its very beginning.
_FRONT = re.compile(r"(\s*---(?:\r\n|\r|\n))(.*?(?:\r\n|\r|\n))(---[ \t]*(?:\r\n|\r|\n|\Z))", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def dataset_id(text: str) -> str:
    """Check the name of a repository at Hugging Face.

    Raises:
        UsageError: it is none.
    """
    if not _ID.fullmatch(text):
        raise UsageError(f"--benchmark {text!r}: is no repository of a data set; OWNER/NAME is one")
    return text


def write(paths: Sequence[Path], folder: Path, name: str = "", benchmark: str = "") -> tuple[list[Written], list[str]]:
    """Write what the repository of a system's model says of its results.

    Args:
        paths: folders of runs, and result files: of one system, on one suite each.
        folder: of the repository, or any other; what stands there stays.
        name: of the system, where there are several.
        benchmark: the repository of the suite's data set, such as ``owner/name``.

    Returns:
        The files, and what was left out, each with the reason.

    Raises:
        UsageError: there is no such run, file or system, or something that stands there would be lost.
    """
    files, left_out = Files(folder), list[str]()
    reports = []
    for one in opened(paths):
        if isinstance(one, RunDirectory):
            if not one.finished:
                one.read_json("run.json")  # of one that is not there, this says so
                raise UsageError(f"{one.root}: the run is not finished; give the command that began it again")
            reports.append(views.load(one, listened=False))
        else:
            reports.append(one)
    suites = [report.suite for report in reports]
    if twice := next((suite for suite in suites if suites.count(suite) > 1), ""):
        raise UsageError(f"two runs of suite {twice}: give one for each suite")
    if benchmark and len(reports) > 1:
        raise UsageError("--benchmark is the data set of one suite: give one run or file")
    systems = [_system(report, name) for report in reports]
    if others := {system.name for system in systems} - {systems[0].name}:
        raise UsageError(f"{systems[0].name} and {', '.join(sorted(others))}: a repository is that of one model")
    results = []
    for report, system in zip(reports, systems, strict=True):
        found = [(measure, cell) for measure in report.primary_measures
                 if (cell := report.cell(system.name, measure.name)) and cell.value is not None]  # fmt: skip
        left_out += [f"{measure.name}: {system.name} has no figure on {report.suite}"
                     for measure in report.primary_measures if measure not in [one for one, _ in found]]  # fmt: skip
        if not found:
            raise UsageError(f"{report.root}: {system.name} has no figure on {report.suite}")
        reason = _off_board(report, benchmark)
        # What is not of the whole list is no result on the benchmark's split
        results.append(_index_result(report, system.name, found, "" if reason else benchmark))
        if reason:
            left_out.append(f".eval_results: {reason}")
        else:
            entries = [_entry(report, system.name, benchmark, *one) for one in found]
            files.add(f".eval_results/{_word(report)}.yaml", dump(entries))
    _card(files, systems[0].title, results)
    citation.add(files, reports, systems[0])
    return files.write(), left_out


def _system(report: Report, name: str) -> SystemView:
    known = [system.name for system in report.converters]
    if name:
        found = next((system for system in report.systems if system.name == name), None)
        if found is None:
            from vceval.registry import unknown_name

            raise unknown_name("system", name, known)
        return found
    if len(known) != 1:
        what = f"of {', '.join(known)}" if known else "of a system that converts"
        raise UsageError(f"{report.root}: a repository is that of one model; --system says which one {what}")
    return report.converters[0]


def _off_board(report: Report, benchmark: str) -> str:
    """Why a result can't stand among those of a benchmark; empty where it can."""
    if not benchmark:
        return "these files name the data set of the benchmark; --benchmark OWNER/NAME says it"
    if "@" not in report.suite:
        return f"{report.suite} is no suite"
    if report.partial or report.custom:
        return f"the run took {'other pairs than' if report.custom else 'only some pairs of'} {report.suite}"
    return ""


def shown(measure: MeasureView, value: float) -> float:
    """A stored value as tables show it."""
    return round(value * measure.scale, measure.decimals) + 0.0


def _entry(report: Report, system: str, benchmark: str, measure: MeasureView, cell: Cell) -> dict[str, Any]:
    assert cell.value is not None
    facts = [_metric(report, measure).signature, f"{cell.n} of {cell.given} pairs, {cell.failed} failed"]
    if cell.low is not None and cell.high is not None:
        facts.append(f"95 % interval {measure.text(cell.low)} to {measure.text(cell.high)}")
    facts.append(" ".join(filter(None, [measure.unit + ("," if measure.unit else ""), f"{measure.better} is better"])))
    if reason := report.kin.get((system, measure.metric)):
        facts.append(f"does not rank it: {reason}")
    if version := (report.run.get("versions") or {}).get("vceval"):
        facts.append(f"vceval {version}")
    return {
        "dataset": {"id": benchmark, "task_id": measure.name},
        "value": shown(measure, cell.value),
        **({"date": date} if (date := _date(report)) else {}),
        "notes": "; ".join(facts),
    }


def _word(report: Report) -> str:
    """The suite's name, with nothing in it that a name of a file or a data set can't hold."""
    return _UNSAFE.sub("_", report.suite.partition("@")[0]) or "suite"


def _date(report: Report) -> str:
    try:
        return datetime.fromisoformat(str(report.run.get("created"))).isoformat()
    except ValueError:
        return ""


def _metric(report: Report, measure: MeasureView) -> MetricView:
    return report.metrics[measure.metric]


def _index_result(
    report: Report, system: str, found: Sequence[tuple[MeasureView, Cell]], benchmark: str
) -> dict[str, Any]:
    name, part = report.suite, ""
    if report.partial or report.custom:
        part = f", {report.pair_count} pairs{' of its own choice' if report.custom else ', not all'}"
    digest = str(report.run.get("pairs_sha256") or "")
    return {
        "task": dict(TASK),
        "dataset": {
            "type": benchmark or _word(report),
            "name": name + part,
            **({"config": CONFIG, "split": SPLIT} if benchmark else {}),
            "args": {"suite": name, **({"pairs_sha256": digest} if digest else {}), "measured_with": "vceval"},
        },
        "metrics": [
            {
                "type": measure.name,
                "value": shown(measure, cell.value),
                "name": views.with_unit(measure.label, measure.unit),
                "args": {
                    "signature": _metric(report, measure).signature,
                    "better": measure.better,
                    **_interval(measure, cell),
                    "scored": cell.n,
                    "given": cell.given,
                    "failed": cell.failed,
                    **({"does_not_rank": reason} if (reason := report.kin.get((system, measure.metric))) else {}),
                },
            }
            for measure, cell in found
            if cell.value is not None
        ],
    }


def _interval(measure: MeasureView, cell: Cell) -> dict[str, list[float]]:
    if cell.low is None or cell.high is None:
        return {}
    return {"interval_95": [shown(measure, cell.low), shown(measure, cell.high)]}


def _card(files: Files, title: str, results: Sequence[dict[str, Any]]) -> None:
    """Have results added to the metadata of the model's card; whoever has none gets one with nothing else."""
    text = files.text(_CARD) or ""
    where = f"{files.root / _CARD}: the metadata at its beginning"
    front = _FRONT.match(text)
    before = front[2] if front else ""
    index = mapping(before, where).get(_INDEX)
    after = with_key(before, _INDEX, _merged(index, title, results, where), where)
    if front:
        files.merge(_CARD, text[: front.start(2)] + after + text[front.end(2) :])
    else:
        newline = "\r\n" if "\r\n" in text else "\n"
        head = f"---\n{after}---\n".replace("\n", newline)
        files.merge(_CARD, head + (newline + text if text else ""))


def _merged(index: Any, title: str, results: Sequence[dict[str, Any]], where: str) -> list[Any]:
    """Put results among those that a card has: in the place of vceval's own of the same suite, else after all."""
    ours = {result["dataset"]["args"]["suite"] for result in results}
    models = [] if index is None else index
    fine = isinstance(models, list) and all(
        isinstance(one, dict) and isinstance(one.get("results"), list) for one in models
    )
    if not fine:
        raise UsageError(f"{where}: {_INDEX} is no list of models with results; mend it, or take it out")
    at = next((place for place, one in enumerate(models) if one.get("name") == title), 0)
    mine = dict(models[at]) if models else {"name": title, "results": []}
    mine["results"] = [one for one in mine["results"] if _suite(one) not in ours] + list(results)
    return [*models[:at], mine, *models[at + 1 :]]


def _suite(result: Any) -> str | None:
    """The suite of a result that vceval wrote; None of others."""
    dataset = result.get("dataset") if isinstance(result, dict) else None
    args = dataset.get("args") if isinstance(dataset, dict) else None
    return args.get("suite") if isinstance(args, dict) and args.get("measured_with") == "vceval" else None
