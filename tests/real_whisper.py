"""A real Whisper for tests: tiny.en in CTranslate2's form, and the same weights as OpenAI's checkpoint."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

__all__ = ["openai_checkpoint", "variables"]

#: Types of CTranslate2's variables, by their numbers.
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def variables(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read ``model.bin`` of CTranslate2, version 6: name to values; other names of the same values are left out."""
    with open(path, "rb") as stream:
        assert _number(stream, "I") == 6
        _text(stream)  # what kind of model it is
        _number(stream, "I")
        return {_text(stream): _array(stream) for _ in range(_number(stream, "I"))}


def openai_checkpoint(model: Path, path: Path) -> Path:
    """Write a model in CTranslate2's form as OpenAI writes checkpoints: ``dims`` and ``model_state_dict``.

    CTranslate2 joins queries, keys and values of self-attention into one layer, keys and values of cross-attention
    into another, and gives keys a bias of zero, which Whisper has not.
    """
    found = variables(model)
    weights = {name: torch.from_numpy(values.copy()) for name, values in _openai(found)}
    audio, text = (found[f"{half}/position_encodings/encodings"].shape for half in ("encoder", "decoder"))
    dims = {
        "n_mels": found["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": audio[0],
        "n_audio_state": audio[1],
        "n_audio_head": int(found["encoder/num_heads"]),
        "n_audio_layer": _layers(found, "encoder"),
        "n_vocab": found["decoder/embeddings/weight"].shape[0],
        "n_text_ctx": text[0],
        "n_text_state": text[1],
        "n_text_head": int(found["decoder/num_heads"]),
        "n_text_layer": _layers(found, "decoder"),
    }
    torch.save({"dims": dims, "model_state_dict": weights}, path)
    return path


def _openai(found: dict[str, np.ndarray[Any, Any]]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for kind in ("weight", "bias"):
        yield from ((f"encoder.{layer}.{kind}", found[f"encoder/{layer}/{kind}"]) for layer in ("conv1", "conv2"))
    yield "decoder.token_embedding.weight", found["decoder/embeddings/weight"]
    for half, last in (("encoder", "ln_post"), ("decoder", "ln")):
        yield f"{half}.positional_embedding", found[f"{half}/position_encodings/encodings"]
        yield from _norm(found, f"{half}/layer_norm", f"{half}.{last}")
        for layer in range(_layers(found, half)):
            here, there = f"{half}/layer_{layer}", f"{half}.blocks.{layer}"
            yield from _norm(found, f"{here}/self_attention/layer_norm", f"{there}.attn_ln")
            parts = (("query", "key", "value"), ("out",))
            yield from _attention(found, f"{here}/self_attention", f"{there}.attn", parts)
            if half == "decoder":
                yield from _norm(found, f"{here}/attention/layer_norm", f"{there}.cross_attn_ln")
                crossed = (("query",), ("key", "value"), ("out",))
                yield from _attention(found, f"{here}/attention", f"{there}.cross_attn", crossed)
            yield from _norm(found, f"{here}/ffn/layer_norm", f"{there}.mlp_ln")
            for linear, name in (("linear_0", "0"), ("linear_1", "2")):
                for kind in ("weight", "bias"):
                    yield f"{there}.mlp.{name}.{kind}", found[f"{here}/ffn/{linear}/{kind}"]


def _norm(found: dict[str, np.ndarray[Any, Any]], here: str, there: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield f"{there}.weight", found[f"{here}/gamma"]
    yield f"{there}.bias", found[f"{here}/beta"]


def _attention(
    found: dict[str, np.ndarray[Any, Any]], here: str, there: str, linears: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for number, parts in enumerate(linears):
        for kind in ("weight", "bias"):
            for part, values in zip(parts, np.split(found[f"{here}/linear_{number}/{kind}"], len(parts)), strict=True):
                if (part, kind) == ("key", "bias"):
                    assert not values.any()
                else:
                    yield f"{there}.{part}.{kind}", values


def _layers(found: dict[str, np.ndarray[Any, Any]], half: str) -> int:
    return len({name.split("/")[1] for name in found if name.startswith(f"{half}/layer_") and name.count("/") > 2})


def _number(stream: BinaryIO, kind: str) -> int:
    return int(struct.unpack(f"<{kind}", stream.read(struct.calcsize(kind)))[0])


def _text(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "H"))[:-1].decode()


def _array(stream: BinaryIO) -> np.ndarray[Any, Any]:
    shape = [_number(stream, "I") for _ in range(_number(stream, "B"))]
    kind = _TYPES[_number(stream, "B")]
    return np.frombuffer(stream.read(_number(stream, "I")), dtype=kind).reshape(shape)
