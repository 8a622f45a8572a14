"""Speed of word and character error rates: Whisper in batches, and recipes that share what was heard.

    python benchmarks/speed/text.py [--files 16] [--rounds 3] [--device cpu] [--whisper-only] [--json FILE]

Both sides are measured alternately in one process with one compute thread; medians of wall-clock and processor time
are printed. Without $VCEVAL_WHISPER a checkpoint of the size of Whisper ``base`` with random weights is made, whose
decoder stops after 25 tokens, as it would after a short sentence: it hears nonsense, but does the same work.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vceval.records import Utterance

__all__ = ["main"]

_NAMES = ("wer", "cer", "wer:whisper-basic", "wer:whisper-english", "cer:whisper-basic", "wer:none")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of word and character error rates.")
    parser.add_argument("--files", type=int, default=16, help="recordings of the demo corpus (default 16)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides (default 3)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--whisper-only", action="store_true", help="leave out the recipes, which need pocketsphinx")
    parser.add_argument("--json", type=Path, help="add a line of JSON with Whisper's result to this file")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        if "VCEVAL_WHISPER" not in os.environ:
            os.environ["VCEVAL_WHISPER"] = str(_checkpoint(Path(folder) / "random.pt"))
        row = _batches(options.files, options.rounds, options.device)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        if options.whisper_only:
            return
        _shared(min(options.files, 8), options.rounds)


def _batches(files: int, rounds: int, device: str) -> dict[str, float]:
    from vceval.metrics import recogniser_choice
    from vceval.metrics.recognisers import SAMPLE_RATE
    from vceval.signal import audio

    recogniser = recogniser_choice.recogniser()
    waves = [audio.load(utterance.path, SAMPLE_RATE) for utterance in _demo(files)]
    recogniser.hear_all(waves[:2], "en", device)  # load and warm up
    heard: dict[str, list[str]] = {}

    def alone() -> None:
        heard["alone"] = [recogniser.hear(wave, "en", device) for wave in waves]

    def together() -> None:
        heard["together"] = recogniser.hear_all(waves, "en", device)

    seconds = sum(len(wave.samples) for wave in waves) / SAMPLE_RATE
    print(f"Whisper ({recogniser.identity}) on {device}: {len(waves)} recordings, {seconds:.0f} s of speech")
    one, other, ratio = _compare(("one by one", alone), ("batched", together), rounds)
    same = sum(a == b for a, b in zip(heard["alone"], heard["together"], strict=True))
    print(f"  equal texts: {same} of {len(waves)}")
    found = {"alone": one / seconds, "batch": other / seconds, "ratio": ratio}
    return {"recordings": len(waves), "batch_size": recogniser.batch, **found, "equal_texts": same}


def _shared(files: int, rounds: int) -> None:
    """What several text metrics cost when each hears the recordings itself, and when they share a cache."""
    from vceval import registry
    from vceval.metrics.base import Workspace
    from vceval.records import Conversion, ConversionPair
    from vceval.storage.cache import Cache

    conversions = [
        Conversion("demo", ConversionPair(u.id, u.dataset), u.path, u.transcript, u.language) for u in _demo(files)
    ]
    found: dict[str, list[object]] = {}

    def score(side: str, caches: Callable[[], Cache]) -> None:
        values: list[object] = []
        for name in _NAMES:
            metric = registry.load("metric", name)(asr="pocketsphinx")
            metric.open(Workspace(cache=caches()))
            values += [metric.statistics(conversion).sums for conversion in conversions]
        found[side] = values

    def separately() -> None:
        score("separately", lambda: Cache(None))

    def sharing() -> None:
        kept = Cache(None)
        score("sharing", lambda: kept)

    print(f"{len(_NAMES)} text metrics ({', '.join(_NAMES)}) with pocketsphinx: {len(conversions)} recordings")
    _compare(("each hears for itself", separately), ("shared transcripts", sharing), rounds)
    print(f"  equal statistics: {found['separately'] == found['sharing']}")


def _compare(
    first: tuple[str, Callable[[], None]], second: tuple[str, Callable[[], None]], rounds: int
) -> tuple[float, float, float]:
    """Print both sides; give their median wall-clock times and the median ratio."""
    taken: dict[str, list[tuple[float, float]]] = {first[0]: [], second[0]: []}
    for _ in range(rounds):
        for name, work in (first, second):
            wall, processor = time.perf_counter(), time.process_time()
            work()
            taken[name].append((time.perf_counter() - wall, time.process_time() - processor))
    for name, times in taken.items():
        wall, processor = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"  {name:<22} wall {wall:7.2f} s   processor {processor:7.2f} s   (medians of {rounds})")
    for what, column in (("wall", 0), ("processor", 1)):
        ratios = [a[column] / b[column] for a, b in zip(taken[first[0]], taken[second[0]], strict=True)]
        print(f"  ratio, {what:<9} {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")
    one, other = (statistics.median(wall for wall, _ in times) for times in taken.values())
    return (
        one,
        other,
        statistics.median(a / b for (a, _), (b, _) in zip(taken[first[0]], taken[second[0]], strict=True)),
    )


def _demo(files: int) -> list[Utterance]:
    from vceval.corpora.demo import Demo

    return list(itertools.islice(Demo().utterances(), files))


def _checkpoint(path: Path) -> Path:
    import torch
    import whisper

    torch.manual_seed(0)
    model = whisper.model.Whisper(whisper.ModelDimensions(80, 1500, 512, 8, 6, 51_865, 50, 512, 8, 6))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, path)
    return path


if __name__ == "__main__":
    main()
