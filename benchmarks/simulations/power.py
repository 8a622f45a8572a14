"""The power curve of the gate's default rules: ``power.csv`` and ``power.png``.

    python benchmarks/simulations/power.py OUT [--nights 1000]

How often a night is ``pass``, ``undecided`` or ``regress`` by how much worse the model truly is, on 1,200 pairs of 20
target and 20 source speakers unless said otherwise, with noise as measured (``noise.json``).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.benchmarks.simulations.nights import Design, decide, measured_noise, simulate
from vceval.gate.rules import read_rules
from vceval.results.rundir import write_atomically

__all__ = ["Scenario", "main", "power"]

COLUMNS = ("scenario", "measure", "worse", "pass", "undecided", "regress", "any_regress", "nights")
STEPS = {
    "sv_accept": tuple(0.01 * step for step in range(13)),
    "mcd": tuple(0.05 * step for step in range(9)),
    "wer": tuple(0.025 * step for step in range(9)),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line of the figure."""

    title: str
    measure: str
    kind: str = "closest"
    mean: float | None = None
    evenly: bool = False
    design: Design = Design()  # noqa: RUF009 - immutable


SCENARIOS = (
    Scenario("72 % accepted, similarity falls", "sv_accept"),
    Scenario("… 2,400 pairs of 40 × 20 speakers", "sv_accept", design=Design(targets=40)),
    Scenario("90 % accepted, some fail", "sv_accept", mean=0.9, evenly=True),
    Scenario("90 % accepted, similarity falls", "sv_accept", mean=0.9),
    Scenario("72 % accepted, noise of all variants", "sv_accept", kind="variants"),
    Scenario("noise of variants", "mcd"),
    Scenario("noise of the closest variants", "wer"),
)


def power(scenario: Scenario, noise: Mapping[str, Any], nights: int) -> Iterator[dict[str, object]]:
    """Rows of the table for one line: the other measures of a night do not change."""
    rules = read_rules().measures
    own = dict(noise)
    if scenario.mean is not None:
        own[scenario.measure] = {**own[scenario.measure], "mean": scenario.mean}
    still = {
        name: simulate(name, own[name], scenario.design, nights, seed, kind=scenario.kind)
        for seed, name in enumerate(own)
    }
    for worse in STEPS[scenario.measure]:
        night = simulate(
            scenario.measure, own[scenario.measure], scenario.design, nights, list(own).index(scenario.measure),
            worse=worse, kind=scenario.kind, evenly=scenario.evenly,
        )  # fmt: skip
        found = decide({**still, scenario.measure: night}, rules, scenario.design)
        mine = found[scenario.measure]
        shares = {what: mine.count(what) / nights for what in ("pass", "undecided", "regress")}
        red = sum("regress" in outcomes for outcomes in zip(*found.values(), strict=True)) / nights
        yield {
            "scenario": scenario.title, "measure": scenario.measure, "worse": round(worse, 4), **shares,
            "any_regress": red, "nights": nights,
        }  # fmt: skip


def _plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    units = {"sv_accept": ("Acceptance falls by (points)", 100), "mcd": ("MCD rises by (dB)", 1)}
    units["wer"] = ("WER rises by (points)", 100)
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 4.8), sharey=True, layout="constrained")
    for panel, (measure, (label, scale)) in zip(panels, units.items(), strict=True):
        for scenario in SCENARIOS:
            mine = [row for row in rows if (row["scenario"], row["measure"]) == (scenario.title, measure)]
            if mine:
                steps = [row["worse"] * scale for row in mine]
                [line] = panel.plot(steps, [row["regress"] for row in mine], label=scenario.title)
                panel.plot(steps, [row["pass"] for row in mine], color=line.get_color(), linestyle=":")
        panel.axhline(0.95, color="0.8", linewidth=0.8, zorder=0)
        panel.set(xlabel=label, ylim=(-0.02, 1.02))
        panel.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    panels[0].set_ylabel("share of nights: regress (solid), pass (dotted)")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and the figure."""
    parser = argparse.ArgumentParser(description="Power curve of the gate's default rules.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--nights", type=int, default=1000)
    given = parser.parse_args(arguments)
    noise = measured_noise()
    rows = [row for scenario in SCENARIOS for row in power(scenario, noise, given.nights)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(given.out / "power.csv", buffer.getvalue())
    _plot(rows, given.out / "power.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
