"""The recogniser faster-whisper: a tiny untrained model in CTranslate2's form, loaded and decoded as a real one."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from vceval import registry
from vceval.errors import UsageError
from vceval.metrics import recognisers
from vceval.metrics.base import Workspace
from vceval.metrics.recogniser_choice import recogniser
from vceval.metrics.recognisers import FasterWhisper
from vceval.metrics.text_error import CharacterErrorRate, WordErrorRate
from vceval.records import Conversion, ConversionPair
from vceval.signal import audio
from vceval.storage.cache import Cache

pytestmark = pytest.mark.skipif(
    find_spec("faster_whisper") is None, reason="the extra vceval[faster-whisper] is not installed"
)


class Vocabulary:
    """What CTranslate2's converter asks of a tokenizer."""

    additional_special_tokens = ("<|en|>", "<|zh|>", "<|de|>")

    def __init__(self, tokens: dict[str, int]) -> None:
        self.tokens = tokens

    def get_vocab(self) -> dict[str, int]:
        return self.tokens

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.tokens[token]

    def __getattr__(self, name: str) -> str:
        if name in ("bos_token", "eos_token", "unk_token"):
            return "<|endoftext|>"
        raise AttributeError(name)


def printable() -> dict[int, str]:
    """The letters that stand for bytes in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + place) for place, byte in enumerate(rest)}}


def tokenizer_file(path: Path) -> dict[str, int]:
    """Write a tokenizer.json with Whisper's multilingual vocabulary, from the ranks inside openai-whisper."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from whisper.tokenizer import get_tokenizer

    encoding = get_tokenizer(multilingual=True).encoding
    letters = printable()
    ranks = {"".join(letters[byte] for byte in token): rank for token, rank in encoding._mergeable_ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=ranks, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = sorted(encoding._special_tokens.items(), key=lambda item: item[1])
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, _ in special])
    assert all(tokenizer.token_to_id(token) == number for token, number in special)
    tokenizer.save(str(path))
    vocabulary = {**ranks, **dict(special)}
    return dict(sorted(vocabulary.items(), key=lambda item: item[1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted model: two layers of width 16, weights drawn at random."""
    import torch
    from ctranslate2.converters.transformers import WhisperLoader
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    place = tmp_path_factory.mktemp("models") / "tiny-random"
    place.mkdir()
    vocabulary = tokenizer_file(place / "tokenizer.json")
    assert len(vocabulary) == 51_865
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=51_865, num_mel_bins=80, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_target_positions=448,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    for name, parameter in model.named_parameters():
        if "embed_positions" not in name:
            # What is heard must outweigh what was said, or an untrained model says the same of everything
            torch.nn.init.normal_(parameter, std=2.0 if "encoder" in name else 0.3)
    model.generation_config.suppress_tokens = [50_257]  # so that it says something
    model.generation_config.begin_suppress_tokens = [220, 50_257]
    with torch.no_grad():
        spec = WhisperLoader()(model, Vocabulary(vocabulary))
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(place))
    return place


@pytest.fixture(autouse=True)
def _named(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name the model; whatever would go to the network fails."""
    monkeypatch.setenv("VCEVAL_WHISPER", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_same_recording_is_heard_alike_whatever_was_heard_before(make_sound):
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed, seconds=0.5 + 3 * seed), 16_000) for seed in range(4)]
    found = recogniser()
    assert isinstance(found, FasterWhisper)
    alone = [found.hear(wave, "en", "cpu") for wave in waves]
    assert found.hear_all(waves[::-1], "en", "cpu") == alone[::-1]
    assert len(set(alone)) > 1
    assert all(alone)


def test_a_batch_hears_what_each_hears_alone(make_sound):
    """Ten recordings of different lengths and levels, and one longer than a window, together and one by one."""
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed, seconds=0.5 + 0.7 * seed), 16_000) for seed in range(10)]
    waves = [audio.Waveform(wave.samples * 10.0 ** (-place / 4), 16_000) for place, wave in enumerate(waves)]
    waves.insert(3, audio.load(make_sound("long.wav", seconds=31.0), 16_000))
    found = recogniser()
    assert found.batch == WordErrorRate().batch == 8
    alone = [found.hear(wave, "en", "cpu") for wave in waves]
    assert found.hear_all(waves, "en", "cpu") == alone
    assert found.hear_all(waves[::-1], "en", "cpu") == alone[::-1]
    assert found.hear_all([], "en", "cpu") == []


def test_gain_and_silence_are_not_heard(make_sound):
    """But for recipes, which hear as the tools do that they follow."""
    wave = audio.load(make_sound(seconds=2.0), 16_000)
    changed = [audio.Waveform(samples, 16_000) for samples in (
        wave.samples * np.float32(0.03), -wave.samples, np.pad(wave.samples, (12_345, 48_000))
    )]  # fmt: skip
    found = recogniser()
    assert found.hear_all(changed, "en", "cpu") == [found.hear(wave, "en", "cpu")] * 3
    as_is = found.untouched()
    assert as_is.untouched() == as_is != found
    assert len(set(as_is.hear_all([wave, *changed], "en", "cpu"))) > 1
    assert registry.load("metric", "wer:whisper-english")().recogniser == as_is
    assert WordErrorRate().recogniser == found


def test_the_model_is_told_the_language(make_sound, monkeypatch):
    import faster_whisper

    found = recogniser()
    model = recognisers._faster_whisper(found.folder, "cpu")
    pipeline, prompts = faster_whisper.BatchedInferencePipeline, []
    forward = pipeline.forward

    def seen(self, features, tokenizer, chunks, options):
        prompt = model.get_prompt(tokenizer, [], without_timestamps=options.without_timestamps)
        prompts.append([model.hf_tokenizer.id_to_token(number) for number in prompt])
        return forward(self, features, tokenizer, chunks, options)

    monkeypatch.setattr(pipeline, "forward", seen)
    found.hear(audio.load(make_sound(), 16_000), "de", "cpu")
    assert prompts == [["<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]]


def test_long_recordings_go_window_by_window(make_sound, monkeypatch):
    import faster_whisper

    found = recogniser()
    calls: list[str] = []
    for kind in (faster_whisper.WhisperModel, faster_whisper.BatchedInferencePipeline):
        transcribe = kind.transcribe

        def seen(self, samples, *, transcribe=transcribe, **options):
            calls.append(type(self).__name__)
            return transcribe(self, samples, **options)

        monkeypatch.setattr(kind, "transcribe", seen)
    for seconds in (28.5, 30.5):
        wave = audio.load(make_sound(f"{seconds}.wav", seconds=seconds), 16_000)
        assert isinstance(found.hear(wave, "en", "cpu"), str)
    assert calls == ["BatchedInferencePipeline", "WhisperModel"]


def test_languages_are_those_of_the_model():
    found = recogniser()
    assert [found.knows(code) for code in ("en", "zh", "tlh", "yue")] == [True, True, False, False]


def test_signature_names_model_and_settings(folder, tmp_path):
    import shutil

    signature = WordErrorRate().signature()
    assert "asr:faster-whisper-tiny-random-" in signature
    settings = "beam:1,temp:0,fp32,vad:no,lang:forced,window:30s,pad:audio"
    assert f"{settings},cut:speech+0.5s,level:-26dB|sr:16000" in signature
    assert f"{settings}|sr:16000" in registry.load("metric", "wer:none")().signature()
    assert "faster-whisper:" in WordErrorRate().long_signature()
    other = tmp_path / "tiny-random"
    shutil.copytree(folder, other)
    assert FasterWhisper(other).identity == FasterWhisper(folder).identity
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "suppress_ids": [50_257, 11]}))
    assert FasterWhisper(other).identity != FasterWhisper(folder).identity


def test_it_works_as_a_metric(make_sound):
    for metric, units in ((WordErrorRate(), 2.0), (CharacterErrorRate(), 9.0)):
        metric.open(Workspace(cache=Cache(None)))
        pair = ConversionPair("p1", "toy")
        found = metric.statistics(Conversion("s", pair, make_sound(), "guten Tag", "de"))
        assert found.sums[metric.name][1] == units
        assert found.details["heard"]


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
def test_a_folder_without_one_of_the_files_is_refused(folder, tmp_path, monkeypatch, name):
    """Above all the tokenizer: without it, faster-whisper would fetch one."""
    for path in folder.iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("VCEVAL_WHISPER", str(tmp_path))
    with pytest.raises(UsageError, match=f"{name} is not there"):
        recogniser()


def test_a_folder_is_named_and_what_it_was_made_of(folder, tmp_path):
    assert recogniser().title == "faster-whisper tiny-random"
    heads = [[1, 0], [2, 0], [2, 5], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]]
    for name, title in (("ears", "ears, made of tiny.en"), ("faster-whisper-tiny.en", "tiny.en")):
        (tmp_path / name).mkdir()
        for path in folder.iterdir():
            (tmp_path / name / path.name).symlink_to(path)
        (tmp_path / name / "config.json").unlink()
        (tmp_path / name / "config.json").write_text(json.dumps({"alignment_heads": heads}))
        assert FasterWhisper(tmp_path / name).title == f"faster-whisper {title}"
    (tmp_path / "ears" / "config.json").write_text("half")
    with pytest.raises(UsageError, match=r"config\.json: no JSON"):
        FasterWhisper(tmp_path / "ears").title  # noqa: B018


def test_a_damaged_model_is_refused(folder, tmp_path, make_sound):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100] if path.name == "model.bin" else path.read_bytes())
    with pytest.raises(UsageError, match="can't be loaded"):
        FasterWhisper(tmp_path).hear(audio.load(make_sound(), 16_000), "en", "cpu")


def test_without_the_package_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(recognisers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'vceval\[faster-whisper\]'"):
        recogniser()
