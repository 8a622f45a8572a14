"""The power of the gate's default rules: ``power.csv`` and ``power.png``.

    python benchmarks/simulations/power.py OUT [--nights 150]

How often a night is ``pass``, ``undecided``, ``blind`` or ``regress`` by how much worse the model truly is, on 1,200
pairs of 20 target and 20 source speakers, with as much noise as was measured (``noise.json``), none to half of its
variance between speakers.
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

from vceval.benchmarks.simulations.nights import Pattern, World, decide, judge, measured_noise, simulate
from vceval.gate.decide import Worsening
from vceval.gate.rules import read_rules
from vceval.results.rundir import write_atomically

__all__ = ["SHARES", "Scenario", "main", "power"]

COLUMNS = (
    "scenario", "measure", "speaker_share", "worse", "pass", "undecided", "blind", "regress", "any_regress", "nights",
)  # fmt: skip
STEPS = {
    "sv_accept": (0.0, 0.02, 0.04, 0.05, 0.06, 0.08, 0.12, 0.2),
    "mcd": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "wer": (0.0, 0.05, 0.1, 0.15, 0.2),
}
#: Of the noise's variance, half of it between target and half between source speakers.
SHARES = (0.0, 0.5)
PATTERN = Pattern()
OUTCOMES = ("pass", "undecided", "blind", "regress")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line of the figure."""

    title: str
    measure: str
    mean: float | None = None
    evenly: bool = False


SCENARIOS = (
    Scenario("72 % accepted, similarity falls", "sv_accept"),
    Scenario("90 % accepted, similarity falls", "sv_accept", mean=0.9),
    Scenario("90 % accepted, some fail", "sv_accept", mean=0.9, evenly=True),
    Scenario("MCD", "mcd"),
    Scenario("WER of PocketSphinx", "wer"),
)


def power(share: float, nights: int) -> Iterator[dict[str, object]]:
    """Rows of the table for one share of the speakers: in each line the other measures of a night do not change."""
    rules, noise, design = read_rules().measures, measured_noise(), PATTERN.design()
    world = World(share / 2.0, share / 2.0)

    def judged(measure: str, own: Mapping[str, Any], **more: Any) -> list[Worsening]:
        [rule] = [rule for rule in rules if rule.measure == measure]
        seed = list(noise).index(measure)
        return judge(simulate(measure, own, PATTERN, nights, seed, world=world, **more), rule, design)

    still = {name: judged(name, known) for name, known in noise.items()}
    for scenario in SCENARIOS:
        own = noise[scenario.measure]
        if scenario.mean is not None:
            own = {**own, "mean": scenario.mean}
        for worse in STEPS[scenario.measure]:
            moved = judged(scenario.measure, own, worse=worse, evenly=scenario.evenly)
            found = decide({**still, scenario.measure: moved}, rules, design)
            mine = found[scenario.measure]
            red = sum("regress" in outcomes for outcomes in zip(*found.values(), strict=True)) / nights
            yield {
                "scenario": scenario.title, "measure": scenario.measure, "speaker_share": share, "worse": worse,
                **{what: round(mine.count(what) / nights, 4) for what in OUTCOMES},
                "any_regress": round(red, 4), "nights": nights,
            }  # fmt: skip


def _plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    units = {"sv_accept": ("Acceptance falls by (points)", 100), "mcd": ("MCD rises by (dB)", 1)}
    units["wer"] = ("WER rises by (points)", 100)
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 4.8), sharey=True, layout="constrained")
    for panel, (measure, (label, scale)) in zip(panels, units.items(), strict=True):
        for scenario in (one for one in SCENARIOS if one.measure == measure):
            lines = [
                [row for row in rows if (row["scenario"], row["speaker_share"]) == (scenario.title, share)]
                for share in SHARES
            ]
            steps = [row["worse"] * scale for row in lines[0]]
            ends = [[row["regress"] for row in line] for line in lines]
            [drawn] = panel.plot(steps, ends[0], label=scenario.title)
            panel.plot(steps, ends[1], color=drawn.get_color(), linestyle=":")
            panel.fill_between(steps, *ends, color=drawn.get_color(), alpha=0.15, linewidth=0)
        panel.axhline(0.95, color="0.8", linewidth=0.8, zorder=0)
        panel.set(xlabel=label, ylim=(-0.02, 1.02))
        panel.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    panels[0].set_ylabel("share of nights that are red:\nnoise without speakers (solid) to half of it theirs (dotted)")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and the figure."""
    parser = argparse.ArgumentParser(description="Power of the gate's default rules.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--nights", type=int, default=150)
    given = parser.parse_args(arguments)
    rows = [row for share in SHARES for row in power(share, given.nights)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(given.out / "power.csv", buffer.getvalue())
    _plot(rows, given.out / "power.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
