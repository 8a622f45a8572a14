"""The d-vector network of yistLin: an LSTM with attentive pooling, which turns log-mel frames into a speaker vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vceval.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["BANDS", "DIMENSIONS", "WINDOW", "Dvector", "Stages", "cut", "load", "modules", "read_weights"]

#: Mel bands in, values out, frames of a window; windows overlap by half.
BANDS, DIMENSIONS, WINDOW = 40, 256, 160
_LAYERS = 3
_STEP = WINDOW // 2


class Stages(NamedTuple):
    """What the network computes on its way: LSTM output (b, t, 256), pooling weights (b, t, 1), vectors (b, 256)."""

    hidden: Any
    weights: Any
    vectors: Any


def modules() -> nn.ModuleDict:
    """Build the layers without weights; names and shapes are those of the published file, 16 tensors."""
    import torch

    return torch.nn.ModuleDict(
        {
            "lstm": torch.nn.LSTM(BANDS, DIMENSIONS, _LAYERS, batch_first=True),
            "embedding": torch.nn.Linear(DIMENSIONS, DIMENSIONS),
            "linear": torch.nn.Linear(DIMENSIONS, 1),
        }
    )


class Dvector:
    """LSTM of three layers, tanh of a linear layer at every frame, and a weighted sum over frames, of length 1.

    Args:
        weights: the state dict of the official checkpoint, 16 tensors.
        device: ``cpu`` or ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: a tensor is missing, superfluous or of another shape.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    attentive pooling as in yistLin's dvector, release 1.1.1.
    """

    def __init__(self, weights: Mapping[str, Any], device: str = "cpu") -> None:
        import torch

        torch.set_num_threads(1)
        self.device = device
        self._network = modules()
        try:
            self._network.load_state_dict(dict(weights), strict=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise UsageError(f"these are no weights of the d-vector network with attentive pooling: {error}") from error
        self._network.to(device).eval()

    def stages(self, frames: NDArray[np.float32]) -> Stages:
        """Run windows of equal length (b, t, 40) through the network; tensors on the network's device."""
        import torch

        with torch.inference_mode():
            hidden, _ = self._network["lstm"](torch.from_numpy(frames).to(self.device))
            steps = torch.tanh(self._network["embedding"](hidden))
            weights = torch.softmax(self._network["linear"](steps), dim=1)
            sums = (steps * weights).sum(dim=1)
            return Stages(hidden, weights, sums / sums.norm(dim=1, keepdim=True))

    def embed(self, utterances: Sequence[NDArray[np.float32]], batch: int = 32) -> list[NDArray[np.float32]]:
        """Embed utterances, their windows together.

        Args:
            utterances: log-mel frames (t, 40) each, at least one frame; see :mod:`vceval.networks.dvector_features`.
            batch: windows that the network takes at a time.

        Returns:
            A vector of 256 values, of length 1, for each: the mean over its windows.
        """
        import numpy as np

        windows = [cut(frames) for frames in utterances]
        # Windows are of one length, except those of utterances shorter than a window, which stand alone
        long = [place for place, part in enumerate(windows) if part.shape[1] == WINDOW]
        found = {place: self._vectors(windows[place]) for place in set(range(len(windows))) - set(long)}
        if long:
            together = np.concatenate([windows[place] for place in long])
            vectors = [self._vectors(together[start : start + batch]) for start in range(0, len(together), batch)]
            ends = np.cumsum([len(windows[place]) for place in long])
            found.update(zip(long, np.split(np.concatenate(vectors), ends[:-1]), strict=True))
        means = [found[place].mean(axis=0) for place in range(len(windows))]
        return [mean / np.linalg.norm(mean) for mean in means]

    def _vectors(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.stages(frames).vectors.float().cpu().numpy()
        return vectors


def cut(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut log-mel frames (t, 40) into windows of 160 that overlap by half: (n, 160, 40).

    Up to 160 frames are one window of their own length. Longer utterances end in literal zeros, which are loud
    in this domain: so the network was made to work, and so it is done here.
    """
    import numpy as np

    if len(frames) <= WINDOW:
        return np.ascontiguousarray(frames[None], dtype=np.float32)
    padded = np.pad(frames, ((0, -len(frames) % _STEP), (0, 0))).astype(np.float32)
    starts = range(0, len(padded) - WINDOW + 1, _STEP)
    return np.stack([padded[start : start + WINDOW] for start in starts])


def read_weights(path: Path) -> Mapping[str, Any]:
    """Read a state dict: the official TorchScript archive, or tensors saved by ``torch.save``.

    Nothing in the file is run; see :mod:`vceval.checkpoints.weights`.

    Raises:
        UsageError: the file holds neither.
    """
    from vceval.checkpoints import weights

    content = weights.read(path)
    if not isinstance(content, Mapping):
        raise UsageError(f"{path}: holds a {type(content).__name__}, not a mapping of names to tensors")
    try:
        return weights.select(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def load(path: Path, device: str = "cpu") -> Dvector:
    """Build the network with the weights in a file.

    Raises:
        UsageError: the file can't be read or holds other weights.
    """
    try:
        return Dvector(read_weights(path), device)
    except UsageError as error:
        text = str(error)
        raise UsageError(text if text.startswith(str(path)) else f"{path}: {text}") from error
