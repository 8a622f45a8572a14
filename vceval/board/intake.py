"""Reads and checks the result files of a folder; of each, what a board needs is kept, and no sums."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vceval.errors import UsageError
from vceval.publish import keys
from vceval.publish.check import check
from vceval.publish.columns import places
from vceval.publish.record import Pairs, Publisher, Result, RunFacts, SuiteFacts, SystemFacts, read
from vceval.results.leakage import EXPOSURES
from vceval.results.terminal import clean
from vceval.results.views import ALL, Cell, MeasureView, MetricView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Entry", "Intake", "Refused", "batches", "files_of", "fingerprint", "judged", "proved", "sorted_out"]

_T = TypeVar("_T")
#: Facts of a calibration by which :mod:`vceval.results.comparable` tells whether figures may stand beside each other.
_COMPARED = ("trials_sha256", "threshold")


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is no result here, and why. by: whose it says to be; empty where it can't be read."""

    file: str
    reasons: tuple[str, ...]
    system: str = ""
    suite: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a result whose file was checked.

    file: its place in the folder, as it can be printed. pairs: a hash of the pairs that it is of, and of who speaks in
    them. learnt: of the
    calibrations, what tells whether two agree. figures: over all pairs, as the file states them, without intervals.
    parameters: of the system; None where nobody counted them. trained, unknown: pairs with a speaker whom the system
    was trained on, and whom nobody knows to be unseen.
    """

    file: str
    path: Path
    sha256: str
    suite: SuiteFacts
    run: RunFacts
    system: SystemFacts
    by: Publisher
    vceval: str
    pairs: str
    count: int
    metrics: tuple[MetricView, ...]
    measures: tuple[MeasureView, ...]
    learnt: Mapping[str, Mapping[str, Mapping[str, Any]]]
    figures: Mapping[str, Cell]
    parameters: int | None
    trained: int
    unknown: int
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What results share of which the newest counts: suite, pairs, system, publisher."""
        return self.suite.name, self.pairs, self.system.name, self.by.key

    @property
    def newness(self) -> tuple[str, str, str]:
        """What is larger of the newer one of two."""
        return self.by.published, self.run.created, self.sha256


@dataclass(frozen=True, slots=True)
class Intake:
    """The files of a folder: good ones, those signed by keys that are not trusted, and those that are refused."""

    entries: Sequence[Entry]
    untrusted: Sequence[Refused]
    refused: Sequence[Refused]
    keys: Mapping[str, str]
    """Keys to how the board calls their owners."""

    @property
    def count(self) -> int:
        """How many files there were."""
        return len(self.entries) + len(self.untrusted) + len(self.refused)


def files_of(folder: Path, out: Path | None = None) -> list[Path]:
    """Name the files of a folder, and of folders in it, that may be results, in order; hidden ones are none.

    Args:
        folder: of result files.
        out: where pages go: what lies there is no result.

    Raises:
        UsageError: there is no such folder, or no JSON file in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; 'vceval publish RUN --out {folder}' fills it")
    pages = None if out is None else out.resolve()
    found = sorted(
        path
        for path in folder.rglob("*.json")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
        # Path.resolve() refuses a link to itself, which is one file of many here
        and (pages is None or pages == folder.resolve() or pages not in Path(realpath(path)).parents)
    )
    if not found:
        raise UsageError(f"{folder}: holds no result file (*.json); 'vceval publish RUN --out {folder}' writes them")
    return found


def judged(folder: Path, paths: Sequence[Path], trusted: Collection[str] | None) -> list[Entry | Refused]:
    """Read files and verify their signatures; one of a key that is not trusted is refused without a reason."""
    return [_judged(folder, path, trusted) for path in paths]


def _judged(folder: Path, path: Path, trusted: Collection[str] | None) -> Entry | Refused:
    file = clean(path.relative_to(folder).as_posix())
    try:
        result, message, signature, digest = read(path)
    except UsageError as error:
        return Refused(file, (clean(str(error).removeprefix(f"{path}: ")),))
    if not keys.valid(result.by.key, message, signature):
        return Refused(file, (keys.CHANGED,))  # whose it is, nobody knows
    if trusted is not None and result.by.key not in trusted:
        return Refused(file, (), *_about(result.system, result.suite, result.by))
    try:
        return _entry(file, path, result, digest)
    except ValueError as error:
        return Refused(file, (f"damaged: {clean(str(error))}",), *_about(result.system, result.suite, result.by))


def proved(entries: Sequence[Entry]) -> list[Entry | Refused]:
    """Check in full what is to be shown: whether sums give the figures, and whether counts are those of the suite."""
    found: list[Entry | Refused] = []
    for entry in entries:
        checked = check(entry.path, intervals=False)
        problems = tuple(clean(problem) for problem in checked.problems)
        if not problems and checked.sha256 != entry.sha256:
            problems = ("it changed while it was read",)
        about = _about(entry.system, entry.suite, entry.by)
        found.append(Refused(entry.file, problems, *about) if problems else replace(entry, notes=tuple(checked.notes)))
    return found


def _about(system: SystemFacts, suite: SuiteFacts, by: Publisher) -> tuple[str, str, str]:
    return system.name, suite.name, f"{by.name} ({by.key})"


def _entry(file: str, path: Path, result: Result, digest: str) -> Entry:
    pairs = result.pairs
    trained = unknown = 0
    if pairs.source_exposures is not None and pairs.target_exposures is not None:
        sides = [places(one, len(EXPOSURES), pairs.count) for one in (pairs.source_exposures, pairs.target_exposures)]
        heard, told = EXPOSURES.index("trained"), EXPOSURES.index("unseen")
        involved = (sides[0] == heard) | (sides[1] == heard)
        trained = int(involved.sum())
        unknown = int((~involved & ~((sides[0] == told) & (sides[1] == told))).sum())
    elif not result.system.control:
        unknown = pairs.count
    return Entry(
        file=file,
        path=path,
        sha256=digest,
        suite=result.suite,
        run=result.run,
        system=result.system,
        by=result.by,
        vceval=result.by.vceval,
        pairs=_hashed(_Who.of(pairs)),
        count=pairs.count,
        metrics=tuple(result.metrics),
        measures=tuple(result.measures),
        learnt={
            metric: {name: {key: facts.get(key) for key in _COMPARED} for name, facts in datasets.items()}
            for metric, datasets in result.calibrations.items()
        },
        figures={
            one.measure: replace(one.cell, low=None, high=None, method="")
            for one in result.figures
            if one.dataset == one.direction == ALL
        },
        parameters=next((total for one in result.efficiency if (total := one.total_parameters) is not None), None),
        trained=trained,
        unknown=unknown,
    )


class _Who(NamedTuple):
    """Which pairs there are and who speaks in them, as the file has it."""

    length: int
    identities: str
    targets: str
    sources: str
    texts: str
    text_count: int
    datasets: str
    directions: str
    speakers: tuple[str, ...]
    dataset_names: tuple[str, ...]
    direction_names: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Pairs) -> _Who:
        """Take it from a result."""
        return cls(
            pairs.count, pairs.identities, pairs.targets, pairs.sources, pairs.texts, pairs.text_count, pairs.datasets,
            pairs.directions, tuple(pairs.speakers), tuple(pairs.dataset_names), tuple(pairs.direction_names),
        )  # fmt: skip


@lru_cache(maxsize=64)  # all results of a suite have the same
def _hashed(pairs: _Who) -> str:
    """Make a hash of which pairs there are, and of which have a speaker, text, dataset or direction in common.

    Intervals and tests rest on that, and those of a table on what its first row says.
    """
    import numpy as np

    identities = np.frombuffer(base64.b64decode(pairs.identities), dtype=">u8")
    order = np.argsort(identities, kind="stable")
    found = hashlib.sha256(identities[order].tobytes())
    texts = [*map(str, range(pairs.text_count))]
    for codes, names in ((pairs.targets, pairs.speakers), (pairs.sources, pairs.speakers), (pairs.texts, texts)):
        told = _same(codes, names, pairs.length)[order]
        # Speakers have names of their own choice in each file: who comes first is 0, and who is not told -1
        first, there = np.unique(told, return_index=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(there)] = np.arange(len(first))
        nobody = len(names)
        later = int(rank[first == nobody][0]) if nobody in first else len(first)
        labels = rank[np.searchsorted(first, told)]
        found.update(np.where(told == nobody, -1, labels - (labels > later)).astype("<i8").tobytes())
    for codes, names in ((pairs.datasets, pairs.dataset_names), (pairs.directions, pairs.direction_names)):
        known = [*names, ""]
        told = _same(codes, names, pairs.length)[order]
        used = sorted({known[place] for place in set(told.tolist())})
        place_of = {name: place for place, name in enumerate(used)}
        found.update(repr(used).encode())
        found.update(np.array([place_of.get(name, -1) for name in known])[told].astype("<i8").tobytes())
    return found.hexdigest()[:16]


def _same(codes: str, names: Sequence[str], count: int) -> NDArray[np.int64]:
    """Codes into names and, after them, none: one code for what has one name."""
    import numpy as np

    known = [*names, ""]
    first: dict[str, int] = {"": len(names)}
    one = np.array([first.setdefault(name, place) for place, name in enumerate(known)])
    found: NDArray[np.int64] = one[places(codes, len(known), count)]
    return found


def sorted_out(found: Iterable[Entry | Refused], trusted: Mapping[str, str] | None) -> Intake:
    """Part what was judged; the same bytes twice are one result.

    Args:
        found: in the order of the files.
        trusted: keys to the names that the board's owner gives them; None where any key is taken.
    """
    entries, untrusted, refused = dict[str, Entry](), list[Refused](), list[Refused]()
    shared: dict[Any, Any] = {}
    for one in found:
        if isinstance(one, Refused):
            (refused if one.reasons else untrusted).append(one)
        elif one.sha256 in entries:
            refused.append(Refused(one.file, (f"the same file as {entries[one.sha256].file}",), one.system.name))
        else:
            entries[one.sha256] = _sharing(one, shared)
    return Intake(list(entries.values()), untrusted, refused, _names(entries.values(), trusted or {}))


def _sharing(one: Entry, shared: dict[Any, Any]) -> Entry:
    """Have entries share what is the same in all of them: there may be many."""
    for what in ("metrics", "measures", "learnt", "suite", "by"):
        value = getattr(one, what)
        known = shared.setdefault((what, repr(value) if what == "learnt" else value), value)
        object.__setattr__(one, what, known)
    return one


def _names(entries: Iterable[Entry], trusted: Mapping[str, str]) -> dict[str, str]:
    """Call every key by the name that the board's owner gave it, else by that which its owner last signed with."""
    last: dict[str, tuple[str, str]] = {}
    for one in entries:
        last[one.by.key] = max(last.get(one.by.key, ("", "")), (one.by.published, one.by.name))
    names = {key: trusted.get(key) or name for key, (_, name) in last.items()}
    times = Counter(map(_looks, names.values()))
    return {key: f"{name} ({fingerprint(key)})" if times[_looks(name)] > 1 else name for key, name in names.items()}


def _looks(name: str) -> str:
    """What is the same of names that people hardly tell apart: case, blanks, width, and letters that nobody sees."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in plain if letter.isprintable() and not letter.isspace())


def fingerprint(key: str) -> str:
    """The beginning of a key, by which people tell it from others."""
    return key.removeprefix("ed25519:")[:8]


def batches(given: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut a list into parts."""
    for start in range(0, len(given), size):
        yield given[start : start + size]
