"""What is left to do of a plan, by the journals of earlier attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval.records import Conversion, ConversionPair, System
from vceval.runner.plan import Plan
from vceval.runner.score import ScoreTask, conversion_audio

__all__ = ["conversions_to_do", "scores_to_do", "stamp"]


def conversions_to_do(
    plan: Plan, root: Path, records: Iterable[Mapping[str, Any]]
) -> list[tuple[System, ConversionPair]]:
    """List the conversions that no earlier attempt finished, or whose audio is gone; failed ones are tried again."""
    if plan.given is not None:
        return []
    done = {
        (record["system"], record["pair"])
        for record in records
        if record["status"] == "skipped"
        or (record["status"] == "ok" and conversion_audio(root, record["path"]).is_file())
    }
    return [(s, p) for s in plan.systems for p in plan.pairs.values() if (s.name, p.id) not in done]


def scores_to_do(
    plan: Plan, conversions: Sequence[Conversion], records: Iterable[Mapping[str, Any]]
) -> list[ScoreTask]:
    """List the conversions with the metrics that have no score of their present audio."""
    done = {
        (record["system"], record["pair"], record["metric"]): record["stamp"]
        for record in records
        if record["status"] != "failed"
    }
    tasks = []
    for conversion in conversions:
        key, present = (conversion.system, conversion.pair.id), stamp(conversion.path)
        todo = tuple(name for name in plan.metrics if done.get((*key, name)) != present)
        if todo:
            tasks.append(ScoreTask(conversion, todo))
    return tasks


def stamp(path: Path) -> list[int]:
    """Size and time of change: a converted file that was replaced is scored again."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
