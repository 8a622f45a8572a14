"""Word and character error rate: normalisation, counting, recognisers that hear the same thing every time."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics import recogniser_choice, recognisers
from vceval.metrics.base import Workspace
from vceval.metrics.recognisers import PocketSphinx, Recogniser, Whisper
from vceval.metrics.text import count_errors, normalise
from vceval.metrics.text_error import CharacterErrorRate, WordErrorRate, character_error_rate, word_error_rate
from vceval.records import Conversion, ConversionPair
from vceval.signal import audio
from vceval.storage.cache import Cache


@pytest.fixture(autouse=True)
def _no_whisper_at_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("VCEVAL_WHISPER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


class Scripted(Recogniser):
    """Hears what it is told; counts how often it listens."""

    def __init__(self, text: str) -> None:
        self.text, self.listened = text, 0

    @property
    def title(self) -> str:
        return "Scripted"

    @property
    def identity(self) -> str:
        return "scripted,1"

    def knows(self, language: str) -> bool:
        return language in ("en", "zh", "de")

    def hear(self, wave, language, device) -> str:
        self.listened += 1
        return self.text


def opened(kind, heard: str, cache: Cache | None = None):
    metric = kind()
    object.__setattr__(metric, "_recogniser", Scripted(heard))
    metric.open(Workspace(cache=cache or Cache(None)))
    return metric


def conversion(path: Path, transcript: str | None, language: str | None = "en") -> Conversion:
    return Conversion("s", ConversionPair("p1", "toy"), path, transcript, language)


def test_english_is_compared_as_whisper_compares_it():
    assert normalise("Mr. Smith's   COLOUR isn't twenty-one, um, dollars!", "en-GB") == normalise(
        "mister smiths color is not 21 dollars", "en"
    )
    assert word_error_rate(["I can't pay $20."], ["i can not pay twenty dollars"]) == 0.0


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Ça va, l'été?", "fr", "ça va l été"),
        ("STRASSE – Größe (lacht)", "de", "strasse größe"),
        ("今天，天气 很好。", "zh-CN", "今 天 天 气 很 好"),
        ("Ａ股１２", "cmn", "a 股 1 2"),
        ("हिन्दी", "hi", "हिन्दी"),
        ("ลังนี้", "th", "ลั ง นี้"),
        ("...", "fi", ""),
    ],
)
def test_other_languages(text, language, expected):
    assert normalise(text, language) == expected


def test_rates_by_hand():
    references, hypotheses = ["the cat sat", "on the big red mat today"], ["the bat sat", "on big red mat today now"]
    assert word_error_rate(references, hypotheses) == pytest.approx(3 / 9)
    assert character_error_rate(["bat de"], ["bad d"]) == pytest.approx(2 / 6)
    assert character_error_rate(["今天天气"], ["今天 天汽"], "zh") == pytest.approx(1 / 4)
    assert word_error_rate(["今天天气"], ["今天天汽啊"], "zh") == pytest.approx(2 / 4)
    assert word_error_rate(["yes"], ["no no no"]) == pytest.approx(3.0)
    assert word_error_rate(["one two"], [""]) == 1.0


def test_rates_refuse_by_name():
    with pytest.raises(UsageError, match="2 references but 1"):
        word_error_rate(["a", "b"], ["a"])
    with pytest.raises(UsageError, match="reference 1"):
        word_error_rate(["word", "?!"], ["word", "a"])
    with pytest.raises(UsageError, match="no texts"):
        character_error_rate([], [])


def distance(first: list[str], second: list[str]) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


words = st.lists(st.sampled_from(["a", "bb", "c"]), max_size=8)


@given(reference=words.filter(bool), hypothesis=words)
def test_counts_are_an_optimal_alignment(reference, hypothesis):
    said, heard = " ".join(reference), " ".join(hypothesis)
    counted = count_errors(said, heard, "de", "word")
    assert counted.errors == distance(reference, hypothesis)
    assert counted.units == len(reference)
    assert counted.hits + counted.substitutions + counted.insertions == len(hypothesis)
    letters = count_errors(said, heard, "de", "character")
    assert letters.errors == distance(list(said), list(heard))
    assert letters.units == len(said)


def test_statistics_sum_to_a_micro_average(make_sound):
    path = make_sound()
    seconds = audio.duration(path)
    metric = opened(WordErrorRate, "The Bat sat, on it.")
    found = metric.statistics(conversion(path, "the cat sat"))
    assert found.sums == {"wer": (3.0, 3.0), "wer_capped": (3.0, 3.0)}
    assert found.details == {
        "heard": "The Bat sat, on it.", "said": "the cat sat", "heard_normalised": "the bat sat on it",
        "hits": 2, "substitutions": 1, "deletions": 0, "insertions": 2,
        "compression_ratio": pytest.approx(19 / 27, abs=1e-3), "repeats": 1,
        "words_per_second": pytest.approx(5 / seconds, abs=1e-3),
    }  # fmt: skip
    found = opened(CharacterErrorRate, "the bat sat").statistics(conversion(path, "the cat sat"))
    assert found.sums == {"cer": (1.0, 11.0), "cer_capped": (1.0, 11.0)}
    found = opened(WordErrorRate, "the cat sat " * 3).statistics(conversion(path, "the cat sat"))
    assert found.sums == {"wer": (6.0, 3.0), "wer_capped": (3.0, 3.0)}


def test_a_file_is_heard_once_for_both_metrics(make_sound, tmp_path):
    path, cache = make_sound(), Cache(tmp_path / "cache")
    first, second = (opened(kind, "hello", cache) for kind in (WordErrorRate, CharacterErrorRate))
    first.statistics(conversion(path, "hello"))
    second.statistics(conversion(path, "hello"))
    assert (first.recogniser.listened, second.recogniser.listened) == (1, 0)
    first.statistics(conversion(path, "hallo", "de"))
    assert first.recogniser.listened == 2


@pytest.mark.parametrize("kind", [WordErrorRate, CharacterErrorRate])
def test_needs_are_named(kind, make_sound):
    metric = opened(kind, "hello")
    for transcript, language, need in (
        (None, "en", "transcript"), ("", "en", "transcript"), ("?!", "en", "transcript"),
        ("hello", None, "language"), ("hello", "xx", "language"),
    ):  # fmt: skip
        with pytest.raises(UnmetNeed) as missing:
            metric.statistics(conversion(make_sound(), transcript, language))
        assert missing.value.need == need
    with pytest.raises(ItemError, match="no such file"):
        metric.statistics(conversion(Path("gone.wav"), "hello"))


def test_a_language_that_the_recogniser_does_not_know_has_no_value(make_sound):
    metric = WordErrorRate(asr="pocketsphinx")
    metric.open(Workspace())
    with pytest.raises(
        UnmetNeed,
        match=r"^PocketSphinx does not know language 'zh'; Whisper does: vceval checkpoints add whisper/large-v3",
    ) as missing:
        metric.statistics(conversion(make_sound(), "今天", "zh"))
    assert missing.value.need == "language"


def test_signature_stays_what_it_was_when_a_checkpoint_appears(tmp_path):
    folder = tmp_path / "home" / "whisper"
    folder.mkdir(parents=True)
    (folder / "base.pt").write_bytes(b"x")
    metric = CharacterErrorRate()
    before = metric.signature()
    (folder / "large-v3.pt").write_bytes(b"x")
    travelled = pickle.loads(pickle.dumps(metric))
    travelled.open(Workspace())
    assert metric.signature() == travelled.signature() == before
    assert CharacterErrorRate().signature() != before


def test_no_place_of_a_file_stands_in_a_signature(tmp_path):
    own = tmp_path / "mine.pt"
    own.write_bytes(b"x")
    metric = WordErrorRate(asr=f"whisper:{own}")
    assert "asr:whisper-file-mine-" in metric.signature()
    assert str(tmp_path) not in metric.long_signature()


def test_a_checkpoint_that_is_not_the_official_one_is_refused(tmp_path, make_sound):
    folder = tmp_path / "home" / "whisper"
    folder.mkdir(parents=True)
    (folder / "base.pt").write_bytes(b"half a download")
    metric = WordErrorRate()
    metric.open(Workspace())
    with pytest.raises(UsageError, match=r"base\.pt: not the official Whisper checkpoint 'base'"):
        metric.statistics(conversion(make_sound(), "hello"))


@pytest.fixture
def small_whisper(tmp_path, monkeypatch):
    """A checkpoint with Whisper's layout, tiny and untrained."""
    import torch
    import whisper

    torch.manual_seed(0)
    dims = whisper.ModelDimensions(80, 1500, 16, 2, 1, 51_865, 448, 16, 2, 1)
    model = whisper.model.Whisper(dims)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path / "small.pt"
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    monkeypatch.setenv("VCEVAL_WHISPER", str(path))
    return path


def test_whisper_hears_the_same_thing_in_any_order(small_whisper, make_sound):
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed), 16_000) for seed in (1, 2)]
    recogniser = recogniser_choice.recogniser()
    assert recogniser.knows("en")
    assert recogniser.knows("zh")
    assert not recogniser.knows("tlh")
    first = [recogniser.hear(wave, "en", "cpu") for wave in waves]
    second = [recogniser.hear(wave, "en", "cpu") for wave in reversed(waves)][::-1]
    assert first == second
    assert any(first)


def test_whisper_hears_the_same_thing_in_a_batch(small_whisper, make_sound):
    """Ten recordings of different lengths and levels, and one longer than a window, together and one by one."""
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed, seconds=0.5 + 0.7 * seed), 16_000) for seed in range(10)]
    waves = [audio.Waveform(wave.samples * 10.0 ** (-place / 4), 16_000) for place, wave in enumerate(waves)]
    waves.insert(3, audio.Waveform(np.tile(waves[5].samples, 8)[: 31 * 16_000], 16_000))
    recogniser = recogniser_choice.recogniser()
    alone = [recogniser.hear(wave, "en", "cpu") for wave in waves]
    assert recogniser.hear_all(waves, "en", "cpu") == alone
    assert recogniser.hear_all(waves[::-1], "en", "cpu") == alone[::-1]
    assert len(set(alone)) > 5
    assert recogniser.hear_all([], "en", "cpu") == []


def test_a_batch_goes_through_one_call_of_whispers_decoder(small_whisper, make_sound, monkeypatch):
    import whisper

    calls: list[int] = []
    decode = whisper.model.Whisper.decode

    def counted(self, mel, options):
        calls.append(len(mel))
        return decode(self, mel, options)

    monkeypatch.setattr(whisper.model.Whisper, "decode", counted)
    waves = [audio.load(make_sound(f"{seed}.wav", seed=seed), 16_000) for seed in range(3)]
    recogniser_choice.recogniser().hear_all(waves, "en", "cpu")
    assert calls == [3]


def test_a_batch_is_heard_before_it_is_scored(small_whisper, make_sound, tmp_path, monkeypatch):
    """What prepare() kept is what statistics() would have heard; unreadable files are left to it."""
    paths = [make_sound(f"{seed}.wav", seed=seed) for seed in range(3)]
    batch = [conversion(path, "hello") for path in (*paths, tmp_path / "gone.wav", paths[0])]
    batch += [conversion(paths[1], "guten Tag", "de"), conversion(paths[2], None), conversion(paths[2], "x", "tlh")]
    alone, together = WordErrorRate(), WordErrorRate()
    alone.open(Workspace(cache=Cache(None)))
    together.open(Workspace(cache=Cache(None)))
    assert together.batch == 8
    expected = [alone.statistics(one) for one in (*batch[:3], batch[5])]
    alone.statistics(batch[0])
    calls: list[int] = []
    hear_all = Whisper.hear_all

    def counted(self, waves, language, device):
        calls.append(len(waves))
        return hear_all(self, waves, language, device)

    monkeypatch.setattr(Whisper, "hear_all", counted)
    together.prepare(batch[:1])
    together.prepare(batch)
    assert calls == [1, 2, 1]
    assert [together.statistics(one) for one in (*batch[:3], batch[5])] == expected
    assert calls == [1, 2, 1]
    with pytest.raises(ItemError, match="no such file"):
        together.statistics(batch[3])


def test_pocketsphinx_is_given_one_at_a_time():
    assert WordErrorRate(asr="pocketsphinx").batch == CharacterErrorRate(asr="pocketsphinx").batch == 1


def test_whisper_works_as_a_metric(small_whisper, make_sound):
    metric = WordErrorRate()
    assert "asr:whisper-file-small-" in metric.signature()
    metric.open(Workspace())
    found = metric.statistics(conversion(make_sound(), "guten Tag", "de"))
    assert found.sums["wer"][1] == 2.0
    assert found.details["said_normalised"] == "guten tag"


def test_pocketsphinx_works_as_a_metric(make_sound):
    metric = WordErrorRate(asr="pocketsphinx")
    metric.open(Workspace())
    found = metric.statistics(conversion(make_sound(), "a red fox"))
    assert found.sums["wer"][1] == 3.0
    assert isinstance(found.details["heard"], str)


def librispeech(shared: Path, count: int):
    with open(shared / "published_demos" / "natural_speech.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "LibriSpeech-test-other"]
    rows = sorted(rows, key=lambda row: row["file"])[:count]
    return [(shared / "published_demos" / row["file"], row["transcript"]) for row in rows]


def test_pocketsphinx_does_not_remember_what_it_heard(shared):
    """Without a reset of its front end the same recording is heard differently after loud noise."""
    wave = audio.load(librispeech(shared, 1)[0][0], 16_000)
    recognisers._pocketsphinx.cache_clear()
    fresh = PocketSphinx().hear(wave, "en", "cpu")
    noise = np.random.default_rng(0).normal(0, 0.3, 48_000).astype(np.float32)
    PocketSphinx().hear(audio.Waveform(noise, 16_000), "en", "cpu")
    assert PocketSphinx().hear(wave, "en", "cpu") == fresh
    assert len(fresh.split()) > 20


def test_pocketsphinx_understands_real_speech(shared):
    metric = WordErrorRate(asr="pocketsphinx")
    metric.open(Workspace())
    sums = [metric.statistics(conversion(path, text)).sums["wer"] for path, text in librispeech(shared, 3)]
    assert sum(a for a, _ in sums) / sum(b for _, b in sums) < 0.75


def test_level_over_full_scale_does_not_wrap(tmp_path, make_sound):
    samples, rate = soundfile.read(make_sound(seconds=1.0), dtype="float32")
    path = tmp_path / "loud.wav"
    soundfile.write(path, samples * 10.0, rate, subtype="FLOAT")
    assert isinstance(PocketSphinx().hear(audio.load(path), "en", "cpu"), str)
