"""The ports of yistLin's universal vocoder, in the sizes of FragmentVC and of cyhuang's AdaIN-VC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["UniversalVocoderCyhuangPort", "UniversalVocoderPort"]


def _build(config: Mapping[str, Any]) -> nn.Module:
    from vceval.networks.universal_vocoder import UniversalVocoder

    sizes = ("mel_dim", "mel_rnn_dim", "emb_dim", "wav_rnn_dim", "affine_dim", "bits")
    return UniversalVocoder(config["hop_length"], **{name: config[name] for name in sizes})


class UniversalVocoderPort(Port):
    """Free-running classes by largest logit and by stored draws, logits for a known waveform, mu-law, both mels."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        return _build(config)

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            return _features(case)
        if "in_tf_codes" in case.inputs:
            logits = network(case.tensor("in_tf_codes").long(), case.tensor("in_tf_mel"))
            return {"out_tf_logits_every8": logits[:, ::8]}
        if not case.inputs:
            import torch

            from vceval.networks.universal_vocoder import expand

            return {"out_mulaw_table": expand(torch.arange(512))}
        return _free_running(network, case)


def _features(case: Case) -> dict[str, Any]:
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
        return _build(config)

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
