"""Where the gate's result goes: the terminal, JUnit XML, Markdown, JSON.

In JUnit XML, as GitLab, Jenkins and GitHub's reporters show it, a verdict is a test case. GitLab shows ``classname`` as
the suite and ``name`` as the test, and keeps only the first of two cases of the same name, so the pair of system and
rule is unique. What stands in ``failure`` is shown as the output.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from vceval.gate.decide import Outcome
from vceval.gate.plan import table, views_of
from vceval.gate.verdict import Offender, Result, Verdict, amount, blindness, catches
from vceval.results.rundir import write_atomically
from vceval.results.terminal import Cell, clean, grid, paragraph

__all__ = [
    "Places", "plain", "red", "refusal_to_junit", "refusal_to_markdown", "to_junit", "to_markdown", "to_text", "write",
    "write_refusal",
]  # fmt: skip

SUITE = "vceval gate"
_STYLES = {"pass": "green", "regress": "bold red", "undecided": "yellow", "blind": "yellow"}
MARKS = {"pass": "✅ pass", "regress": "❌ regress", "undecided": "❔ undecided", "blind": "🙈 blind"}


@dataclass(frozen=True, slots=True)
class Places:
    """The files asked for, and the address under which the run's folder can be reached."""

    junit: Path | None = None
    markdown: Path | None = None
    json: Path | None = None
    audio_url: str | None = None


def red(outcome: Outcome, undecided: str) -> bool:
    """Whether an outcome fails the gate."""
    return outcome in ("regress", "blind") or (outcome == "undecided" and undecided == "fail")


def to_text(result: Result, undecided: str) -> str:
    """Write the result for a terminal: what can be seen, what is not passed in full, the rest in one line each."""
    lines = [clean(f"{result.run} against {result.baseline} ({result.suite}), {result.rules}")]
    lines += table(views) if (views := views_of(result.verdicts)) else []
    shown = [verdict for verdict in result.verdicts if verdict.outcome != "pass" or verdict.figures]
    rows: list[list[str | Cell]] = []
    for verdict in shown:
        name = f"{verdict.system}: {verdict.title}"
        rows.append([Cell(verdict.outcome, _STYLES.get(verdict.outcome, "")), name, verdict.message])
        worst = verdict.offenders if verdict.outcome == "regress" else ()
        rows += [["", "", f"- {one.pair}: {one.said}"] for one in worst]
    if rows:
        lines.append(grid(["", "", ""], [rows]))
    quiet = Counter(verdict.rule for verdict in result.verdicts if verdict not in shown)
    lines += [f"pass       {rule}: {number} systems" for rule, number in quiet.items()]
    lines += [paragraph(clean(note), "note", 11) for note in result.notes]
    lines.append(f"gate: {result.outcome} ({result.said()})")
    return "\n".join(lines)


def write(result: Result, where: Places, undecided: str) -> None:
    """Write the JUnit, Markdown and JSON files that were asked for."""
    if where.junit:
        write_atomically(where.junit, to_junit(result, undecided))
    if where.markdown:
        write_atomically(where.markdown, to_markdown(result, where.markdown, where.audio_url, undecided))
    if where.json:
        content = {**result.as_json(), "red": red(result.outcome, undecided)}
        write_atomically(where.json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_refusal(reason: str, where: Places) -> None:
    """Write the files asked for where nothing was decided: CI then shows why, instead of nothing."""
    if where.junit:
        write_atomically(where.junit, refusal_to_junit(reason))
    if where.markdown:
        write_atomically(where.markdown, refusal_to_markdown(reason))
    if where.json:
        content = {"schema": 2, "outcome": "refused", "red": True, "reason": reason}
        write_atomically(where.json, json.dumps(content, indent=1) + "\n")


def to_junit(result: Result, undecided: str) -> str:
    """Write the XML of a result; ``undecided`` is what that outcome means: fail, pass or warn (skipped)."""
    cases, blind = [], result.blind
    for verdict in result.verdicts:
        case = ElementTree.Element("testcase", classname=_xml(verdict.system), name=_xml(verdict.title), time="0")
        message, output = _xml(_message(verdict)), _xml(_output(verdict))
        outcome = "blind" if verdict.outcome != "regress" and verdict in blind else verdict.outcome
        if red(outcome, undecided):
            ElementTree.SubElement(case, "failure", type=outcome, message=message).text = output
        elif verdict.outcome == "undecided" and undecided == "warn":
            ElementTree.SubElement(case, "skipped", type="undecided", message=message)
            ElementTree.SubElement(case, "system-out").text = output
        else:
            ElementTree.SubElement(case, "system-out").text = output
        cases.append(case)
    facts = {"run": result.run, "baseline": result.baseline, "suite": result.suite, "rules": result.rules}
    return _document(cases, {**facts, **{f"note {n}": note for n, note in enumerate(result.notes, 1)}})


def refusal_to_junit(reason: str) -> str:
    """Write the XML where run and baseline may not be compared: one case, an error."""
    case = ElementTree.Element("testcase", classname=SUITE, name="comparable", time="0")
    error = ElementTree.SubElement(case, "error", type="refused", message=_xml(reason.splitlines()[0]))
    error.text = _xml(reason)
    return _document([case], {})


def _document(cases: Sequence[ElementTree.Element], facts: dict[str, str]) -> str:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
    }
    skipped = str(sum(case.find("skipped") is not None for case in cases))
    root = ElementTree.Element("testsuites", {"name": SUITE, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": SUITE, "time": "0", "skipped": skipped, **counts})
    if facts:
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in facts.items():
            ElementTree.SubElement(properties, "property", name=name, value=_xml(value))
    suite.extend(cases)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _message(verdict: Verdict) -> str:
    """What was found, and what the rule can't see."""
    return ". ".join(filter(None, (verdict.message, blindness(verdict))))


def _output(verdict: Verdict) -> str:
    lines = [_message(verdict)]
    for one in verdict.offenders:
        lines.append(f"{one.pair}: {one.said}")
        lines += [f"  {what}: {path}" for what, path in (("now", one.audio), ("before", one.audio_before)) if path]
    return "\n".join(lines)


def _xml(text: str) -> str:
    """Take out what XML 1.0 has no way to write; the rest is escaped on writing."""
    return "".join(letter if _allowed(ord(letter)) else "�" for letter in text)


def _allowed(code: int) -> bool:
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF


def to_markdown(result: Result, file: Path, audio_url: str | None, undecided: str) -> str:
    """Write the Markdown of a result.

    Links to recordings are relative to ``file``. With ``audio_url`` those inside the run's folder start there instead;
    others are then named without a link, since nothing says where they could be reached.
    """
    lines = [f"## {MARKS[result.outcome]}: {plain(result.run)} against {plain(result.baseline)}", ""]
    lines += [f"{result.said()}; suite {plain(result.suite)}, {plain(result.rules)}, undecided means {undecided}.", ""]
    measured, blind = [verdict for verdict in result.verdicts if verdict.figures], result.blind
    if measured:
        lines += _table(measured)
    for verdict in result.verdicts:
        if verdict.outcome == "pass" and verdict not in blind:
            continue
        lines += [f"**{MARKS[verdict.outcome]}** {plain(verdict.system)}: {plain(verdict.title)}  "]
        lines += [plain(_message(verdict)), ""]
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


def refusal_to_markdown(reason: str) -> str:
    """Write the Markdown where nothing was decided."""
    return f"## ⛔ refused\n\n{'<br>'.join(plain(line) for line in reason.splitlines())}\n"


def _table(verdicts: list[Verdict]) -> Iterator[str]:
    heads = (
        "System, Measure, Before, Now, Worse by, One-sided limits, Allowed, Sees, Pairs, Target speakers, "
        "Source speakers, p, Capped"
    )
    yield f"| | {heads.replace(', ', ' | ')} |"
    yield "| :-- | :-- | :-- | --: | --: | --: | :--: | --: | --: | --: | --: | --: | --: | --: |"
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
            "–" if verdict.sight is None else catches(verdict.sight, measure),
            str(figures.pairs),
            *(str(count) if count else "–" for count in (figures.targets, figures.sources)),
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
