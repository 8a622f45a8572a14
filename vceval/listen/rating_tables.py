"""Tables of what listeners said: the ratings that come with vceval, and any table of file, listener and score."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vceval.corpora.folders import ENDINGS
from vceval.errors import UsageError
from vceval.results.listening import RATINGS
from vceval.storage.paths import hint

if TYPE_CHECKING:
    import pandas

__all__ = ["NAMED", "RatingTable", "read_ratings", "stem"]

#: Tables that come with vceval, and where their ratings are from.
NAMED: Mapping[str, str] = {
    "vcc2020": "listening test of the Voice Conversion Challenge 2020 (Zhao et al. 2020, Das et al. 2020; CC BY 4.0)"
}
#: Columns of a table, and what else they may be called.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("filename", "wav", "path", "audio", "recording", "utterance", "stimulus"),
    "listener": ("rater", "subject", "listener_id", "rater_id", "subject_id", "worker", "judge"),
    "score": ("rating", "value", "opinion", "mos"),
    "question": ("test", "measure", "scale"),
    "system": ("model", "method", "converter"),
    "pair": (),
    "listeners": ("group", "panel"),
}
#: Questions of a listening test of one's own whose answers are no scores of one recording.
_NO_SCALE = ("abx", "ab")
#: Systems of VCC2020: a team on one task, or natural speech of the targets.
_VCC2020 = re.compile(r"(team\d\d_(?:intra|cross)|ref)-")


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Ratings, one a row: question, listeners (the group), listener, system and file (or pair), score.

    own: whether the table was named by its path: then its files are meant to be those of the run.
    left_out: ratings that are no scores on a scale, by question.
    """

    name: str
    origin: str
    own: bool
    ratings: pandas.DataFrame
    left_out: Mapping[str, int]


def stem(file: str) -> str:
    """The name of a recording without folders and ending."""
    name = PurePosixPath(file.replace("\\", "/")).name
    return name[: name.rindex(".")] if name.lower().endswith(tuple(ENDINGS)) else name


def read_ratings(given: str) -> RatingTable:
    """Read ratings by the name of a table that comes with vceval, the path of one, or the run of a listening test.

    A table is CSV, also packed with gzip. It has columns file, listener and score; question, system and listeners (the
    group that a listener belongs to) may stand beside them. Ratings of a run that ``vceval listen import`` has filled
    are those that count.

    Raises:
        UsageError: there is no such table, it can't be read, lacks a column, or a row has no listener, file or score.
    """
    if given in NAMED:
        with (files("vceval.benchmarks") / "ratings" / f"{given}.csv.gz").open("rb") as stream:
            found = _checked(_parsed(stream, given, "gzip"), given)
        found["system"] = found["file"].str.extract(_VCC2020, expand=False)
        return RatingTable(given, NAMED[given], False, found, {})
    path = Path(given)
    if path.is_dir():
        path = path / RATINGS
        if not path.is_file():
            raise UsageError(f"{path}: no such file; bring in the answers of its listening test: vceval listen import")
    if not path.is_file():
        raise UsageError(f"{given}: no such file{hint(path)}; tables by name: {', '.join(NAMED)}")
    found = _checked(_parsed(path, given, "gzip" if path.suffix == ".gz" else None), str(path))
    no_scale = found["question"].isin(_NO_SCALE)
    left_out = found["question"][no_scale].value_counts().sort_index()
    return RatingTable(
        str(path), str(path), True, found[~no_scale].reset_index(drop=True),
        {str(name): int(count) for name, count in left_out.items()},
    )  # fmt: skip


def _parsed(place: object, given: str, packed: str | None) -> pandas.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(place, compression=packed, dtype=str, keep_default_na=False, encoding="utf-8-sig")  # type: ignore[call-overload,no-any-return]
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UsageError(f"{given}: can't be read as a table of ratings ({error}); it must be CSV in UTF-8") from error


def _checked(found: pandas.DataFrame, where: str) -> pandas.DataFrame:
    import numpy as np
    import pandas as pd

    called = {other: name for name, others in _COLUMNS.items() for other in (name, *others)}
    given = {column: called[plain] for column in found if (plain := str(column).strip().lower()) in called}
    twice = [name for name in _COLUMNS if list(given.values()).count(name) > 1]
    if twice:
        raise UsageError(
            f"{where}: several columns are {twice[0]}: {', '.join(str(c) for c in given if given[c] == twice[0])}"
        )
    found = found.rename(columns=given)
    needed = ["listener", "score", "pair" if "pair" in found and "file" not in found else "file"]
    if lacking := [name for name in needed if name not in found]:
        raise UsageError(
            f"{where}: has no column {lacking[0]}; a table of ratings has file, listener, score, and may have "
            f"question, system, listeners (it has {', '.join(map(str, found.columns)) or 'nothing'})"
        )
    if "system" not in found and "pair" in needed:
        raise UsageError(f"{where}: has pairs and no column system, which says whose recordings were rated")
    if not len(found):
        raise UsageError(f"{where}: holds no ratings")
    for name in _COLUMNS:
        found[name] = found[name].str.strip() if name in found else ""
    scores = pd.to_numeric(found["score"], errors="coerce")
    for bad, what in (
        *((found[name] == "", f"no {name}") for name in needed),
        (~np.isfinite(scores), "a score that is no number"),
    ):
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise UsageError(
                f"{where}, line {at + 2}: {what} ({dict(found.iloc[at][needed])}); {int(bad.sum())} of {len(found):,} "
                "rows are like that: mend or remove them"
            )
    found["score"] = scores
    found["question"] = found["question"].where(found["question"] != "", "score")
    return found[list(_COLUMNS)]
