"""YourTTS's voice-conversion path: posterior encoder, flow there and back, decoder; nothing that speaks from text.

Source: Casanova, Weber, Shulby, Candido Junior, Golge, Ponti, "YourTTS: towards zero-shot multi-speaker TTS and
zero-shot voice conversion for everyone", ICML 2022 (arXiv 2112.02418), section 2; VITS (arXiv 2106.06103).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import normalize

from vceval.networks.blocks import frame_mask, onto
from vceval.networks.hifigan import Generator
from vceval.networks.vits import CouplingFlow, GaussianEncoder, sample

__all__ = ["DIMENSIONS", "LATENT", "SIZES", "Latents", "YourTts"]

#: The published sizes, by the names that the library's configuration has for them.
SIZES: Mapping[str, Any] = {
    "out_channels": 513,
    "hidden_channels": 192,
    "kernel_size_posterior_encoder": 5,
    "dilation_rate_posterior_encoder": 1,
    "num_layers_posterior_encoder": 16,
    "kernel_size_flow": 5,
    "dilation_rate_flow": 1,
    "num_layers_flow": 4,
    "num_flows": 4,
    "resblock_type_decoder": "2",
    "resblock_kernel_sizes_decoder": [3, 7, 11],
    "resblock_dilation_sizes_decoder": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "upsample_rates_decoder": [8, 8, 2, 2],
    "upsample_initial_channel_decoder": 512,
    "upsample_kernel_sizes_decoder": [16, 16, 4, 4],
    "d_vector_dim": 512,
}
#: Values of a frame's latent vector, of a speaker vector.
LATENT, DIMENSIONS = 192, 512


class Latents(NamedTuple):
    """What the flow makes of a point of the posterior, each (batch, 192, frames).

    sampled: that point. free: after the flow, of no speaker. towards: after the flow backwards, of the target.
    """

    sampled: Tensor
    free: Tensor
    towards: Tensor


class YourTts(nn.Module):
    """The three networks of ``model_file.pth`` that convert, under the file's names.

    Speaker vectors (batch, 512) are brought to length 1 here, as upstream does. Items may be of unequal length: masks
    keep what lies beyond an item's end out of it, inside the decoder too where :meth:`decode` is told to.

    Args:
        sizes: as :data:`SIZES`.
    """

    def __init__(self, sizes: Mapping[str, Any] = SIZES) -> None:
        super().__init__()
        latent, condition = int(sizes["hidden_channels"]), int(sizes["d_vector_dim"])
        self.latent = latent
        self.posterior_encoder = GaussianEncoder(
            sizes["out_channels"],
            latent,
            latent,
            sizes["kernel_size_posterior_encoder"],
            sizes["dilation_rate_posterior_encoder"],
            sizes["num_layers_posterior_encoder"],
            condition,
        )
        self.flow = CouplingFlow(
            latent,
            latent,
            sizes["kernel_size_flow"],
            sizes["dilation_rate_flow"],
            sizes["num_layers_flow"],
            sizes["num_flows"],
            condition,
            step=1,
        )
        self.waveform_decoder = Generator(
            latent,
            sizes["upsample_rates_decoder"],
            sizes["upsample_kernel_sizes_decoder"],
            initial=sizes["upsample_initial_channel_decoder"],
            block_kernels=sizes["resblock_kernel_sizes_decoder"],
            dilations=sizes["resblock_dilation_sizes_decoder"][0],
            residual="1" if str(sizes["resblock_type_decoder"]) == "1" else "2",
            plain_ends=True,
            condition=condition,
            condition_name="cond_layer",
        )

    def posterior(self, spectrogram: Tensor, lengths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Encode sources as Gaussians.

        Args:
            spectrogram: (batch, 513, frames), see :func:`vceval.networks.yourtts_features.spectrogram`.
            lengths: (batch,) frames of each item, in main memory.
            speaker: (batch, 512), of the source.

        Returns:
            Mean and log standard deviation, (batch, 192, frames) each.
        """
        mask = frame_mask(onto(spectrogram.device, lengths), spectrogram.shape[-1]).to(spectrogram)
        mean, log_deviation = self.posterior_encoder(spectrogram, mask, _unit(speaker))
        return mean, log_deviation

    def exchange(
        self, posterior: tuple[Tensor, Tensor], noise: Tensor, lengths: Tensor, source: Tensor, target: Tensor
    ) -> Latents:
        """Draw from the posterior and exchange its speaker.

        Args:
            posterior: what :meth:`posterior` gives.
            noise: (batch, 192, frames), standard normal, used as it is (scale 1).
            lengths: (batch,) frames of each item, in main memory.
            source: (batch, 512), speaker of the source.
            target: (batch, 512).
        """
        mask = frame_mask(onto(noise.device, lengths), noise.shape[-1]).to(noise)
        sampled = sample(*posterior, noise, mask)
        free = self.flow(sampled, mask, _unit(source))
        return Latents(sampled, free, self.flow(free, mask, _unit(target), inverse=True) * mask)

    def decode(self, latent: Tensor, speaker: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Make the waveform.

        Args:
            latent: (batch, 192, frames), ``towards`` of :meth:`exchange`.
            speaker: (batch, 512), of the target.
            lengths: (batch,) frames, in main memory; given, every item comes out as it does alone. Upstream's decoder
                has no mask.

        Returns:
            (batch, 1, 256 * frames) within -1 and 1.
        """
        waveform: Tensor = self.waveform_decoder(latent, _unit(speaker), lengths)
        return waveform


def _unit(speaker: Tensor) -> Tensor:
    """Bring vectors (batch, 512) to length 1 and give them a time axis."""
    return normalize(speaker, dim=1)[:, :, None]
