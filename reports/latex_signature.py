"""The signatures of a run as a LaTeX macro, to be quoted in a text."""

from __future__ import annotations

from vceval.reports.latex_text import breakable, escape
from vceval.reports.tables import suite_label
from vceval.results.views import Report

__all__ = ["macros"]

_HEAD = r"""% \input this file once, anywhere before it is used; it prints nothing.
% \vcevalSignature[mcd] prints the signature of a metric, \vcevalSignature all of them, \vcevalRun what was run.
\makeatletter
\newcommand{\vcevalSignature}[1][]{{\ttfamily\ifcsname vceval@signature@#1\endcsname
  \csname vceval@signature@#1\endcsname\else
  \GenericError{}{vceval: no metric `#1' in this run}{Known: %s}{}\fi}}
"""


def macros(report: Report) -> str:
    r"""Write ``signatures.tex``: ``\vcevalSignature`` for one metric or all, ``\vcevalRun`` for suite and version.

    Names of metrics are registered names such as ``mcd`` or ``wer:seedtts``, which TeX takes as they are.
    """
    known = ", ".join(escape(name) for name in report.metrics)
    lines = [_HEAD.replace("%s", known)]
    for name, metric in report.metrics.items():
        lines.append(rf"\@namedef{{vceval@signature@{_plain(name)}}}{{{breakable(metric.signature, 40, '|,')}}}")
    every = r";\penalty0\ ".join(breakable(metric.signature, 40, "|,") for metric in report.metrics.values())
    lines += [rf"\@namedef{{vceval@signature@}}{{{every}}}", rf"\newcommand{{\vcevalRun}}{{{_about(report)}}}"]
    return "\n".join([*lines, r"\makeatother", ""])


def _plain(name: str) -> str:
    r"""Leave out of a name what ``\csname`` can't hold."""
    return "".join(
        character for character in name if character.isascii() and (character.isalnum() or character in ":-.")
    )


def _about(report: Report) -> str:
    runs = report.run.get("runs") or [report.run]
    versions = dict.fromkeys(str((run.get("versions") or {}).get("vceval", "")) for run in runs)
    made_by = "vceval " + ", ".join(version for version in versions if version)
    words = [made_by.strip(), f"suite {suite_label(report)}", f"{report.pair_count:,} conversion pairs"]
    digest = str(runs[0].get("pairs_sha256") or "")
    if digest:
        words.append(f"pair list SHA-256 {digest[:12]}")
    return escape(", ".join(words))
