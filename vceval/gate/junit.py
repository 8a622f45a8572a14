"""The result as JUnit XML: one test case per verdict, as GitLab, Jenkins and GitHub's reporters show it.

GitLab shows ``classname`` as the suite and ``name`` as the test, and keeps only the first of two cases of the same
name, so the pair of system and rule is unique. What stands in ``failure`` is shown as the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from vceval.gate.verdict import Result, Verdict

__all__ = ["render", "render_refusal"]

SUITE = "vceval gate"


def render(result: Result, undecided: str) -> str:
    """Write the XML of a result; ``undecided`` is what that outcome means: fail, pass or warn (skipped)."""
    cases = []
    for verdict in result.verdicts:
        case = ElementTree.Element("testcase", classname=_text(verdict.system), name=_text(verdict.title), time="0")
        message, output = _text(verdict.message), _text(_output(verdict))
        if verdict.outcome == "regress" or (verdict.outcome == "undecided" and undecided == "fail"):
            ElementTree.SubElement(case, "failure", type=verdict.outcome, message=message).text = output
        elif verdict.outcome == "undecided" and undecided == "warn":
            ElementTree.SubElement(case, "skipped", type="undecided", message=message)
            ElementTree.SubElement(case, "system-out").text = output
        else:
            ElementTree.SubElement(case, "system-out").text = output
        cases.append(case)
    facts = {"run": result.run, "baseline": result.baseline, "suite": result.suite, "rules": result.rules}
    return _document(cases, {**facts, **{f"note {n}": note for n, note in enumerate(result.notes, 1)}})


def render_refusal(reason: str) -> str:
    """Write the XML where run and baseline may not be compared: one case, an error."""
    case = ElementTree.Element("testcase", classname=SUITE, name="comparable", time="0")
    error = ElementTree.SubElement(case, "error", type="refused", message=_text(reason.splitlines()[0]))
    error.text = _text(reason)
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
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    suite.extend(cases)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _output(verdict: Verdict) -> str:
    lines = [verdict.message]
    for one in verdict.offenders:
        lines.append(f"{one.pair}: {one.said}")
        lines += [f"  {what}: {path}" for what, path in (("now", one.audio), ("before", one.audio_before)) if path]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Take out what XML 1.0 has no way to write; the rest is escaped on writing."""
    return "".join(letter if _allowed(ord(letter)) else "�" for letter in text)


def _allowed(code: int) -> bool:
    return code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
