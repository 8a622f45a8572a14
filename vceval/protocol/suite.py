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

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.protocol import pairlist, published
from vceval.protocol.pairlist import FrozenPair
from vceval.protocol.schema import Names, Section, Text, meaning, read_document
from vceval.registry import unknown_name
from vceval.storage.paths import resolve_inside

__all__ = [
    "DrawSpec",
    "Expected",
    "FrozenPair",
    "NaturalSpec",
    "Suite",
    "SuiteFile",
    "frozen_pairs",
    "load",
    "names",
    "published_rows",
]


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= span[0] < span[1]:
        raise ValueError
    return span


#: Lengths in seconds, from and to.
Span = Annotated[
    tuple[float, float], Field(strict=False), AfterValidator(_rising), meaning("two numbers, from and to")
]  # fmt: skip
Count = Annotated[int, Field(ge=1)]


class NaturalSpec(Section):
    """Natural speech for calibration: how much of every speaker, by which seed, and how many trials are made."""

    utterances_per_speaker: int = Field(ge=2)
    seed: int = Field(ge=0)
    trials: Count


class Expected(Section):
    """Counts of the official release; what is left out is not checked."""

    utterances: Count | None = None
    speakers: Count | None = None


class DrawSpec(Section):
    """How pairs are drawn from a corpus on disk; lengths in seconds, from and to.

    Another inventory than the ``expected`` one would give another list, so it is refused.
    """

    seed: int = Field(ge=0)
    pairs_per_direction: Count
    targets_per_gender: Count
    prompts_per_target: Count
    prompt_seconds: Span
    source_seconds: Span
    min_utterances: int = Field(ge=2)
    expected: Expected


class _CorpusChoice(Section):
    """The corpus, and options of its reader."""

    name: Text
    """What ``vceval list corpora`` lists."""
    options: dict[str, Any] = Field(default_factory=dict)


class _PairsChoice(Section):
    """A frozen list of pairs."""

    file: Text
    """A CSV table in the folder of the suite, or below."""
    sha256: Text
    """Of the table's bytes."""
    count: Count
    references: Literal["required", "optional"] = "required"
    """Whether a run may go on without the parallel recordings."""


def _language(tag: str) -> str:
    try:
        language_code(tag)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return tag


class SuiteFile(Section):
    """A suite for vceval: a corpus, the pairs to convert, metrics and systems."""

    one_of: ClassVar[Mapping[str, str]] = {"pairs": "a frozen list", "draw": "a rule"}

    name: Text
    version: Count
    """Another number for every change that changes results."""
    title: Text
    description: Text
    """Who is converted to whom, and why."""
    corpus: _CorpusChoice
    language: Annotated[Text, AfterValidator(_language)] | None = None
    """Of the speech, such as en."""
    natural: NaturalSpec
    metrics: Names
    """What ``vceval list metrics`` lists."""
    systems: Names
    """Converters that run where no others are named; ``vceval list converters``."""
    published: Names
    """Published figures to stand beside: names, or YAML files in the folder of the suite."""
    seeds: Count = 1
    """How many times systems that draw noise convert each pair, where --seeds does not say it."""
    recogniser: Text | None = None
    """Of wer and cer, such as whisper:large-v3, where --recogniser does not say it; else the best Whisper on disk."""
    pairs: _PairsChoice | None = None
    draw: DrawSpec | None = None


@dataclass(frozen=True)
class Suite:
    """One protocol. Either the ``pairs_`` fields are set (a frozen list) or ``draw`` is.

    ``references`` tells whether a run may go on without the parallel recordings (``optional``) or not. ``seeds`` is how
    many times systems that draw noise convert each pair. ``recogniser`` is that of the metrics of words
    (:mod:`vceval.metrics.recogniser_choice`); None for the usual one.
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
    seeds: int = 1
    recogniser: str | None = None

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
        Rows as :func:`vceval.protocol.published.read` gives them.

    Raises:
        UsageError: a file is missing or malformed.
    """
    return published.read(suite.published, suite.file)


def _parse(path: Path, lists: Path) -> Suite:
    found = read_document(path, SuiteFile)
    frozen: dict[str, Any] = {}
    if found.pairs is not None:
        frozen["pairs_file"] = resolve_inside(lists, found.pairs.file, f"{path}: pairs.file")
        frozen["pairs_sha256"] = found.pairs.sha256.lower()
        frozen["pairs_count"] = found.pairs.count
        frozen["references"] = found.pairs.references
    for name in found.published:
        if not (file := published.file_of(name, path)).is_file():
            raise UsageError(f"{path}: published: {file} does not exist")
    same = (
        "name", "version", "title", "description", "language", "metrics", "systems", "published", "natural", "draw",
        "seeds", "recogniser",
    )  # fmt: skip
    options = MappingProxyType(found.corpus.options)
    values = {key: getattr(found, key) for key in same}
    return Suite(**values, **frozen, corpus=found.corpus.name, corpus_options=options, file=path)


def _is_file_name(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))
