"""A suite as a benchmark at Hugging Face: ``eval.yaml``, ``croissant.json``, and its pair list where that is public."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.errors import UsageError
from vceval.metrics.base import Measure
from vceval.protocol import suite as suites
from vceval.protocol.suite import Suite
from vceval.reports.hubs.croissant import LIST, croissant
from vceval.reports.hubs.files import Files, Written, dump
from vceval.reports.hubs.model import CONFIG, SPLIT

__all__ = ["is_suite", "write"]

_CROISSANT = "croissant.json"
#: The file is read by a machine that knows only the frameworks on a list of the hub's own.
_FRAMEWORK = """\
# Once vceval is on the hub's list of frameworks (EVALUATION_FRAMEWORKS in huggingface.js), which a push is checked
# against, the line evaluation_framework: vceval belongs here.
"""


def is_suite(text: str) -> bool:
    """Whether a word names a suite: one that comes with vceval, or a YAML file."""
    return text.partition("@")[0] in suites.names() or text.endswith((".yaml", ".yml"))


def write(name: str, folder: Path, benchmark: str = "") -> tuple[list[Written], list[str]]:
    """Write what the repository of a suite's data set says of it. Recordings and transcripts are never in it.

    Args:
        name: of the suite, or its YAML file.
        folder: of the repository, or any other; what stands there stays.
        benchmark: the repository, such as ``owner/name``.

    Returns:
        The files, and what was left out, each with the reason.

    Raises:
        UsageError: there is no such suite, or other files stand there.
    """
    suite, files, left_out = suites.load(name), Files(folder), list[str]()
    corpus = registry.load("corpus", suite.corpus).info
    measures = _measures(suite)
    tasks = [{"id": measure.name, "config": CONFIG, "split": SPLIT} for measure in measures]
    meant = ". ".join(
        f"{measure.name}: {measure.label}{f', {measure.unit}' if measure.unit else ''}, {measure.better} is better"
        for measure in measures
    )
    about = {"name": suite.title, "description": f"{suite.description} Tasks: {meant}.", "tasks": tasks}
    files.add("eval.yaml", _FRAMEWORK + dump(about))
    data = None
    if suite.pairs_file is None:
        left_out.append(f"{LIST}: {suite.label} has a rule by which pairs are drawn, and no list")
    elif not corpus.url:
        left_out.append(f"{LIST}: corpus {corpus.name} is yours alone, and the list has the names of its recordings")
    else:
        data = suite.pairs_file.read_bytes()
        files.add(LIST, data)
    described = croissant(suite, corpus, data, benchmark, _published(files))
    files.add(_CROISSANT, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    return files.write(), left_out


def _measures(suite: Suite) -> list[Measure]:
    """What the first table of a run of the suite shows, and its results at a hub."""
    found = [one for name in suite.metrics for one in registry.load("metric", name).measures]
    return [one for one in found if not one.secondary] or found


def _published(files: Files) -> str:
    """The date of publication: that of the file that stands there, else today."""
    try:
        found: Any = json.loads(files.text(_CROISSANT) or "{}")
        return str(datetime.fromisoformat(found["datePublished"]).date())
    except (ValueError, TypeError, KeyError, UsageError):
        return str(datetime.now(UTC).date())
