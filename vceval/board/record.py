"""``board.json``: everything that the pages of a board show, for programs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vceval.protocol.schema import Model
from vceval.results.views import Cell, MeasureView

__all__ = [
    "FORMAT", "VERSION", "AgreementFacts", "ApartFacts", "BoardFile", "ColumnFacts", "ComparisonFacts", "HistoryFacts",
    "KeyFacts", "Left", "RankingFacts", "RowFacts", "SuiteBoard", "TableFacts",
]  # fmt: skip

FORMAT: Literal["vceval board"] = "vceval board"
VERSION: Literal[1] = 1

Number = Annotated[int, Field(ge=0)]


class KeyFacts(Model):
    """Somebody who signs results."""

    key: str
    name: str
    """As the board's owner calls them, else as they call themselves."""
    trusted: bool
    """Whether the board's owner has the key on a list; where there is no list, none is."""


class ColumnFacts(Model):
    """Figures that may stand beside each other."""

    id: str
    """Name of the measure; behind a ~ the number of the column, where several may not be compared."""
    measure: MeasureView
    signature: str
    encoder: str = ""
    """The speaker encoder that judges, if any."""


class HistoryFacts(Model):
    """An older result of a row."""

    file: str
    sha256: str
    published: str
    figures: dict[str, Cell] = Field(default_factory=dict)
    """By measure, as the file states them and its sums give them, without intervals; empty of the oldest, of which the
    signature alone was checked."""


class RowFacts(Model):
    """The newest result of a system by one publisher."""

    file: str
    sha256: str
    system: str
    title: str
    page: str
    """Of the system, from the board's folder."""
    control: bool
    key: str
    published: str
    licence: str = ""
    paper: str = ""
    year: int | None = None
    """Of the paper; None where it does not say."""
    parameters: Number | None = None
    converter: str = ""
    trained: Number = 0
    """Pairs with a speaker that the system was trained on."""
    unknown: Number = 0
    """Pairs whose speakers nobody knows to be unseen."""
    figures: dict[str, Cell]
    """By column; with its interval, made here of the sums in the file."""
    unseen: dict[str, Cell] = Field(default_factory=dict)
    """The same without pairs with a speaker that the system was trained on; empty where there are none."""
    kin: dict[str, str] = Field(default_factory=dict)
    """Metrics whose encoder does not rank the system, with the reason."""
    history: list[HistoryFacts] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class ComparisonFacts(Model):
    """Two rows on the pairs that a ranking rests on: first less second."""

    first: Number
    second: Number
    pairs: Number
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    """Corrected for the number of comparisons."""


class RankingFacts(Model):
    """Who is ahead in a column: numbers of rows."""

    column: str
    order: list[int]
    pairs: Number
    left_out: Number = 0
    best: list[int] = Field(default_factory=list)
    second: list[int] = Field(default_factory=list)
    unranked: dict[int, str] = Field(default_factory=dict)
    """Shown and not ranked, with the reason."""
    reason: str = ""
    """Why nobody is marked."""
    comparisons: list[ComparisonFacts] = Field(default_factory=list)


class AgreementFacts(Model):
    """One measure of one system by two publishers, on the same pairs: second less first."""

    column: str
    first: Number
    second: Number
    pairs: Number
    values: list[float | None]
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    agrees: bool | None
    """Whether the 95 % interval covers zero; None where nothing could be tested."""


class ApartFacts(Model):
    """Rows whose figures of a metric stand in a column of their own, and why."""

    metric: str
    rows: list[int]
    reasons: list[str]


class TableFacts(Model):
    """Results on the same pairs."""

    title: str
    pairs: Number
    listed: Number | None
    """Pairs on the suite's list."""
    custom: bool
    datasets: list[str]
    columns: list[ColumnFacts]
    rows: list[RowFacts]
    rankings: list[RankingFacts]
    agreements: list[AgreementFacts]
    apart: list[ApartFacts]


class SuiteBoard(Model):
    """The results of one suite."""

    name: str
    page: str
    tables: list[TableFacts]


class Left(Model):
    """A file that is not shown as a result."""

    file: str
    system: str = ""
    suite: str = ""
    by: str = ""
    reasons: list[str] = Field(default_factory=list)


class BoardFile(Model):
    """A board of vceval: published results that were checked, side by side where they may be."""

    format: Literal["vceval board"]
    version: Literal[1]
    vceval: str
    newest: str
    """When the newest result was published, in UTC; empty where there is none."""
    keys_trusted: bool
    """Whether only results of trusted keys are shown."""
    keys: list[KeyFacts]
    suites: list[SuiteBoard]
    untrusted: list[Left]
    """Signed by keys that are not trusted, and not looked at further."""
    refused: list[Left]
