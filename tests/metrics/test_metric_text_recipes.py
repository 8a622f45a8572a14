"""Recipes of word and character error rate against what the tools they are named after gave on the same texts."""

from __future__ import annotations

import csv
import json
import string
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval import registry
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics import character_error_rate, word_error_rate
from vceval.metrics.base import Workspace
from vceval.metrics.recognisers import Recogniser
from vceval.metrics.text import RULES, normalise
from vceval.metrics.text_chinese import plain_numbers
from vceval.metrics.text_error import CharacterErrorRate, WordErrorRate
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.storage.cache import Cache

#: Column of the gold tables to recipe.
GOLD = {
    "seedtts": "seedtts", "f5": "f5", "s3prl": "s3prl", "whisper_basic": "whisper-basic",
    "whisper_english": "whisper-english", "none": "none", "whisper_basic_split": "whisper-basic-split",
}  # fmt: skip
NAMES = [*(f"wer:{name}" for name in WordErrorRate.recipes), *(f"cer:{name}" for name in CharacterErrorRate.recipes)]


def table(shared, name: str) -> list[dict[str, str]]:
    with open(shared / "gold" / name, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def needs_zhconv() -> None:
    pytest.importorskip("zhconv", reason="the extra 'chinese' is not installed")


@pytest.mark.parametrize("column", GOLD)
def test_every_row_as_the_tool_has_it(shared, column):
    if column in ("seedtts", "f5"):
        needs_zhconv()
    rule = RULES["word"][GOLD[column]]
    counts = {
        (row["row"], row["rule"]): tuple(int(row[k]) for k in ("hits", "substitutions", "deletions", "insertions"))
        for row in table(shared, "text_counts.csv")
    }
    compared = 0
    for row, strings in zip(table(shared, "text.csv"), table(shared, "text_normalised.csv"), strict=True):
        if not row[column]:
            continue
        language = row["language"]
        said, heard = rule.reference(row["reference"], language), rule.hypothesis(row["hypothesis"], language)
        if f"{column}_ref" in strings:
            assert (said, heard) == (strings[f"{column}_ref"], strings[f"{column}_hyp"])
        assert rule.count(said, heard, language, "word") == counts[row["row"], column]
        rate = word_error_rate([row["reference"]], [row["hypothesis"]], language, GOLD[column])
        assert rate == float(row[column])
        compared += 1
    assert compared == (10 if column == "whisper_basic_split" else 60)


@pytest.mark.parametrize("recipe", ["s3prl", "none"])
def test_characters_of_every_row(shared, recipe):
    rows = table(shared, "text.csv")
    assert len(rows) == 60
    for row in rows:
        found = character_error_rate([row["reference"]], [row["hypothesis"]], row["language"], recipe)
        assert found == float(row[f"{recipe}_cer"])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("column", [name for name in GOLD if name != "whisper_basic_split"])
def test_corpus_figures(shared, column, language):
    """Macro where the tool averages rates, micro where it sums errors; both are in the gold summary."""
    if column in ("seedtts", "f5"):
        needs_zhconv()
    rows = [row for row in table(shared, "text.csv") if row["language"] == language]
    expected = json.loads((shared / "gold" / "text_summary.json").read_text())[language][column]
    rule = RULES["word"][GOLD[column]]
    texts = [row["reference"] for row in rows], [row["hypothesis"] for row in rows]
    found = word_error_rate(*texts, language, GOLD[column])
    assert found == pytest.approx(expected[rule.aggregation], rel=1e-14)
    if column == "seedtts":
        assert round(100 * found, 3) == expected["average_wer_py_percent"]
    counts = [
        rule.count(rule.reference(a, language), rule.hypothesis(b, language), language, "word")
        for a, b in zip(*texts, strict=True)
    ]
    assert sum(c.errors for c in counts) / sum(c.units for c in counts) == pytest.approx(expected["micro"], rel=1e-14)
    assert sum(c.errors / c.units for c in counts) / len(counts) == pytest.approx(expected["macro"], rel=1e-14)


def test_the_default_in_english_is_whispers_where_that_does_nothing_wrong(shared):
    """Of 50 rows 4 differ: typographic apostrophes were errors; one half was 12, and night's was night is."""
    rows = [row for row in table(shared, "text.csv") if row["language"] == "en"]
    rates = {row["row"]: word_error_rate([row["reference"]], [row["hypothesis"]]) for row in rows}
    differ = [row for row in rows if rates[row["row"]] != float(row["whisper_english"])]
    assert [("’" in row["hypothesis"], rates[row["row"]]) for row in differ] == [
        (True, 0.0), (True, 0.0), (False, pytest.approx(2 / 25)), (False, pytest.approx(1 / 17)),
    ]  # fmt: skip


def test_macro_is_not_micro():
    references, hypotheses = ["one two three four", "yes"], ["one two three four", "no no"]
    assert word_error_rate(references, hypotheses, recipe="seedtts") == 1.0
    assert word_error_rate(references, hypotheses, recipe="s3prl") == 0.4


def test_apostrophes_and_punctuation_by_recipe():
    pair = ["it's a Dog."], ["its a dog"]
    rates = {recipe: word_error_rate(*pair, recipe=recipe) for recipe in ("seedtts", "f5", "s3prl", "none")}
    assert rates == {"seedtts": pytest.approx(1 / 3), "f5": 0.0, "s3prl": 0.0, "none": pytest.approx(2 / 3)}


@given(st.text(alphabet=st.sampled_from(string.ascii_letters + string.punctuation + " ，。！'")))
def test_rules_leave_clean_text_alone(text):
    for recipe in ("f5", "s3prl"):
        rule = RULES["word"][recipe]
        once = rule.reference(text, "en")
        assert not set(once) & set("，。！'\".,;:?")
        assert rule.reference(once, "en").split() == once.split()


def test_rules_refuse_by_name(monkeypatch):
    with pytest.raises(UsageError, match=r"unknown recipe 'seed'.*seedtts"):
        word_error_rate(["a"], ["a"], recipe="seed")
    with pytest.raises(UsageError, match=r"'seedtts' has no rule for language 'de'; it has \['en', 'zh'\]"):
        word_error_rate(["a"], ["a"], "de", recipe="seedtts")
    with pytest.raises(UsageError, match="reference 0"):
        word_error_rate(["..."], ["a"], recipe="f5")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("vceval.metrics.text.version", missing)
    assert word_error_rate(["It is."], ["it is"], recipe="f5") == 0.0
    with pytest.raises(UsageError, match=r"zhconv 1\.4.*vceval\[chinese\]"):
        word_error_rate(["今天"], ["今天"], "zh", recipe="f5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("四十五", "45"), ("十", "10"), ("二零一九", "2019"), ("两千零一十九", "2019"), ("一百五", "150"),
        ("一百零五", "105"), ("一万五", "15000"), ("一万零五", "10005"), ("3万", "30000"), ("1万2345", "12345"),
        ("三千五百万", "35000000"), ("两亿三千万", "230000000"), ("万一", "万1"), ("千万", "千万"), ("100", "100"),
        ("五百分之一", "500分之1"), ("一" * 40 + "万", "1" * 40 + "万"),
    ],
)  # fmt: skip
def test_chinese_numbers(text, expected):
    assert plain_numbers(text) == expected


@given(st.text(alphabet="零一二两五九十百千万亿0159年", max_size=12))
def test_chinese_numbers_are_rewritten_once(text):
    once = plain_numbers(text)
    assert plain_numbers(once) == once
    assert not set(once) & set("零一二两五九")


@given(st.integers(0, 10**12 - 1))
def test_chinese_numbers_are_read_back(number):
    assert plain_numbers(spelled(number)) == str(number)


def spelled(number: int) -> str:
    """Spell a number in Chinese, written from the other side: the largest unit first."""
    if number == 0:
        return "零"
    text, gap = "", False
    for unit, size in (("亿", 10**8), ("万", 10**4), ("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        many, number = divmod(number, size)
        if not many:
            gap = bool(text)
            continue
        skipped = text and (gap or (many < 1000 and size in (10**8, 10**4)))
        text += ("零" if skipped else "") + (spelled(many) if many > 9 else "零一二三四五六七八九"[many]) + unit
        gap = size >= 10**4 and bool(number) and number < size // 10
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("他在2019年买了3本书。", "他在二零一九年买了三本书"),
        ("这个问题不难，但是需要时间。", "這個問題不難，但是需要時間。"),
        ("超市里的苹果每斤5.5元。", "超市裡的蘋果每斤五點五元"),
        ("7:45到站，共1,234人，8%站着", "七点四十五到站 共一千二百三十四人 百分之八站着"),
        ("我的手机号码是13800。", "我的手机号码是 一三八零零"),
    ],
)
def test_chinese_that_sounds_the_same_is_the_same(one, other):
    assert normalise(one, "zh") == normalise(other, "zh-TW")
    assert character_error_rate([one], [other], "zh") == word_error_rate([one], [other], "zh") == 0.0


def test_chinese_errors_still_count():
    assert character_error_rate(["火车七点四十五分到站。"], ["火车七点十五分到站。"], "zh") == pytest.approx(1 / 9)
    assert normalise("有五，三百人", "zh") == normalise("有五 三百人", "zh")
    assert normalise("有5，300人", "zh") == normalise("有5 300人", "zh")
    assert normalise("四十五", "ja") == "四 十 五"


class Scripted(Recogniser):
    """Hears what is told for a file's name."""

    def __init__(self, texts: dict[int, str]) -> None:
        self.texts = texts

    @property
    def title(self) -> str:
        return "Scripted"

    @property
    def identity(self) -> str:
        return "scripted,1"

    def knows(self, language: str) -> bool:
        return language in ("en", "zh", "de")

    def hear(self, wave, language, device) -> str:
        return self.texts[len(wave.samples) // 1600]


def opened(name: str, texts: dict[int, str]):
    metric = registry.load("metric", name)()
    object.__setattr__(metric, "_recogniser", Scripted(texts))
    metric.open(Workspace(cache=Cache(None)))
    return metric


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_metrics(name, make_sound):
    metric = opened(name, {10: "The cat, sat!", 12: "the cat sat on"})
    source = Utterance("u", make_sound("source.wav", seconds=1.2), "toy")
    pair = ConversionPair("p", "toy", source=source, transcript="the cat sat")
    found = metric.statistics(Conversion("s", pair, make_sound("out.wav", seconds=1.0), "the cat sat", "en"))
    assert metric.name == name
    assert list(found.sums) == [measure.name for measure in metric.measures] == [name]
    base, recipe = name.split(":")
    assert metric.signature().startswith(f"{base.upper()}:{recipe}|asr:scripted,1|sr:16000|")
    macro = recipe in ("seedtts", "f5")
    assert ("|agg:macro|" in metric.signature()) == macro
    numerator, denominator = found.sums[name]
    assert (denominator == 1.0) == macro
    reference = "asr-of-source" if recipe == "freevc" else "transcript"
    assert metric.long_signature().startswith(f"{metric.signature()}|reference:{reference}|resampler:soxr-hq|")
    assert "|jiwer:4." in metric.long_signature()
    rate = character_error_rate if base == "cer" else word_error_rate
    expected = "the cat sat on" if recipe == "freevc" else "the cat sat"
    assert numerator / denominator == rate([expected], ["The cat, sat!"], recipe=recipe)


def test_recipe_signatures_differ():
    signatures = {opened(name, {}).signature() for name in [*NAMES, "wer", "cer"]}
    assert len(signatures) == len(NAMES) + 2
    assert {name for name in NAMES if "|v:1.0" in opened(name, {}).signature()} == set(NAMES)


def test_freevc_and_the_normalisers_are_what_they_were():
    """The default's preparation is not theirs: an odd apostrophe counts there as it did."""
    for recipe in ("freevc", "whisper-english"):
        assert word_error_rate(["don't"], ["don\u2019t"], recipe=recipe) == 1.0
        assert word_error_rate(["ten o'clock (he said)"], ["100 clock"], recipe=recipe) == 0.0
    assert word_error_rate(["Er sagte (leise) ja"], ["er sagte ja"], "de", recipe="freevc") == 0.0


def test_seedtts_has_no_value_in_other_languages(make_sound):
    with pytest.raises(UnmetNeed, match="wer:seedtts has no rule for language 'de'") as missing:
        opened("wer:seedtts", {10: "ja"}).statistics(
            Conversion("s", ConversionPair("p", "toy"), make_sound(seconds=1.0), "ja", "de")
        )
    assert missing.value.need == "language"


def test_freevc_needs_another_recording_of_the_same_text(make_sound):
    metric = opened("wer:freevc", {10: "yes no", 12: "no", 14: "?!"})
    source = Utterance("u", make_sound("source.wav", seconds=1.2), "toy")
    pair = ConversionPair("p", "toy", source=source)
    converted = Conversion("s", pair, make_sound("out.wav", seconds=1.0), None, "en")
    assert metric.statistics(converted).sums == {"wer:freevc": (1.0, 1.0)}
    assert "|ref:asr-of-source|" in metric.signature()
    for wrong, need in (
        (replace(converted, pair=replace(pair, source=None)), "source"),
        (replace(converted, transcript="another text"), "source"),
        (replace(converted, path=source.path), "other"),
        (replace(converted, language=None), "language"),
        (
            replace(converted, pair=replace(pair, source=replace(source, path=make_sound("s2.wav", seconds=1.4)))),
            "source",
        ),
    ):
        with pytest.raises(UnmetNeed) as missing:
            metric.statistics(wrong)
        assert missing.value.need == need
    gone = replace(source, path=source.path.with_name("gone.wav"))
    with pytest.raises(ItemError, match=r"gone\.wav: no such file \(source of pair p\)"):
        metric.statistics(replace(converted, pair=replace(pair, source=gone)))
