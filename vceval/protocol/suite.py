"""Suites: named, versioned, hashed protocols, and the published figures that belong beside them.

A suite is a YAML file. Those of the package lie in ``benchmarks/suites``, their pair lists in ``benchmarks/pairs``
and published figures in ``benchmarks/published``. A user's own suite is given by the path of its file; its pair
list and published figures lie in the same folder or below.

    name: mine
    version: 1
    title: My voices
    description: Who is converted to whom, and why.
    corpus: {name: csv, options: {}}
    language: en
    pairs: {file: pairs.csv, sha256: 0f..., count: 48, references: required}
    natural: {utterances_per_speaker: 20, seed: 0, trials: 30000}
    metrics: [mcd, sv, wer]
    systems: [source, target, world]
    published: []

Instead of ``pairs`` (a frozen list), ``draw`` holds the rule by which pairs are drawn from the official release of
a corpus whose ids can't be frozen here; see :class:`DrawSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from vceval.errors import UsageError
from vceval.protocol import pairlist
from vceval.protocol.pairlist import FrozenPair
from vceval.protocol.schema import Section, read_document
from vceval.registry import unknown_name
from vceval.storage.paths import resolve_inside

__all__ = [
    "DrawSpec",
    "FrozenPair",
    "NaturalSpec",
    "Suite",
    "frozen_pairs",
    "load",
    "names",
    "published_names",
    "published_rows",
    "read_published",
]


@dataclass(frozen=True, slots=True)
class NaturalSpec:
    """Natural speech for calibration: how much of every speaker, by which seed, and how many trials are made."""

    utterances_per_speaker: int
    seed: int
    trials: int


@dataclass(frozen=True, slots=True)
class DrawSpec:
    """How pairs are drawn from a corpus on disk; lengths in seconds, from and to.

    ``expected_utterances`` and ``expected_speakers`` are the counts of the official release (None: not checked);
    another inventory would give another list, so it is refused.
    """

    seed: int
    pairs_per_direction: int
    targets_per_gender: int
    prompts_per_target: int
    prompt_seconds: tuple[float, float]
    source_seconds: tuple[float, float]
    min_utterances: int
    expected_utterances: int | None
    expected_speakers: int | None


@dataclass(frozen=True)
class Suite:
    """One protocol. Either the ``pairs_`` fields are set (a frozen list) or ``draw`` is.

    ``references`` tells whether a run may go on without the parallel recordings (``optional``) or not.
    """

    name: str
    version: int
    title: str
    description: str
    corpus: str
    corpus_options: Mapping[str, Any]
    language: str | None
    metrics: tuple[str, ...]
    systems: tuple[str, ...]
    published: tuple[str, ...]
    natural: NaturalSpec
    file: Path
    pairs_file: Path | None = None
    pairs_sha256: str | None = None
    pairs_count: int | None = None
    references: Literal["required", "optional"] = "required"
    draw: DrawSpec | None = None

    @property
    def label(self) -> str:
        """Name and version, as ``demo@1``."""
        return f"{self.name}@{self.version}"


def _benchmarks() -> Path:
    return Path(str(files("vceval.benchmarks")))


def names() -> list[str]:
    """List the names of the suites that come with vceval, sorted."""
    return sorted(path.stem for path in (_benchmarks() / "suites").glob("*.yaml"))


def load(name: str) -> Suite:
    """Load a suite by name (``demo``), by name and version (``demo@1``) or by the path of its YAML file.

    Raises:
        UsageError: no such suite or version; the YAML lacks a key, has an unknown one or a value of the wrong type;
            the pair list is missing, has another hash than the suite says, or another number of pairs.
    """
    if _is_file_name(name):
        path = Path(name)
        suite = _parse(path, path.resolve().parent)
    else:
        plain, _, version = name.partition("@")
        if plain not in names():
            raise unknown_name("suite", name, names())
        suite = _parse(_benchmarks() / "suites" / f"{plain}.yaml", _benchmarks() / "pairs")
        if version and version != str(suite.version):
            raise unknown_name("suite", name, [suite.label])
    if suite.pairs_file is not None:
        frozen_pairs(suite)
    return suite


def frozen_pairs(suite: Suite) -> list[FrozenPair]:
    """Read the frozen list of a suite; empty where pairs are drawn.

    Raises:
        UsageError: the list is missing or malformed, its hash is not the suite's, or its length isn't.
    """
    if suite.pairs_file is None:
        return []
    pairs, found = pairlist.read(suite.pairs_file)
    if found != suite.pairs_sha256:
        raise UsageError(
            f"{suite.pairs_file}: SHA-256 is {found}, but {suite.file} says {suite.pairs_sha256}; a frozen list must "
            "not change: restore it, or give the new list a new version and hash"
        )
    if len(pairs) != suite.pairs_count:
        raise UsageError(f"{suite.pairs_file}: holds {len(pairs)} pairs, but {suite.file} says {suite.pairs_count}")
    return pairs


def published_rows(suite: Suite) -> list[dict[str, Any]]:
    """Read the published figures that a suite names.

    Returns:
        One mapping per figure: paper, citation, table, task, system, metric, value (a float), plus_minus (a float
        or None), unit, notes.

    Raises:
        UsageError: a file is missing or malformed.
    """
    return read_published(suite.published, suite.file)


def published_names() -> list[str]:
    """Names of the published figures that come with vceval."""
    return sorted(path.stem for path in (_benchmarks() / "published").glob("*.yaml"))


def read_published(names: Sequence[str], said_by: Path) -> list[dict[str, Any]]:
    """Read published figures by name (``clsvc``), or from YAML files in the folder of ``said_by``.

    Returns:
        Rows as :func:`published_rows` gives them.

    Raises:
        UsageError: a file is missing or malformed.
    """
    rows: list[dict[str, Any]] = []
    for name in names:
        document = read_document(_published_file(name, said_by))
        about = {"paper": document.text("paper"), "citation": document.text("citation")}
        for row in document.sections("rows"):
            rows.append(
                about
                | {key: row.text(key) for key in ("table", "task", "system", "metric")}
                | {"value": row.number("value"), "plus_minus": row.number("plus_minus", None)}
                | {key: row.take(key, str, "") for key in ("unit", "notes")}
            )
            row.end()
        document.end()
    return rows


def _parse(path: Path, lists: Path) -> Suite:
    top = read_document(path)
    corpus, natural = top.section("corpus"), top.section("natural")
    values: dict[str, Any] = {key: top.text(key) for key in ("name", "title", "description")}
    values |= {key: top.texts(key) for key in ("metrics", "systems", "published")}
    values |= {"version": top.whole("version", 1), "language": top.take("language", str, None), "file": path}
    values["corpus"] = corpus.text("name")
    values["corpus_options"] = MappingProxyType(corpus.take("options", dict, {}))
    values["natural"] = NaturalSpec(
        natural.whole("utterances_per_speaker", 2), natural.whole("seed"), natural.whole("trials", 1)
    )
    if ("pairs" in top) == ("draw" in top):
        raise UsageError(f"{path}: give either pairs (a frozen list) or draw (a rule)")
    if "pairs" in top:
        pairs = top.section("pairs")
        values["pairs_file"] = resolve_inside(lists, pairs.text("file"), f"{path}: pairs.file")
        values["pairs_sha256"] = pairs.text("sha256").lower()
        values["pairs_count"] = pairs.whole("count", 1)
        values["references"] = pairs.choice("references", ("required", "optional"), "required")
        pairs.end()
    else:
        values["draw"] = _draw(top.section("draw"))
    for section in (top, corpus, natural):
        section.end()
    for name in values["published"]:
        if not (file := _published_file(name, path)).is_file():
            raise UsageError(f"{path}: published: {file} does not exist")
    return Suite(**values)


def _draw(section: Section) -> DrawSpec:
    expected = section.section("expected")
    spec = DrawSpec(
        seed=section.whole("seed"),
        pairs_per_direction=section.whole("pairs_per_direction", 1),
        targets_per_gender=section.whole("targets_per_gender", 1),
        prompts_per_target=section.whole("prompts_per_target", 1),
        prompt_seconds=section.span("prompt_seconds"),
        source_seconds=section.span("source_seconds"),
        min_utterances=section.whole("min_utterances", 2),
        expected_utterances=expected.whole("utterances", 1, None),
        expected_speakers=expected.whole("speakers", 1, None),
    )
    expected.end()
    section.end()
    return spec


def _is_file_name(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _published_file(name: str, said_by: Path) -> Path:
    """Figures of the package are named (``clsvc``), a user's own given as a file in the folder of the suite."""
    if _is_file_name(name):
        return resolve_inside(said_by.resolve().parent, name, f"{said_by}: published")
    return resolve_inside(_benchmarks() / "published", f"{name}.yaml", f"{said_by}: published")
