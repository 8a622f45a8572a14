"""The result as Markdown, for a job summary or a comment: what is worse, how sure, and the recordings to hear."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from vceval.gate.verdict import Offender, Result, Verdict
from vceval.gate.wording import amount

__all__ = ["plain", "render", "render_refusal"]

MARKS = {"pass": "✅ pass", "regress": "❌ regress", "undecided": "❔ undecided"}


def render(result: Result, file: Path, audio_url: str | None, undecided: str) -> str:
    """Write the Markdown of a result.

    Links to recordings are relative to ``file``. With ``audio_url`` those inside the run's folder start there instead;
    others are then named without a link, since nothing says where they could be reached.
    """
    lines = [f"## {MARKS[result.outcome]}: {plain(result.run)} against {plain(result.baseline)}", ""]
    counted = ", ".join(f"{number} {name}" for name, number in result.counted().items() if number)
    lines += [f"{counted}; suite {plain(result.suite)}, {plain(result.rules)}, undecided means {undecided}.", ""]
    measured = [verdict for verdict in result.verdicts if verdict.figures]
    if measured:
        lines += _table(measured)
    for verdict in result.verdicts:
        if verdict.outcome == "pass":
            continue
        lines += [f"**{MARKS[verdict.outcome]}** {plain(verdict.system)}: {plain(verdict.title)}  "]
        lines += [plain(verdict.message), ""]
        if verdict.outcome == "regress" and verdict.offenders:
            lines += [*(f"- {_offender(one, Path(result.run), file, audio_url)}" for one in verdict.offenders), ""]
    rest = [verdict for verdict in result.verdicts if verdict.outcome == "pass" and not verdict.figures]
    if rest:
        lines += ["<details><summary>Passed besides</summary>", ""]
        lines += [f"- {plain(verdict.system)}: {plain(verdict.title)}: {plain(verdict.message)}" for verdict in rest]
        lines += ["", "</details>", ""]
    if result.notes:
        lines += ["Notes:", "", *(f"- {plain(note)}" for note in result.notes), ""]
    return "\n".join(lines)


def render_refusal(reason: str) -> str:
    """Write the Markdown where nothing was decided."""
    return f"## ⛔ refused\n\n{'<br>'.join(plain(line) for line in reason.splitlines())}\n"


def _table(verdicts: list[Verdict]) -> Iterator[str]:
    heads = "System, Measure, Before, Now, Worse by, One-sided limits, Allowed, Pairs, Speakers, p, Capped"
    yield f"| | {heads.replace(', ', ' | ')} |"
    yield "| :-- | :-- | :-- | --: | --: | --: | :--: | --: | --: | --: | --: | --: |"
    for verdict in verdicts:
        figures = verdict.figures
        assert figures is not None
        measure = figures.measure
        limits = "–"
        if figures.low is not None and figures.high is not None:
            limits = f"{amount(figures.low, measure, '+')} … {amount(figures.high, measure, '+')}"
        unit = f" ({measure.unit})" if measure.unit else ""
        cells = [
            MARKS[verdict.outcome],
            plain(verdict.system),
            plain(verdict.title + unit),
            amount(figures.old, measure),
            amount(figures.new, measure),
            amount(figures.worsening, measure, "+"),
            limits,
            amount(figures.allowed, measure),
            str(figures.pairs),
            "–" if figures.by == "pairs" else str(figures.clusters),
            "–" if figures.p_holm is None else f"{figures.p_holm:.2g}",
            "–" if figures.cap is None else f"{figures.capped[0]} → {figures.capped[1]}",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _offender(one: Offender, run: Path, file: Path, audio_url: str | None) -> str:
    links = [
        f"[{what}](<{address}>)"
        for what, path in (("now", one.audio), ("before", one.audio_before))
        if path and (address := _address(Path(path), run, file, audio_url))
    ]
    return f"{plain(one.pair)}: {plain(one.said)}{' – ' if links else ''}{', '.join(links)}"


def _address(path: Path, run: Path, file: Path, audio_url: str | None) -> str | None:
    if audio_url is None:
        parts = Path(os.path.relpath(path, file.parent)).parts
        return "/".join(part if part == ".." else quote(part, safe="", errors="replace") for part in parts)
    inside = path.resolve()
    if not inside.is_relative_to(run.resolve()):
        return None
    return (
        audio_url.rstrip("/")
        + "/"
        + "/".join(quote(p, safe="", errors="replace") for p in inside.relative_to(run.resolve()).parts)
    )


def plain(text: str) -> str:
    """Write any text so that Markdown shows it as it is, on one line, and notifies nobody whose name begins with @."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", text).replace("@", "&#64;")
