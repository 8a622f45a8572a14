"""What each recogniser gets wrong, and what it costs: natural speech and the systems of a table of conversions.

    python benchmarks/speed/recognisers.py CONVERSIONS.csv --recogniser NAME [--recogniser NAME] [--pairs 16]

Of each system (``--systems A,B``; else the six largest) so many conversions with English words are heard, spread evenly
over the table, and the natural sources of all of them. Word error rates are those of ``wer`` (in brackets those of
``wer_capped``, where they differ); processor time is that of one thread, loading not counted.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vceval import registry
from vceval.benchmarks.invariance.words import spoken, spread
from vceval.metrics.base import Workspace
from vceval.records import Conversion
from vceval.signal import audio
from vceval.storage.cache import Cache

__all__: list[str] = []


def main(arguments: Sequence[str] | None = None) -> None:
    """Hear everything by each recogniser and print the table."""
    parser = argparse.ArgumentParser(description="Word errors and processor time of recognisers.")
    parser.add_argument("conversions", type=Path, metavar="CONVERSIONS.csv")
    parser.add_argument("--recogniser", action="append", required=True, metavar="NAME")
    parser.add_argument("--systems", type=lambda text: text.split(","), metavar="A,B", help="default: the six largest")
    parser.add_argument("--pairs", type=int, default=16, help="conversions of each system (default 16)")
    options = parser.parse_args(arguments)
    chosen = rows(spoken(options.conversions), options.systems, options.pairs)
    seconds = sum(audio.duration(one.path) for some in chosen.values() for one in some)
    columns: list[str] = []
    cells = {name: [name, str(len(some))] for name, some in chosen.items()}
    costs = ["*processor time, s per minute of speech*", f"*{seconds / 60:.1f} min*"]
    for name in options.recogniser:
        metric = registry.load("metric", "wer")(asr=name)
        metric.open(Workspace(cache=Cache(None)))
        metric.prepare(next(iter(chosen.values()))[:1])  # load
        metric.open(Workspace(cache=Cache(None)))
        columns.append(metric.judge)
        spent = 0.0
        for system, some in chosen.items():
            start = time.process_time()
            for place in range(0, len(some), metric.batch):
                metric.prepare(some[place : place + metric.batch])
            spent += time.process_time() - start
            found = [metric.statistics(one).sums for one in some]
            rates = [
                100 * sum(sums[measure][0] for sums in found) / sum(sums[measure][1] for sums in found)
                for measure in ("wer", "wer_capped")
            ]
            cells[system].append(f"{rates[0]:.1f}" if rates[0] == rates[1] else f"{rates[0]:.1f} ({rates[1]:.1f})")
        costs.append(f"*{60 * spent / seconds:.1f}*")
    print("| WER (capped), % | pairs | " + " | ".join(columns) + " |")
    print("| :-- | --: |" + " --: |" * len(columns))
    for row in (*cells.values(), costs):
        print(f"| {' | '.join(row)} |")


def rows(conversions: Sequence[Conversion], systems: Sequence[str] | None, count: int) -> dict[str, list[Conversion]]:
    """Choose what is heard: natural sources first, then each system."""
    by_system: dict[str, list[Conversion]] = defaultdict(list)
    for one in conversions:
        by_system[one.system].append(one)
    if systems is None:
        systems = [name for name, _ in Counter({name: len(some) for name, some in by_system.items()}).most_common(6)]
    chosen = {name: spread(by_system[name], count) for name in systems}
    sources = {
        one.pair.source.path: replace(one, system="natural speech", path=one.pair.source.path)
        for some in chosen.values()
        for one in some
        if one.pair.source is not None
    }
    return {"natural speech of the sources": list(sources.values()), **chosen}


if __name__ == "__main__":
    main()
