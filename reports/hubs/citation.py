"""What to cite for results, as CITATION.cff says it (Citation File Format 1.2.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vceval.reports.bibliography import cited, references
from vceval.reports.hubs.files import Files, dump
from vceval.reports.hubs.yaml_keys import mapping, with_key
from vceval.results.views import Report, SystemView
from vceval.version import VERSION

__all__ = ["FILE", "add", "reference"]

FILE = "CITATION.cff"
_DOI = re.compile(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+")
_KINDS = {"inproceedings": "conference-paper", "article": "article"}


def add(files: Files, reports: Sequence[Report], system: SystemView) -> None:
    """Have the papers of a system, of its corpora and metrics added to the CITATION.cff of a repository, or make one.

    Raises:
        UsageError: the file that stands there can't be read, or not be changed without a loss.
    """
    used: dict[str, list[str]] = {}
    for report in reports:
        mine = [one for one in report.systems if one.name == system.name]
        for key, reasons in cited(replace(report, systems=mine, published=())).items():
            used.setdefault(key, []).extend(one for one in reasons if one not in used.get(key, ()))
    found = [reference(key, reasons) for key, reasons in sorted(used.items())]
    found.append(_vceval(reports))
    text = files.text(FILE)
    if text is None:
        about = next((key for key, reasons in sorted(used.items()) if f"system {system.title}" in reasons), None)
        files.add(FILE, dump(_file(system, about, found)))
        return
    where = str(files.root / FILE)
    listed = mapping(text, where).get("references") or []
    old = listed if isinstance(listed, list) else [listed]
    known = {_plain(one.get(what)) for one in old if isinstance(one, dict) for what in ("doi", "title")} - {""}
    more = [one for one in found if not known & {_plain(one.get(what)) for what in ("doi", "title")}]
    files.merge(FILE, with_key(text, "references", [*old, *more], where) if more else text)


def reference(key: str, reasons: Sequence[str] = ()) -> dict[str, Any]:
    """Write an entry of ``references.yaml`` as a reference of CFF.

    Args:
        key: of the entry.
        reasons: what it is cited for.
    """
    entry = references()[key]
    kind = "data" if "corpora" in entry and entry["type"] == "misc" else _KINDS.get(entry["type"], "generic")
    found: dict[str, Any] = {"type": kind, "title": entry["title"], "authors": _authors(entry)}
    notes = [f"Cited for {', '.join(reasons)}"] if reasons else []
    if "booktitle" in entry:
        found["collection-title"] = entry["booktitle"]
        found["conference"] = {"name": entry["booktitle"]}
    if "journal" in entry:
        found["journal"] = entry["journal"]
    if "howpublished" in entry:
        found["publisher"] = {"name": entry["howpublished"]}
    for ours, theirs in (("volume", "volume"), ("number", "issue")):
        if ours in entry:
            text = str(entry[ours])
            if theirs == "issue":
                found[theirs] = text
            elif text.isdecimal():  # CFF knows whole numbers alone
                found[theirs] = int(text)
            else:
                notes.append(f"volume {text}")
    if "series" in entry:
        notes.append(str(entry["series"]))
    if pages := re.fullmatch(r"(\d+)--(\d+)", str(entry.get("pages", ""))):
        found["start"], found["end"] = int(pages[1]), int(pages[2])
    found["year"] = int(entry["year"])
    if "doi" in entry and _DOI.fullmatch(entry["doi"]):
        found["doi"] = entry["doi"]
    if "eprint" in entry:
        found["identifiers"] = [{"type": "other", "value": f"arXiv:{entry['eprint']}"}]
    url = entry.get("url") or (f"https://arxiv.org/abs/{entry['eprint']}" if "eprint" in entry else "")
    if url:
        found["url"] = url
    if notes:
        found["notes"] = "; ".join(notes)
    return found


def _authors(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    """Split a list of names as BibTeX writes it; braces hold the words of one name together."""
    if "author" not in entry:
        return [{"name": "Authors as the publisher lists them"}]
    found = []
    for name in str(entry["author"]).split(" and "):
        plain = name.replace("{", "").replace("}", "").strip()
        family, comma, given = (part.strip() for part in plain.partition(","))
        if plain == "others":
            found.append({"name": "and others"})
        elif comma:
            found.append({"family-names": family, "given-names": given})
        else:
            found.append({"name": plain} if name.startswith("{") else {"family-names": plain})
    return found


def _vceval(reports: Sequence[Report]) -> dict[str, Any]:
    """The toolkit, with the signatures that say what the figures are."""
    versions = {str((report.run.get("versions") or {}).get("vceval") or VERSION) for report in reports}
    suites = dict.fromkeys(report.suite for report in reports)
    signatures = dict.fromkeys(metric.signature for report in reports for metric in report.metrics.values())
    return {
        "type": "software",
        "title": "vceval",
        "abstract": "Objective evaluation and benchmarking of voice conversion",
        "authors": [{"name": "The vceval authors"}],
        "version": " and ".join(sorted(versions)),
        "license": "Apache-2.0",
        "notes": f"Suites: {', '.join(suites)}. Signatures: {'; '.join(signatures)}",
    }


def _file(system: SystemView, key: str | None, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "cff-version": "1.2.0",
        "message": "If you use this model, please cite it; of its figures, cite what measured them: the references.",
        "type": "software",
        "title": system.title,
        "authors": _authors(references()[key]) if key else [{"name": f"The authors of {system.title}"}],
        **({"preferred-citation": reference(key)} if key else {}),
        "references": list(found),
    }


def _plain(text: object) -> str:
    return re.sub(r"\W", "", str(text or "").casefold())
