"""The published weight files as their authors' programs write them, small: every tensor shows one stored zero."""

from __future__ import annotations

import json
import pickle
from argparse import Namespace
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vceval.checkpoints.weightfile import WeightFile
from vceval.networks.openvoice import SETTINGS_V2

Tensors = dict[str, torch.Tensor]


class Published(NamedTuple):
    """Facts of one file, from the authors' code.

    count: tensors that are used. wrap: from them, by their own names, to what is saved; None for TorchScript.
    attributes: of the TorchScript archive. old: saved by a torch before 1.6, in one pickle after the other.
    """

    count: int
    wrap: Callable[[Tensors], Any] | None = None
    attributes: dict[str, Any] = {}  # noqa: RUF012 - never changed
    old: bool = False


#: What the trainers keep beside the weights.
OPTIMIZER = {
    "state": {0: {"step": 3, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}},
    "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}],
}


def bare(tensors: Tensors) -> Any:
    return OrderedDict(tensors)


def under(entry: str, prefix: str = "", **beside: Any) -> Callable[[Tensors], Any]:
    return lambda tensors: {entry: OrderedDict((prefix + name, value) for name, value in tensors.items()), **beside}


def _ge2e(tensors: Tensors) -> Any:
    scalars = {"similarity_weight": torch.ones(1), "similarity_bias": torch.zeros(1)}
    return {"step": 5_805_001, "model_state": {**scalars, **tensors}, "optimizer_state": OPTIMIZER}


def _vqmivc(tensors: Tensors) -> Any:
    parts: dict[str, Any] = {"encoder": {}, "encoder_lf0": OrderedDict(), "encoder_spk": {}, "decoder": {}}
    for name, value in tensors.items():
        group, _, rest = name.partition(".")
        parts[group][rest] = value
    parts |= {"cpc": {"gru.weight": torch.zeros(2)}, "ps_mi_net": {}, "optimizer": OPTIMIZER, "epoch": 500}
    return parts | {
        "scheduler": {"milestones": Counter({300: 1, 400: 1})},
        "amp": {"loss_scaler0": {"loss_scale": 1.0}},
    }


def _pwg(tensors: Tensors) -> Any:
    model = {"generator": tensors, "discriminator": {"conv.weight": torch.zeros(2)}}
    return {"model": model, "optimizer": {"generator": OPTIMIZER}, "scheduler": {}, "steps": 3_000_000, "epochs": 1}


def _yourtts(tensors: Tensors) -> Any:
    speech = {
        "text_encoder.emb.weight": torch.zeros(5, 2),
        "emb_l.weight": torch.zeros(3, 4),
        "disc.nets.0": torch.zeros(1),
    }
    copied = {"speaker_encoder.conv1.weight": torch.zeros(2)}
    return {"model": {**speech, **tensors, **copied}, "config": {"run_name": "x"}, "optimizer": [OPTIMIZER], "step": 1}


def _hasp(tensors: Tensors) -> Any:
    computed = {"torch_spec.0.filter": torch.zeros(1, 1, 2), "torch_spec.1.mel_scale.fb": torch.zeros(257, 64)}
    return {"model": {**computed, **tensors}, "criterion": {"w": torch.ones(1)}, "optimizer": OPTIMIZER, "step": 7}


def _wavlm_sv(tensors: Tensors) -> Any:
    training = {"loss_calculator.projection.weight": torch.zeros(()).expand(5994, 256)}
    return {"model": OrderedDict([*tensors.items(), *training.items()]), "best_valid_eer": 0.4}


_FREEVC = under("model", iteration=10, optimizer=OPTIMIZER, learning_rate=1e-4)
_BRIGHTGU = under("Generator", epoch=1, config={"lr": 1e-5}, optimizer=OPTIMIZER, scheduler={"last_epoch": 1})
_VOCODER = {"sample_rate": 16_000, "quant_dim": 512, "pad": 16}

#: By the authors' names. Counts are those of the facts that were gathered from the authors' code.
FILES: dict[str, Published] = {
    "vctk_model.ckpt": Published(166, bare),
    "adainvc-cyhuang/model.ckpt": Published(166),
    "adainvc-cyhuang/vocoder.pt": Published(25, None, {"hop_len": 200, **_VOCODER}),
    "c4s/steps_100000.pth": Published(178, under("model", optimizer=OPTIMIZER, steps=100_000)),
    "melgan/multi_speaker.pt": Published(126, bare, old=True),
    "autovc.ckpt": Published(107, under("model", optimizer=OPTIMIZER), old=True),
    "3000000-BL.ckpt": Published(14, under("model_b", "module."), old=True),
    "autovc/g_03280000": Published(234, under("generator")),
    "fragmentvc.pt": Published(137),
    "fragmentvc/vocoder.pt": Published(25, None, {"hop_len": 326, **_VOCODER}),
    "wav2vec_small.pt": Published(
        218, under("model", args=Namespace(arch="wav2vec2"), optimizer_history=[{"num_updates": 4}]), old=True
    ),
    "freevc.pth": Published(560, _FREEVC),
    "freevc-s.pth": Published(574, _FREEVC),
    "freevc-24.pth": Published(560, _FREEVC),
    "pretrained_bak_5805000.pt": Published(14, _ge2e),
    "WavLM-Large.pt": Published(488, under("model", cfg={"extractor_mode": "layer_norm"})),
    "prematch_g_02500000.pt": Published(236, under("generator")),
    "g_02500000.pt": Published(236, under("generator")),
    "base_6c_16b_36_FSC_50.pt": Published(685, _BRIGHTGU),
    "g_02500000": Published(234, under("generator"), old=True),
    "checkpoint-3900.pt": Published(247, _BRIGHTGU, old=True),
    "checkpoint-3000.pt": Published(114, _BRIGHTGU, old=True),
    "dvector-step250000.pt": Published(16, None, {"seg_len": 160}),
    "campplus_cn_common.bin": Published(937, bare),
    "wavlm_large_finetune.pth": Published(710, _wavlm_sv),
    "VQMIVC-model.ckpt-500.pt": Published(162, _vqmivc),
    "vocoder/checkpoint-3000000steps.pkl": Published(349, _pwg),
    "openvoice_v2/checkpoint.pth": Published(486, under("model", iteration=1)),
    "yourtts/model_file.pth": Published(316, _yourtts),
    "yourtts/model_se.pth": Published(292, _hasp),
}


#: Arrays and configurations.
OTHERS = (
    "attr.pkl",
    "mel_stats/stats.npy",
    "openvoice_v2/config.json",
    "yourtts/config.json",
    "yourtts/config_se.json",
)


def tensors_of(file: WeightFile) -> Tensors:
    """One zero a tensor, seen in the published shape."""
    return {name: torch.zeros(()).expand(shape) for name, shape in file.layout().items()}


def write(file: WeightFile, path: Path, tensors: Tensors | None = None) -> Path:
    """Write a file of weights, arrays or settings as its authors do; other tensors than the published where given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.form == "arrays":
        made = {name: np.ones(shape, np.float32) for name, shape in file.arrays}
        if file.name.endswith(".npy"):
            np.save(path.with_name("x.npy"), next(iter(made.values())))
            path.with_name("x.npy").rename(path)
        else:
            path.write_bytes(pickle.dumps(made, 3))
        return path
    if file.form == "json":
        path.write_text(json.dumps(settings(file)))
        return path
    facts = FILES[file.name]
    values = tensors_of(file) if tensors is None else tensors
    if facts.wrap is None:
        script(values, facts.attributes, path)
    else:
        torch.save(facts.wrap(values), path, _use_new_zipfile_serialization=not facts.old)
    return path


def settings(file: WeightFile) -> dict[str, Any]:
    """The least that a configuration must say to be taken for this one."""
    if file.name.startswith("openvoice_v2/"):
        return {table: dict(values) for table, values in SETTINGS_V2.items()}
    table = "model_params" if file.name.endswith("_se.json") else "model_args"
    return {"audio": {"sample_rate": 16_000}, table: {}}


def script(tensors: Tensors, attributes: dict[str, Any], path: Path) -> None:
    """Save modules that hold the tensors as a TorchScript archive."""

    class Holder(torch.nn.Module):
        pass

    top = Holder()
    for name, value in tensors.items():
        *parents, last = name.split(".")
        module: Any = top
        for part in parents:
            if part not in module._modules:
                module.add_module(part, Holder())
            module = module._modules[part]
        module.register_buffer(last, value)
    for name, value in attributes.items():
        setattr(top, name, value)
    torch.jit.save(torch.jit.script(top), str(path))
