"""The port of FreeVC in its three variants, for their kits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FreeVcPort"]


class FreeVcPort(Port):
    """Prior, flow (and back), decoder; for FreeVC-s the built-in speaker encoder as well."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator with the kit's sizes."""
        from vceval.networks.freevc import Synthesizer

        sizes = config["model"]
        return Synthesizer(
            sizes["upsample_rates"],
            sizes["upsample_kernel_sizes"],
            own_speaker=not sizes["use_spk"],
            content=sizes["ssl_dim"],
            bins=config["data"]["filter_length"] // 2 + 1,
            channels=sizes["inter_channels"],
            speaker=sizes["gin_channels"],
            initial=sizes["upsample_initial_channel"],
            block_kernels=sizes["resblock_kernel_sizes"],
            dilations=sizes["resblock_dilation_sizes"][0],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        import torch

        from vceval.networks.freevc import Synthesizer

        assert isinstance(network, Synthesizer)
        if "in_batch_c" in case.inputs:
            return {"out_batch_audio": self._unmasked(network, case)}
        content = case.tensor("in_c")
        stages: dict[str, Any] = {}
        speaker = self._speaker(network, case, "in_")
        if "in_mel" in case.inputs:
            stages["out_g_from_mel"] = speaker
        if "in_noise" not in case.inputs:
            silent = torch.zeros(len(content), network.channels, content.shape[-1])
            return {**stages, "out_audio_zero_noise": network(content, speaker, silent)}
        noise = case.tensor("in_noise")
        with captured(network, {"out_dec_ups0_first16ch": "dec.ups.0", "out_dec_pretanh": "dec.conv_post"}) as found:
            stages["out_audio"] = network(content, speaker, noise)
        found["out_dec_ups0_first16ch"] = found["out_dec_ups0_first16ch"][:, :16]
        mask = torch.ones(len(content), 1, content.shape[-1])
        mean, log_deviation = network.enc_p(content, mask)
        prior = mean + noise * torch.exp(log_deviation)
        latent = network.flow(prior, mask, speaker[:, :, None], inverse=True)
        again = network.flow(latent, mask, speaker[:, :, None])
        return {
            **stages,
            **found,
            "out_m_p": mean,
            "out_logs_p": log_deviation,
            "out_z_p": prior,
            "out_z": latent,
            "out_flow_roundtrip_maxerr": (again - prior).abs().max(),
        }

    def _speaker(self, network: Any, case: Case, start: str) -> Tensor:
        """Take the speaker vectors that are given, or make them of mel spectra."""
        import torch

        if f"{start}g" in case.inputs:
            return case.tensor(f"{start}g")
        return torch.cat([network.enc_spk(mel[None]) for mel in case.tensor(f"{start}mel")])

    def _unmasked(self, network: Any, case: Case) -> Tensor:
        """Decode as upstream does, whose decoder knows no lengths: what it makes of the padding is stored too."""
        content, speaker = case.tensor("in_batch_c"), self._speaker(network, case, "in_batch_")
        latent = network.latent(content, speaker, case.tensor("in_batch_noise"), case.tensor("in_batch_lengths"))
        audio: Tensor = network.dec(latent, speaker[:, :, None])
        return audio
