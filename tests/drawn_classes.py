"""What the universal vocoder draws, computed once more in a plain way: NumPy, double precision, sample after sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["drawn_classes"]


def drawn_classes(vocoder: Any, conditions: Any, draws: Any) -> NDArray[np.int64]:
    """Draw the classes of one item.

    Args:
        vocoder: the network, for its weights.
        conditions: (frames, size).
        draws: (frames * hop,) in 0..1.
    """
    weights = {name: values.cpu().double().numpy() for name, values in vocoder.state_dict().items()}
    into, onto, bias, inner = (
        weights[f"wav_rnn.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    size = vocoder.embedding.embedding_dim
    frames = conditions.cpu().double().numpy() @ into[:, size:].T + bias
    classes = weights["embedding.weight"] @ into[:, :size].T
    state, code = np.zeros(onto.shape[1]), vocoder.classes // 2
    found = []
    for place, draw in enumerate(draws.tolist()):
        given, product = frames[place // vocoder.hop] + classes[code], onto @ state + inner
        (reset, update, candidate), (reset_too, update_too, candidate_too) = np.split(given, 3), np.split(product, 3)
        reset, update = 1.0 / (1.0 + np.exp(-reset - reset_too)), 1.0 / (1.0 + np.exp(-update - update_too))
        candidate = np.tanh(candidate + reset * candidate_too)
        state = (1.0 - update) * candidate + update * state
        middle = np.maximum(weights["affine.0.weight"] @ state + weights["affine.0.bias"], 0.0)
        logits = weights["affine.2.weight"] @ middle + weights["affine.2.bias"]
        cumulative = np.cumsum(np.exp(logits - logits.max()))
        code = int(np.searchsorted(cumulative, draw * cumulative[-1], side="right"))
        found.append(code)
    return np.array(found)
