"""Recipes of a tool are heard with that tool's recogniser, or refused."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from vceval import registry
from vceval.errors import UnmetNeed, UsageError
from vceval.metrics import recognisers
from vceval.metrics.base import Workspace
from vceval.metrics.recognisers import FasterWhisper, NoRecogniser, Official, Whisper, whisper_knows
from vceval.metrics.recognisers_of_tools import Ctc, recogniser_of
from vceval.metrics.text_error import CharacterErrorRate, WordErrorRate
from vceval.records import Conversion, ConversionPair
from vceval.signal import audio
from vceval.storage.cache import file_digest

NAMES = [*(f"wer:{name}" for name in WordErrorRate.recipes), *(f"cer:{name}" for name in CharacterErrorRate.recipes)]
BOUND = {
    "seedtts": "large-v3", "f5": "large-v3", "freevc": "facebook/hubert-large-ls960-ft",
    "s3prl": "facebook/wav2vec2-large-960h-lv60-self",
}  # fmt: skip
NEEDS_TRANSFORMERS = pytest.mark.skipif(find_spec("transformers") is None, reason="the extra 'ctc' is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No model of the user's is at hand; nothing is asked of the network."""
    for name in ("VCEVAL_WHISPER", "VCEVAL_CTC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("vceval.metrics.recognisers_of_tools._hugging_face", lambda model: None)
    return tmp_path / "home"


def metric(name: str):
    return registry.load("metric", name)()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_model_recipes_of_tools_are_refused(name):
    wanted = BOUND.get(name.partition(":")[2])
    if wanted is None:
        assert metric(name).recogniser == metric(name.partition(":")[0]).recogniser == NoRecogniser()
        return
    for use in (lambda one: one.signature(), lambda one: one.batch, lambda one: one.open(Workspace())):
        with pytest.raises(UsageError, match=f"^{name} is heard with .*{re.escape(wanted)}, .*") as refused:
            use(metric(name))
        assert re.search(
            "checkpoints add whisper/large-v3|folder .* inside the one that VCEVAL_CTC|pip install", str(refused.value)
        )


@pytest.mark.parametrize("name", ["wer:seedtts", "wer:f5"])
def test_another_whisper_does_not_do(name, home, tmp_path, monkeypatch):
    (tmp_path / "mine.pt").write_bytes(b"tiny")
    monkeypatch.setenv("VCEVAL_WHISPER", str(tmp_path / "mine.pt"))
    assert isinstance(metric("wer").recogniser, Whisper)
    with pytest.raises(UsageError, match=r"is heard with Whisper large-v3.* \(VCEVAL_WHISPER is Whisper mine\.pt\)"):
        metric(name).signature()
    (home / "whisper").mkdir(parents=True)
    (home / "whisper" / "base.pt").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"is heard with Whisper large-v3"):
        metric(name).signature()
    (home / "whisper" / "large-v3.pt").write_bytes(b"x")
    assert "|asr:whisper-large-v3,greedy" in metric(name).signature()
    assert "|asr:whisper-file-mine-" in metric("wer").signature()


def test_the_official_file_does_under_any_name(tmp_path, monkeypatch):
    own = tmp_path / "renamed.pt"
    own.write_bytes(b"x")
    monkeypatch.setenv("VCEVAL_WHISPER", str(own))
    sums = {"large-v3": file_digest(own)}
    monkeypatch.setattr(recognisers, "official", lambda model: Official("", sums.get(model, "")))
    assert recogniser_of("wer:seedtts", "large-v3") == Whisper(own, "large-v3")


@pytest.mark.skipif(find_spec("faster_whisper") is None, reason="the extra 'faster-whisper' is not installed")
def test_a_converted_model_is_known_by_its_attention_heads(tmp_path, monkeypatch):
    heads = [[7, 0], [10, 17], [12, 18], [13, 12], [16, 1], [17, 14], [19, 11], [21, 4], [24, 1], [25, 6]]
    for name, some in (("mine", heads), ("other", heads[:-1])):
        (tmp_path / name).mkdir()
        for file in ("model.bin", "tokenizer.json"):
            (tmp_path / name / file).write_bytes(b"x")
        (tmp_path / name / "config.json").write_text(json.dumps({"alignment_heads": some}))
    monkeypatch.setenv("VCEVAL_WHISPER", str(tmp_path / "mine"))
    assert recogniser_of("wer:f5", "large-v3") == FasterWhisper(tmp_path / "mine")
    monkeypatch.setenv("VCEVAL_WHISPER", str(tmp_path / "other"))
    with pytest.raises(UsageError, match="wer:f5 is heard with Whisper large-v3"):
        recogniser_of("wer:f5", "large-v3")


def test_what_whisper_knows_is_asked_of_whisper():
    assert whisper_knows("base", "zh")
    assert whisper_knows("base", "jv")  # jw there
    assert not whisper_knows("base.en", "zh")
    assert [whisper_knows(model, "yue") for model in ("base", "large-v2", "large-v3", "turbo")] == [
        False,
        False,
        True,
        True,
    ]
    assert not whisper_knows("large-v3", "tlh")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("Mandarin", "^PocketSphinx does not know language 'Mandarin'; Whisper does: vceval checkpoints add"),
        ("tlh", "and neither does Whisper$"),
        ("Englsh", r"unknown language 'Englsh'; did you mean 'english' \(en\)"), ("und", "names no language"),
    ],
)  # fmt: skip
def test_what_is_skipped_says_why(language, said, make_sound):
    one = WordErrorRate(asr="pocketsphinx")
    one.open(Workspace())
    with pytest.raises(UnmetNeed, match=said) as missing:
        one.statistics(Conversion("s", ConversionPair("p", "toy"), make_sound(), "a", language))
    assert missing.value.need == "language"


@pytest.fixture
def ctc(tmp_path, monkeypatch) -> Path:
    """Both models in small, untrained; they hear letters all the same."""
    import torch
    from transformers import (
        HubertConfig,
        HubertForCTC,
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    small = {
        "vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
        "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (20, 16), "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    }  # fmt: skip
    (tmp_path / "vocab.json").write_text(json.dumps({
        "<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5, "B": 6, "C": 7,
    }))  # fmt: skip
    processor = Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(do_normalize=True), Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    )
    for name, network in (
        ("hubert-large-ls960-ft", HubertForCTC(HubertConfig(**small))),
        ("wav2vec2-large-960h-lv60-self", Wav2Vec2ForCTC(Wav2Vec2Config(**small))),
    ):
        torch.manual_seed(1)
        torch.nn.init.normal_(network.lm_head.weight, std=3.0)
        network.save_pretrained(tmp_path / name)
        processor.save_pretrained(tmp_path / name)
    monkeypatch.setenv("VCEVAL_CTC", str(tmp_path))
    return tmp_path


@NEEDS_TRANSFORMERS
def test_recipes_are_heard_with_their_own_models(ctc, make_sound):
    freevc, s3prl = metric("wer:freevc"), metric("cer:s3prl")
    assert (type(freevc.recogniser), freevc.recogniser.folder.name) == (Ctc, "hubert-large-ls960-ft")
    assert re.search(r"\|asr:wav2vec2-large-960h-lv60-self-[0-9a-f]{8},ctc:greedy,fp32\|", s3prl.signature())
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed, seconds=1.0 + seed), 16_000) for seed in range(2)]
    texts = [freevc.recogniser.hear(wave, "en", "cpu") for wave in waves]
    assert texts == [freevc.recogniser.hear(wave, "en", "cpu") for wave in waves]
    assert set(re.sub(r"</?\w+>", "", "".join(texts))) <= set("ABC ")
    assert any(texts)
    s3prl.open(Workspace())
    found = s3prl.statistics(Conversion("s", ConversionPair("p", "toy"), make_sound("c.wav"), "abc", "en"))
    assert found.sums["cer:s3prl"][1] == 3.0
    with pytest.raises(UnmetNeed, match="hears English only"):
        s3prl.statistics(Conversion("s", ConversionPair("p", "toy"), make_sound("c.wav"), "abc", "de"))


@NEEDS_TRANSFORMERS
def test_a_damaged_model_is_named(ctc, make_sound):
    (ctc / "hubert-large-ls960-ft" / "model.safetensors").write_bytes(b"half")
    recogniser = metric("wer:freevc").recogniser
    with pytest.raises(UsageError, match=r"hubert-large-ls960-ft: can't be loaded"):
        recogniser.hear(audio.load(make_sound(), 16_000), "en", "cpu")
