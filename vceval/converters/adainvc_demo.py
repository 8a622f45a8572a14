"""The converter ``adainvc-demo``: a small AdaIN-VC that comes with this package, for the demo corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.adainvc import PAPER, AdaInVc
from vceval.converters.base import ConverterInfo
from vceval.networks import adainvc_features as front
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.networks.adainvc import AdaInVc as Network

__all__ = ["AdaInVcDemo", "demo_network"]

#: The rate of the recordings it was trained on: it has heard nothing over half of this.
_HEARD = 16_000
#: Rounds of the fast Griffin-Lim algorithm.
_ROUNDS = 24


class AdaInVcDemo(AdaInVc):
    """Converts with the demo model: needs no download, and shows how a learning system works here, no more.

    It was trained for this package on the six synthetic voices of the demo corpus, reading sentences that are not in
    it: the voices are seen, the sentences are not. It is no result of AdaIN-VC's authors and says nothing of their
    model; other voices come out as mixtures of the six. Front end and layout are those of ``adainvc``, whose limits
    hold here too, and soxr (HQ) is the resampler; the network is narrower, its input has nothing over 8 kHz, and
    Griffin-Lim takes 24 rounds with momentum instead of 100 without, which come as close.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="adainvc-demo",
        title="AdaIN-VC (demo model)",
        sample_rate=front.SAMPLE_RATE,
        licence="Apache-2.0; trained on voices of flite (see its LICENCES.md)",
        paper=PAPER,
        kind="native",
        checkpoints=("demo_adainvc.ckpt", "attr.npz"),
        front_end="trim:15 dB, output 60 dB|level:none",
        trained_on={"demo": frozenset({"awb", "awbf", "kal", "rms", "rmsf", "slt"})},
    )
    files: ClassVar[tuple[WeightFile, ...]] = ()
    authors_resampler: ClassVar[Resampler] = "soxr"

    def __init__(self, *, precision: str = "float32") -> None:
        super().__init__(precision=precision)

    def assets(self) -> dict[str, Path]:
        """Give its files, which come with the package."""
        names = (*self.info.checkpoints, "config.json")
        return {name: path for name in names if (path := _folder() / name).is_file()}

    def load(self) -> None:
        """Load the network from the files beside the demo corpus.

        Raises:
            UsageError: the package was installed without them, or they are damaged.
        """
        from vceval.checkpoints import arrays

        self._network = self.counted("demo_adainvc.ckpt", demo_network().to(self.device))
        place = _folder() / "attr.npz"
        self.scale(arrays.read_arrays(place, {"mean": (front.BANDS,), "std": (front.BANDS,)}), str(place))

    def frames(self, wave: Waveform, what: str, least: int) -> NDArray[np.float32]:
        """Front end, of what lies below 8 kHz: (frames, 512) on the scale of 0 to 1.

        Raises:
            ItemError: too few frames are left of it, or it is too long.
        """
        return super().frames(self.at_rate(wave, _HEARD), what, least)

    def waveform(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make audio from frames on the scale of 0 to 1."""
        from vceval.signal import spectral
        from vceval.signal.griffin_lim import fast_griffin_lim

        window = spectral.hann(front.WINDOW, front.FFT)
        return front.finished(fast_griffin_lim(front.linear_magnitude(frames), front.HOP, window, _ROUNDS))


def demo_network() -> Network:
    """Load the network on the CPU.

    Raises:
        UsageError: the package was installed without its files, or they are damaged.
    """
    from vceval.checkpoints import arrays, weights
    from vceval.networks import adainvc

    network = adainvc.from_config(arrays.read_json(_folder() / "config.json"))
    place = _folder() / "demo_adainvc.ckpt"
    # Stored in half precision
    tensors = {name: value.float() for name, value in weights.select(weights.read(place)).items()}
    weights.load_strict(network, tensors, str(place))
    return network


def _folder() -> Path:
    from importlib.resources import files

    # By name: converters stand below the benchmarks, whose data this is
    return Path(str(files("vceval.benchmarks.demo"))) / "adainvc"
