"""Languages by any of their usual names."""

from __future__ import annotations

import pytest

from vceval.errors import UsageError
from vceval.languages import language_code, same_language


@pytest.mark.parametrize(
    ("code", "tags"),
    [
        ("en", "en EN eng English english en-GB en_US en_US.UTF-8 us"),
        ("zh", "zh cn zh-CN zh_TW cmn cmn-Hans chi zho Mandarin"),
        ("ja", "ja jp jpn jap Japanese 日本語"), ("ko", "ko kr kor Korean"), ("pt", "pt por pt-BR pt_BR Português"),
        ("no", "no nb nob nor Norwegian nb-NO"), ("nn", "nn nno Nynorsk"), ("yue", "yue zh-yue Cantonese"),
        ("he", "he iw heb Hebrew"), ("de", "de ger deu German Deutsch de-CH"), ("fr", "fr fre fra French Français"),
        ("es", "es spa Spanish Español es-419"), ("uk", "uk ua ukr"), ("cs", "cs cz cze"), ("id", "id in ind"),
        ("nan", "nan zh-min-nan"), ("tl", "tl fil Filipino Tagalog"), ("ar", "ar arb arz ar-EG Arabic"), ("tlh", "tlh"),
        ("jv", "jv jw"), ("fa", "fa per pes Farsi Persian"), ("gsw", "gsw"), ("qqq", "qqq"),
    ],
)  # fmt: skip
def test_tags_codes_and_names_are_one(code, tags):
    assert {language_code(tag) for tag in tags.split()} == {code}


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("American English", "en"), ("Chinese (Simplified)", "zh"), ("Mandarin Chinese", "zh"), ("Swiss German", "gsw"),
        ("Portuguese (Brazil)", "pt"), ("Norwegian Bokmål", "no"), ("Latin American Spanish", "es"), ("Latin", "la"),
        (" en ", "en"), ("Haitian Creole", "ht"),
    ],
)  # fmt: skip
def test_names_of_several_words(tag, code):
    assert language_code(tag) == code


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("Englsh", r"unknown language 'Englsh'; did you mean 'english' \(en\)\?"), ("germn", r"'german' \(de\)"),
        ("Mandrin", r"'mandarin' \(zh\)"), ("xx", "unknown language 'xx'; give a code such as en"),
        ("und", "'und' names no language"), ("unknown", "names no language"), ("", "names no language"),
        ("English, German", "unknown language"), ("en/de", "unknown language"), ("Old English", r"'english' \(en\)"),
    ],
)  # fmt: skip
def test_others_are_refused_with_the_nearest(tag, said):
    with pytest.raises(UsageError, match=said):
        language_code(tag)


def test_two_tags_of_one_language():
    assert same_language("en-GB", "English")
    assert not same_language("en", "de")
    assert same_language("my own", "my own")
    assert not same_language("my own", "en")
