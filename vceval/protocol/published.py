"""Figures that papers print: a YAML file for each paper, in ``benchmarks/published`` or of a user's own.

    paper: ClsVC
    citation: who, what, where
    tables:
      - table: Table 1
        task: many-to-many VCTK
        source: the paper
        corpus: VCTK
        evaluator: 12 listeners
        rows:
          - {system: ClsVC, metric: MOS, value: 4.09, plus_minus: 0.86, unit: 1-5}

None of them is measured here, and no two laboratories measure alike: what a figure was made with stands by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from vceval.protocol.schema import Section, Text, meaning, read_document
from vceval.storage.paths import resolve_inside

__all__ = ["Laboratories", "PublishedFile", "file_of", "laboratories", "names", "read", "words_of"]

_Number = Annotated[float, Field(allow_inf_nan=False), meaning("a number")]
#: Rows that are no system: every laboratory has its own.
_NO_SYSTEM = {"ground truth", "source", "target", "resemblyzer", "d-vector", "all"}


class Figure(Section):
    """One figure."""

    system: Text
    metric: Text
    value: _Number
    plus_minus: _Number | None = None
    unit: str = ""
    notes: str = ""
    measured_by: str = ""
    """Who measured this one, where it was not who measured the table."""


class PublishedTable(Section):
    """Figures that were made alike."""

    table: Text
    task: Text
    source: Text = "the paper"
    """Where the table was read."""
    corpus: Text
    split: str = ""
    pairs: str = ""
    evaluator: Text
    """What measured: encoder, recogniser, listeners."""
    measured_by: str = "authors"
    interval: str = ""
    """What stands after ±; empty where it is not said."""
    origin: Literal["printed", "computed"] = "printed"
    """Whether the source prints the figures, or they were computed from its raw ratings."""
    better: Mapping[Text, Literal["higher", "lower"]] = Field(default_factory=dict)
    """The better side of metrics that laboratories use both ways, such as EER."""
    apart: Mapping[Text, Text] = Field(default_factory=dict)
    """Metrics that may not stand beside others of their name, and why."""
    rows: tuple[Figure, ...] = Field(strict=False, min_length=1)


class PublishedFile(Section):
    """The figures of one paper."""

    paper: Text
    citation: Text
    tables: tuple[PublishedTable, ...] = Field(strict=False, min_length=1)


def names() -> list[str]:
    """Names of the papers whose figures come with vceval."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def file_of(name: str, said_by: Path) -> Path:
    """Figures of the package are named (``clsvc``), a user's own given as a file in the folder of ``said_by``.

    Raises:
        UsageError: the name leaves the folder.
    """
    if name.endswith((".yaml", ".yml")):
        return resolve_inside(said_by.resolve().parent, name, f"{said_by}: published")
    return resolve_inside(_folder(), f"{name}.yaml", f"{said_by}: published")


def read(chosen: Sequence[str], said_by: Path) -> list[dict[str, Any]]:
    """Read figures by name (``clsvc``), or from YAML files in the folder of ``said_by``.

    Returns:
        One mapping per figure: paper, citation and the keys of :class:`PublishedTable` and :class:`Figure`, with
        ``better`` and ``apart`` of its own metric, empty where nothing is said.

    Raises:
        UsageError: a file is missing or malformed.
    """
    found: list[dict[str, Any]] = []
    for name in chosen:
        paper = read_document(file_of(name, said_by), PublishedFile)
        for table in paper.tables:
            common = table.model_dump(exclude={"rows", "better", "apart"})
            for row in table.rows:
                figure = row.model_dump()
                figure["measured_by"] = row.measured_by or table.measured_by
                sides = {"better": table.better.get(row.metric, ""), "apart": table.apart.get(row.metric, "")}
                found.append({"paper": paper.paper, "citation": paper.citation, **common, **figure, **sides})
    return found


class Laboratories(NamedTuple):
    """What several papers print of one system by a metric of one name.

    low, high: the smallest and the largest figure. figures: one mapping per figure, as :func:`read` gives them.
    """

    system: str
    metric: str
    unit: str
    low: float
    high: float
    figures: Sequence[Mapping[str, Any]]

    @property
    def papers(self) -> list[str]:
        """The papers, each once."""
        return list(dict.fromkeys(str(row["paper"]) for row in self.figures))


def laboratories(rows: Sequence[Mapping[str, Any]]) -> list[Laboratories]:
    """Find systems of which at least two papers print a metric of one name and unit, the widest range first.

    Figures that may not stand beside others are left out, and calibrations on natural speech.
    """
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        system = str(row["system"]).partition(" (")[0]
        if not row["apart"] and system.casefold() not in _NO_SYSTEM:
            found[system, str(row["metric"]), str(row["unit"])].append(row)
    several = []
    for (system, metric, unit), figures in found.items():
        values = [float(row["value"]) for row in figures]
        one = Laboratories(system, metric, unit, min(values), max(values), figures)
        if len(one.papers) > 1:
            several.append(one)
    return sorted(several, key=lambda one: (one.metric, one.low - one.high, one.system))


def words_of(row: Mapping[str, Any]) -> str:
    """Put a figure in words, with its ± and unit."""
    value = f"{row['value']:.6g}"
    if row.get("plus_minus") is not None:
        value += f" ± {row['plus_minus']:.6g}"
    return f"{value} {row.get('unit') or ''}".strip()


def _folder() -> Path:
    return Path(str(files("vceval.benchmarks"))) / "published"
