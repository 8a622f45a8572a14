"""How far the words that a recogniser hears move when a recording changes in ways that no listener would call a change.

    python benchmarks/invariance/words.py CONVERSIONS.csv NATURAL.csv --recogniser NAME [--recordings 30] [--as-is]

Of both tables, as ``vceval score`` reads them, so many recordings with English words are taken, spread evenly, changed
as ``table.py`` does, and heard; with ``--as-is`` as they are, as for recipes, and not in the form of ``wer``. A line a
change: the word error rate of all natural recordings and of all conversions, and how many of both have another number
of errors than unchanged.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval.benchmarks.invariance.table import CHANGES, changed
from vceval.corpora.csv_manifest import read_manifest
from vceval.languages import language_code
from vceval.metrics.recogniser_choice import recogniser
from vceval.metrics.recognisers import SAMPLE_RATE, Recogniser
from vceval.metrics.text import Errors, count_errors, normalise
from vceval.protocol.manifest import read_table
from vceval.records import Conversion
from vceval.signal import audio
from vceval.storage.cache import file_digest

__all__ = ["spoken", "spread"]

#: What stands in the first line of a table.
UNCHANGED = "as it is"
Spoken = tuple[Path, str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Hear all changes and print a table for each recogniser."""
    parser = argparse.ArgumentParser(description="Moves of word errors under changes that nobody hears.")
    parser.add_argument("conversions", type=Path, metavar="CONVERSIONS.csv")
    parser.add_argument("natural", type=Path, metavar="NATURAL.csv")
    parser.add_argument("--recogniser", required=True, metavar="NAME")
    parser.add_argument("--recordings", type=int, default=30, help="so many natural ones, and so many conversions")
    parser.add_argument("--as-is", action="store_true", help="not in the form in which wer hears them")
    options = parser.parse_args(arguments)
    natural = [
        (one.path, one.transcript)
        for one in read_manifest(options.natural)[0]
        if one.transcript and one.language and language_code(one.language) == "en"
    ]
    converted = [(one.path, str(one.transcript)) for one in spoken(options.conversions)]
    sides = [spread(list(dict.fromkeys(side)), options.recordings) for side in (natural, converted)]
    heard_by = recogniser(options.recogniser)
    heard_by = heard_by.untouched() if options.as_is else heard_by
    heard_by.check()
    print(f"{heard_by.title}: {len(sides[0])} natural recordings, {len(sides[1])} conversions\n")
    print("\n".join(rows([errors(heard_by, side) for side in sides])))


def spoken(table: Path) -> list[Conversion]:
    """Read the conversions of a table that have English words and are there, in its order."""
    found = read_table(table).conversions
    return [one for one in found if one.transcript and one.language and language_code(one.language) == "en"]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Take so many, evenly."""
    return [items[int((place + 0.5) * len(items) / count)] for place in range(min(count, len(items)))]


def errors(heard_by: Recogniser, recordings: Sequence[Spoken]) -> dict[str, list[Errors]]:
    """Count the errors of each recording under each change; files of the same bytes are heard once."""
    found: dict[str, list[Errors]] = {}
    for path, said in recordings:
        with tempfile.TemporaryDirectory() as folder:
            files = {UNCHANGED: path}
            for change, other in changed(path, Path(folder) / "changed", CHANGES):
                files[f"{change.column}: {change.name}" if change.column != change.name else change.name] = other
            first = {file_digest(file): file for file in files.values()}
            waves = [audio.load(file, SAMPLE_RATE) for file in first.values()]
            texts = dict(zip(first, heard_by.hear_all(waves, "en", "cpu"), strict=True))
            for name, file in files.items():
                found.setdefault(name, []).append(counted(said, texts[file_digest(file)]))
    return found


def counted(said: str, heard: str) -> Errors:
    """Count the errors of one English text, by the default rule."""
    return count_errors(normalise(said, "en"), normalise(heard, "en"), "en", "word")


def rows(sides: Sequence[Mapping[str, Sequence[Errors]]]) -> Iterator[str]:
    """Write the table."""
    natural, _ = sides
    yield "| change | WER, natural (%) | WER, converted (%) | other errors, natural | other errors, converted |"
    yield "| :-- | --: | --: | --: | --: |"
    for name in natural:
        rates = [100 * sum(e.errors for e in side[name]) / sum(e.units for e in side[name]) for side in sides]
        moved = [sum(a.errors != b.errors for a, b in zip(side[name], side[UNCHANGED], strict=True)) for side in sides]
        cells = [*(f"{rate:.1f}" for rate in rates), *map(str, moved)]
        yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
