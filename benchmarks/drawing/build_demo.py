"""Make the frozen pair lists over the demo corpus: ``demo@1.csv`` and ``gate@1.csv``.

    python benchmarks/drawing/build_demo.py UTTERANCES OUT

UTTERANCES is ``benchmarks/demo/utterances.csv`` (columns file,id,speaker,gender,language,transcript,duration). Drawn by
rank (``vceval.protocol.sampling``): 12 pairs (48 in the gate's list) in each of F2F, F2M, M2F, M2M, balanced over the
target speakers. Sources and
references are the sentences that everybody reads; prompts are each target's own sentences, another one for every pair.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from vceval.protocol import pairlist
from vceval.protocol.sampling import Candidate, Rule, draw, normalise
from vceval.records import Gender

__all__ = ["main", "make"]

#: List to its pairs in each direction; 48 is all that the corpus gives within a gender.
PER_DIRECTION = {"demo@1": 12, "gate@1": 48}
PROMPTS, SEED = 8, 1
PROMPT_SECONDS = (3.0, 8.0)


def make(rows: Sequence[dict[str, str]], per_direction: int) -> list[pairlist.FrozenPair]:
    """Draw a list."""
    genders: dict[str, Gender] = {row["speaker"]: "F" if row["gender"] == "F" else "M" for row in rows}
    pool = [Candidate(r["id"], r["speaker"], genders[r["speaker"]], normalise(r["transcript"])) for r in rows]
    seconds = {row["id"]: float(row["duration"]) for row in rows}
    rule = Rule(pairs=4 * per_direction, seed=SEED, per_direction=per_direction, prompts=PROMPTS, parallel="required")
    return pairlist.from_draw(
        draw(pool, rule, fits_prompt=lambda u: PROMPT_SECONDS[0] <= seconds[u] <= PROMPT_SECONDS[1])
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the lists and print their hashes."""
    parser = argparse.ArgumentParser(description="Make the frozen pair lists over the demo corpus.")
    parser.add_argument("utterances", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    with open(given.utterances, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name, per_direction in PER_DIRECTION.items():
        pairs = make(rows, per_direction)
        path = given.out / f"{name}.csv"
        path.write_text(pairlist.render(pairs), encoding="utf-8", newline="")
        print(f"{path.name}: {len(pairs)} pairs, sha256 {pairlist.digest(pairs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
