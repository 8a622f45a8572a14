"""What the demo model is trained on: the voices of the demo corpus reading other sentences, as frames of AdaIN-VC."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vceval.benchmarks.training.make_demo_corpus import SAMPLE_RATE, SENTENCES, VOICES, finish, read_sentences, speak
from vceval.benchmarks.training.training_sentences import training_sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["SEGMENT", "WATCHED", "Corpus", "Draw", "prepare"]

#: Frames of a segment.
SEGMENT = 128
#: How often each voice of VOICES is the target: the ones that are hardest to reproduce more often.
SHARES = (1.0, 1.0, 1.5, 1.0, 1.0, 2.0)
#: Sentences at the end of the list that are only used to watch the training.
WATCHED = 12
#: Least deviation of a band: those over 8 kHz hold nothing.
LEAST_DEVIATION = 0.05


@dataclass
class Corpus:
    """Frames of every recording, (sentence, voice) in order, and where frames of the other voices belong to them."""

    frames: list[list[NDArray[np.float16]]]
    paths: dict[tuple[int, int, int], NDArray[np.int64]]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


def prepare(work: Path, count: int, workers: int) -> Corpus:
    """Synthesise ``count`` sentences by every voice, compute frames, and align the voices; made files are kept."""
    import numpy as np

    work.mkdir(parents=True, exist_ok=True)
    sentences = training_sentences(count)
    known = {text for pairs in read_sentences(SENTENCES).values() for _, text in pairs}
    if known & set(sentences):
        raise ValueError(f"sentences of the demo corpus among those of the training: {known & set(sentences)}")
    with ProcessPoolExecutor(workers) as pool:
        jobs = [(work, number, text) for number, text in enumerate(sentences)]
        frames = list(pool.map(_speak_all, jobs, chunksize=4))
        paths = {
            (number, first, second): path
            for number, found in enumerate(pool.map(_align_all, frames, chunksize=4))
            for (first, second), path in found.items()
        }
    every = np.concatenate([one for voices in frames[:-WATCHED] for one in voices]).astype(np.float32)
    mean, deviation = every.mean(axis=0), np.maximum(every.std(axis=0), LEAST_DEVIATION)
    scaled = [[((one - mean) / deviation).astype(np.float16) for one in voices] for voices in frames]
    return Corpus(scaled, paths, mean, deviation)


def _speak_all(job: tuple[Path, int, str]) -> list[NDArray[np.float16]]:
    import numpy as np

    from vceval.networks import adainvc_features as features
    from vceval.signal.audio import Waveform

    work, number, text = job
    found = []
    for voice in VOICES:
        kept = work / f"{voice.id}_{number:04d}.npy"
        if not kept.is_file():
            with tempfile.TemporaryDirectory() as scratch:
                np.save(kept, finish(speak(text, voice, Path(scratch) / "one.wav")))
        samples = np.load(kept).astype(np.float32) / 32_768
        found.append(features.mel(features.speech(Waveform(samples, SAMPLE_RATE))).astype(np.float16))
    return found


def _align_all(voices: list[NDArray[np.float16]]) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Find, for each frame of one voice, the frame of another that says the same."""
    import numpy as np
    from scipy.fft import dct

    from vceval.metrics.dtw import dtw_path

    shapes = []
    for one in voices:
        # Smooth spectra, each coefficient with mean 0 and deviation 1: what is said, not by whom
        cepstra = dct(one.astype(np.float64)[:, :448], axis=1, norm="ortho")[:, 1:20]
        shapes.append((cepstra - cepstra.mean(axis=0)) / cepstra.std(axis=0))
    found = {}
    for first, shape in enumerate(shapes):
        for second, other in enumerate(shapes):
            if first != second:
                steps = dtw_path(shape, other)[1]
                place = np.searchsorted(steps[:, 0], np.arange(len(shape)))
                found[first, second] = steps[place, 1]
    return found


class Draw:
    """Draws batches: source frames, frames of the target speaker's other recordings, and what is to come out."""

    def __init__(self, corpus: Corpus, first: int, last: int, seed: int) -> None:
        import numpy as np

        self.corpus, self.first, self.last = corpus, first, last
        self.rng = np.random.default_rng(seed)

    def __call__(self, size: int, parallel: float) -> tuple[Tensor, Tensor, Tensor]:
        """Give three tensors (size, 512, 128)."""
        import numpy as np
        import torch

        rows = [self._one(self.rng.random() < parallel) for _ in range(size)]
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(np.stack([row[part] for row in rows]).astype(np.float32)).transpose(1, 2).contiguous()
            for part in range(3)
        )

    def _one(self, parallel: bool) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float16]]:
        frames, rng = self.corpus.frames, self.rng
        number, other = (int(rng.integers(self.first, self.last)) for _ in range(2))
        voice = int(rng.choice(len(VOICES), p=[share / sum(SHARES) for share in SHARES]))
        source = int((voice + rng.integers(1, len(VOICES))) % len(VOICES)) if parallel else voice
        heard, said = frames[number][source], frames[number][voice]
        wanted = said[self.corpus.paths[number, source, voice]] if parallel else said
        start = int(rng.integers(max(1, len(heard) - SEGMENT)))
        return _cut(heard, start), _cut(frames[other][voice], int(rng.integers(10_000))), _cut(wanted, start)


def _cut(frames: NDArray[np.float16], start: int) -> NDArray[np.float16]:
    """Take a segment; a recording that is too short is mirrored at its end."""
    import numpy as np

    if len(frames) < SEGMENT:
        frames = np.pad(frames, ((0, SEGMENT - len(frames)), (0, 0)), mode="symmetric")
    start %= len(frames) - SEGMENT + 1
    return frames[start : start + SEGMENT]
