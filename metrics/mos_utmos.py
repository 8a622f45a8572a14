"""UTMOS: the mean opinion score of naturalness, predicted by the winner of the VoiceMOS Challenge 2022."""

from __future__ import annotations

import functools
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from vceval.errors import UsageError
from vceval.metrics.base import Measure, Workspace
from vceval.metrics.opinion import OpinionPredictor
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["UtMos", "checkpoint"]

SAMPLE_RATE = 16_000
#: The checkpoint as torch.hub keeps it, and where it comes from.
FILE = "utmos22_strong_step7459_v1.pt"
ORIGIN = f"https://github.com/tarepan/SpeechMOS/releases/download/v1.0.0/{FILE}"


@dataclass(frozen=True)
class UtMos(OpinionPredictor):
    """UTMOS, 1 (bad) to 5 (excellent): the strong learner of UTMOS22, without phonemes, on the whole recording.

    The checkpoint is a state dictionary, read as plain tensors from $VCEVAL_UTMOS or, where that is not set, from
    torch.hub's folder, where SpeechMOS leaves it. Other forms of UTMOS are refused: TorchScript files
    and Lightning checkpoints are programs, which can do anything when loaded. The signature names the file's
    SHA-256, so values of different checkpoints never stand side by side.

    Source: Saeki, Xin, Nakata, Koriyama, Takamichi, Saruwatari, "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge
    2022", Interspeech 2022.
    """

    name: ClassVar[str] = "mos:utmos"
    title: ClassVar[str] = "Predicted opinion (UTMOS)"
    version: ClassVar[str] = "1.0"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("utmos", "UTMOS", "", "higher", worst=1.0, question="quality"),)
    source: ClassVar[str] = "Saeki et al., UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022, Interspeech 2022"
    choices: ClassVar[str] = (
        f"MOS|model:utmos22-strong-{{0.checkpoint_digest}}|sr:{SAMPLE_RATE}|win:all|moved-by:{{0.moves}}"
    )
    #: Its checkpoint was never at hand for the self-test.
    moved_by: ClassVar[tuple[str, ...]] = ("untested",)
    kept_as: ClassVar[str] = "utmos"
    facts: ClassVar[Mapping[str, str]] = {
        "resampler": "soxr HQ",
        "channels": "equal or chosen",
        "level": "as recorded",
        "trimming": "none",
        "dtype": "float32",
        "batch": "1",
    }
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "soundfile", "soxr")

    @property
    def checkpoint_digest(self) -> str:
        """How the SHA-256 of the checkpoint starts.

        Raises:
            UsageError: there is no checkpoint.
        """
        return file_digest(checkpoint())[:8]

    @property
    def on_device(self) -> bool:
        """Its network works on a GPU."""
        return True

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the network is loaded when the first recording needs it.

        Raises:
            UsageError: there is no checkpoint.
        """
        super().open(workspace)
        checkpoint()

    def predict(self, wave: Waveform) -> dict[str, float]:
        """Predict the ``opinion`` of a recording in memory.

        Raises:
            UsageError: there is no checkpoint, or it is not what it should be.
        """
        import torch

        path = checkpoint()
        network = _network(path, file_digest(path), self.workspace.device)
        samples = torch.tensor(audio.resample(wave, SAMPLE_RATE).samples)
        with torch.inference_mode():
            return {"opinion": float(network(samples[None, :].to(self.workspace.device))[0])}


def checkpoint() -> Path:
    """Find the checkpoint: $VCEVAL_UTMOS, else torch.hub's folder.

    Raises:
        UsageError: it is in neither place.
    """
    named = os.environ.get("VCEVAL_UTMOS", "")
    if named:
        if not Path(named).is_file():
            raise UsageError(f"VCEVAL_UTMOS={named}: no such file; it should be {FILE} of {ORIGIN}")
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    hub = Path(os.environ.get("TORCH_HOME", "") or Path(cache) / "torch") / "hub" / "checkpoints" / FILE
    if not hub.is_file():
        raise UsageError(f"UTMOS needs its checkpoint: download {ORIGIN} and say where it is with VCEVAL_UTMOS=<file>")
    return hub


@functools.lru_cache(maxsize=1)
def _network(path: Path, _digest: str, device: str) -> Any:
    """Load the network; the file is read as tensors and never executed."""
    import pickle

    import torch

    from vceval.networks.utmos import Utmos

    torch.set_num_threads(1)
    if _release(version("torch")) < (2, 6):
        raise UsageError(
            f"torch {version('torch')} can be made to run code by a checkpoint, even when told to read weights only "
            "(CVE-2025-32434): pip install 'torch>=2.6'"
        )
    wanted = f"expected the state dictionary {FILE} of {ORIGIN}"
    try:
        if _is_program(path):
            raise UsageError(f"{path}: a TorchScript program, which could do anything when loaded; {wanted}")
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = Utmos()
        network.load_state_dict(state)
    except (RuntimeError, ValueError, OSError, EOFError, KeyError, TypeError, AttributeError,
            zipfile.BadZipFile, pickle.UnpicklingError) as error:  # fmt: skip
        # Of a pickle torch would say how to load it all the same, which is what must not be done
        plain = not isinstance(error, pickle.UnpicklingError) and str(error)
        why = str(error).splitlines()[0] if plain else "it holds other things than tensors"
        raise UsageError(f"{path}: not a checkpoint of UTMOS that can be read safely ({why}); {wanted}") from error
    return network.eval().to(device)


def _is_program(path: Path) -> bool:
    """Tell a TorchScript archive from a state dictionary, which has no constants."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
