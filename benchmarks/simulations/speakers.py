"""How few speakers a gate can do with: ``speakers.csv``.

    python benchmarks/simulations/speakers.py OUT [--nights 300]

Nights of normal noise, on patterns with few speakers and in worlds with none to half of the noise's variance between
them. Pair deviations from a tenth of what a rule allows to a hundred times that are looked at; per pattern and world
a row says what is worst over all of them:

- ``caught``: nights of a model that is worse by five times the allowance and that are red, or blind before they are
  decided. Either way the gate exits with 1;
- ``missed``: nights in which the rule is said to see and such a model is not red;
- ``alarms``: red nights of an unchanged model;
- ``sees``: the largest pair deviation, as a multiple of the allowance, with which four nights of five are not blind.

A fit of variance components moves with scale and shift, so that each night is fitted once.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vceval.benchmarks.simulations.nights import Pattern, World, told
from vceval.gate.decide import Worsening
from vceval.gate.rules import read_rules
from vceval.gate.sight import TIMES
from vceval.results.rundir import write_atomically
from vceval.statistics.inference import Estimate, estimate

if TYPE_CHECKING:
    from vceval.statistics.components import Design

__all__ = ["COLUMNS", "PATTERNS", "WORLDS", "main", "row"]

COLUMNS = (
    "targets", "sources", "pairs", "target_share", "source_share", "caught", "missed", "alarms", "sees", "nights",
)  # fmt: skip
PATTERNS = (
    Pattern(1, 20, 12), Pattern(2, 20, 6), Pattern(20, 2, 6), Pattern(3, 20, 4), Pattern(4, 4, 15), Pattern(10, 10, 3),
)  # fmt: skip
WORLDS = (World(0.0, 0.0), World(0.1, 0.1), World(0.25, 0.25), World(0.5, 0.0), World(0.0, 0.5))
#: The chance of a false alarm is shared as in the default rules; the first is looked at, the others stand still.
RULES = tuple(replace(rule, worsening=1.0, relative=False) for rule in read_rules().measures)


def row(pattern: Pattern, world: World, nights: int) -> dict[str, object]:
    """One row of the table."""
    import numpy as np

    design = pattern.design()
    drawn = list(_drawn(pattern, world, design, nights))
    worst = {"caught": 1.0, "missed": 0.0, "alarms": 0.0, "sees": 0.0}
    for noise in np.geomspace(0.1, 100.0, 16):
        worse, same = (
            [_told(one, float(noise), true, design) for one in drawn] for true in (TIMES * RULES[0].worsening, 0.0)
        )
        blind = sum(outcome == "blind" for outcome in same) / nights
        missed = sum(outcome not in ("regress", "blind") for outcome in worse) / nights
        worst["missed"] = max(worst["missed"], missed)
        worst["caught"] = min(worst["caught"], 1.0 - missed)
        worst["alarms"] = max(worst["alarms"], sum(outcome == "regress" for outcome in same) / nights)
        if blind <= 0.2:
            worst["sees"] = float(f"{noise:.2g}")
    return {
        "targets": pattern.targets, "sources": pattern.sources, "pairs": pattern.pairs,
        "target_share": world.target, "source_share": world.source, **worst, "nights": nights,
    }  # fmt: skip


def _drawn(pattern: Pattern, world: World, design: Design, nights: int) -> Iterator[Estimate]:
    """Estimates of differences with mean 0 and pairs of variance 1."""
    import numpy as np

    generator = np.random.default_rng(0)
    sizes = world.sizes({"target": 0.0, "source": 0.0, "pair": 1.0})
    ones = np.ones(design.items)
    for _ in range(nights):
        values = generator.normal(0.0, sizes["pair"], design.items)
        for side, levels in (("target", pattern.targets), ("source", pattern.sources)):
            values += generator.normal(0.0, sizes[side], levels)[design.codes[side]]
        yield estimate(values, ones, design)


def _told(one: Estimate, noise: float, true: float, design: Design) -> str:
    beyond = one._replace(value=noise * one.value + true - RULES[0].worsening, error=noise * one.error, deviation=noise)
    still = Worsening(Estimate(-1.0, 0.1, 100.0, {}), design.items, False)
    others = [still] * (len(RULES) - 1)
    return told([Worsening(beyond, design.items, False), *others], RULES, design)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description="What the gate sees with few speakers.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--nights", type=int, default=300)
    given = parser.parse_args(arguments)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for pattern in PATTERNS:
        for world in dict.fromkeys(world.among(pattern) for world in WORLDS):
            writer.writerow(row(pattern, world, given.nights))
    write_atomically(given.out / "speakers.csv", buffer.getvalue())
    print(buffer.getvalue(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
