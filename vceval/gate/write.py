"""Where the gate's result goes: the terminal, JUnit XML, Markdown, JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vceval.gate import junit, markdown
from vceval.gate.verdict import Outcome, Result
from vceval.results.rundir import write_atomically

__all__ = ["Places", "everything", "red", "refusal", "text"]


@dataclass(frozen=True, slots=True)
class Places:
    """The files asked for, and the address under which the run's folder can be reached."""

    junit: Path | None = None
    markdown: Path | None = None
    json: Path | None = None
    audio_url: str | None = None


def red(outcome: Outcome, undecided: str) -> bool:
    """Whether an outcome fails the gate."""
    return outcome == "regress" or (outcome == "undecided" and undecided == "fail")


def text(result: Result, undecided: str) -> str:
    """Write the result for a terminal: what is not passed in full, the rest in one line each."""
    lines = [_clean(f"{result.run} against {result.baseline} ({result.suite}), {result.rules}")]
    shown = [verdict for verdict in result.verdicts if verdict.outcome != "pass" or verdict.figures]
    width = max((len(f"{verdict.system}: {verdict.title}") for verdict in shown), default=0)
    for verdict in shown:
        lines.append(
            f"{verdict.outcome:<9}  {_clean(f'{verdict.system}: {verdict.title}'):<{width}}  {_clean(verdict.message)}"
        )
        worst = verdict.offenders if verdict.outcome == "regress" else ()
        lines += [f"{'':<11}- {_clean(f'{one.pair}: {one.said}')}" for one in worst]
    quiet = Counter(verdict.rule for verdict in result.verdicts if verdict not in shown)
    lines += [f"pass       {rule}: {number} systems" for rule, number in quiet.items()]
    lines += [f"note       {_clean(note)}" for note in result.notes]
    counted = ", ".join(f"{number} {name}" for name, number in result.counted().items() if number)
    lines.append(f"gate: {result.outcome} ({counted})")
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Take control characters out of names: a terminal would obey them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def everything(result: Result, where: Places, undecided: str) -> None:
    """Write the files asked for."""
    if where.junit:
        write_atomically(where.junit, junit.render(result, undecided))
    if where.markdown:
        write_atomically(where.markdown, markdown.render(result, where.markdown, where.audio_url, undecided))
    if where.json:
        content = {**result.as_json(), "red": red(result.outcome, undecided)}
        write_atomically(where.json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def refusal(reason: str, where: Places) -> None:
    """Write the files asked for where nothing was decided: CI then shows why, instead of nothing."""
    if where.junit:
        write_atomically(where.junit, junit.render_refusal(reason))
    if where.markdown:
        write_atomically(where.markdown, markdown.render_refusal(reason))
    if where.json:
        content = {"schema": 1, "outcome": "refused", "red": True, "reason": reason}
        write_atomically(where.json, json.dumps(content, indent=1) + "\n")
