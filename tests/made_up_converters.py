"""Native converters with weight files of made-up values, and how long their output is for a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import small_wavlm

from vceval import registry
from vceval.checkpoints import store
from vceval.checkpoints.known_files import WAVLM_LARGE
from vceval.checkpoints.weightfile import WeightFile
from vceval.conformance import made_up_files
from vceval.conformance.kits import made_up_weights
from vceval.converters.adainvc_cyhuang import VOCODER as CYHUANG_VOCODER
from vceval.converters.fragmentvc import VOCODER as FRAGMENTVC_VOCODER
from vceval.converters.knnvc import REGULAR
from vceval.errors import UsageError
from vceval.signal.audio import Waveform, resample


def native() -> list[str]:
    """Registered converters of this kind that read weight files; test_registry tells what can't be imported."""
    found = []
    for name in registry.names("converter"):
        try:
            kind = registry.load("converter", name)
        except UsageError:
            continue
        if kind.info.kind == "native" and getattr(kind, "files", ()):
            found.append(name)
    return found


def files() -> list[WeightFile]:
    """All their weight files, each once."""
    return list({file.name: file for name in native() for file in store.files_of(name)}.values())


#: The universal vocoders, and how many samples a frame of each has.
VOCODERS = {CYHUANG_VOCODER.name: 200, FRAGMENTVC_VOCODER.name: 326}


def small_vocoder(path: Path, hop: int = 200) -> None:
    """Write a universal vocoder that takes little time for a sample."""
    import torch

    from vceval.networks.universal_vocoder import UniversalVocoder

    vocoder = UniversalVocoder(hop, mel_rnn_dim=8, emb_dim=8, wav_rnn_dim=16, affine_dim=8).eval()
    vocoder.load_state_dict(made_up_weights(vocoder))
    example = torch.zeros(1, 4 * hop, dtype=torch.long), torch.zeros(1, 4, 80)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.trace(vocoder, example, check_trace=False).save(str(path))


class MadeUpWeights:
    """Folders of weight files by converter, each file written once; WavLM-Large and universal vocoders are small."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, *names: str) -> Path:
        """Give the folder for some converters."""
        folder = self._root / "+".join(names)
        for file in [file for name in names for file in registry.load("converter", name).files]:
            path = self._root / "files" / file.name
            if not path.exists():
                if file.name == WAVLM_LARGE.name:
                    small_wavlm.write(path, small_wavlm.settings(8))
                elif file.name in VOCODERS:
                    small_vocoder(path, VOCODERS[file.name])
                else:
                    seed = int(file.name == REGULAR.name)  # else kNN-VC has the same vocoder twice
                    made_up_files.write(file, self._root / "files", seed)
            place = folder / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(path)
        return folder


def frames_of_wavlm(wave: Waveform) -> int:
    return (len(resample(wave, 16_000).samples) - 400) // 320 + 1


def of_adainvc(wave: Waveform) -> int:
    from vceval.networks.adainvc_features import speech

    return 300 * (-(-(1 + len(speech(wave)) // 300) // 8) * 8 - 1)


def of_adainvc_cyhuang(wave: Waveform) -> int:
    from vceval.networks.adainvc_cyhuang_features import speech

    return 200 * (-(-(1 + len(speech(wave)) // 200) // 8) * 8)


def of_againvc(wave: Waveform) -> int:
    from vceval.networks.againvc_features import trimmed

    return 256 * (1 + len(trimmed(resample(wave, 22_050).samples)[0]) // 256)


def of_fragmentvc(wave: Waveform) -> int:
    from vceval.networks.fragmentvc_features import scaled, trimmed

    return 326 * ((len(trimmed(scaled(resample(wave, 16_000).samples))) - 400) // 320 + 1)


def of_freevc(wave: Waveform) -> int:
    return 320 * frames_of_wavlm(wave)


def of_hifigan(wave: Waveform) -> int:
    return len(resample(wave, 22_050).samples) // 256 * 256


#: Samples of the output for a source, as each converter's documentation has it, and how far it may be from that.
LENGTHS: dict[str, tuple[Callable[[Waveform], int], int]] = {
    "adainvc": (of_adainvc, 512),  # quiet ends are cut once more, in frames of 512 samples
    "adainvc-cyhuang": (of_adainvc_cyhuang, 0),
    "againvc": (of_againvc, 0),
    "autovc": (lambda wave: 256 * (1 + len(resample(wave, 16_000).samples) // 256), 0),
    "fragmentvc": (of_fragmentvc, 0),
    "freevc": (of_freevc, 0),
    "freevc-24": (lambda wave: 480 * frames_of_wavlm(wave), 0),
    "freevc-s": (of_freevc, 0),
    "knnvc": (of_freevc, 0),
    "maevc": (of_hifigan, 0),
    "mediumvc": (of_hifigan, 0),
    "vqmivc": (lambda wave: 320 * ((1 + len(wave.samples) * 16_000 // wave.sample_rate // 160) // 2), 0),
    "yourtts": (lambda wave: 256 * (len(resample(wave, 16_000).samples) // 256), 0),
}
