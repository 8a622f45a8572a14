"""How names of files in folders are read, and what is said of those that name nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from vceval.errors import UsageError
from vceval.protocol.known import PROMPTS, Known
from vceval.protocol.pairing import uneven
from vceval.protocol.trees import read_trees, spread
from vceval.records import Gender, Utterance

#: Speakers of a corpus in the manner of VCTK, their genders, and how many of the same texts each reads.
SPEAKERS: dict[str, Gender] = {"p225": "F", "p226": "M", "p228": "F"}
TEXTS = 9
PAIRS = (("p225_001", "p226_002"), ("p226_003", "p228_004"))


@pytest.fixture
def corpus(tmp_path: Path) -> Known:
    return Known(
        (
            Utterance(
                f"{who}_{n:03}", tmp_path / f"vctk/{who}_{n:03}_mic1.flac", "VCTK", who, gender, "en", f"Text {n}."
            )  # type: ignore[arg-type]
            for who, gender in SPEAKERS.items()
            for n in range(1, TEXTS + 1)
        ),
        "VCTK 0.92",
        settles=True,
    )


def laid(root: Path, *names: str) -> Path:
    """Make files of these names; what is in them is not read."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def tree(root: Path, form: str, systems: Sequence[str] = ("A", "B"), pairs: Sequence[tuple[str, str]] = PAIRS) -> Path:
    return laid(root, *(form.format(system=s, source=a, target=b, speaker=b[:4]) for s in systems for a, b in pairs))


@pytest.mark.parametrize(
    "form",
    [
        "{system}/{source}_to_{target}.wav",
        "{system}/{source}-{target}.wav",
        "{system}/{source}_{target}.flac",
        "{system}/{source}TO{target}.wav",
        "{system}_{source}TO{target}.wav",
        "x/{system}-{source}_to_{target}.wav",
        "{system}/{source}_mic1_to_{target}_mic2.wav",
        "src;{source}&tgt;{target}/{system}.wav",
        "VCTK/F2M/1/B_{system}_{source}TO{target}.wav",
        "{source}_to_{target}_{system}.wav",
    ],
)
@pytest.mark.parametrize("systems", [("A", "B"), ("VQVC_plus", "my-own_2")])
def test_usual_ways_to_name_files_are_recognised(
    tmp_path: Path, corpus: Known, form: str, systems: tuple[str, str]
) -> None:
    found = read_trees([tree(tmp_path / "out", form, systems)], known=corpus)
    assert sorted(found.systems) == sorted(systems)
    assert sorted(found.pairs) == ["p225_001-p226_002", "p226_003-p228_004"]
    assert not found.missing
    pair = found.pairs["p225_001-p226_002"]
    assert pair.source is not None
    assert (pair.source.path.name, pair.transcript, pair.language) == ("p225_001_mic1.flac", "Text 1.", "en")
    assert (pair.direction, pair.source_speaker, pair.target_speaker, pair.dataset) == ("F2M", "p225", "p226", "VCTK")
    assert [one.id for one in pair.prompts] == ["p226_002"]
    assert pair.reference is not None
    assert pair.reference.id == "p226_001"
    assert pair.natural is pair.reference
    assert "files are read as" in found.notes[0]


@pytest.mark.parametrize("form", ["{system}/{source}_to_{speaker}.wav", "{system}/{speaker}/{source}.wav"])
def test_a_target_that_is_a_speaker_is_several_recordings(tmp_path: Path, corpus: Known, form: str) -> None:
    found = read_trees([tree(tmp_path / "out", form)], known=corpus)
    pair = found.pairs["p225_001-p226"]
    assert len(pair.prompts) == PROMPTS
    assert {one.speaker for one in pair.prompts} == {"p226"}
    assert "p226_001" not in {one.id for one in pair.prompts}  # says what the source says
    assert pair.reference is not None
    assert pair.reference.id == "p226_001"
    assert found.pairs == read_trees([tmp_path / "out"], known=corpus).pairs
    assert any("2 targets are speakers, not recordings" in note and "p226_" in note for note in found.notes)


def test_a_parallel_target_is_prompt_and_reference_and_no_control(tmp_path: Path, corpus: Known) -> None:
    found = read_trees(
        [tree(tmp_path, "{system}/{source}_to_{target}.wav", pairs=[("p225_001", "p226_001")])], None, corpus
    )
    [pair] = found.pairs.values()
    assert pair.reference is not None
    assert (pair.reference.id, pair.prompts[0].id) == ("p226_001", "p226_001")
    assert pair.natural is None
    assert any("in 1 pairs the target recording says the source's text" in note for note in found.notes)


def test_folders_of_systems_read_as_the_folder_around_them(tmp_path: Path, corpus: Known) -> None:
    whole = tree(tmp_path / "out", "{system}/{source}_to_{target}.wav")
    parts = read_trees(spread([tmp_path / "out/*"]), known=corpus)
    assert parts.conversions == read_trees([whole], known=corpus).conversions
    files = read_trees(spread([tmp_path / "out/*/*.wav"]), known=corpus)
    assert files.conversions == parts.conversions


def test_names_that_are_slightly_wrong_are_told_with_what_is_meant(tmp_path: Path, corpus: Known) -> None:
    root = tree(tmp_path / "out", "{system}_{source}TO{target}.wav", ("mine", "other"))
    laid(
        root, "mine_p225_005top226_006.wav", "mine-p225_006TOp226_007.wav", "mine_p225_007TOp226_08.wav",
        "mine_P225_008TOp226_009.wav", "notes.wav", "p228_009.wav",
    )  # fmt: skip
    found = read_trees([root], known=corpus)
    assert sorted(found.systems) == ["mine", "mine-p225", "other"]
    told = sorted(line.removeprefix(f"{root}/") for line in found.missing)
    assert told == [
        "mine-p225_006TOp226_007.wav: reads as system mine-p225, source 006, which is nowhere; "
        "is it mine_p225_006TOp226_007.wav?",
        "mine_P225_008TOp226_009.wav: source P225_008 is nowhere in VCTK 0.92; the nearest: p225_008",
        "mine_p225_005top226_006.wav: does not fit {system}_{source}TO{target}.{ext}; "
        "is it mine_p225_005TOp226_006.wav?",
        "mine_p225_007TOp226_08.wav: target p226_08 is nowhere in VCTK 0.92; the nearest: p226_008",
        "notes.wav: does not fit {system}_{source}TO{target}.{ext}",
    ]
    assert len(found.failures) == 3  # the two others are of no pair
    assert any("1 files bear the names of natural recordings" in note for note in found.notes)


def test_names_that_lie_beside_their_recordings_are_told_too(tmp_path: Path) -> None:
    root = laid(
        tmp_path, "awb_001.wav", "awb_002.wav", "awb_003.wav", "slt_001.wav", "slt_002.wav", "slt_003.wav",
        "mine_awb_002TOslt_002.wav", "mine_awb_003toslt_003.wav", "mine-awb_001TOslt_001.wav",
        "mine_awb_002TOslt_01.wav",
    )  # fmt: skip
    found = read_trees([root], "{system}_{source}TO{target}.wav")
    told = sorted(line.removeprefix(f"{root}/") for line in found.missing)
    assert told[0].endswith("is it mine_awb_001TOslt_001.wav?")
    assert told[1] == "mine_awb_002TOslt_01.wav: target slt_01 is nowhere in the folders; the nearest: slt_001"
    assert told[2].endswith("is it mine_awb_003TOslt_003.wav?")


def test_what_can_be_read_in_two_ways_is_refused_with_both(tmp_path: Path, corpus: Known) -> None:
    root = tree(tmp_path / "out", "{system}/{source}/{target}.wav")
    with pytest.raises(UsageError, match="can be read in 2 ways; say which") as caught:
        read_trees([root], known=corpus)
    told = str(caught.value)
    assert "--pattern '{system}/{source}/{target}.{ext}': p226_002.wav is of system A, source p225_001" in told
    assert "--pattern '{system}/{target}/{source}.{ext}'" in told
    found = read_trees([root], "{system}/{target}/{source}.{ext}", corpus)
    assert sorted(found.pairs) == ["p226_002-p225_001", "p228_004-p226_003"]


def test_names_that_no_usual_way_explains_are_refused(tmp_path: Path, corpus: Known) -> None:
    root = laid(tmp_path, "A/one.wav", "A/two.wav")
    with pytest.raises(
        UsageError, match=r"such as A/one.wav: VCTK 0.92 has no such source and target; say with --pattern"
    ):
        read_trees([root], known=corpus)
    with pytest.raises(UsageError, match="--corpus NAME --data DIR"):
        read_trees([root])


def test_where_all_names_have_one_slip_what_is_near_is_said(tmp_path: Path, corpus: Known) -> None:
    root = tree(tmp_path / "out", "{system}/{source}_to_{target}.wav", pairs=[("P225_001", "p226_02")])
    with pytest.raises(UsageError, match=r"VCTK 0\.92 has no such source and target") as caught:
        read_trees([root], known=corpus)
    way = "(as {system}/{source}_to_{target}.{ext}: source P225_001, the nearest: p225_001"
    assert f"{way}; target p226_02, the nearest: p226_002" in str(caught.value)


def test_names_alone_pair_systems(tmp_path: Path) -> None:
    found = read_trees([tree(tmp_path, "{system}/{source}_to_{target}.wav")], "{system}/{source}_to_{target}.wav")
    assert len(found.pairs) == 2
    assert len(found.conversions) == 4
    assert not found.missing
    assert any("sources and targets are names only" in note for note in found.notes)


def test_two_systems_of_one_name_are_refused(tmp_path: Path, corpus: Known) -> None:
    for folder in ("out", "old"):
        tree(tmp_path / folder, "{system}/{source}_to_{target}.wav")
    with pytest.raises(UsageError, match=r"two systems are called A.*out/A/p225_001_to_p226_002.wav and .*old/A/p225"):
        read_trees([tmp_path / "out", tmp_path / "old"], known=corpus)
    with pytest.raises(UsageError, match="two systems are called A"):
        read_trees([tmp_path / "out/A", tmp_path / "old/A"], known=corpus)


def test_systems_whose_files_lie_one_folder_deeper_are_told_how_to_be_named(tmp_path: Path, corpus: Known) -> None:
    root = tree(tmp_path / "out", "{system}/wavs/{source}_to_{target}.wav")
    way = "{system}/wavs/{source}_to_{target}.{ext}"
    with pytest.raises(UsageError, match=re.escape(f"give --pattern '{way}', rename a folder")):
        read_trees([root], known=corpus)
    for places in ([root], [root / "A", root / "B"]):
        assert sorted(read_trees(places, way, corpus).systems) == ["A", "B"]


def test_unequal_systems_are_told_in_a_line_each(tmp_path: Path, corpus: Known) -> None:
    root = tree(tmp_path, "{system}/{source}_to_{target}.wav", ("A", "B", "C"))
    (root / "B/p225_001_to_p226_002.wav").unlink()
    assert uneven(read_trees([root], known=corpus)) == ["B has 1 of 2 pairs; it lacks p225_001-p226_002"]


def test_films_are_refused_with_the_line_that_converts_them(tmp_path: Path, corpus: Known) -> None:
    laid(tmp_path, "out/A/it's $HOME.m4a", "out/A/p225_001_to_p226_002.wav")
    with pytest.raises(UsageError, match=r"m4a is not read, and 1 such file is here") as caught:
        read_trees([tmp_path / "out"], known=corpus)
    assert "ffmpeg -nostdin -n" in str(caught.value)


def test_a_film_whose_sound_lies_beside_is_passed_over(tmp_path: Path, corpus: Known) -> None:
    """What the line made is scored by the same command."""
    laid(tmp_path, "out/A/p225_001_to_p226_002.m4a", "out/A/p225_001_to_p226_002.flac")
    found = read_trees([tmp_path / "out"], known=corpus)
    assert [one.path.name for one in found.conversions] == ["p225_001_to_p226_002.flac"]


def test_links_are_followed_and_name_systems(tmp_path: Path, corpus: Known) -> None:
    # Systems are often links to where an experiment left its files, all in folders of one name
    out = tmp_path / "out"
    for system in "AB":
        there = tree(tmp_path / f"experiments/{system}/wavs", "{source}_to_{target}.wav", [system])
        out.mkdir(exist_ok=True)
        (out / system).symlink_to(there)
    (out / "A/back").symlink_to(out / "A")  # leads around
    for places in ([out], [out / "A", out / "B"]):
        found = read_trees(places, known=corpus)
        assert sorted(found.systems) == ["A", "B"]
        assert len(found.conversions) == 4
        assert not found.missing


def test_links_that_lead_to_nothing_are_missing(tmp_path: Path, corpus: Known) -> None:
    out = tree(tmp_path / "out", "{system}/{source}_to_{target}.wav")
    (out / "B/p225_001_to_p226_005.wav").symlink_to("gone.wav")
    (out / "C").symlink_to("../exp/C")
    found = read_trees([out], known=corpus)
    assert len(found.conversions) == 4
    assert found.missing == [
        f"{out}/B/p225_001_to_p226_005.wav: a link to gone.wav, which is not there",
        f"{out}/C: a link to ../exp/C, which is not there",
    ]
