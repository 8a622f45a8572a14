"""How far each measure moves when a recording changes in ways that no listener would call a change.

    python benchmarks/invariance/table.py [--corpus FOLDER] [--pairs 3] [--metrics mcd,f0,...] [--out README.md]

Recordings of one speaker stand for conversions: the source is a second speaker's reading of the same text, the
reference a third one's. Each is changed (``CHANGES``), written, and scored by every metric; the table shows the largest
move of each measure. ``--corpus`` is a folder with ``utterances.csv`` and texts that three speakers read; without it,
the demo corpus. Without ``--metrics`` the default of every metric is measured, and the table is put into the page that
explains it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from vceval import registry
from vceval.corpora.base import Corpus
from vceval.corpora.csv_manifest import CsvManifest
from vceval.corpora.demo import Demo
from vceval.errors import UsageError
from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.runner.factory import make_metric
from vceval.storage.cache import Cache

#: Where the table stands in the page.
START, END = "<!-- table -->", "<!-- end -->"
Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a recording, how the result is stored, and the column of the table that it belongs to.

    ``rate`` is that of the result, in Hz, where it is another one.
    """

    column: str
    name: str
    change: Callable[[Samples, int], Samples] = lambda samples, _: samples
    subtype: str = "FLOAT"
    suffix: str = ".wav"
    rate: int | None = None


def gain(decibel: float) -> Callable[[Samples, int], Samples]:
    """Change the level."""
    return lambda samples, _: samples * 10.0 ** (decibel / 20.0)


def zeros(before: float, after: float) -> Callable[[Samples, int], Samples]:
    """Put digital silence of so many seconds before and after."""
    return lambda samples, rate: np.pad(samples, (int(before * rate), int(after * rate)))


def own_noise(before: float, after: float) -> Callable[[Samples, int], Samples]:
    """Put the recording's own noise floor before and after: its quietest 100 ms, again and again."""

    def change(samples: Samples, rate: int) -> Samples:
        size = rate // 10
        total = np.cumsum(np.pad(np.square(samples), (1, 0)))
        start = int(np.argmin(total[size:] - total[:-size]))
        noise = samples[start : start + size]
        return np.concatenate([np.resize(noise, int(before * rate)), samples, np.resize(noise, int(after * rate))])

    return change


#: What every recording goes through. No gain clips, as float files have no limit.
CHANGES: tuple[Change, ...] = (
    *(Change("gain", f"{decibel:+g} dB", gain(decibel)) for decibel in (-30.0, -20.0, -6.0, 6.0)),
    *(
        Change("zeros", f"{before:g} s before, {after:g} s after", zeros(before, after))
        for before, after in ((2.0, 0.0), (0.7331, 0.0), (0.0, 3.0), (3.0, 3.0))
    ),
    *(
        Change("own noise", f"{before:g} s before, {after:g} s after", own_noise(before, after))
        for before, after in ((2.0, 0.0), (0.0, 3.0), (3.0, 3.0))
    ),
    Change("polarity", "upside down", lambda samples, _: -samples),
    Change("container", "16-bit WAV", subtype="PCM_16"),
    Change("container", "24-bit FLAC", subtype="PCM_24", suffix=".flac"),
    Change("container", "two equal channels", lambda samples, _: np.stack([samples, samples], axis=1)),
    Change("16 bit at −30 dB", "16 bit at −30 dB", gain(-30.0), subtype="PCM_16"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score all changes and write the table."""
    parser = argparse.ArgumentParser(description="Largest move of each measure under changes that nobody hears.")
    parser.add_argument(
        "--corpus", type=Path, metavar="FOLDER", help="with utterances.csv; the demo corpus if left out"
    )
    parser.add_argument("--pairs", type=int, default=3, help="recordings to change")
    parser.add_argument("--metrics", type=lambda text: text.split(","), metavar="NAME,NAME")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "README.md", metavar="PAGE")
    options = parser.parse_args(arguments)
    corpus = Demo() if options.corpus is None else CsvManifest(options.corpus)
    names = registry.names("metric") if options.metrics is None else options.metrics
    table = "\n".join(rows(moves(names, corpus, options.pairs)))
    print(table)
    if options.metrics is None:
        page = options.out.read_text(encoding="utf-8")
        before, _, rest = page.partition(START)
        options.out.write_text(f"{before}{START}\n\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def rows(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Write the table: a line a measure, a column a kind of change."""
    columns = list(dict.fromkeys(change.column for change in CHANGES))
    yield "| Measure | " + " | ".join(columns) + " |"
    yield "| :-- |" + " --: |" * len(columns)
    for label, by_column in found.items():
        yield f"| {label} | " + " | ".join(f"{by_column[column]:.3g}" for column in columns) + " |"


def moves(
    names: Sequence[str], corpus: Corpus, count: int, changes: Sequence[Change] = CHANGES
) -> dict[str, dict[str, float]]:
    """Measure the largest move of each measure, as tables print it, by column of the table.

    A measure is called ``MCD (dB)``. Beside them stands the share of recordings whose flags change, but for the flag on
    silence that is added, which is meant to.
    """
    utterances = list(corpus.utterances())
    pairs = parallel_pairs(utterances, count)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Cache(Path(folder) / "cache"), utterances)
        written = [list(changed(path, Path(folder) / str(number), changes)) for number, (_, path) in enumerate(pairs)]
        for name in names:
            metric = opened(name, workspace, pairs[0][0].dataset)
            labels = {
                measure.name: (f"{measure.label} ({measure.unit})" if measure.unit else measure.label, measure.scale)
                for measure in metric.measures
            }
            for (pair, path), files in zip(pairs, written, strict=True):
                usual = values(metric, pair, path)
                for change, other in files:
                    now = values(metric, pair, other)
                    for key in usual:
                        label, scale = labels.get(key, (key, 100.0))
                        move = abs(now.get(key, np.nan) - usual[key]) * scale
                        row = found.setdefault(label, defaultdict(float))
                        row[change.column] = float(np.fmax(row[change.column], move))
    return found


def opened(name: str, workspace: Workspace, dataset: str) -> Metric:
    """Open a metric, calibrated on the natural speech of the workspace."""
    metric = make_metric(name, {"asr": "pocketsphinx"})
    metric.open(workspace)
    learnt = metric.calibrate(dataset, workspace.natural)
    if learnt:
        metric.open(Workspace(workspace.cache, workspace.natural, {dataset: dict(learnt)}, workspace.device))
    return metric


def values(metric: Metric, pair: ConversionPair, path: Path) -> dict[str, float]:
    """Score one recording: measure to value, and ``flags changed`` as a number that flags alone determine."""
    found = metric.statistics(Conversion("changed", pair, path, pair.transcript, "en"))
    made = {name: above / below for name, (above, below) in found.sums.items() if name != "sanity_flags"}
    flags: list[str] | Any = found.details.get("flags")
    if flags is not None:
        made["Flags (%)"] = float(len([flag for flag in flags if flag != "added silence"]))
    return made


def changed(path: Path, folder: Path, changes: Sequence[Change]) -> Iterator[tuple[Change, Path]]:
    """Write a recording in all its changes."""
    folder.mkdir(parents=True)
    samples, rate = soundfile.read(path, dtype="float64")
    for number, change in enumerate(changes):
        other = folder / f"{number:02d}{change.suffix}"
        soundfile.write(other, change.change(samples, rate), change.rate or rate, subtype=change.subtype)
        yield change, other


def parallel_pairs(utterances: Sequence[Utterance], count: int) -> list[tuple[ConversionPair, Path]]:
    """Pair texts that three speakers read: source, recording that stands for the conversion, reference.

    Raises:
        UsageError: there are too few such texts.
    """
    texts: dict[str, dict[str, Utterance]] = defaultdict(dict)
    voices: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in sorted(utterances, key=lambda item: item.id):
        if utterance.transcript and utterance.speaker:
            texts[utterance.transcript].setdefault(utterance.speaker, utterance)
            voices[utterance.speaker].append(utterance)
    made: list[tuple[ConversionPair, Path]] = []
    for text in sorted(text for text, readers in texts.items() if len(readers) >= 3)[:count]:
        readers = sorted(texts[text].items())
        turn = len(made) % len(readers)
        (_, source), (_, said), (target, reference) = (readers[turn:] + readers[:turn])[:3]
        prompts = tuple(item for item in voices[target] if item.transcript != text)[:2]
        pair = ConversionPair(
            f"pair{len(made)}", said.dataset, source, prompts, reference,
            source_speaker=source.speaker, target_speaker=target, transcript=text,
        )  # fmt: skip
        made.append((pair, said.path))
    if len(made) < count:
        raise UsageError(f"only {len(made)} texts are read by three speakers; {count} are needed")
    return made


if __name__ == "__main__":
    main()
