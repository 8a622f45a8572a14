"""Make the frozen pair list of the Voice Conversion Challenge 2020, task 1: ``vcc2020@1.csv``.

    python benchmarks/drawing/build_vcc2020.py OUT

Every source speaker (SEF1, SEF2, SEM1, SEM2) reads the 25 evaluation sentences E30001 to E30025 and is converted to
every target speaker (TEF1, TEF2, TEM1, TEM2): 400 pairs, 100 in each direction, as in the challenge. The prompt is one
of the target's training sentences E10051 to E10070, drawn by rank and used in turn. References are the targets' own
readings of E30001 to E30025, which the organisers published after the challenge (vcc2020_database_groundtruth): whoever
lacks them runs the suite without MCD. The list is made of names alone, so the script needs no input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vceval.protocol import pairlist
from vceval.protocol.sampling import ranked

__all__ = ["main", "make"]

SOURCES, TARGETS = ("SEF1", "SEF2", "SEM1", "SEM2"), ("TEF1", "TEF2", "TEM1", "TEM2")
SENTENCES = tuple(f"E{number}" for number in range(30001, 30026))
PROMPTS = tuple(f"E{number}" for number in range(10051, 10071))
SEED = 1


def make() -> list[pairlist.FrozenPair]:
    """Make the list, in the order F2F, F2M, M2F, M2M."""
    pairs: list[pairlist.FrozenPair] = []
    for target in TARGETS:
        prompts = ranked([f"{target}_{sentence}" for sentence in PROMPTS], SEED, "prompt")
        for index, (source, sentence) in enumerate((s, e) for s in SOURCES for e in SENTENCES):
            prompt, reference = prompts[index % len(prompts)], f"{target}_{sentence}"
            name = f"{source}_{sentence}"
            pairs.append(
                pairlist.FrozenPair(
                    pairlist.pair_name(name, prompt), f"{source[2]}2{target[2]}", name, (prompt,), reference, reference
                )
            )
    return sorted(pairs, key=lambda pair: (str(pair.direction), pair.pair))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list and print its hash."""
    parser = argparse.ArgumentParser(description="Make the frozen pair list of VCC2020.")
    parser.add_argument("out", type=Path)
    pairs = make()
    path = parser.parse_args(arguments).out / "vcc2020@1.csv"
    path.write_text(pairlist.render(pairs), encoding="utf-8", newline="")
    print(f"{path.name}: {len(pairs)} pairs, sha256 {pairlist.digest(pairs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
