"""Weight files that more than one converter needs."""

from __future__ import annotations

from vceval.checkpoints.weightfile import WeightFile

#: HiFi-GAN for 22050 Hz mel spectra (MediumVC, MAE-VC).
HIFIGAN_UNIVERSAL = WeightFile(
    name="g_02500000",
    holds="HiFi-GAN UNIVERSAL_V1, the generator",
    page="https://github.com/jik876/hifi-gan#pretrained-model (folder UNIVERSAL_V1)",
    licence="MIT (repository jik876/hifi-gan)",
    url="https://github.com/BrightGu/MAE-VC/raw/HEAD/hifivoice/pretrained/UNIVERSAL_V1/g_02500000",
    network="vceval.networks.hifigan:universal",
    entry=("generator",),
    also_called=("UNIVERSAL_V1/g_02500000",),
    strangers=(("mpd/discriminators.", "HiFi-GAN's discriminator, which only training needs"),),
    blob="6a43762de4db28fc272e6fa8ddccfaf9f7217e0b",
)

#: The speaker encoder of yistLin (MediumVC).
DVECTOR = WeightFile(
    name="dvector-step250000.pt",
    holds="d-vector speaker encoder, LSTM with attentive pooling, trained on VoxCeleb1",
    page="https://github.com/yistLin/dvector/releases/tag/v1.1.1",
    licence="none stated (repository yistLin/dvector has no licence file)",
    url="https://github.com/yistLin/dvector/releases/download/v1.1.1/dvector-step250000.pt",
    network="vceval.networks.dvector:modules",
    also_called=("dvector.pt",),
)

#: The content encoder of FreeVC and kNN-VC.
WAVLM_LARGE = WeightFile(
    name="WavLM-Large.pt",
    holds="WavLM-Large, self-supervised encoder trained on 94,000 hours of English speech (Libri-Light, GigaSpeech, "
    "VoxPopuli)",
    page="https://github.com/microsoft/unilm/tree/master/wavlm",
    licence="MIT (repository microsoft/unilm)",
    url="https://github.com/bshall/knn-vc/releases/download/v0.1/WavLM-Large.pt",
    network="vceval.networks.wavlm:large",
    entry=("model",),
    also_called=("wavlm/WavLM-Large.pt",),
    strangers=(("gru_rel_pos_linear", "a WavLM with the names of the Hugging Face library, which are not read"),),
)

#: The speaker encoder of FreeVC and FreeVC-24. Resemblyzer's has the same layout, but other weights.
GE2E = WeightFile(
    name="pretrained_bak_5805000.pt",
    holds="GE2E speaker encoder, 5,805,000 steps, as FreeVC ships it",
    page="https://github.com/OlaWod/FreeVC/tree/main/speaker_encoder/ckpt",
    licence="none stated for the file (repository OlaWod/FreeVC: MIT; the file comes from liusongxiang/ppg-vc)",
    url="https://github.com/OlaWod/FreeVC/raw/main/speaker_encoder/ckpt/pretrained_bak_5805000.pt",
    network="vceval.networks.ge2e:ge2e",
    entry=("model_state",),
    ignored=("similarity_",),
    also_called=("speaker_encoder/ckpt/pretrained_bak_5805000.pt",),
)
