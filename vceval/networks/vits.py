"""The parts of VITS that converters are made of: a WaveNet stack, an encoder to a Gaussian, a flow of couplings.

FreeVC and YourTTS use them with their own sizes and names. All take a mask, so items of unequal length may stand
together: what comes before an item's end is what it would be alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vceval.networks.blocks import WNConv1d

__all__ = ["CouplingFlow", "GaussianEncoder", "MeanCoupling", "WaveNetStack", "sample"]


class WaveNetStack(nn.Module):
    """Gated convolutions with skip connections, perhaps told of a speaker; not causal, as long as its input.

    Args:
        channels: of input, output and every layer.
        kernel: width of the gated convolutions, odd.
        dilation_rate: layer i is dilated by ``dilation_rate ** i``.
        layers: how many.
        condition: values of the speaker vector; 0 for none (then there is no ``cond_layer``).

    Keys: ``in_layers.N``, ``res_skip_layers.N``, ``cond_layer``, all weight-normed.

    Source: Prenger, Valle, Catanzaro, "WaveGlow", ICASSP 2019, section 2.1; Kim, Kong, Son, "Conditional variational
    autoencoder with adversarial learning for end-to-end text-to-speech" (VITS), ICML 2021, appendix B.
    """

    def __init__(self, channels: int, kernel: int, dilation_rate: int, layers: int, condition: int = 0) -> None:
        super().__init__()
        self.channels = channels
        self.in_layers = nn.ModuleList()
        self.res_skip_layers = nn.ModuleList()
        if condition:
            self.cond_layer = WNConv1d(condition, 2 * channels * layers, 1)
        for place in range(layers):
            dilation = dilation_rate**place
            self.in_layers.append(
                WNConv1d(channels, 2 * channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)
            )
            # The last layer has nobody to pass a residual to
            self.res_skip_layers.append(WNConv1d(channels, channels * (1 if place == layers - 1 else 2), 1))

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Run the stack.

        Args:
            x: (batch, channels, frames), zero where the mask is.
            mask: (batch, 1, frames), 1 for frames that count.
            speaker: (batch, condition, 1 or frames), where the stack was built for one.

        Returns:
            (batch, channels, frames), masked.
        """
        total = torch.zeros_like(x)
        last = len(self.in_layers) - 1
        width = 2 * self.channels
        condition = None if speaker is None else self.cond_layer(speaker)
        for place, (gated, onward) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            sums = gated(x)
            if condition is not None:
                sums = sums + condition[:, place * width : (place + 1) * width]
            signal, gate = sums.chunk(2, dim=1)
            out = onward(torch.tanh(signal) * torch.sigmoid(gate))
            if place < last:
                residual, out = out.chunk(2, dim=1)
                x = (x + residual) * mask
            total = total + out
        return total * mask


class GaussianEncoder(nn.Module):
    """Encodes frames as mean and log standard deviation of a Gaussian: 1x1 convolution, WaveNet stack, 1x1 convolution.

    Args:
        inputs, outputs, channels: of the input, the Gaussian and the stack.
        kernel, dilation_rate, layers, condition: see :class:`WaveNetStack`.

    Keys: ``pre``, ``enc.*``, ``proj``.

    Source: VITS, section 2.5 ("posterior encoder"); FreeVC's prior encoder is built alike.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: int,
        kernel: int = 5,
        dilation_rate: int = 1,
        layers: int = 16,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.pre = nn.Conv1d(inputs, channels, 1)
        self.enc = WaveNetStack(channels, kernel, dilation_rate, layers, condition)
        self.proj = nn.Conv1d(channels, 2 * outputs, 1)

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode (batch, inputs, frames) as mean and log standard deviation, each (batch, outputs, frames), masked."""
        hidden = self.enc(self.pre(x) * mask, mask, speaker)
        mean, log_deviation = (self.proj(hidden) * mask).chunk(2, dim=1)
        return mean, log_deviation


def sample(mean: Tensor, log_deviation: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """Take a point of each Gaussian: mean + noise * exp(log deviation), masked; noise of scale 1."""
    return (mean + noise * torch.exp(log_deviation)) * mask


class MeanCoupling(nn.Module):
    """Shifts the second half of the channels by what a WaveNet stack makes of the first; exactly invertible.

    Keys: ``pre``, ``enc.*``, ``post``. Arguments as of :class:`CouplingFlow`.

    Source: VITS, section 2.2: affine coupling layers that keep the volume.
    """

    def __init__(
        self, channels: int, hidden: int, kernel: int, dilation_rate: int, layers: int, condition: int
    ) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels // 2, hidden, 1)
        self.enc = WaveNetStack(hidden, kernel, dilation_rate, layers, condition)
        self.post = nn.Conv1d(hidden, channels // 2, 1)

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None = None, inverse: bool = False) -> Tensor:
        """Shift, or shift back; (batch, channels, frames)."""
        kept, moved = x.chunk(2, dim=1)
        shift = self.post(self.enc(self.pre(kept) * mask, mask, speaker)) * mask
        moved = (moved - shift) * mask if inverse else shift + moved * mask
        return torch.cat([kept, moved], dim=1)


class CouplingFlow(nn.Module):
    """Coupling layers, the channels turned round after each, so that both halves get moved.

    Args:
        channels: of input and output, even.
        hidden, kernel, dilation_rate, layers, condition: of the WaveNet stacks.
        couplings: how many coupling layers.
        step: their numbers in the file are 0, step, 2 * step, ...: 2 where turning round is counted as a layer
            (VITS, FreeVC), 1 where it isn't (YourTTS).

    Keys: ``flows.N.pre``, ``flows.N.enc.*``, ``flows.N.post``.

    Source: VITS, section 2.2 and appendix B.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        kernel: int = 5,
        dilation_rate: int = 1,
        layers: int = 4,
        couplings: int = 4,
        condition: int = 0,
        step: int = 2,
    ) -> None:
        super().__init__()
        self.flows = nn.ModuleDict(
            {
                str(place * step): MeanCoupling(channels, hidden, kernel, dilation_rate, layers, condition)
                for place in range(couplings)
            }
        )

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None = None, inverse: bool = False) -> Tensor:
        """Run the flow, or run it backwards.

        Args:
            x: (batch, channels, frames), zero where the mask is.
            mask: (batch, 1, frames).
            speaker: (batch, condition, 1), where the flow was built for one.
            inverse: from the prior's space back to the latent space.

        Returns:
            (batch, channels, frames).
        """
        couplings = list(self.flows.values())
        for coupling in reversed(couplings) if inverse else couplings:
            if inverse:
                x = coupling(torch.flip(x, [1]), mask, speaker, True)
            else:
                x = torch.flip(coupling(x, mask, speaker), [1])
        return x
