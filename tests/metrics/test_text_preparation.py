"""Texts before any rule of words: what typesetting adds makes no error."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.errors import UsageError
from vceval.metrics import character_error_rate, word_error_rate
from vceval.metrics.text import normalise
from vceval.metrics.text_preparation import prepared

APOSTROPHES = "\u0027\u2018\u2019\u02bc\u0060\u00b4\uff07\u201b\u2032\u02bb\u1fbd"
INVISIBLE = "\u00ad\u200b\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff\ufe0e\ufe0f\u034f\u061c"
LANGUAGES = ("en", "de", "fr", "tr", "ar", "fa", "he", "hi", "ru", "zh", "ja", "ko", "th", "ml")
#: Letters, marks and signs of many scripts, and all that the preparation looks at.
ALPHABET = st.one_of(
    st.sampled_from(APOSTROPHES + INVISIBLE + "\u200c.…()[]<>{}*（）a bİIıi\u0307\u0301½⁄2ß"),
    st.sampled_from("مَرْحَبًاـ\u0653\u0670שָׁלוֹם\u05b0हिन्दी\u094dന\u200dé\u0301й笑声がｶﾞ한ｋ\u1100\u1161"),
    st.sampled_from("laughs (music) inaudible"),
    st.characters(codec="utf-8", exclude_categories=["Cs", "Co"]),
)
TEXTS = st.text(ALPHABET, max_size=25)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.sampled_from(LANGUAGES))
def test_preparing_twice_changes_nothing(text, language):
    once = prepared(text, language)
    assert prepared(once, language) == once


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.sampled_from(LANGUAGES))
def test_composed_and_decomposed_forms_are_one(text, language):
    composed, decomposed = (prepared(unicodedata.normalize(form, text), language) for form in ("NFC", "NFD"))
    assert composed == decomposed == prepared(text, language)


@given(st.sampled_from(LANGUAGES), st.sampled_from(APOSTROPHES), st.sampled_from(["don't", "l'eau", "geht's", "м'ята"]))
def test_all_apostrophes_are_one(language, apostrophe, word):
    assert prepared(word.replace("'", apostrophe), language) == word
    assert normalise(f"a {word.replace(chr(39), apostrophe)} b", language) == normalise(f"a {word} b", language)


@given(st.lists(st.sampled_from([*INVISIBLE, "c", "o", "p"]), max_size=20), st.sampled_from(LANGUAGES))
def test_what_nobody_sees_is_nothing(letters, language):
    text = "".join(letters)
    assert prepared(text, language) == "".join(letter for letter in letters if letter in "cop")


@pytest.mark.parametrize(
    ("language", "said", "heard"),
    [
        ("ar", "مَرحَبا بِالعَالَمِ", "مرحبا بالعالم"), ("ar", "مــرحبا", "مرحبا"), ("ar", "ٱلْكِتَاب", "الكتاب"),
        ("fa", "می\u200cخواهم", "می خواهم"), ("ur", "اُردو", "اردو"), ("he", "שָׁלוֹם", "שלום"),
        ("tr", "İstanbul IRAK", "istanbul ırak"), ("az", "İSTİ", "isti"), ("en", "İstanbul", "Istanbul"),
        ("de", "İstanbul", "Istanbul"), ("ru", "за́мок", "замок"), ("ml", "അവന\u0d4d\u200d", "അവൻ"),
        ("ja", "ｶﾞｷﾞ", "ガギ"), ("ko", "\u1112\u1161\u11ab", "한"), ("vi", "tie\u0302\u0301ng", "tiếng"),
        ("de", "Er sagte (leise) ja", "er sagte leise ja"), ("zh", "他说（小声）好", "他说小声好"),
        ("fr", "Il dit [doucement] oui", "il dit doucement oui"), ("ja", "彼は（小声で）言った", "彼は小声で言った"),
        ("fr", "l'eau", "l’eau"), ("uk", "мʼята", "м'ята"), ("de", "Na ja...", "na ja"), ("fr", "Oui… non", "oui non"),
        ("fa", "كتابي ۱۲", "کتابی 12"), ("ar", "کتابی ٣", "كتابي 3"), ("hi", "१२", "12"), ("ru", "ещё", "еще"),
        ("fr", "Le cœur", "le coeur"), ("ro", "Ţara şi", "țara și"),
        ("de", "geht’s", "geht's"), ("es", "«Sí»", "sí"), ("de", "Donau\u00addampf", "Donaudampf"),
    ],
)  # fmt: skip
def test_other_languages_by_example(language, said, heard):
    assert word_error_rate([said], [heard], language) == 0.0
    assert character_error_rate([said], [heard], language) == 0.0


@pytest.mark.parametrize(
    ("language", "text"), [("hi", "हिन्दी"), ("th", "ลังนี้"), ("ta", "தமிழ்"), ("yi", "אַ"), ("ru", "йод"), ("ar", "آب أب")]
)
def test_marks_that_readers_write_stay(language, text):
    assert prepared(text, language) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[laughter] yes (coughs) no", "yes no"), ("<unk> a <noise> b </s>", "a b"), ("(inaudible) so", "so"),
        ("*sighs* well", "well"), ("(upbeat music playing) hi", "hi"), ("[BLANK_AUDIO]", ""), ("a [12] b", "a b"),
        ("(clears throat) hi", "hi"), ("(Laughter and applause.) so", "so"),
        ("[indistinct chatter] a", "a"),

        ("[He] went", "He went"), ("in (1871) a", "in 1871 a"),
        ("[1871] a", "1871 a"), ("{so} he", "so he"),
        ("STRASSE (lacht)", "STRASSE"), ("好（笑）", "好"), ("[音楽] はい", "はい"),
        ("He went (so I was told) home", "He went so I was told home"), ("(music, painting) a", "music, painting a"),
        ("a (b [c] (laughs)) d", "a b c d"), ("friend(s) colo(u)r (re)build", "friends colour rebuild"),
        ("(he sighed) go", "he sighed go"), ("( a", "a"), ("a < b", "a b"), ("Wait. . . so", "Wait so"), ("5′", "5"),
        ("2½", "2 1⁄2"), ("Acme™", "Acme"), ("...", ""), ("", ""),
    ],
)  # fmt: skip
def test_brackets_and_signs_by_example(text, expected):
    assert prepared(text, "en") == expected


@pytest.mark.parametrize("text", ["...", "…", "[laughter]", "(inaudible)", "\u200b", "'", "%", "*", "\ufeff"])
@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_a_text_without_words_is_empty(text, language):
    assert normalise(text, language) == ""
    with pytest.raises(UsageError, match="has no words"):
        word_error_rate([text], ["a"], language)
