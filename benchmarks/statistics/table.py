"""How often intervals cover and tests err, on made-up evaluations of many designs whose truth is known.

    python benchmarks/statistics/table.py [--draws 1000] [--designs 0,5] [--out benchmarks/statistics/README.md]

For every design (``designs.py``) two equally good systems are drawn. Coverage: how often the nominal 95 % interval of
the first one's figure holds the truth. Type I: how often the paired test finds a difference at p < 0.05. Power: how
often it does when the second is worse by 2.5 standard deviations of a pair's difference. Seeds are fixed: the same
table comes out on every machine. Without ``--designs`` it is put into the page that explains it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vceval.benchmarks.statistics.designs import DESIGNS, Scenario
from vceval.statistics.components import Design
from vceval.statistics.inference import interval, paired_test

#: Where the table stands in the page.
START, END = "<!-- table -->", "<!-- end -->"
#: A worse system is so many standard deviations of a pair's difference worse.
WORSE = 2.5


class Row(NamedTuple):
    """What was found of one design, as fractions of its draws; power None where values are no plain means."""

    coverage: float
    too_high: float
    too_low: float
    missing: float
    false_alarms: float
    power: float | None
    width: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all designs and write the table."""
    parser = argparse.ArgumentParser(description="Coverage, type I errors and power of intervals and tests.")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--designs", type=lambda text: [int(part) for part in text.split(",")], metavar="N,N")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "README.md", metavar="PAGE")
    options = parser.parse_args(arguments)
    chosen = range(len(DESIGNS)) if options.designs is None else options.designs
    lines = [
        "| Targets × sources | covers | low end too high | high end too low | no interval | type I | power | width |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for number in chosen:
        row = study(DESIGNS[number], options.draws, number)
        power = "–" if row.power is None else f"{row.power:.1%}"
        lines.append(
            f"| {DESIGNS[number].name} | {row.coverage:.1%} | {row.too_high:.1%} | {row.too_low:.1%} | "
            f"{row.missing:.1%} | {row.false_alarms:.1%} | {power} | {row.width:.3g} |"
        )
        print(lines[-1], flush=True)
    if options.designs is None:
        put_between(options.out, lines, START, END)


def put_between(page: Path, lines: Sequence[str], start: str, end: str) -> None:
    """Put a table between two marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{page}: has no place for the table ({start}, {end})")
    page.write_text("\n".join([before + start, "", *lines, "", end]) + after, encoding="utf-8")


def study(scenario: Scenario, draws: int, seed: int) -> Row:
    """Draw one design many times."""
    random = np.random.default_rng(seed)
    covered = high = low = missing = alarms = caught = 0
    widths = []
    for _ in range(draws):
        drawn = scenario.draw(random)
        targets, sources, texts = (None if codes is None else codes.tolist() for codes in drawn.pattern)
        design = Design(targets, sources, texts)
        numerators, denominators = drawn.first
        found = interval(numerators, denominators, design, kind="rate" if scenario.is_rate else "mean")
        if found is None:
            missing += 1
        else:
            covered += found.low <= scenario.level <= found.high
            high += found.low > scenario.level
            low += found.high < scenario.level
            widths.append(found.high - found.low)
        alarms += _significant(drawn.first, drawn.second, design)
        if scenario.kind == "mean":
            worse = drawn.second[0] + WORSE * np.sqrt(2.0)
            caught += _significant(drawn.first, (worse, drawn.second[1]), design)
    power = caught / draws if scenario.kind == "mean" else None
    width = float(np.mean(widths)) if widths else float("nan")
    return Row(covered / draws, high / draws, low / draws, missing / draws, alarms / draws, power, width)


def _significant(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], design: Design) -> bool:
    p_value = paired_test(*first, *second, design).p_value
    return p_value is not None and p_value < 0.05


if __name__ == "__main__":
    main()
