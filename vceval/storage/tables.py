"""CSV tables that people write: declared columns, strict quotes, every problem named by its line.

No cell may hold a line break, so that each line is a row: a quote that is left open costs its own line and never
swallows the next ones.
"""

from __future__ import annotations

import codecs
import difflib
import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.storage.paths import no_such_file

if TYPE_CHECKING:
    import pandas

__all__ = ["Column", "FrameTable", "Row", "Sheet", "Table"]

#: Bytes of a table, characters of a line, columns: more is no table of recordings.
LARGEST, LONGEST, WIDEST = 64 << 20, 100_000, 500
#: Problems that one message names.
_NAMED = 10
#: Tried in this order; how messages call them.
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
#: What programs write into a cell that has no value, in lower case, and the longest of them.
_EMPTY = frozenset({"nan", "null", "none", "n/a", "#n/a", "<na>"})
_LONGEST_EMPTY = max(map(len, _EMPTY))
#: What messages call a table in memory.
_FRAME = "DataFrame"
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"(?!")')
#: Excel's own line above the header.
_SEP_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_OTHER_FILES = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or a ZIP file", b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls)",
    b"PAR1": "a Parquet file", b"\x1f\x8b": "a gzip file", b"RIFF": "a recording", b"fLaC": "a recording",
}  # fmt: skip
#: Encodings that tables come in, with the characters that their texts are made of.
_ENCODINGS = (
    ("cp1251", "Windows-1251 (Cyrillic)", r"[Ѐ-ӿ]"),
    ("shift_jis", "Shift JIS (Japanese)", r"[ぁ-ヿ]|[一-鿿]"),
    ("euc_kr", "EUC-KR (Korean)", r"[가-힣]"),
    ("gb18030", "GB 18030 (Chinese)", r"[一-鿿]|[！-～、。]"),
    ("big5", "Big5 (Chinese)", r"[一-鿿]"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it is for, and what else people call it.

    Names are compared without case, blanks and punctuation: ``Source Speaker`` is ``source_speaker``.
    needed: the column must be there.
    required: it must be there, and filled in every row.
    check: raises UsageError for a cell that can't be; empty cells are not asked about.
    """

    name: str
    use: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    needed: bool = False
    check: Callable[[str], object] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its (1-based) line, and the text of every declared column, empty where there is none."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


@dataclass
class Sheet:
    """What was read of a table: rows in order, and notes for the user on how it was read.

    Whoever uses the rows adds the problems that he finds in their values; :meth:`check` then refuses the table with
    all problems together.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _problems: list[tuple[int, str]] = field(default_factory=list)
    _met: dict[Hashable, int] = field(default_factory=dict)

    def where(self, line: int) -> str:
        """Name a line, as messages do; line 0 is the whole table."""
        return f"{self.name}:{line}" if line else self.name

    def problem(self, line: int, message: str) -> None:
        """Add something that makes the table unfit."""
        self._problems.append((line, message))

    def once(self, row: Row, key: Hashable, words: str) -> bool:
        """Whether no row before this one had its key; else a problem: ``words`` say what the two have in common."""
        first = self._met.setdefault(key, row.line)
        if first != row.line:
            self.problem(row.line, f"repeats line {first}: {words}; remove one of the two, or correct it")
        return first == row.line

    def note_alike(self, what: str, *columns: str) -> None:
        """Note names in some columns that differ in case, blanks or Unicode form alone; ``what`` they are names of.

        They count as different ones: a slip of the hand would make two systems, or two speakers, of one.
        """
        lines: dict[str, int] = {}
        for row in self.rows:
            for column in columns:
                lines.setdefault(row.values[column], row.line)
        written: dict[str, list[str]] = {}
        for name in filter(None, lines):
            written.setdefault("".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
        for names in written.values():
            if len(names) > 1:
                shown = _few([f"{_shown(name)} (line {lines[name]})" for name in names])
                message = f"{what} of nearly the same name count as {len(names)}: {shown}; write one name if it is one"
                self.notes.append(message)

    def check(self) -> None:
        """Refuse the table where it has problems.

        Raises:
            UsageError: names the first ten, by their lines, and says how many there are.
        """
        found = [f"{self.where(line)}: {message}" for line, message in sorted(self._problems, key=lambda p: p[0])]
        if len(found) == 1:
            raise UsageError(found[0])
        if found:
            first = f", the first {_NAMED}" if len(found) > _NAMED else ""
            raise UsageError("\n  ".join([f"{self.name}: {len(found)} problems{first}:", *found[:_NAMED]]))


@dataclass(frozen=True, slots=True)
class FrameTable:
    """A table that somebody has in memory, as the text of a CSV file: the line of a row is its place plus 2."""

    text: str
    name: str = _FRAME

    @classmethod
    def of(cls, frame: pandas.DataFrame) -> FrameTable:
        """Write a DataFrame down: its columns, without its index; what pandas takes for missing is empty.

        Raises:
            UsageError: a column has two levels, or a cell holds a line break.
        """
        if frame.columns.nlevels > 1:
            raise UsageError(f"{_FRAME}: its columns have {frame.columns.nlevels} levels; give a table with one")
        lines = [",".join(_cell_text(name) for name in frame.columns)]
        columns = (frame.iloc[:, place].tolist() for place in range(frame.shape[1]))
        for values in zip(*columns, strict=True):
            lines.append(",".join(_cell_text(value) for value in values))
        found = cls("\n".join(lines) + "\n")
        for line, text in enumerate(lines, start=1):
            if "\n" in text or "\r" in text:
                raise UsageError(f"{found}:{line}: a cell holds a line break; replace it with a blank")
        return found

    def __str__(self) -> str:
        return self.name

    @property
    def stem(self) -> str:
        """A name that no other table has."""
        return f"table-{self.sha256[:8]}"

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode(errors="backslashreplace")).hexdigest()


class Table:
    """A kind of table: its columns, and names that can't be told apart.

    Args:
        columns: in the order in which messages and documentation name them.
        doubtful: names that stand for one thing here and for another there, with the columns that they may mean.
    """

    def __init__(
        self, columns: Sequence[Column], doubtful: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    ) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self._doubtful = {_plain(name): meant for names, meant in (doubtful or {}).items() for name in names}
        every = [(name, c.name) for c in columns for name in (c.name, *c.aliases)]
        self._known = {_plain(name): column for name, column in every}
        self._known_words = {_plain(name): _words(name) for name, _ in every}

    def read(self, table: Path | FrameTable) -> Sheet:
        """Read a file: UTF-8, or UTF-16 that says so; commas, semicolons, tabs or bars; any order of columns.

        A table in memory is read by the same rules.

        Raises:
            UsageError: it can't be read, is no text, its header is unfit, or it has no rows. Problems of single rows
                wait in the sheet for its :meth:`Sheet.check`.
        """
        return self.parse(table.text if isinstance(table, FrameTable) else _text(table), str(table))

    def parse(self, text: str, name: str) -> Sheet:
        """Read a table from its text; ``name`` is what messages call it.

        Raises:
            UsageError: as :meth:`read`.
        """
        sheet = Sheet(name)
        if "\0" in text:
            sheet.problem(_line_of(text, text.index("\0")), "holds a NUL byte, which no text has; write the table anew")
            sheet.check()
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        start = next((place for place, line in enumerate(lines) if line.strip() and not _is_sep_line(line)), 0)
        separator, header = self._header(lines[start], start + 1, sheet)
        places = self._places(header, start + 1, sheet)
        sheet.check()
        self._fill(sheet, lines, start + 1, header, places, separator)
        if not sheet.rows:
            sheet.check()
            raise UsageError(f"{name}: holds no rows")
        return sheet

    def described(self) -> str:
        """Describe the columns as a table in Markdown."""
        rows = [
            f"| `{c.name}`{' (required)' if c.required else ''} | {c.use} | {', '.join(f'`{a}`' for a in c.aliases)} |"
            for c in self.columns
        ]
        return "\n".join(["| column | for | also understood |", "|---|---|---|", *rows])

    # The header

    def _header(self, line: str, number: int, sheet: Sheet) -> tuple[str, list[str]]:
        """Find the separator by which most columns are known, and the cells that it makes."""
        if len(line) > LONGEST:
            sheet.problem(number, f"{len(line):,} characters are no header; the first line names the columns")
            sheet.check()
        readings: list[tuple[int, int, str, list[str]]] = []
        slips: list[str] = []
        for separator in _SEPARATORS:
            try:
                cells = _cells(line, separator)
            except ValueError as slip:
                slips.append(str(slip))
                continue
            known = sum(_plain(cell) in self._known for cell in cells)
            readings.append((known, len(cells), separator, cells))
        if slips and not any(known for known, *_ in readings):
            sheet.problem(number, slips[0])
            sheet.check()
        _, _, separator, cells = max(readings, key=lambda reading: reading[:2])
        while cells and not cells[-1]:
            cells.pop()
        if len(cells) > WIDEST:
            sheet.problem(number, f"{len(cells):,} columns; a table of recordings has no more than {WIDEST}")
            sheet.check()
        return separator, cells

    def _places(self, header: Sequence[str], number: int, sheet: Sheet) -> dict[str, int]:
        """Place of every column that is there; what is unfit is a problem, what is ignored or understood a note."""
        met: dict[str, list[int]] = {}
        ignored: list[str] = []
        for place, written in enumerate(header):
            if _plain(written) in self._known:
                met.setdefault(self._known[_plain(written)], []).append(place)
        for place, written in enumerate(header):
            plain = _plain(written)
            meant = self._doubtful.get(plain, ())
            if plain in self._known:
                continue
            if not met.keys() >= set(meant):
                sheet.problem(
                    number, f"column {_shown(written)} may be {' or '.join(meant)}: rename it to the one that it is"
                )
            elif near := self._near(written):
                sheet.problem(number, f"column {_shown(written)} is unknown; is it {near!r}? Rename it, or remove it")
            else:
                ignored.append(_shown(written) if written else f"number {place + 1}, which has no name")
        for name, places in met.items():
            if len(places) > 1:
                different = dict.fromkeys(_shown(header[place]) for place in places)
                twice = len(different) == 1
                names = " and ".join(different)
                words = f"column {names} stands twice" if twice else f"columns {names} both mean {name}"
                sheet.problem(number, f"{words}; remove or rename all but one")
        missing = [c.name for c in self.columns if (c.required or c.needed) and c.name not in met]
        if missing:
            found = _few([_shown(cell) for cell in header if cell]) or "none"
            needed = ", ".join(c.name for c in self.columns if c.required or c.needed)
            hint = _hint(header)
            sheet.problem(
                number,
                f"no column {' and '.join(missing)}; found: {found}. The first line names the columns: "
                f"{', '.join(self.names)} (must be there: {needed})" + (f". {hint}" if hint else ""),
            )
        self._tell(header, met, ignored, sheet)
        return {name: places[0] for name, places in met.items()}

    def _tell(self, header: Sequence[str], met: Mapping[str, list[int]], ignored: list[str], sheet: Sheet) -> None:
        understood = [
            f"{_shown(header[place])} as {name}"
            for name, places in met.items()
            for place in places
            if _plain(header[place]) != _plain(name)
        ]
        if understood:
            sheet.notes.append(f"columns read by another name: {', '.join(understood)}")
        if ignored:
            free = ", ".join(name for name in self.names if name not in met)
            sheet.notes.append(f"columns ignored, as they are not known: {_few(ignored)} (not there: {free})")

    def _near(self, written: str) -> str | None:
        """The column that a name is probably meant for: a slip of the hand, not a name with another word."""
        plain, words = _plain(written)[:40], _words(written)[:4]
        for known in sorted(self._known, key=lambda known: (-_likeness(plain, known), known)):
            its = self._known_words[known]
            if len(its) == len(words):
                near = all(one == other or _slip(one, other) for one, other in zip(words, its, strict=True))
            else:
                near = not (len(its) < len(words) and set(its) <= set(words)) and _slip(plain, known)
            if near:
                return self._known[known]
        return None

    # The rows

    def _fill(
        self,
        sheet: Sheet,
        lines: Sequence[str],
        first: int,
        header: list[str],
        places: Mapping[str, int],
        separator: str,
    ) -> None:
        lower = [cell.lower() for cell in header]
        required = [c.name for c in self.columns if c.required]
        checked = [c for c in self.columns if c.check is not None and c.name in places]
        column_fault = functools.cache(_fault)  # one value stands in many rows
        blank = dict.fromkeys(self.names, "")
        emptied: list[tuple[int, str, str]] = []
        after_open = False  # lines after a quote that was left open may be the rest of its cell
        for number, line in enumerate(lines[first:], start=first + 1):
            if len(line) > LONGEST:
                sheet.problem(number, f"{len(line):,} characters; a row has no more than {LONGEST:,}; shorten it")
                continue
            try:
                cells = _cells(line, separator)
            except ValueError as slip:
                if not after_open:
                    sheet.problem(number, str(slip))
                after_open = after_open or isinstance(slip, _OpenQuote)
                continue
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            if not any(cells):
                continue
            if len(cells) != len(header):
                if not after_open:
                    sheet.problem(number, _miscounted(cells, header, separator))
                continue
            after_open = False
            if cells[0].lower() == lower[0] and [cell.lower() for cell in cells] == lower:
                sheet.problem(number, "is the header once more; remove the line")
                continue
            values = dict(blank)
            for name, place in places.items():
                cell = cells[place]
                if len(cell) <= _LONGEST_EMPTY and cell.lower() in _EMPTY:
                    emptied.append((number, name, cell))
                    cell = ""
                values[name] = cell
            for name in required:
                if not values[name]:
                    word = cells[places[name]]
                    sheet.problem(number, f"{name} is empty" + (f" ({word!r} counts as empty)" if word else ""))
            for column in checked:
                if (value := values[column.name]) and (fault := column_fault(column, value)):
                    sheet.problem(number, f"{column.name}: {fault}")
            if all(map(values.get, required)):
                sheet.rows.append(Row(number, values))
        if emptied:
            number, name, cell = emptied[0]
            are = "1 cell is" if len(emptied) == 1 else f"{len(emptied)} cells are"
            first_one = f"the first is {cell!r} in line {number}, column {name}"
            sheet.notes.append(f"{are} taken as empty, as nan, null, none and n/a are no values; {first_one}")


def _cell_text(value: Any) -> str:
    """Write a value into a cell: missing ones as nothing, whole numbers that pandas made floats of as they were."""
    if value is None or str(value) in ("nan", "NaT", "<NA>"):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(mark in text for mark in '",;|\t') or text != text.strip() else text


def _fault(column: Column, value: str) -> str:
    """What is wrong with a cell's value; empty where nothing is."""
    try:
        if column.check is not None:
            column.check(value)
    except UsageError as error:
        return str(error)
    return ""


def _plain(name: str) -> str:
    """A column's name as it is compared."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _words(name: str) -> list[str]:
    return [word.casefold() for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name) if word]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _slip(word: str, known: str) -> bool:
    """Whether a word is a known one, miswritten: short ones are words too soon to be compared by likeness."""
    if word == known + "s" or (word[:1] == known[:1] and sorted(word) == sorted(known)):
        return True
    return len(known) > 4 and _likeness(word, known) >= 0.84


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _is_sep_line(line: str) -> bool:
    return _SEP_LINE.fullmatch(line.strip(" \ufeff")) is not None


def _hint(header: Sequence[str]) -> str:
    """What may be the matter with a header whose columns are missing."""
    if len(header) == 1 and any(separator in header[0] for separator in _SEPARATORS):
        return "The whole line stands in quotes: take them away, in all lines"
    if header and header[0][:1] in ("{", "["):
        return "This looks like JSON: write a CSV table"
    if len(header) == 1 and " " in header[0]:
        return "Blanks part no cells: write commas"
    return ""


def _miscounted(cells: Sequence[str], header: Sequence[str], separator: str) -> str:
    message = f"{len(cells)} cells for {len(header)} columns"
    if len(cells) > len(header):
        return f"{message}; put text that holds {_SEPARATORS[separator]} in quotes"
    other = next((s for s in _SEPARATORS if s != separator and len(cells) == 1 and s in cells[0]), None)
    if other is not None:
        return f"{message}: the row is parted by {_SEPARATORS[other]}, the header by {_SEPARATORS[separator]}"
    return f"{message}; write {_SEPARATORS[separator]} for the cells that are empty, too"


class _OpenQuote(ValueError):
    """A quote is left open."""


def _cells(line: str, separator: str) -> list[str]:
    """Divide a line into cells, without blanks around them.

    Raises:
        ValueError: a quote is left open, or text follows a closing one.
    """
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    cells: list[str] = []
    place = 0
    while place <= len(line):
        end = line.find(separator, place)
        end = len(line) if end < 0 else end
        cell = line[place:end].strip()
        if cell[:1] == '"':
            start = line.index('"', place)
            quoted = _QUOTED.match(line, start)
            if quoted is None:
                raise _OpenQuote(
                    f"the quote before {_shown(line[start + 1 :][:30])} is not closed in this line: close it, or write "
                    'a quote that belongs to the text twice, in a cell in quotes (""); no cell may hold a line break'
                )
            end = line.find(separator, quoted.end())
            end = len(line) if end < 0 else end
            if rest := line[quoted.end() : end].strip():
                raise ValueError(
                    f"text after a closing quote: {_shown(rest)}; put the whole cell in quotes, and write quotes that "
                    'belong to the text twice ("")'
                )
            cell = quoted[1].replace('""', '"').strip()
        cells.append(cell)
        place = end + 1
    return cells


def _text(path: Path) -> str:
    """Read a file as text.

    Raises:
        UsageError: it can't be read, is too large, another kind of file, or in another encoding.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(no_such_file(path)) from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give the path of a CSV file") from error
    if len(data) > LARGEST:
        raise UsageError(f"{path}: more than {LARGEST >> 20} MiB are no table of recordings; give a shorter one")
    for start, kind in _OTHER_FILES.items():
        if data.startswith(start):
            raise UsageError(f"{path}: is {kind}, not a CSV table; save the table as CSV in UTF-8")
    if not data.startswith(tuple(_BOMS)) and data[:1000].count(0) * 3 > len(data[:1000]):
        raise UsageError(f"{path}: it seems to be UTF-16 without the mark that says so; save the table as CSV in UTF-8")
    encoding = next((encoding for bom, encoding in _BOMS.items() if data.startswith(bom)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"{path}" if encoding.startswith(("utf-16", "utf-32")) else f"{path}:{_line_of(data, error.start)}"
        raise UsageError(
            f"{place}: not valid {encoding.removesuffix('-sig').upper()}{_seems(data)}; save the table as CSV in UTF-8"
        ) from error


def _line_of(text: str | bytes, place: int) -> int:
    breaks = text[:place].count("\n") if isinstance(text, str) else text[:place].count(b"\n")
    return breaks + 1


def _seems(data: bytes) -> str:
    """In words, the encoding of bytes that are no UTF-8; empty where nothing fits."""
    data = data[:1_000_000]
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", data)]
    best, likely = 0.5, ""
    # Letters with accents stand alone among plain ones; other scripts come in runs
    if sum(runs) <= 1.5 * len(runs):
        return "; it seems to be Windows-1252 (Western European)"
    for encoding, words, script in _ENCODINGS:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data)
        except UnicodeDecodeError:
            continue
        foreign = re.findall(r"[^\x00-\x7f]", text)
        share = len(re.findall(script, "".join(foreign))) / max(len(foreign), 1)
        if share > best:
            best, likely = share, words
    return f"; it seems to be {likely}" if likely else ""
