"""The papers of what a run used, as BibTeX: systems, corpora, metrics, and the papers whose figures it shows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval.corpora.names import known_corpus
from vceval.reports.latex_escape import escape
from vceval.results.views import Report

__all__ = ["bibtex", "cited", "corpus_key", "entry_text", "references"]

_FIELDS = (
    "author", "title", "booktitle", "journal", "series", "volume", "number", "pages", "howpublished", "year", "doi",
    "eprint", "url",
)  # fmt: skip
#: Shorter names mean a paper only as they are: "vae" in "vae-gan" means nothing.
_DISTINCT = 5


@functools.cache
def references() -> Mapping[str, Mapping[str, Any]]:
    """Read ``references.yaml``: key to fields, and to what each paper is cited for."""
    import yaml

    found: dict[str, dict[str, Any]] = yaml.safe_load(
        (Path(__file__).parent / "references.yaml").read_text(encoding="utf-8")
    )
    return found


def bibtex(report: Report) -> str:
    """Write a BibTeX file with the papers of every system, corpus and metric of a run; empty where none is known.

    Above each entry a comment says what it is cited for.
    """
    return "\n".join(entry_text(key, reasons) for key, reasons in sorted(cited(report).items()))


def cited(report: Report) -> dict[str, list[str]]:
    """Find the papers of every system, corpus and metric of a run: keys, and what each is cited for."""
    used: dict[str, list[str]] = {}
    for key, reason in _used(report):
        reasons = used.setdefault(key, [])
        if reason not in reasons:
            reasons.append(reason)
    return used


def _used(report: Report) -> Iterator[tuple[str, str]]:
    for system in report.systems:
        for name in (system.converter, system.name, system.title):
            for key in _by("systems", name):
                yield key, f"system {system.title}"
    for name in report.datasets:
        if corpus := corpus_key(name):
            yield corpus, f"corpus {name}"
    for metric in report.metrics.values():
        for key, entry in references().items():
            by_name = metric.name.partition(":")[0] in entry.get("metrics", ())
            pieces = metric.signature.split("|")
            if by_name or any(piece.startswith(start) for piece in pieces for start in entry.get("parts", ())):
                yield key, f"metric {metric.name}"
    for row in report.published:
        for name in (str(row["paper"]), str(row["system"])):
            for key in _by("systems", name):
                yield key, f"published figures of {name}"


def corpus_key(name: str) -> str | None:
    """Find the paper of a corpus, by the longest known beginning of its name (``VCTK 0.80`` is not ``VCTK 0.92``)."""
    by_name = {known: key for key, entry in references().items() for known in entry.get("corpora", ())}
    starts = [known for known in by_name if _plain(name).startswith(known)]
    return by_name.get(max(starts, key=len, default=known_corpus(name) or ""))


def _by(kind: str, name: str) -> Iterator[str]:
    """Find papers by a name as people write it: ``AdaIN-VC``, ``FreeVC-wo-SR``, ``VQVC+``."""
    cuts = [match.start() for match in re.finditer(r"[-_ (/]", name)]
    names = {_plain(name), *(plain for cut in cuts if len(plain := _plain(name[:cut])) >= _DISTINCT)} - {""}
    for key, entry in references().items():
        if any(_plain(known) in names for known in entry.get(kind, ())):
            yield key


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


def entry_text(key: str, reasons: Sequence[str] = ()) -> str:
    """Write one entry, below a comment with what it is cited for."""
    entry = references()[key]
    lines = [f"% {_comment(', '.join(reasons))}"] if reasons else []
    lines.append(f"@{entry['type']}{{{key},")
    for field in _FIELDS:
        if field in entry:
            lines += [f"  {field} = {{{_field(field, str(entry[field]))}}},"]
    if "eprint" in entry:
        lines.append("  archiveprefix = {arXiv},")
    return "\n".join([*lines, "}", ""])


def _field(field: str, text: str) -> str:
    if field in ("doi", "eprint", "url", "pages"):
        return text
    if field == "author":  # braces hold a name of several words together
        return "".join(piece if piece in "{}" else _escape_piece(piece) for piece in re.split(r"([{}])", text))
    return f"{{{escape(text)}}}" if field == "title" else escape(text)


def _escape_piece(text: str) -> str:
    """Escape a part of a list of names and keep the blanks at its ends."""
    ends = (" " if text[:1] == " " else "", " " if text[-1:] == " " and text.strip() else "")
    return ends[0] + escape(text) + ends[1] if text else ""


def _comment(text: str) -> str:
    """A BibTeX comment ends with its line, and an at sign in it would begin an entry."""
    return re.sub(r"[@{}%]", "", " ".join(text.split())).encode("ascii", "replace").decode()
