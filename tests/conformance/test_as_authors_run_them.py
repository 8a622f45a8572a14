"""Audio file in, audio file out: what the authors' own scripts wrote, with the same made-up weights."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from vceval import registry
from vceval.checkpoints.weightfile import WeightFile
from vceval.conformance import made_up_files
from vceval.conformance.kits import Kit
from vceval.signal.audio import Waveform, load

pytest.importorskip("torch")

#: Half a step of 16 bits more than one.
STEP = 1.5 / 32_768
#: Noise of the authors' scripts: what they were seeded with.
SEED = 7


class Known(NamedTuple):
    """The kit that the values of each file are from, and the largest difference of full scale.

    decibels: of signal over difference, at least, where Griffin-Lim makes much of rounding.
    """

    kits: dict[str, str]
    largest: float
    decibels: float = 0.0


WAVLM = "WavLM-Large.pt"
SYSTEMS = {
    "adainvc": Known({"vctk_model.ckpt": "adain_vc"}, 1.0, 45.0),
    "againvc": Known({"c4s/steps_100000.pth": "again_vc", "melgan/multi_speaker.pt": "melgan_descript"}, STEP),
    "autovc": Known(
        {"autovc.ckpt": "autovc", "3000000-BL.ckpt": "autovc_dvector", "autovc/g_03280000": "hifigan_universal_v1"},
        STEP,
    ),
    "freevc": Known({"freevc.pth": "freevc"}, 2e-5),
    "freevc-24": Known({"freevc-24.pth": "freevc_24"}, 2e-5),
    "freevc-s": Known({"freevc-s.pth": "freevc_s"}, 2e-5),
    "knnvc": Known({"prematch_g_02500000.pt": "knnvc_hifigan"}, 2e-6),
    "maevc": Known({"base_6c_16b_36_FSC_50.pt": "maevc", "g_02500000": "hifigan_universal_v1"}, 3e-5),
    "mediumvc": Known(
        {
            "checkpoint-3900.pt": "mediumvc",
            "dvector-step250000.pt": "dvector",
            "g_02500000": "hifigan_universal_v1",
        },
        5e-4,  # the authors compute in single precision
    ),
    "vqmivc": Known({"VQMIVC-model.ckpt-500.pt": "vqmivc", "vocoder/checkpoint-3000000steps.pkl": "vqmivc_pwg"}, STEP),
    "yourtts": Known({"yourtts/model_file.pth": "yourtts", "yourtts/model_se.pth": "yourtts_speaker_encoder"}, 2e-6),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Write the files of a system, those of several systems once: ``weights(name, shared)`` is their folder."""
    place = tmp_path_factory.mktemp("weights")

    def made(name: str, shared: Path) -> Path:
        for file in registry.load("converter", name).files:
            if not file.optional or file.name in SYSTEMS[name].kits:
                _write(file, place / name, SYSTEMS[name].kits.get(file.name), shared, place / "common")
        return place / name

    return made


def _write(file: WeightFile, folder: Path, kit: str | None, shared: Path, common: Path) -> None:
    if file.name == WAVLM:
        folder.mkdir(parents=True, exist_ok=True)
        there = common / file.name
        (folder / file.name).symlink_to(there if there.exists() else made_up_files.write(file, common))
    elif file.name == "attr.pkl":
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(1)
        mean = 0.45 + 0.05 * rng.standard_normal(512)
        deviation = 0.02 + 0.002 * rng.standard_normal(512)
        scales = {"mean": mean.astype(np.float32), "std": deviation.astype(np.float32)}
        (folder / file.name).write_bytes(pickle.dumps(scales, protocol=2))
    elif file.name == "mel_stats/stats.npy":
        stored = np.load(shared / "parity" / "vqmivc" / "features.npz")
        (folder / file.name).parent.mkdir(parents=True)
        np.save(folder / file.name, np.stack([stored["in_mel_mean"], stored["in_mel_std"]]))
    elif file.name == "yourtts/config_se.json":
        path = made_up_files.write(file, folder)
        settings = json.loads(path.read_text())
        settings["audio"] |= {"do_rms_norm": True, "db_level": -27.0}
        path.write_text(json.dumps(settings))
    elif kit is None:
        made_up_files.write(file, folder)
    else:
        values = Kit(shared / "parity" / kit).weights()
        made_up_files.write(file, folder, values={name.removeprefix(file.prefix): v for name, v in values.items()})


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_the_authors_audio(
    name: str, shared: Path, weights: Callable[[str, Path], Path], record_property: Callable[[str, object], None]
) -> None:
    """Recordings have the network's own rate, so both resamplers must give it: one the first, the other the second."""
    references = sorted((shared / "e2e" / "out").glob(f"{name}_*.wav"))
    assert references
    converter = registry.load("converter", name)(weights=str(weights(name, shared)))
    converter.open("cpu")
    for reference, resampler in zip(references, ("authors", "vceval"), strict=False):
        converter.resampler = type(converter).resampler_of(resampler)
        recording = shared / "e2e" / "in" / reference.name.removeprefix(f"{name}_").removesuffix(".wav")
        source, prompt = (load(recording.with_name(f"{recording.name}_{which}.wav")) for which in ("src", "tgt"))
        content, voice = *converter.encode_content([source]), *converter.encode_speaker([[prompt]])
        [made] = converter.decode([(content, voice)], [SEED])
        assert isinstance(made, Waveform), made
        wanted, rate = soundfile.read(reference, dtype="float32")
        assert (made.sample_rate, len(made.samples)) == (rate, len(wanted))
        difference = float(np.abs(made.samples - wanted).max())
        decibels = 10 * np.log10(np.sum(wanted**2) / max(np.sum((made.samples - wanted) ** 2), 1e-20))
        record_property(f"{reference.stem} {resampler}", f"{difference:.2g}, {decibels:.1f} dB")
        assert difference <= SYSTEMS[name].largest
        assert decibels >= SYSTEMS[name].decibels
    converter.close()
