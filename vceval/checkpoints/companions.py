"""Files that lie beside the weight files of converters: known, so that nobody wonders, but needed by none."""

from __future__ import annotations

from collections.abc import Mapping

from vceval.checkpoints.weightfile import WeightFile

__all__ = ["COMPANIONS", "RESEMBLYZER", "SINGLEVC", "UNNEEDED"]

#: SingleVC turns any voice into one. MediumVC's users have taken its file for that of MediumVC.
SINGLEVC = WeightFile(
    name="checkpoint-3000.pt",
    holds="SingleVC, which turns any voice into that of VCTK speaker p249",
    page="https://github.com/BrightGu/MediumVC/blob/HEAD/Any2Any/model/checkpoint-3000.pt, and "
    "https://drive.google.com/file/d/1yV9cCne7piqBI9vng13JDdLuRlMkTbZR (repository BrightGu/SingleVC)",
    licence="none stated (repositories BrightGu/SingleVC and BrightGu/MediumVC have no licence file)",
    network="vceval.networks.singlevc:singlevc",
    entry=("Generator",),
    blob="7a935d35faacb7d3d27846be376db27ade7fb3c4",
    unneeded="MediumVC's file checkpoint-3900.pt has SingleVC inside; that one alone is needed",
)

#: Resemblyzer's speaker encoder has the layout of FreeVC's. The count of its training steps tells it.
RESEMBLYZER = WeightFile(
    name="resemblyzer/pretrained.pt",
    holds="Resemblyzer's speaker encoder",
    page="https://github.com/resemble-ai/Resemblyzer",
    licence="Apache-2.0 (repository resemble-ai/Resemblyzer)",
    network="vceval.networks.ge2e:ge2e",
    entry=("model_state",),
    ignored=("similarity_",),
    attributes=(("step", 1_564_501),),
    unneeded="vceval takes it from the package Resemblyzer; FreeVC was trained with another file of the same layout, "
    "pretrained_bak_5805000.pt",
)

#: Weight files that are told from the needed ones, by what is in them.
UNNEEDED: tuple[WeightFile, ...] = (SINGLEVC, RESEMBLYZER)

#: Other files that authors put beside their weights, by name, and why vceval has no need of them.
COMPANIONS: Mapping[str, str] = {
    "wav2mel.pt": "the front end of the d-vector network; vceval computes that itself",
    "checkpoint_step001000000_ema.pth": "AutoVC's WaveNet vocoder; vceval uses a HiFi-GAN or Griffin-Lim instead",
    "metadata.pkl": "AutoVC's four example utterances",
    "results.pkl": "AutoVC's converted examples",
    "stats.h5": "the statistics of VQMIVC's vocoder; vceval reads the same numbers from mel_stats/stats.npy",
    "config.yml": "the settings of VQMIVC's vocoder; they are built in",
    "latest_checkpoint": "a note of AGAIN-VC's trainer",
    "do_02500000": "HiFi-GAN's discriminator, which only training needs",
    "speakers.json": "the voices that YourTTS was trained on; a conversion takes its voices from audio",
    "speakers.pth": "the voices that YourTTS was trained on; a conversion takes its voices from audio",
    "language_ids.json": "the languages of YourTTS, for speaking from text",
    "dict.ltr.txt": "the letters of a fine-tuned wav2vec 2.0",
    "preprocessor_config.json": "settings of the Hugging Face library",
}
