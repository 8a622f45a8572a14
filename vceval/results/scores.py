"""The scores of a run as arrays, read from ``scores.parquet`` in bounded memory: millions of rows fit in a few MB."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vceval.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

__all__ = ["Scores", "Transcripts", "joined", "read_scores"]

#: Rows held as Python texts at a time.
BATCH = 1 << 16


class Transcripts(NamedTuple):
    """What was to be said and what a recogniser understood, both in the form in which they were compared."""

    reference: str
    hypothesis: str


@dataclass(frozen=True, slots=True)
class Scores:
    """All scores of a run by system, pair and measure.

    systems, pairs, measures: name to place on the axes of the arrays. values, numerators, denominators:
    float64 of shape (systems, pairs, measures), NaN where there is no score; of several seeds the means. transcripts
    and sanity: by place of system and pair, where a recogniser listened and where sanity was checked (the details of
    that metric, its flags with those of others), of seed 0; ``later`` in sanity holds the flags that other seeds have.
    """

    systems: Mapping[str, int]
    pairs: Mapping[str, int]
    measures: Mapping[str, int]
    values: NDArray[np.float64]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]
    transcripts: Mapping[tuple[int, int], Transcripts]
    sanity: Mapping[tuple[int, int], Mapping[str, Any]]

    def of(self, system: str, measure: str) -> NDArray[np.float64]:
        """Values of one system on one measure, shape (pairs,), NaN where there is none."""
        import numpy as np

        if system not in self.systems or measure not in self.measures:
            return np.full(len(self.pairs), np.nan)
        found: NDArray[np.float64] = self.values[self.systems[system], :, self.measures[measure]]
        return found

    def has(self, system: str, pair: str, measure: str | None = None) -> bool:
        """Whether a system has a score on a pair: on one measure, or on any."""
        import numpy as np

        if system not in self.systems or pair not in self.pairs:
            return False
        values = self.values[self.systems[system], self.pairs[pair]]
        if measure is not None:
            return measure in self.measures and not bool(np.isnan(values[self.measures[measure]]))
        return not bool(np.isnan(values).all())

    def some(self, places: Sequence[int]) -> Scores:
        """Keep some pairs, in the order given."""
        new = {old: place for place, old in enumerate(places)}
        names = list(self.pairs)
        chosen = list(places)
        return Scores(
            self.systems,
            {names[old]: place for old, place in new.items()},
            self.measures,
            self.values[:, chosen],
            self.numerators[:, chosen],
            self.denominators[:, chosen],
            {(system, new[pair]): texts for (system, pair), texts in self.transcripts.items() if pair in new},
            {(system, new[pair]): facts for (system, pair), facts in self.sanity.items() if pair in new},
        )


def joined(parts: Sequence[tuple[Scores, Mapping[str, str], Mapping[str, str]]], pairs: Sequence[str]) -> Scores:
    """Put the scores of several runs together.

    Args:
        parts: per run its scores, the new names of its systems, and of its pairs the name among ``pairs``; what has no
            new name is left out. Measures are those of the first.
        pairs: names of the pairs, in order.
    """
    import numpy as np

    measures = parts[0][0].measures
    systems = {new: place for place, new in enumerate(new for _, names, _ in parts for new in names.values())}
    places = {name: place for place, name in enumerate(pairs)}
    figures = [np.full((len(systems), len(places), len(measures)), np.nan) for _ in range(3)]
    transcripts: dict[tuple[int, int], Transcripts] = {}
    sanity: dict[tuple[int, int], Mapping[str, Any]] = {}
    for scores, names, renamed in parts:
        rows = {old: systems[names[name]] for name, old in scores.systems.items() if name in names}
        columns = {old: places[renamed[name]] for name, old in scores.pairs.items() if name in renamed}
        shared = [name for name in measures if name in scores.measures]
        into = np.ix_(list(rows.values()), list(columns.values()), [measures[name] for name in shared])
        out_of = np.ix_(list(rows), list(columns), [scores.measures[name] for name in shared])
        for array, part in zip(figures, (scores.values, scores.numerators, scores.denominators), strict=True):
            array[into] = part[out_of]
        transcripts |= {
            (rows[s], columns[p]): one for (s, p), one in scores.transcripts.items() if s in rows and p in columns
        }
        sanity |= {(rows[s], columns[p]): one for (s, p), one in scores.sanity.items() if s in rows and p in columns}
    return Scores(systems, places, measures, figures[0], figures[1], figures[2], transcripts, sanity)


def read_scores(path: Path, systems: Sequence[str], pairs: Sequence[str], measures: Sequence[str]) -> Scores:
    """Read ``scores.parquet``; rows of systems, pairs or measures that are not asked for are passed over.

    Raises:
        UsageError: the file is missing or is no table of scores.
    """
    import numpy as np
    import pyarrow
    from pyarrow import parquet

    if not path.is_file():
        raise UsageError(f"{path}: no such file; is {path.parent} the folder of a finished run?")
    axes = [{name: place for place, name in enumerate(names)} for names in (systems, pairs, measures)]
    shape = tuple(len(axis) for axis in axes)
    figures = {name: np.zeros(shape) for name in ("value", "numerator", "denominator")}
    counts = np.zeros(shape, np.uint32)
    transcripts: dict[tuple[int, int], Transcripts] = {}
    sanity: dict[tuple[int, int], dict[str, Any]] = {}
    doubtful: dict[tuple[int, int], list[str]] = {}
    try:
        # Opened so, as its name may be no UTF-8
        table = parquet.ParquetFile(pyarrow.OSFile(os.fsencode(path)), page_checksum_verification=True)
        seeded = "seed" in table.schema_arrow.names
        columns = ["system", "pair", "measure", *figures, "details", *(["seed"] if seeded else [])]
        for batch in table.iter_batches(batch_size=BATCH, columns=columns):
            at = [
                _places(batch.column(name), axis)
                for name, axis in zip(("system", "pair", "measure"), axes, strict=True)
            ]
            known = (at[0] >= 0) & (at[1] >= 0) & (at[2] >= 0)
            where = np.ravel_multi_index(tuple(axis[known] for axis in at), shape)
            np.add.at(counts.reshape(-1), where, 1)
            for name, array in figures.items():
                np.add.at(array.reshape(-1), where, batch.column(name).to_numpy(zero_copy_only=False)[known])
            first = known
            if seeded:
                first = known & (batch.column("seed").to_numpy(zero_copy_only=False) == 0)
                _take_later_flags(batch.column("details"), at[0], at[1], known & ~first, sanity)
            _take_details(batch.column("details"), at[0], at[1], first, transcripts, sanity, doubtful)
    except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
        raise UsageError(f"{path}: can't be read as a table of scores ({error}); score the run again") from error
    for system, pair in np.argwhere(counts.any(axis=2)).tolist() if doubtful else ():
        # A measure other than sanity raised flags: then whatever was measured counts as checked
        key = (int(system), int(pair))
        facts = sanity.setdefault(key, {})
        facts["flags"] = list(dict.fromkeys([*facts.get("flags", ()), *doubtful.get(key, ())]))
    several = counts > 1
    for array in figures.values():
        array[counts == 0] = np.nan
        array[several] /= counts[several]
    values, numerators, denominators = figures["value"], figures["numerator"], figures["denominator"]
    values[several] = numerators[several] / denominators[several]
    values[~np.isfinite(values)] = np.nan
    return Scores(axes[0], axes[1], axes[2], values, numerators, denominators, transcripts, sanity)


def _places(column: pyarrow.Array, axis: Mapping[str, int]) -> NDArray[np.intp]:
    """Place of each name on an axis, shape (rows,); -1 where it is not on it."""
    import numpy as np
    import pyarrow

    coded = column if isinstance(column, pyarrow.DictionaryArray) else column.dictionary_encode()
    names = [axis.get(name, -1) for name in coded.dictionary.to_pylist()]
    indices = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    found: NDArray[np.intp] = np.array([*names, -1], dtype=np.intp)[indices]
    return found


def _take_details(
    column: pyarrow.Array,
    systems: NDArray[np.intp],
    pairs: NDArray[np.intp],
    known: NDArray[np.bool_],
    transcripts: dict[tuple[int, int], Transcripts],
    sanity: dict[tuple[int, int], dict[str, Any]],
    doubtful: dict[tuple[int, int], list[str]],
) -> None:
    """Take what samples show out of the details; all measures of a metric repeat them, the first ones do."""
    import numpy as np
    from pyarrow import compute

    for mark in ('"heard"', '"flags"', '_flags"'):
        found = compute.match_substring(column, mark).fill_null(False).to_numpy(zero_copy_only=False) & known
        for row in np.flatnonzero(found):
            key = (int(systems[row]), int(pairs[row]))
            if key in transcripts if mark == '"heard"' else mark == '"flags"' and "flags" in sanity.get(key, ()):
                continue
            details = json.loads(column[int(row)].as_py())
            if mark == '"heard"' and isinstance(details.get("heard"), str):
                reference = details.get("said_normalised", details.get("said", ""))
                hypothesis = details.get("heard_normalised", details["heard"])
                transcripts[key] = Transcripts(str(reference), str(hypothesis))
            elif mark == '"flags"' and isinstance(details.get("flags"), list):
                kept = ("flags", "sample_rate", "seconds")
                sanity.setdefault(key, {}).update({name: details[name] for name in kept if name in details})
            elif mark == '_flags"' and (raised := _raised(details)):
                doubtful.setdefault(key, []).extend(raised)


def _take_later_flags(
    column: pyarrow.Array,
    systems: NDArray[np.intp],
    pairs: NDArray[np.intp],
    known: NDArray[np.bool_],
    sanity: dict[tuple[int, int], dict[str, Any]],
) -> None:
    """Take the flags out of the details of rows of other seeds than the first."""
    import numpy as np
    from pyarrow import compute

    flagged = compute.match_substring_regex(column, r'flags":\s*\["').fill_null(False)
    for row in np.flatnonzero(flagged.to_numpy(zero_copy_only=False) & known):
        details = json.loads(column[int(row)].as_py())
        entry = sanity.setdefault((int(systems[row]), int(pairs[row])), {})
        entry["later"] = sorted({*entry.get("later", ()), *details.get("flags", ()), *_raised(details)})


def _raised(details: Mapping[str, Any]) -> list[str]:
    """Flags that a metric other than sanity raised: lists under names that end with ``_flags``."""
    found = (flags for name, flags in details.items() if name.endswith("_flags") and isinstance(flags, list))
    return [str(flag) for flags in found for flag in flags]
