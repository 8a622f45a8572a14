"""The map of voices: real and converted speech of the same speakers, by t-SNE of speaker embeddings.

Embeddings come from the cache, where scoring left them. The points are kept beside the figure, in ``speakers.csv``: a
report made again without that cache draws the same map as long as the recordings are the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vceval.reports.figure_style import LINE, SERIES, Drawing, canvas, named, plain, save
from vceval.results.rundir import reading_of, write_atomically
from vceval.results.views import Report, SystemView
from vceval.storage.cache import Cache, default_root, file_digest
from vceval.storage.csv_files import csv_text, read_rows
from vceval.storage.embeddings import known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["speaker_map"]

#: At most so many speakers, systems, real recordings a speaker, and conversions a speaker and system.
SPEAKERS, SYSTEMS, REAL, CONVERTED = 8, 8, 25, 12
COLUMNS = ("system", "speaker", "digest", "x", "y")
#: Fewer recordings than these make no map.
ENOUGH = 12


class _Point(NamedTuple):
    """One recording: of a system, or real speech (empty); ``digest`` is the start of its SHA-256."""

    system: str
    speaker: str
    digest: str
    path: Path


def speaker_map(report: Report, folder: Path, find: Callable[[str], Path | None]) -> tuple[Drawing | None, str]:
    """Draw the map, a panel per system: real speech pale, conversions in the colour of the speaker they aim at.

    Args:
        report: what the run holds.
        folder: where figures and ``speakers.csv`` lie.
        find: gives the file of a path that the run names; None where it is not there.

    Returns:
        The figure, or None and the reason why there is none (empty where speaker verification was not asked for).

    Source: van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 2008; the layout of ClsVC's Figure 5.
    """
    encoder = _encoder(report)
    if not encoder:
        return None, ""
    speakers, systems, points = _chosen(report, find)
    if len(points) < ENOUGH or len(speakers) < 2:
        return None, "No map of voices: it needs recordings of at least two target speakers whose names are known."
    placed = _placed(points, encoder, folder / "speakers.csv", reading_of(report.run).key)
    if placed is None:
        return None, (
            "No map of voices: the cache does not hold the speaker embeddings of this run ($VCEVAL_CACHE, else "
            "~/.cache/vceval)."
        )

    def draw() -> Figure:
        return _figure(speakers, systems, points, placed)

    width, height = save(folder, "speakers", draw)
    words = (
        f"{len(points)} recordings of {len(speakers)} target speakers ({', '.join(speakers)}), "
        f"{sum(not point.system for point in points)} of them real, placed by the likeness of their voices; "
        f"a panel each for {', '.join(system.title for system in systems)}."
    )
    note = (
        "Every panel: the same map. Pale dots are real speech, crosses conversions, in the colour of the target "
        "speaker: a good converter puts its crosses among the dots of their colour. t-SNE shows neighbours, "
        "not distances."
    )
    targets = len({row["target_speaker"] for row in report.pairs if row["target_speaker"]})
    if targets > len(speakers):
        note += f" The {len(speakers)} most frequent of {targets} target speakers."
    if len(report.converters) > SYSTEMS:
        note += f" The first {SYSTEMS} of {len(report.converters)} systems."
    return Drawing("speakers", "Voices, real and converted.", words, note, width, height, wide=len(systems) > 2), ""


def _encoder(report: Report) -> str:
    for metric in report.metrics.values():
        if (found := re.search(r"\|enc:([^|]+)", metric.signature)) and metric.name.split(":")[0] in ("sv", "fake"):
            return found[1]
    return ""


def _chosen(report: Report, find: Callable[[str], Path | None]) -> tuple[list[str], list[SystemView], list[_Point]]:
    """Choose the most frequent target speakers, and recordings of each, real ones first."""
    counted = Counter(row["target_speaker"] for row in report.pairs if row["target_speaker"])
    speakers = sorted(name for name, _ in counted.most_common(SPEAKERS))
    systems = report.converters[:SYSTEMS]
    taken: Counter[tuple[str, str]] = Counter()
    points: dict[Path, _Point] = {}

    def take(system: str, speaker: str, path: str, most: int) -> None:
        if speaker in counted and speaker in speakers and path and taken[system, speaker] < most:
            found = find(path)
            if found is not None and found not in points:
                points[found] = _Point(system, speaker, file_digest(found)[:16], found)
                taken[system, speaker] += 1

    for row in report.pairs:
        for path in (*row["prompt_paths"].split("|"), row["reference_path"], row["natural_path"]):
            take("", row["target_speaker"], path, REAL)
        take("", row["source_speaker"], row["source_path"], REAL)
    for system in systems:
        for row in report.pairs:
            take(system.name, row["target_speaker"], report.audio.get((system.name, row["pair"]), ""), CONVERTED)
    return speakers, [s for s in systems if any(key[0] == s.name for key in taken)], list(points.values())


def _placed(points: Sequence[_Point], encoder: str, kept: Path, reading: str) -> list[tuple[float, float]] | None:
    """Place recordings on the map: from their embeddings, else where they were placed before; None where unknown."""
    import numpy as np

    cache = Cache(default_root(), reading=reading)
    vectors = [known(cache, encoder, point.path) for point in points]
    if any(vector is None for vector in vectors):
        return _before(points, kept)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 4)
    drawn = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(np.array(vectors, dtype=np.float64))
    found = [(round(float(x), 3), round(float(y), 3)) for x, y in drawn]
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows = ((*point[:3], *place) for point, place in zip(points, found, strict=True))
    write_atomically(kept, csv_text(COLUMNS, rows))
    return found


def _before(points: Sequence[_Point], kept: Path) -> list[tuple[float, float]] | None:
    if not kept.is_file():
        return None
    rows = list(read_rows(kept, COLUMNS))
    if [tuple(row[name] for name in COLUMNS[:3]) for row in rows] != [tuple(point[:3]) for point in points]:
        return None  # other recordings: the old map would be a lie
    return [(float(row["x"]), float(row["y"])) for row in rows]


def _figure(
    speakers: Sequence[str],
    systems: Sequence[SystemView],
    points: Sequence[_Point],
    placed: Sequence[tuple[float, float]],
) -> Figure:
    import numpy as np
    from matplotlib.lines import Line2D

    colours = dict(zip(speakers, SERIES, strict=False))
    columns = min(4, len(systems)) or 1
    rows = -(-max(1, len(systems)) // columns)
    width = 10.0 if columns > 2 else 6.0
    figure = canvas(width, 0.5 + rows * (width / columns))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    places = np.array(placed)
    for number, axes in enumerate(grid.flat):
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(LINE)
        if number >= max(1, len(systems)):
            axes.set_visible(False)
            continue
        name = systems[number].name if systems else ""
        for speaker in speakers:
            for mine, style in (
                ("", {"marker": "o", "s": 14, "alpha": 0.3, "linewidths": 0}),
                (name, {"marker": "x", "s": 20, "alpha": 1.0, "linewidths": 1.1}),
            ):
                at = [i for i, point in enumerate(points) if point.system == mine and point.speaker == speaker]
                if at and (mine or style["marker"] == "o"):
                    axes.scatter(places[at, 0], places[at, 1], color=colours[speaker], **style)
        if systems:
            axes.set_title(named(systems[number].title, 30)).set_parse_math(False)
    handles = [Line2D([], [], marker="o", linestyle="none", color=colours[name], markersize=5) for name in speakers]
    legend = figure.legend(
        handles,
        [named(name, 14) for name in speakers],
        loc="outside lower center",
        ncols=len(speakers),
        handletextpad=0.1,
    )
    plain(legend.get_texts())
    return figure
