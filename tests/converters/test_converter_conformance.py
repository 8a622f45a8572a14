"""What holds of every native converter: reference cases, layouts, batches, refusals. Particulars are beside it.

The weights are made up, so the audio is noise. A converter that is new in the registry must have its rows here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import parity
import published
import pytest
import soundfile
from made_up_converters import LENGTHS, MadeUpWeights, files, frames_of_wavlm, native
from sounds import hum

from vceval import registry
from vceval.checkpoints.weightfile import WeightFile
from vceval.cli.selfcheck import port_for
from vceval.converters.native import NativeConverter
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform, load
from vceval.testing import check_converter

torch = pytest.importorskip("torch")

NATIVE = native()
#: Speaker encoders have kits beside their trained weights, and tests of their own.
ENCODERS = {"campplus", "wavlm_sv"}
KITS = sorted(
    point.name
    for point in entry_points(group="vceval.ports")
    if point.value.startswith("vceval.") and point.name not in ENCODERS
)
WEIGHTS = {file.name: file for file in files() if file.form not in ("arrays", "json")}


@pytest.mark.parametrize("kit", KITS)
def test_reference_cases(shared: Path, kit: str) -> None:
    parity.check(shared / "parity" / kit, port_for(kit))


#: How many tensors and values a file holds, and the shapes of a few tensors.
LAYOUTS: dict[str, tuple[int, int, dict[str, tuple[int, ...]]]] = {
    "vctk_model.ckpt": (
        166,
        9_040_512,
        {"speaker_encoder.in_conv_layer.weight": (128, 1536, 1), "decoder.conv_affine_layers.11.bias": (256,)},
    ),
    "adainvc-cyhuang/model.ckpt": (
        166,
        4_892_880,
        {
            "content_encoder.conv_bank.conv_bank.7.1.weight": (128, 80, 8),
            "decoder.second_affine_layers.5.linear_layer.weight": (256, 128),
        },
    ),
    "adainvc-cyhuang/vocoder.pt": (25, 5_100_800, {"wav_rnn.weight_ih_l0": (2_688, 512)}),
    "c4s/steps_100000.pth": (
        178,
        7_940_710,
        {"encoder.out_layer.conv.weight": (4, 256, 1), "decoder.rnn.weight_ih_l1": (768, 256)},
    ),
    "melgan/multi_speaker.pt": (
        126,
        4_266_050,
        {"model.3.weight_g": (512, 1, 1), "model.21.block.4.weight_v": (32, 32, 1)},
    ),
    "autovc.ckpt": (
        107,
        28_432_875,
        {"encoder.convolutions.0.0.conv.weight": (512, 336, 5), "decoder.lstm2.bias_hh_l1": (4096,)},
    ),
    "3000000-BL.ckpt": (14, 12_257_536, {"lstm.weight_ih_l0": (3072, 80), "embedding.weight": (256, 768)}),
    "autovc/g_03280000": (234, 13_936_130, {"conv_post.bias": (1,)}),
    "fragmentvc.pt": (
        137,
        48_012_517,
        {"unet.extractor1.cross_attn.in_proj_weight": (1_536, 512), "post_net.16.weight": (80, 512, 5)},
    ),
    "fragmentvc/vocoder.pt": (25, 5_100_800, {"mel_rnn.weight_ih_l1_reverse": (384, 256)}),
    "wav2vec_small.pt": (
        218,
        95_044_608,
        {"encoder.pos_conv.0.weight_g": (1, 1, 128), "quantizer.vars": (1, 640, 128)},
    ),
    "freevc.pth": (560, 39_339_712, {"enc_q.enc.cond_layer.weight_v": (6144, 256, 1)}),
    "freevc-24.pth": (560, 39_339_712, {"enc_q.enc.cond_layer.weight_v": (6144, 256, 1)}),
    "freevc-s.pth": (574, 40_804_288, {"enc_q.enc.cond_layer.weight_v": (6144, 256, 1)}),
    "pretrained_bak_5805000.pt": (14, 1_423_616, {"lstm.weight_ih_l0": (1024, 40)}),
    "WavLM-Large.pt": (488, 315_453_120, {"encoder.layers.23.fc2.weight": (1024, 4096)}),
    "prematch_g_02500000.pt": (236, 16_533_506, {"lin_pre.weight": (512, 1024), "conv_post.bias": (1,)}),
    "g_02500000.pt": (236, 16_533_506, {"lin_pre.weight": (512, 1024), "conv_post.bias": (1,)}),
    "base_6c_16b_36_FSC_50.pt": (
        685,
        7_944_994,
        {
            "spk_en.conv_bank.7.weight": (80, 80, 8),
            "modu6_mask.speak_line.weight": (160, 256),
            "modu1_mask.sim_block.pre_sim_block.post_block.1.conv_block2.conv_block.conv0.weight_g": (1, 1, 1),
        },
    ),
    "g_02500000": (234, 13_936_130, {"conv_post.bias": (1,)}),
    "checkpoint-3900.pt": (
        247,
        26_418_132,
        {
            "any2one.encoder.pre_block.0.conv_block1.conv_block.conv0.weight": (256, 80, 5),
            "generator.smoothers.2.conv1.weight_g": (512, 1, 1),
            "generator.attention1.cross_attn.in_proj_weight": (1536, 512),
        },
    ),
    "dvector-step250000.pt": (16, 1_423_873, {"lstm.weight_ih_l0": (1024, 40)}),
    "VQMIVC-model.ckpt-500.pt": (
        162,
        28_153_768,
        {
            "encoder.rnn.weight_hh_l0": (1024, 256),
            "encoder.codebook.ema_count": (512,),
            "encoder_spk.in_conv_layer.weight": (128, 1104, 1),
            "decoder.decoder.lstm1.weight_ih_l0": (2048, 321),
            "decoder.postnet.convolutions.4.1.num_batches_tracked": (),
        },
    ),
    "vocoder/checkpoint-3000000steps.pkl": (
        349,
        1_837_560,
        {
            "upsample_net.upsample.up_layers.5.weight_v": (1, 1, 1, 11),
            "conv_layers.29.conv1x1_aux.weight_g": (128, 1, 1),
        },
    ),
    "yourtts/model_file.pth": (
        316,
        27_932_928,
        {
            "flow.flows.3.enc.cond_layer.weight_v": (1536, 512, 1),
            "waveform_decoder.resblocks.11.convs.1.weight_g": (32, 1, 1),
            "waveform_decoder.conv_post.weight": (1, 32, 7),
        },
    ),
    "yourtts/model_se.pth": (
        292,
        8_037_297,
        {"layer4.0.downsample.0.weight": (256, 128, 1, 1), "attention.3.weight": (2048, 128, 1)},
    ),
}


@pytest.mark.parametrize("file", WEIGHTS.values(), ids=lambda file: file.name)
def test_layout(file: WeightFile) -> None:
    assert file.name in LAYOUTS, f"{file.name} is new: say in LAYOUTS what it holds"
    tensors, values, shapes = LAYOUTS[file.name]
    layout = file.layout()
    assert len(layout) == tensors
    assert sum(int(np.prod(shape)) for shape in layout.values()) == values
    assert shapes.items() <= layout.items()


#: A vocoder that takes no time, where a converter has one.
QUICK: dict[str, dict[str, Any]] = {
    "adainvc-cyhuang": {"vocoder": "griffin-lim"},
    "autovc": {"vocoder": "griffin-lim"},
}


@pytest.fixture(scope="module", params=NATIVE)
def converter(request: pytest.FixtureRequest, weights_of: MadeUpWeights) -> Iterator[NativeConverter]:
    """Every converter, opened; tests come converter by converter, so that only one is held."""
    name = request.param
    made = registry.load("converter", name)(weights=str(weights_of(name)), **QUICK.get(name, {}))
    made.open("cpu")
    yield made
    made.close()


class Batch(NamedTuple):
    """A batch to convert.

    seconds: of the sources; two are equal, so that a batch of more than one is among them. options: of the converter.
    gpu: items go together, and their shapes are chosen, as on a GPU. fewer: samples than LENGTHS says.
    """

    name: str
    seconds: tuple[float, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    gpu: bool = False
    fewer: int = 0


# On a GPU the first, third and fourth go together, and the other two; kNN-VC's loudness needs 0.4 s
_FREEVC, _KNNVC = (0.43, 0.3, 0.43, 0.36, 0.31), (0.62, 0.45, 0.62, 0.5, 0.46)
_YOURTTS, _HIFIGAN = (0.33, 0.44, 0.33, 0.31, 0.7), (0.3, 0.42, 0.3, 0.2, 0.33)

#: The lengths are short where the vocoder is slow. What goes together on a GPU only is tried together as well.
BATCHES = (
    Batch("adainvc", (0.41, 0.3, 0.41, 0.55, 0.33)),
    Batch("adainvc-cyhuang", (0.33, 0.24, 0.33, 0.3, 0.27)),
    Batch("adainvc-cyhuang", (0.6, 0.41, 0.6, 0.75, 0.33), {"vocoder": "griffin-lim"}, fewer=200),
    Batch("againvc", (0.7, 0.5, 0.7, 0.93, 0.31)),
    Batch("autovc", (0.33, 0.27, 0.33, 0.54, 0.3)),
    Batch("autovc", (0.3, 0.5, 0.3, 0.31, 0.42), {"vocoder": "griffin-lim"}, fewer=256),
    Batch("fragmentvc", (0.12, 0.17, 0.12, 0.15, 0.11)),
    Batch("freevc", _FREEVC),
    Batch("freevc", _FREEVC, gpu=True),
    Batch("freevc-24", _FREEVC),
    Batch("freevc-s", _FREEVC, gpu=True),
    Batch("knnvc", _KNNVC),
    Batch("knnvc", _KNNVC, gpu=True),
    Batch("maevc", _HIFIGAN),
    Batch("maevc", _HIFIGAN, gpu=True),
    Batch("mediumvc", _HIFIGAN),
    Batch("vqmivc", (0.31, 0.2, 0.31, 0.4, 0.25)),
    Batch("yourtts", _YOURTTS),
    Batch("yourtts", _YOURTTS, gpu=True),
)
#: Whose batches are those of one to the last bit.
EXACT = {"adainvc", "adainvc-cyhuang", "fragmentvc", "knnvc"}
#: Whose made-up weights give a faint sound.
FAINT = {"adainvc", "adainvc-cyhuang", "autovc", "maevc", "mediumvc"}
#: Sample rates of the sources, those of equal length alike.
RATES = (22_050, 16_000, 22_050, 48_000, 24_000)


def spoken(seconds: float, rate: int = 16_000, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """A hum between stretches of faint noise: a detector of speech learns from them what silence is."""
    noise = np.random.default_rng(seed).standard_normal((2, rate // 2)).astype(np.float32) * 1e-3
    return np.concatenate([noise[0], hum(seconds, rate, pitch, seed), noise[1]])


def test_every_converter_is_tried() -> None:
    assert {batch.name for batch in BATCHES} == set(NATIVE) == set(LENGTHS)


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch.name)
def test_any_batch_any_length(
    batch: Batch, weights_of: MadeUpWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One item has two prompts, of two sample rates; one has a prompt that is longer than a window of an encoder."""
    if batch.gpu:
        for module in ("vceval.networks.shapes", "vceval.converters.knnvc"):
            monkeypatch.setattr(f"{module}.on_gpu", lambda device: True)

    def write(name: str, samples: np.ndarray, rate: int) -> Path:
        soundfile.write(tmp_path / name, samples, rate, subtype="FLOAT")
        return tmp_path / name

    pairs = []
    for place, (seconds, rate) in enumerate(zip(batch.seconds, RATES, strict=True)):
        source = write(f"s{place}.wav", hum(seconds, rate, seed=place), rate)
        prompt = write(f"t{place}.wav", spoken(0.9 - 0.1 * place, pitch=210.0, seed=50 + place), 16_000)
        pairs.append((source, [prompt]))
    pairs[1][1].append(write("more.wav", spoken(0.4, 48_000, 190.0, 99), 48_000))
    pairs[3][1].append(write("long.wav", spoken(2.6, pitch=190.0, seed=98), 16_000))
    converter = registry.load("converter", batch.name)(weights=str(weights_of(batch.name)), **batch.options)
    report = check_converter(converter, pairs)
    assert not report.problems
    assert report.batch_difference == 0.0 or batch.gpu or batch.name not in EXACT
    expected, apart = LENGTHS[batch.name]
    if batch.name == "fragmentvc":  # sources so short are not trimmed
        expected = lambda wave: 326 * frames_of_wavlm(wave)  # noqa: E731
    for outcome, (source, _) in zip(report.outcomes, pairs, strict=True):
        assert isinstance(outcome, Waveform)
        assert outcome.sample_rate == converter.info.sample_rate
        assert abs(len(outcome.samples) - expected(load(source)) + batch.fewer) <= apart
        assert outcome.samples.std() > (1e-4 if batch.name in FAINT else 1e-3)


def speech(seconds: float, pitch: float = 140.0, seed: int = 0) -> Waveform:
    return Waveform(spoken(seconds, pitch=pitch, seed=seed), 16_000)


def source_for(converter: NativeConverter) -> Waveform:
    """A short source: the vocoder of FragmentVC is slow, the loudness of kNN-VC needs 0.4 s."""
    return Waveform(hum({"fragmentvc": 0.12, "knnvc": 0.5}.get(converter.info.name, 0.3)), 16_000)


SHORT = Waveform(hum(0.02), 16_000)
LONG = Waveform(np.zeros(61 * 8_000, dtype=np.float32), 8_000)


def test_a_source_of_another_length_than_it_takes_is_told(converter: NativeConverter) -> None:
    short, fine, long = converter.encode_content([SHORT, speech(0.5), LONG])
    assert isinstance(short, ItemError)
    assert not isinstance(fine, ItemError)
    assert isinstance(long, ItemError)
    assert "longer than 60 s" in str(long)


def test_a_prompt_that_is_too_short_is_told(converter: NativeConverter) -> None:
    short, fine = converter.encode_speaker([[SHORT], [speech(0.8)]])
    assert isinstance(short, ItemError)
    assert not isinstance(fine, ItemError)


def test_a_long_prompt_is_taken_whole_and_one_without_end_is_told(converter: NativeConverter) -> None:
    """As all authors do; kNN-VC has a limit of its own, an option."""
    if converter.info.name == "knnvc":
        assert converter.max_prompt_seconds == 600.0  # type: ignore[attr-defined]
        return
    [found] = converter.encode_speaker([[speech(60.0)]])  # half a second of noise at each end
    assert not isinstance(found, ItemError)
    [found] = converter.encode_speaker([[Waveform(np.zeros(601 * 1_000, dtype=np.float32), 1_000)]])
    assert isinstance(found, ItemError)
    assert str(found) == (
        "the prompt of 601.0 s is longer than 600 s; cut the prompt, or name a shorter recording of the target speaker"
    )


def spoilt(value: Any) -> Any:
    """The same encoding with NaN for every number that is not whole."""
    if isinstance(value, torch.Tensor):
        return value * float("nan") if value.is_floating_point() else value
    if isinstance(value, tuple):
        parts = [spoilt(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def test_audio_that_is_not_finite_is_an_error(converter: NativeConverter) -> None:
    """It costs its own item, and nothing of its neighbours in the batch."""
    [content], [voice] = (
        converter.encode_content([source_for(converter)]),
        converter.encode_speaker([[speech(0.5)]]),
    )
    first, second = converter.decode([(content, spoilt(voice)), (content, voice)], [0, 1])
    [alone] = converter.decode([(content, voice)], [1])
    assert isinstance(first, ItemError)
    assert isinstance(second, Waveform)
    assert np.abs(second.samples - alone.samples).max() <= (0.0 if converter.info.name in EXACT else 1e-5)


def test_the_target_matters(converter: NativeConverter) -> None:
    [content] = converter.encode_content([source_for(converter)])
    low, high = converter.encode_speaker([[speech(0.5, 110.0, 1)], [speech(0.5, 260.0, 2)]])
    first, second = converter.decode([(content, low), (content, high)], [0, 0])
    assert np.abs(first.samples - second.samples).max() > 1e-5


def without(tensors: published.Tensors) -> published.Tensors:
    return dict(list(tensors.items())[1:])


def misshapen(tensors: published.Tensors) -> published.Tensors:
    return {**tensors, next(iter(tensors)): torch.zeros(3, 3, 3, 3, 3)}


@pytest.mark.parametrize("change", [without, misshapen])
@pytest.mark.parametrize("name", NATIVE)
def test_other_weights_are_refused(weights_of: MadeUpWeights, tmp_path: Path, name: str, change: Any) -> None:
    """Some authors' loaders go on with random weights here."""
    kind = registry.load("converter", name)
    file = next(file for file in kind.files if file.name in WEIGHTS)
    tensors = published.tensors_of(file)
    for other in kind.files:
        if other is not file:
            (tmp_path / other.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / other.name).symlink_to(weights_of(name) / other.name)
    published.write(file, tmp_path / file.name, change(tensors))
    with pytest.raises(UsageError, match=next(iter(tensors)).replace(".", r"\.")):
        kind(weights=str(tmp_path)).open("cpu")


@pytest.mark.parametrize("name", NATIVE)
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    converter = registry.load("converter", name)(weights=str(tmp_path))
    needed = "|".join(re.escape(file.name) for file in converter.files if not file.optional)
    with pytest.raises(UsageError, match=f"^({needed}) is not in {tmp_path}"):
        converter.open("cpu")


@pytest.mark.parametrize("name", NATIVE)
def test_an_unknown_precision_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="precision 'fp8': must be one of float32"):
        registry.load("converter", name)(precision="fp8")
