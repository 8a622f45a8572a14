"""Train the small AdaIN-VC that is shipped as ``adainvc-demo``: the six voices of the demo corpus, other sentences.

    python benchmarks/training/train_adainvc.py WORK FIRST --minutes 30
    python benchmarks/training/train_adainvc.py WORK OUT --minutes 20 --start FIRST/demo_adainvc.ckpt --variance 5

WORK keeps the synthesised speech between runs; OUT gets ``demo_adainvc.ckpt`` (a bare state dict in half precision),
``attr.npz`` (mean and deviation of every band), ``config.json`` (sizes, laid out like the authors' ``config.yaml``)
and ``curve.csv``. It needs what ``make_demo_corpus.py`` needs; one core is enough. The frames, the layout of the
network, L1 reconstruction with a small Kullback-Leibler term and segments of 128 frames are those of AdaIN-VC. What is
not: the source may be another speaker's recording of the same sentence, aligned by dynamic time warping; what the
content encoder hears is stretched along the mel axis at random; and the second training asks that the bands move as
much over time as those of natural speech, where L1 alone flattens them.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.benchmarks.training.training_corpus import WATCHED, Corpus, Draw, prepare

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vceval.networks.adainvc import AdaInVc

__all__ = ["CONFIG", "main", "train"]

#: Sizes of the demo model; those of the published one are 128 throughout.
CONFIG: dict[str, Any] = {
    "SpeakerEncoder": {
        "c_in": 512,
        "c_h": 64,
        "c_out": 64,
        "kernel_size": 5,
        "bank_size": 4,
        "c_bank": 16,
        "n_conv_blocks": 6,
        "n_dense_blocks": 2,
        "subsample": [1, 2, 1, 2, 1, 2],
    },
    "ContentEncoder": {
        "c_in": 512,
        "c_h": 96,
        "c_out": 64,
        "kernel_size": 5,
        "bank_size": 8,
        "c_bank": 16,
        "n_conv_blocks": 6,
        "subsample": [1, 2, 1, 2, 1, 2],
    },
    "Decoder": {
        "c_in": 64,
        "c_cond": 64,
        "c_h": 128,
        "c_out": 512,
        "kernel_size": 5,
        "n_conv_blocks": 6,
        "upsample": [2, 1, 2, 1, 2, 1],
    },
}
#: Segments of a step.
BATCH = 16
#: Adam: last rate (a cosine leads there from the first one, over the time given), clipping of the gradient's norm.
LAST_RATE, CLIP = 5e-5, 5.0
#: Weights of the Kullback-Leibler term (reached after as many steps), against a weight of 10 for L1.
KL_WEIGHT, KL_STEPS = 0.02, 2_000
#: Share of segments whose source is another speaker; the mel axis is stretched by up to this.
PARALLEL, STRETCH = 0.5, 0.12


def stretched(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Stretch the mel axis of each item by a random factor: other pitch and formants, the same words."""
    import torch

    bands = frames.shape[1]
    factor = 1.0 + STRETCH * (2.0 * torch.rand(len(frames), 1, generator=generator) - 1.0)
    place = (torch.arange(bands)[None] * factor).clamp(max=bands - 1.001)
    low = place.long()
    share = (place - low)[:, :, None]
    index = low[:, :, None].expand_as(frames)
    return frames.gather(1, index) * (1.0 - share) + frames.gather(1, index + 1) * share


def train(corpus: Corpus, options: argparse.Namespace) -> None:
    """Train for so many minutes and write the files of the model; the best state is not sought, the last is kept."""
    import torch

    from vceval.networks.adainvc import from_config

    out, seed, start = options.out, options.seed, options.start
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    network = from_config(CONFIG).train()
    if start:
        network.load_state_dict(torch.load(start, weights_only=True))  # half precision is widened
    optimiser = torch.optim.Adam(network.parameters(), lr=options.rate, betas=(0.9, 0.99))
    count = len(corpus.frames)
    draw, watch = Draw(corpus, 0, count - WATCHED, seed), Draw(corpus, count - WATCHED, count, seed)
    kept = watch(48, 0.0), watch(48, 1.0)
    out.mkdir(parents=True, exist_ok=True)
    began, step, seen, rows = time.monotonic(), 0, [0.0, 0.0], _earlier(start)
    before = rows[-1][:2] if rows else [0, 0]
    while (spent := (time.monotonic() - began) / (60.0 * options.minutes)) < 1.0:
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group["lr"] = warm * (LAST_RATE + (options.rate - LAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * spent)))
        loss, divergence, flatness = _losses(network, *draw(BATCH, PARALLEL), generator)
        optimiser.zero_grad(set_to_none=True)
        annealed = KL_WEIGHT * (1.0 if start else min(1.0, step / KL_STEPS))
        total = 10.0 * loss + annealed * divergence + options.variance * flatness
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        step += 1
        seen = [seen[0] + float(loss.detach()), seen[1] + float(divergence.detach())]
        if step % 250 == 0:
            rows.append([before[0] + step, before[1] + round(time.monotonic() - began)])
            rows[-1] += [round(value / 250, 4) for value in seen]
            rows[-1] += [round(float(_watched(network, *batch)), 4) for batch in kept]
            print(*rows[-1], flush=True)
            seen = [0.0, 0.0]
            write(network, corpus, out, rows)
    write(network, corpus, out, rows)


def _earlier(start: Path | None) -> list[list[float]]:
    """Read the curve of the training that the first weights come from, where it lies beside them."""
    place = start.with_name("curve.csv") if start else None
    if place is None or not place.is_file():
        return []
    with open(place, encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle))[1:]
    return [[int(line[0]), int(line[1]), *map(float, line[2:])] for line in lines]


def _losses(
    network: AdaInVc, source: Tensor, target: Tensor, wanted: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Reconstruction, divergence of the code, and how far the deviation of the bands over time is from what it was."""
    import torch

    mean, spread = network.content_encoder.distribution(stretched(source, generator))
    code = mean + torch.exp(0.5 * spread) * torch.randn(mean.shape, generator=generator)
    made = network.decoder(code, network.speaker_encoder(target))
    divergence = 0.5 * (spread.exp() + mean**2 - 1.0 - spread).mean()
    return (made - wanted).abs().mean(), divergence, (made.std(dim=2) - wanted.std(dim=2)).abs().mean()


def _watched(network: AdaInVc, source: Tensor, target: Tensor, wanted: Tensor) -> Tensor:
    import torch

    with torch.inference_mode():
        apart: Tensor = (network(source, target) - wanted).abs().mean()
    return apart


def write(network: AdaInVc, corpus: Corpus, out: Path, rows: Sequence[Sequence[float]]) -> None:
    """Write the model's files."""
    import numpy as np
    import torch

    torch.save({key: value.half() for key, value in network.state_dict().items()}, out / "demo_adainvc.ckpt")
    np.savez(out / "attr.npz", mean=corpus.mean, std=corpus.deviation)
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    with open(out / "curve.csv", "w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["step", "seconds", "l1", "kl", "watched_l1_same_speaker", "watched_l1_other_speaker"])
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Train the demo model of AdaIN-VC.")
    parser.add_argument("work", type=Path, metavar="WORK", help="folder for synthesised speech, kept between runs")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the model")
    parser.add_argument("--sentences", type=int, default=240, help="sentences by every voice")
    parser.add_argument("--minutes", type=float, default=60.0, help="time for the training itself")
    parser.add_argument("--rate", type=float, default=1e-3, help="first learning rate")
    parser.add_argument("--variance", type=float, default=0.0, help="weight of the bands' deviation over time")
    parser.add_argument("--workers", type=int, default=1, help="processes that synthesise")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the draws")
    parser.add_argument("--start", type=Path, help="weights to start from, made with as many sentences")
    options = parser.parse_args(arguments)
    corpus = prepare(options.work, options.sentences, options.workers)
    train(corpus, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
