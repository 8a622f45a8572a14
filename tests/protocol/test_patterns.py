"""File-name patterns: the two published namings, round trips, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.errors import UsageError
from vceval.protocol.patterns import Pattern


def match(pattern: Pattern, path: str) -> dict[str, str] | None:
    """The first of the readings."""
    return next(iter(pattern.readings(path)), None)


def test_the_naming_of_mae_vc() -> None:
    pattern = Pattern("mae-vc")
    found = match(pattern, "any thing/Aishell/F2M/1/B_AGAINVC_SSB01120062TOSSB06290090.wav")
    assert found == {
        "dataset": "Aishell",
        "direction": "F2M",
        "number": "1",
        "letter": "B",
        "system": "AGAINVC",
        "source": "SSB01120062",
        "target": "SSB06290090",
        "ext": "wav",
    }
    flat = match(pattern, "VCTK/M2M/E_MAEVC_p232_005TOp308_329.wav")
    assert flat is not None
    assert (flat["dataset"], flat["source"], flat["target"]) == ("VCTK", "p232_005", "p308_329")
    assert match(pattern, "VCTK/M2M/p232_005.wav") is None


def test_the_naming_of_skqvc() -> None:
    found = match(Pattern("skqvc"), "MOS/LibriTTS/src;1320_1_2&tgt;1995_3_4/VQVC_plus_37.wav")
    assert found == {
        "dataset": "LibriTTS",
        "source": "1320_1_2",
        "target": "1995_3_4",
        "system": "VQVC_plus_37",
        "ext": "wav",
    }
    assert match(Pattern("skqvc"), "src;a&tgt;b/Ours.wav") == {
        "source": "a",
        "target": "b",
        "system": "Ours",
        "ext": "wav",
    }


def test_a_pattern_starts_at_a_folder_boundary() -> None:
    pattern = Pattern("{system}_{source}TO{target}.wav")
    assert match(pattern, "x/FreeVC_aTOb.wav") == {"system": "FreeVC", "source": "a", "target": "b"}
    assert match(pattern, "FreeVC_aTOb.wav.txt") is None
    assert match(pattern, "FreeVC/aTOb.wav") is None


def test_a_repeated_field_must_repeat() -> None:
    pattern = Pattern("{source}/{system}-{source}.wav")
    assert match(pattern, "a/X-a.wav") == {"source": "a", "system": "X"}
    assert match(pattern, "a/X-b.wav") is None


@given(st.text(alphabet="abcXYZ019-. ;&%+()", min_size=1), st.text(alphabet="abcXYZ019-. ;&%+()", min_size=1))
def test_candidates_find_what_is_read(system: str, source: str) -> None:
    pattern = Pattern("{letter}_{system}/{source}.wav")
    path = f"A_{system}/{source}.wav"
    assert match(pattern, path) == {"letter": "A", "system": system, "source": source}
    assert pattern.candidates({"system": system, "source": source}).match(path)
    assert not pattern.candidates({"system": system + "x", "source": source}).match(path)


@pytest.mark.parametrize("text", ["{system", "a]b", "[{system}.wav", "{}.wav", "a}b"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        Pattern(text)


def test_every_end_of_the_systems_name_is_a_reading() -> None:
    readings = Pattern("{system}_{source}TO{target}.wav").readings("x/A_Ours_p1_1TOp2_2.wav")
    assert [(r["system"], r["source"]) for r in readings] == [
        ("A", "Ours_p1_1"),
        ("A_Ours", "p1_1"),
        ("A_Ours_p1", "1"),
    ]
    assert {r["target"] for r in readings} == {"p2_2"}
    assert Pattern("{system}_{source}TO{target}.wav").readings("x/p1_1.wav") == []
