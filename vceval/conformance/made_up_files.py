"""Weight files of made-up values in the containers of their authors: converters run with them as with the real ones.

What comes out is noise. It takes as long, needs as much memory and has the same length as the real thing, so speed and
the whole path from file to audio can be tried where nobody has fetched anything.
"""

from __future__ import annotations

import json
import pickle
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.checkpoints.weightfile import WeightFile
from vceval.conformance.kits import filled, made_up_weights
from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["beside", "write"]

#: Published as TorchScript; so are files that are told apart by attributes of the whole archive.
_SCRIPTED = {"adainvc-cyhuang/model.ckpt", "dvector-step250000.pt", "fragmentvc.pt"}

#: Factors, by the start of the name, where values by the kits' rule would end in silence, overflow or nothing but
#: the bounds of a spectrum.
_FACTORS: Mapping[str, Mapping[str, float]] = {
    "adainvc-cyhuang/model.ckpt": {"decoder.out_conv_layer.weight": 0.05},
    "fragmentvc/vocoder.pt": {"wav_rnn.weight_ih_l0": 3.0, "affine.2.weight": 6.0},
    "adainvc-cyhuang/vocoder.pt": {"wav_rnn.weight_ih_l0": 3.0, "affine.2.weight": 6.0},
    "pretrained_bak_5805000.pt": {"": 3.0},
    "base_6c_16b_36_FSC_50.pt": {"spk_en.": 0.8, "ge.": 0.75},
    "checkpoint-3900.pt": {
        "any2one.decoder.post_block": 0.45,
        "any2one.decoder.mel_linear2": 0.45,
        "generator.post_block": 0.33,
    },
    "dvector-step250000.pt": {"": 2.0},
    "VQMIVC-model.ckpt-500.pt": {"encoder_spk.output_layer.weight": 0.05},
    "yourtts/model_file.pth": {"posterior_encoder.proj.weight": 0.3},
}

#: Level and spread of arrays that are means or deviations.
_ARRAYS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "attr.pkl": {"mean": (0.5, 0.1), "std": (0.003, 0.0005)},
    "mel_stats/stats.npy": {"stats": (1.0, 0.2)},
}


def write(file: WeightFile, folder: Path, seed: int = 0, values: Mapping[str, Tensor] | None = None) -> Path:
    """Write a file of made-up values under its authors' name, laid out as they lay it out.

    The values follow the kits' rule, so anyone gets the same. Sizes are the published ones.

    Args:
        file: what to write.
        folder: where; folders in the file's name are made.
        seed: of the values.
        values: of the tensors of a network, instead of drawn ones.

    Returns:
        The path of the file.

    Raises:
        UsageError: it is a configuration whose content is not known here.
    """
    place = folder / file.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if file.form == "json":
        place.write_text(json.dumps(_settings(file)) + "\n", encoding="utf-8")
    elif file.form == "arrays":
        _write_arrays(file, place, seed)
    elif file.name in _SCRIPTED or (file.metadata and not file.entry):
        _write_script(file, values or _tensors(file, seed), place)
    else:
        import torch

        torch.save(_wrapped(file, values or _tensors(file, seed)), place)
    return place


def _tensors(file: WeightFile, seed: int) -> dict[str, Tensor]:
    from vceval.checkpoints.weights import without_values

    with without_values():
        network = file.build()
    values = made_up_weights(network, seed)
    for start, factor in _FACTORS.get(file.name, {}).items():
        for name, value in values.items():
            if name.startswith(start) and value.is_floating_point():
                values[name] = value * factor
    return values


def _wrapped(file: WeightFile, values: Mapping[str, Tensor]) -> dict[str, Any]:
    """Sort tensors into groups and entries."""
    content: dict[str, Any] = {file.prefix + name: value for name, value in values.items()}
    if file.groups:
        content = {
            group: {name.removeprefix(f"{group}."): v for name, v in content.items() if name.startswith(f"{group}.")}
            for group in file.groups
        }
    for name in reversed(file.entry):
        content = {name: content}
    return {**content, **beside(file)}


def beside(file: WeightFile) -> dict[str, Any]:
    """Give what else stands in a file for its loader: sizes, and the options of the training."""
    if file.name == "wav2vec_small.pt":
        return {"args": Namespace(arch="wav2vec2")}
    if file.name != "WavLM-Large.pt":
        return {}
    from vceval.networks.wavlm import LARGE

    sizes = {
        "extractor_mode": "layer_norm",
        "layer_norm_first": True,
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "conv_feature_layers": " + ".join(f"[{layer}]" for layer in LARGE.conv_layers),
        "conv_bias": LARGE.conv_bias,
        "encoder_layers": LARGE.layers,
        "encoder_embed_dim": LARGE.width,
        "encoder_ffn_embed_dim": LARGE.inner,
        "encoder_attention_heads": LARGE.heads,
        "conv_pos": LARGE.position_kernel,
        "conv_pos_groups": LARGE.position_groups,
        "num_buckets": LARGE.buckets,
        "max_distance": LARGE.max_distance,
    }
    return {"cfg": sizes}


def _write_script(file: WeightFile, values: Mapping[str, Tensor], place: Path) -> None:
    """Save a tree of modules that do nothing but hold the tensors, with the attributes of the file."""
    import torch

    class Holder(torch.nn.Module):
        """A module of an archive; nothing of it is ever run."""

    top = Holder()
    for name, value in values.items():
        *path, last = name.split(".")
        module: Any = top
        for part in path:
            if part not in module._modules:
                module.add_module(part, Holder())
            module = module._modules[part]
        module.register_buffer(last, value)
    for name, value in file.metadata:
        setattr(top, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format is theirs, whatever its future
        torch.jit.save(torch.jit.script(top), str(place))


def _write_arrays(file: WeightFile, place: Path, seed: int) -> None:
    import numpy as np

    made = {}
    for name, shape in file.arrays:
        level, spread = _ARRAYS.get(file.name, {}).get(name, (1.0, 0.1))
        drawn = filled(name, shape, "vector", seed, spread / 0.1)
        made[name] = np.asarray(level + np.clip(drawn, -2 * spread, 2 * spread), dtype=np.float32)
    if place.suffix == ".npy":
        np.save(place, next(iter(made.values())))
    else:
        place.write_bytes(pickle.dumps(made, protocol=2))


def _settings(file: WeightFile) -> dict[str, Any]:
    """Give a configuration with the sizes that are built in."""
    from vceval.converters import yourtts
    from vceval.networks.yourtts import SIZES

    known: dict[str, dict[str, Any]] = {
        yourtts.SETTINGS.name: {
            "audio": {"sample_rate": 16_000, "fft_size": 1024, "win_length": 1024, "hop_length": 256},
            "model_args": dict(SIZES),
        },
        yourtts.ENCODER_SETTINGS.name: {
            "audio": {"sample_rate": 16_000, "fft_size": 512, "win_length": 400, "hop_length": 160, "num_mels": 64},
            "model_params": {"model_name": "resnet", "input_dim": 64, "proj_dim": 512, "use_torch_spec": True},
        },
    }
    if file.name not in known:
        raise UsageError(f"{file.name}: what stands in this configuration is not known, so none can be made up")
    return known[file.name]
