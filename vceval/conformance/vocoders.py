"""The ports of the vocoders: MelGAN, HiFi-GAN, Parallel WaveGAN, and yistLin's universal vocoder in two sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured
from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "HifiGanPort",
    "MelGanPort",
    "ParallelWaveGanPort",
    "UniversalVocoderCyhuangPort",
    "UniversalVocoderPort",
    "generator",
]

#: Steps that are stored of long stages.
_MELGAN_HEAD = 256
_WAVEGAN_HEAD = 400


class MelGanPort(Port):
    """First convolution, first stage, the end before and after tanh; the vocoder's own mel spectrum."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks.melgan import MelGan

        return MelGan(config["input_size"], config["ngf"], config["n_residual_layers"], config["ratios"])

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            from vceval.networks.againvc_features import melgan_mel

            return {"out_mel": melgan_mel(case.inputs["in_wav"])}
        layers: Any = network.get_submodule("model")
        last = len(layers) - 1
        heads = {"out_after_res1_0": "model.4", "out_after_res1_2_head": "model.6"}
        whole = {"out_after_first_conv": "model.1", "out_after_up1": "model.3", "out_pre_tanh": f"model.{last - 1}"}
        with (
            captured(network, heads, lambda output: output[..., :_MELGAN_HEAD]) as first,
            captured(network, whole) as found,
        ):
            samples = network(case.tensor("in_mel"))
        return {**first, **found, "out_wav": samples}


def generator(config: Mapping[str, Any], channels: int, linear: int = 0) -> nn.Module:
    """Build a generator with the sizes of a configuration as its authors write them."""
    from vceval.networks.hifigan import Generator

    return Generator(
        channels,
        config["upsample_rates"],
        config["upsample_kernel_sizes"],
        initial=config["upsample_initial_channel"],
        block_kernels=config["resblock_kernel_sizes"],
        dilations=config["resblock_dilation_sizes"][0],
        residual=config["resblock"],
        linear=linear,
    )


class HifiGanPort(Port):
    """UNIVERSAL_V1: the generator with its transposed convolutions, and the ln mel of its training."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator with the kit's sizes."""
        return generator(config, config["num_mels"])

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        import numpy as np

        from vceval.networks.hifigan_features import log_mel

        if case.kind == "features":
            return {"out_logmel": log_mel(case.inputs["in_wav_22050"]).T[None]}
        ups = {f"out_ups{step}_first64t": f"ups.{step}" for step in range(4)}
        names = {"out_conv_pre": "conv_pre", **ups, "out_conv_post_pre_tanh": "conv_post"}
        with captured(network, names) as stages:
            wave = network(case.tensor("in_logmel"))
        for name in ups:
            stages[name] = stages[name][..., :64]
        # Upstream cuts towards zero, and wraps where the waveform is exactly 1
        integers = (wave.squeeze().numpy() * 32768.0).astype(np.int32).astype(np.int16)
        return {**stages, "out_wav": wave, "out_wav_int16": integers}


class ParallelWaveGanPort(Port):
    """Conditioning before and after upsampling, two blocks, the sum of skips, the waveform."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network.

        Raises:
            UsageError: the configuration is of another kind than the published one.
        """
        from vceval.networks.parallel_wavegan import ParallelWaveGan

        if config["upsample_net"] != "ConvInUpsampleNetwork" or not config["use_weight_norm"]:
            raise UsageError("only networks with ConvInUpsampleNetwork and weight norm are supported")
        return ParallelWaveGan(
            bands=config["aux_channels"],
            context=config["aux_context_window"],
            scales=config["upsample_params"]["upsample_scales"],
            layers=config["layers"],
            stacks=config["stacks"],
            kernel=config["kernel_size"],
            residual=config["residual_channels"],
            gate=config["gate_channels"],
            skip=config["skip_channels"],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        vocoder: Any = network
        mel, noise = case.tensor("in_mel").T[None], case.tensor("in_noise").T[None]
        heads = {
            "out_cond_up_head": "upsample_net",
            "out_res0_head": "conv_layers.0",
            "out_res9_head": "conv_layers.9",
        }
        skip = {"out_skip0_head": "conv_layers.0"}
        with (
            captured(network, {"out_cond_in": "upsample_net.conv_in"}) as found,
            captured(network, heads, lambda output: _head(output[0] if isinstance(output, tuple) else output)) as first,
            captured(network, skip, lambda output: _head(output[1])) as skipped,
        ):
            total = vocoder.skips(noise, vocoder.upsample_net(mel))
        samples = vocoder.last_conv_layers(total)
        return {**found, **first, **skipped, "out_skips_head": _head(total), "out_wav": samples[0].T}


def _head(output: Any) -> Any:
    return output[..., :_WAVEGAN_HEAD]


def _universal_vocoder(config: Mapping[str, Any]) -> nn.Module:
    from vceval.networks.universal_vocoder import UniversalVocoder

    sizes = ("mel_dim", "mel_rnn_dim", "emb_dim", "wav_rnn_dim", "affine_dim", "bits")
    return UniversalVocoder(config["hop_length"], **{name: config[name] for name in sizes})


class UniversalVocoderPort(Port):
    """Free-running classes by largest logit and by stored draws, logits for a known waveform, mu-law, both mels."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        return _universal_vocoder(config)

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            return _universal_features(case)
        if "in_tf_codes" in case.inputs:
            logits = network(case.tensor("in_tf_codes").long(), case.tensor("in_tf_mel"))
            return {"out_tf_logits_every8": logits[:, ::8]}
        if not case.inputs:
            import torch

            from vceval.networks.universal_vocoder import expand

            return {"out_mulaw_table": expand(torch.arange(512))}
        return _free_running(network, case)


def _universal_features(case: Case) -> dict[str, Any]:
    import torch

    from vceval.networks import fragmentvc_features as front
    from vceval.networks.universal_vocoder import mu_law_codes

    samples = front.scaled(case.inputs["in_wav_16000"])
    return {
        "out_logmel_univoc_default_hop200": front.log_mel(samples, fft_size=2048, hop=200, window=800, low=50.0),
        "out_logmel_fragmentvc_hop326": front.log_mel(samples),
        "out_mulaw_codes_first4000": mu_law_codes(torch.from_numpy(samples[:4000])),
    }


def _free_running(network: Any, case: Case) -> dict[str, Any]:
    from torch.nn.utils.rnn import pad_sequence

    from vceval.networks.universal_vocoder import expand

    count = sum(name.startswith("in_mel_") for name in case.inputs)
    mels = [case.tensor(f"in_mel_{item}") for item in range(count)]
    stream = case.tensor("in_u_stream").double()
    draws = [stream[: len(mel) * network.hop, item] for item, mel in enumerate(mels)]

    def largest(logits: Tensor, _: Tensor) -> Tensor:
        return logits.argmax(dim=-1)

    stages: dict[str, Any] = {"out_mel_rnn": pad_sequence([network.conditions(mel) for mel in mels], batch_first=True)}
    for name, found in (("argmax", network.codes(mels, draws, largest)), ("invcdf", network.codes(mels, draws))):
        stages.update({f"out_{name}_wav_{item}": expand(codes, network.classes) for item, codes in enumerate(found)})
    return stages


class UniversalVocoderCyhuangPort(Port):
    """Conditions, probabilities at both ends, drawn classes and the waveform of one item."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        return _universal_vocoder(config)

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of the case."""
        import torch

        from vceval.networks.universal_vocoder import draw_by_uniform, expand

        seen: list[Tensor] = []

        def watched(logits: Tensor, draws: Tensor) -> Tensor:
            seen.append(torch.softmax(logits[0], dim=-1))
            return draw_by_uniform(logits, draws)

        mel = case.tensor("in_mel")
        codes = network.codes([mel], [case.tensor("in_uniform").double()], watched)[0]
        return {
            "out_mel_rnn": network.conditions(mel),
            "out_posterior_first50": torch.stack(seen[:50]),
            "out_posterior_last10": torch.stack(seen[-10:]),
            "out_draws": codes,
            "out_wav": expand(codes, network.classes),
        }
