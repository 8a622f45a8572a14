"""Figures of voices recognised: calibration of speaker verification, fake detection, source or target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.figure_scores import measure_named
from vceval.reports.figure_style import (
    INK,
    LINE,
    MARK,
    SERIES,
    SOFT,
    Drawing,
    named,
    plain,
    save,
    system_axis,
    system_colours,
)
from vceval.results.views import Report, SystemView
from vceval.statistics.intervals import cluster_bootstrap

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["calibration_curves", "fake_scores", "source_or_target"]

#: Directions by whether source and target have the same gender.
GENDERS: Mapping[str, Sequence[str]] = {"same gender": ("F2F", "M2M"), "cross-gender": ("F2M", "M2F")}
#: Published threshold of Resemblyzer's fake-speech demo, as in ClsVC's Figure 3.
PUBLISHED_THRESHOLD = 0.84
#: Error rates that a DET plot labels.
RATES = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5)
FEW = 60
NATURAL = "Natural speech"


def calibration_curves(report: Report, folder: Path) -> list[Drawing]:
    """Draw, for each metric that keeps its error curve, the DET plot and both error rates by threshold."""
    drawings = []
    for metric, datasets in sorted(report.learnt.items()):
        curves = {name: facts for name, facts in sorted(datasets.items()) if "curve" in facts}
        if curves:
            drawings.append(_calibration(report, metric, curves, folder))
    return drawings


def _calibration(report: Report, metric: str, curves: Mapping[str, Mapping[str, Any]], folder: Path) -> Drawing:
    stem = "calibration_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in metric)
    shown = dict(list(curves.items())[:8])
    title = report.metrics[metric].title if metric in report.metrics else metric

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, facts), colour in zip(shown.items(), SERIES, strict=False):
            _det(left, name, facts, colour)
            _rates(right, facts, colour)
        _det_axes(left)
        legend = left.legend(loc="upper right", handlelength=1.2)
        plain(legend.get_texts())
        right.set_xlabel("threshold (cosine)")
        right.set_ylabel("error rate (%)")
        right.set_title("False alarms (falling) and misses (rising)")
        right.grid()
        return figure

    width, height = save(folder, stem, draw)
    words = "; ".join(
        f"{name}: EER {100 * facts['eer']:.2f} %, threshold {facts['threshold']:.4f}, "
        f"{facts['target_trials']} + {facts['nontarget_trials']} trials"
        for name, facts in curves.items()
    )
    note = "On natural speech. Left: DET plot, dots at equal errors. Right: the threshold that the scores use, dashed."
    if len(shown) < len(curves):
        note += f" The first {len(shown)} of {len(curves)} datasets."
    return Drawing(stem, f"Calibration: {title.lower()}.", f"{words}.", note, width, height, wide=True)


def _det(axes: Axes, name: str, facts: Mapping[str, Any], colour: str) -> None:
    import numpy as np
    from scipy.special import ndtri

    curve = facts["curve"]
    # A rate of nought lies infinitely far out: half an error instead
    least = [0.5 / max(1, facts[kind]) for kind in ("nontarget_trials", "target_trials")]
    rates = [
        np.clip(np.array(curve[kind]), low, 1 - low)
        for kind, low in zip(("false_alarms", "misses"), least, strict=True)
    ]
    label = f"{named(name, 24)}: EER {100 * facts['eer']:.2f} %, threshold {facts['threshold']:.3f}"
    axes.plot(ndtri(rates[0]), ndtri(rates[1]), color=colour, linewidth=1.4, label=label, zorder=3)
    at = ndtri(max(float(facts["eer"]), max(least)))
    axes.plot([at], [at], marker="o", markersize=5, color=colour, linestyle="none", zorder=4)


def _det_axes(axes: Axes) -> None:
    from scipy.special import ndtri

    ticks = [float(ndtri(rate)) for rate in RATES]
    labels = [f"{100 * rate:g}" for rate in RATES]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    ends = (float(ndtri(0.00008)), float(ndtri(0.62)))
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.plot(ends, ends, color=LINE, linewidth=0.8, zorder=1)
    axes.grid()
    axes.set_xlabel("false alarms (%)")
    axes.set_ylabel("misses (%)")
    axes.set_title("Detection error trade-off")


def _rates(axes: Axes, facts: Mapping[str, Any], colour: str) -> None:
    import numpy as np

    curve = facts["curve"]
    for kind in ("false_alarms", "misses"):
        axes.plot(curve["thresholds"][1:], 100 * np.array(curve[kind][1:]), color=colour, linewidth=1.2, zorder=3)
    axes.axvline(facts["threshold"], color=colour, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)


def fake_scores(report: Report, folder: Path) -> Drawing | None:
    """Draw detector scores of natural speech and of every system, same and cross gender, with the thresholds.

    Source: the layout of ClsVC's Figure 3.
    """
    import numpy as np

    measure = measure_named(report, "fake_score")
    groups = _groups(report)
    if measure is None or not groups:
        return None
    learnt = report.learnt.get(measure.metric, {})
    by_speaker = [values for facts in learnt.values() for values in facts.get("natural_scores", {}).values()]
    natural = np.array([value for values in by_speaker for value in values])
    thresholds = sorted({round(float(facts["threshold"]), 6) for facts in learnt.values() if "threshold" in facts})
    systems = [s for s in [*report.converters, *report.controls] if _any(report, s, measure.name)]
    if not systems:
        return None

    def draw() -> Figure:
        from matplotlib.figure import Figure

        colours = system_colours(report)
        rows = len(systems) + bool(len(natural))
        figure = Figure(figsize=(10.0, 1.15 + 0.26 * rows), layout="constrained")
        grid = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
        for number, (axes, (name, pairs)) in enumerate(zip(grid, groups.items(), strict=True)):
            _strip(axes, natural, 0, INK)
            for place, system in enumerate(systems, int(bool(len(natural)))):
                values = report.scores.of(system.name, measure.name)[pairs]
                _strip(axes, values[~np.isnan(values)], place, colours[system.name])
            _fake_axes(axes, systems, bool(len(natural)), thresholds, labels=number == 0)
            axes.set_title(name)
        figure.supxlabel("mean cosine to natural speech of the target", fontsize=8.5)
        return figure

    width, height = save(folder, "fake", draw)
    parts = []
    for system in systems:
        values = report.scores.of(system.name, measure.name)
        values = values[~np.isnan(values)]
        share = 100 * float((values >= PUBLISHED_THRESHOLD).mean())
        parts.append(f"{system.title}: median {np.median(values):.3f}, {share:.0f} % at {PUBLISHED_THRESHOLD} or above")
    note = f"Dashed: the published threshold, {PUBLISHED_THRESHOLD}; dotted: that of equal errors on natural speech"
    note += ", one per dataset. " if len(thresholds) > 1 else ". "
    note += "What scores above a threshold passes as the target's own voice."
    return Drawing("fake", "Fake-speech detection.", f"{'; '.join(parts)}.", note, width, height, wide=True)


def _fake_axes(
    axes: Axes, systems: Sequence[SystemView], natural: bool, thresholds: Sequence[float], *, labels: bool
) -> None:
    axes.axvline(PUBLISHED_THRESHOLD, color=MARK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    for threshold in thresholds:
        axes.axvline(threshold, color=SOFT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=2)
    if not natural:
        system_axis(axes, systems, labels=labels)
        return
    first = SystemView("", NATURAL, False, "", "", None, "", "", 0, 0, 0)
    system_axis(axes, [first, *systems], labels=labels)


def _strip(axes: Axes, values: NDArray[np.float64], place: int, colour: str) -> None:
    """Draw single scores where they are few, the density of many as a filled shape, and the median."""
    import numpy as np

    if not len(values):
        return
    if len(values) <= FEW:
        up = (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.5
        axes.scatter(values, place + up, s=7, color=colour, alpha=0.55, linewidths=0, zorder=3)
    else:
        counts, edges = np.histogram(values, bins=60)
        height = 0.4 * np.convolve(counts, np.ones(3) / 3, mode="same") / max(counts.max(), 1)
        middles = (edges[1:] + edges[:-1]) / 2
        axes.fill_between(middles, place - height, place + height, color=colour, alpha=0.6, linewidth=0, zorder=3)
    axes.plot([np.median(values)] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=1.6, zorder=4)


def source_or_target(report: Report, folder: Path) -> Drawing | None:
    """Draw how often a conversion is closer to its target than to its source, for same and cross gender.

    Source: the layout of ClsVC's Figure 4a.
    """
    import numpy as np

    measure = measure_named(report, "fake_target")
    groups = _groups(report)
    if measure is None or not groups:
        return None
    systems = [s for s in [*report.converters, *report.controls] if _any(report, s, measure.name)]
    if not systems:
        return None
    speakers = [(row["target_speaker"], row["source_speaker"]) for row in report.pairs]
    found: dict[tuple[str, str], tuple[float, float | None, float | None, int]] = {}
    for system in systems:
        values = report.scores.of(system.name, measure.name)
        for name, pairs in groups.items():
            scored = np.flatnonzero(pairs & ~np.isnan(values))
            if len(scored):
                targets, sources = ([speakers[place][side] for place in scored] for side in (0, 1))
                interval = cluster_bootstrap(values[scored], np.ones(len(scored)), targets, crossed=sources)
                low, high = (interval.low, interval.high) if interval else (None, None)
                found[system.name, name] = (float(values[scored].mean()), low, high, len(scored))

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.0, 1.15 + 0.34 * len(systems)), layout="constrained")
        axes = figure.add_subplot()
        for name, colour, marker, shift in zip(groups, SERIES, "os", (-0.14, 0.14), strict=False):
            for place, system in enumerate(systems):
                if (system.name, name) not in found:
                    continue
                share, low, high, _ = found[system.name, name]
                if low is not None and high is not None:
                    axes.plot([100 * low, 100 * high], [place + shift] * 2, color=colour, linewidth=1.6, zorder=2)
                label = name if system is systems[0] else None
                axes.plot([100 * share], [place + shift], marker=marker, markersize=5, color=colour, linestyle="none",
                          label=label, zorder=3)  # fmt: skip
        axes.axvline(50, color=SOFT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        system_axis(axes, systems)
        axes.set_xlim(-3, 103)
        axes.set_xlabel("conversions closer to the target than to the source (%)")
        figure.legend(loc="outside upper right", ncols=2, handletextpad=0.2)
        return figure

    width, height = save(folder, "source_or_target", draw)
    titles = {system.name: system.title for system in systems}
    words = "; ".join(
        f"{titles[system]}, {name}: {100 * share:.1f} % of {count}"
        for (system, name), (share, _, _, count) in found.items()
    )
    note = "Lines: 95 % intervals, bootstrap over speakers. Dotted: chance."
    return Drawing("source_or_target", "Source or target?", f"{words}.", note, width, height)


def _groups(report: Report) -> dict[str, NDArray[np.bool_]]:
    """Which pairs (mask over pairs) have speakers of the same gender, which of different ones; none where unknown."""
    import numpy as np

    ways = np.array([row["direction"] for row in report.pairs])
    found = {name: np.isin(ways, directions) for name, directions in GENDERS.items()}
    return {name: pairs for name, pairs in found.items() if pairs.any()}


def _any(report: Report, system: SystemView, measure: str) -> bool:
    import numpy as np

    return not bool(np.isnan(report.scores.of(system.name, measure)).all())
