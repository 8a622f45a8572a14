"""A training that ends with its best checkpoint: train, save every few steps, convert and score, select.

    python fine_tuning.py --checkpoints 5 --out tuning

The model is as small as one can be: it learns, frequency by frequency, how far the source's mean spectrum has to move
towards that of the prompt. The loop stays the same where a real one stands.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import soundfile
import torch

from vceval.benchmarks import demo
from vceval.cli.main import main as vceval

SIZE = 512


class Mover(torch.nn.Module):
    """Moves the mean log spectrum of a source towards that of a prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.share = torch.nn.Parameter(torch.zeros(SIZE // 2 + 1))

    def forward(self, source: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
        """What to add to the source's log spectrum; mean log spectra of shape (bins,)."""
        return self.share * (prompt - source)


def spectrum(path: str | Path) -> tuple[torch.Tensor, int]:
    """The spectrum of a recording, complex, of shape (bins, frames), and its sample rate."""
    samples, rate = soundfile.read(path, dtype="float32")
    window = torch.hann_window(SIZE)
    return torch.stft(torch.from_numpy(samples), SIZE, SIZE // 4, window=window, return_complex=True), rate


def mean(spoken: torch.Tensor) -> torch.Tensor:
    """The mean log spectrum, of shape (bins,)."""
    return torch.log(spoken.abs() + 1e-3).mean(dim=1)


def train(folder: Path, checkpoints: int, steps: int) -> list[Path]:
    """Train on the demo corpus, and save the model every few steps; the first one has learnt nothing yet."""
    voices = defaultdict(list)
    with open(demo.root() / "utterances.csv", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["id"].endswith(("_021", "_022", "_023", "_024")):
                voices[row["speaker"]].append(mean(spectrum(demo.root() / row["file"])[0]))
    model, generator = Mover(), torch.Generator().manual_seed(0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)
    names = sorted(voices)
    saved = []
    for step in range((checkpoints - 1) * steps + 1):
        if step % steps == 0:
            saved.append(folder / f"step-{step:03d}.pt")
            torch.save(model.state_dict(), saved[-1])
        here, there = (names[n] for n in torch.randperm(len(names), generator=generator)[:2])
        source, prompt, wanted = voices[here][0], voices[there][1], voices[there][2]
        loss = torch.square(source + model(source, prompt) - wanted).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return saved


def convert(checkpoint: Path) -> None:
    """Convert what vceval asks for, one JSON line a pair."""
    model = Mover()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    for line in sys.stdin:
        task = json.loads(line)
        source, rate = spectrum(task["source"])
        with torch.no_grad():
            gain = torch.exp(model(mean(source), mean(spectrum(task["prompts"][0])[0])))
        samples = torch.istft(source * gain[:, None], SIZE, SIZE // 4, window=torch.hann_window(SIZE))
        soundfile.write(task["output"], samples.clamp(-1.0, 1.0).numpy(), rate)
        print(json.dumps({"id": task["id"]}), flush=True)


def main() -> int:
    """Train, score every checkpoint on the same pairs, and name the best."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoints", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="between two checkpoints")
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--out", type=Path, default=Path("tuning"))
    parser.add_argument("--convert", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.convert:
        convert(options.convert)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    systems = []
    for checkpoint in train(options.out, options.checkpoints, options.steps):
        worker = shlex.join([sys.executable, str(Path(__file__).resolve()), "--convert", str(checkpoint.resolve())])
        systems += ["--system", f"{checkpoint.stem}=command:{worker}"]
    run = options.out / "run"
    scored = vceval(["run", "--limit", str(options.pairs), "--converters", "source,target", *systems,
                     "--metrics", "sv", "--out", str(run)])  # fmt: skip
    return scored or vceval(["select", str(run)])


if __name__ == "__main__":
    sys.exit(main())
