"""Files that are cut short, streamed, oddly written or foreign: what their headers say of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.signal import audio, containers
from vceval.signal.audio import Waveform
from vceval.signal.containers import Header, read_header

RATE, COUNT = 16_000, 40_000

#: Every container that is read, with the codecs that matter in it.
KINDS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", "PCM_24"),
    ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("AIFF", "IMA_ADPCM"), ("AIFF", "GSM610"), ("AU", "PCM_16"), ("AU", "ALAW"),
    ("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("NIST", "PCM_16"), ("NIST", "ULAW"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip
#: Those whose bytes say how much is missing; the others say at least that something is.
EXACT = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "MP3"}


def speechlike(count: int = COUNT) -> NDArray[np.float32]:
    time = np.arange(count) / RATE
    noise = np.random.default_rng(0).normal(0, 0.01, count)
    return (0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time) + noise).astype(np.float32)


def encoded(container: str, codec: str, samples: NDArray[np.float32] | None = None) -> bytes:
    made = io.BytesIO()
    soundfile.write(made, speechlike() if samples is None else samples, RATE, format=container, subtype=codec)
    return made.getvalue()


def header_of(path: Path) -> Header:
    with open(path, "rb") as stream:
        found = read_header(stream)
    assert found is not None
    return found


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes, name: str = "sound.bin") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_whole_file_is_read_whole(put: Callable[[bytes], Path], container: str, codec: str) -> None:
    path = put(encoded(container, codec))
    header = header_of(path)
    assert header.seconds == pytest.approx(COUNT / RATE, abs=0.1)
    assert (header.missing, header.cut, header.channels) == (0.0, "", 1)
    wave = audio.load(path)
    assert COUNT <= len(wave.samples) <= COUNT + 700  # codecs of blocks fill the last one
    assert audio.duration(path) == pytest.approx(COUNT / RATE, abs=0.1)
    assert wave.facts is not None
    assert wave.facts.sample_rate == audio.sample_rate(path) == RATE


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.995])
@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_file_that_is_cut_short_is_refused(
    put: Callable[[bytes], Path], container: str, codec: str, share: float
) -> None:
    whole = encoded(container, codec)
    path = put(whole[: int(len(whole) * share)])
    with pytest.raises(ItemError, match=r"cut short") as caught:
        audio.load(path)
    assert str(path) in str(caught.value)
    if container in EXACT and codec != "ALAC_16" and share < 0.9:
        assert header_of(path).missing == pytest.approx((1 - share) * COUNT / RATE, abs=0.35)
        assert f"{header_of(path).missing:.3f}" in str(caught.value)


def test_half_a_file_says_how_many_seconds_are_missing(put: Callable[[bytes], Path]) -> None:
    whole = encoded("WAV", "PCM_16")
    with pytest.raises(ItemError, match=r"cut short: 1\.250 of 2\.500 s are missing"):
        audio.load(put(whole[: 44 + COUNT]))
    with pytest.raises(ItemError, match=r"cut short: 1\.250 of 2\.500 s are missing"):
        audio.duration(put(whole[: 44 + COUNT]))


def chunk(name: bytes, content: bytes, *, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(content)) + content + (b"\0" if pad and len(content) % 2 else b"")


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


PCM = (speechlike() * 32767).astype("<i2").tobytes()
FORM = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
ODD_WAVS = {
    "size 0": riff(FORM, b"data" + bytes(4) + PCM, size=0),
    "size -1, as ffmpeg writes into pipes": riff(FORM, b"data\xff\xff\xff\xff" + PCM, size=0xFFFFFFFF),
    "size of 2 GB, as sox writes into pipes": riff(FORM, b"data\x00\xf0\xff\x7f" + PCM, size=0x7FFFF024),
    "size of 2 GB, as arecord writes into pipes": riff(FORM, b"data\x00\x00\x00\x80" + PCM, size=0x80000024),
    "odd LIST without its padding byte": riff(FORM, chunk(b"LIST", b"INFOISFTx", pad=False), chunk(b"data", PCM)),
    "odd LIST with its padding byte": riff(FORM, chunk(b"LIST", b"INFOISFTx"), chunk(b"data", PCM)),
    "JUNK and bext before, iXML behind": riff(
        chunk(b"JUNK", bytes(28)), chunk(b"bext", bytes(602)), FORM, chunk(b"data", PCM), chunk(b"iXML", b"<x/>")
    ),
    "wrong size of the whole": riff(FORM, chunk(b"data", PCM), size=36),
    "RF64 with its sizes": riff(
        chunk(b"ds64", struct.pack("<QQQI", 36 + len(PCM), len(PCM), COUNT, 0)), FORM,
        b"data\xff\xff\xff\xff" + PCM, magic=b"RF64", size=0xFFFFFFFF,
    ),
    "RF64 of a stream": riff(
        chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0)), FORM, b"data\xff\xff\xff\xff" + PCM, magic=b"RF64",
        size=0xFFFFFFFF,
    ),
    "BW64": riff(
        chunk(b"ds64", struct.pack("<QQQI", 36 + len(PCM), len(PCM), COUNT, 0)), FORM, chunk(b"data", PCM),
        magic=b"BW64", size=0xFFFFFFFF,
    ),
    "EXTENSIBLE": riff(
        chunk(b"fmt ", struct.pack("<HHIIHHHHIH", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4, 1)
              + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"),
        chunk(b"data", PCM),
    ),
    "rubbish behind": riff(FORM, chunk(b"data", PCM)) + b"\xff" * 999,
    "an ID3 tag in front": b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + riff(FORM, chunk(b"data", PCM)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_WAVS)
def test_odd_headers_of_whole_files_are_read(put: Callable[[bytes], Path], name: str) -> None:
    wave = audio.load(put(ODD_WAVS[name]))
    assert np.array_equal(wave.samples, np.frombuffer(PCM, "<i2").astype(np.float32) / 32768)


@pytest.mark.parametrize("container", ["AU", "AIFF"])
def test_streams_of_other_containers_are_read(put: Callable[[bytes], Path], container: str) -> None:
    whole = encoded(container, "PCM_16")
    expected = audio.load(put(whole)).samples
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        place = 8 if container == "AU" else whole.index(b"SSND") + 4
        assert np.array_equal(audio.load(put(whole[:place] + size + whole[place + 4 :])).samples, expected)


def test_a_flac_stream_without_its_length_is_read_and_its_end_checked(put: Callable[[bytes], Path]) -> None:
    whole = bytearray(encoded("FLAC", "PCM_16"))
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    assert len(audio.load(put(bytes(whole))).samples) == COUNT
    with pytest.raises(ItemError, match="cut short: its last frame is not whole"):
        audio.load(put(bytes(whole[:-30])))


def test_empty_files_are_refused(put: Callable[[bytes], Path]) -> None:
    for content in (riff(FORM, chunk(b"data", b"")), riff(FORM, chunk(b"data", b""), chunk(b"LIST", b"INFO"))):
        with pytest.raises(ItemError, match="holds no samples"):
            audio.load(put(content))
    with pytest.raises(ItemError, match=r"it is empty \(0 bytes\)$"):
        audio.load(put(b""))
    with pytest.raises(ItemError, match="before its audio begins"):
        audio.load(put(riff(FORM)))


def without_info(mp3: bytes) -> bytes:
    """Drop the frame that says how many follow; at low bit rates there is no room for one."""
    size = next(at for at in range(4, len(mp3)) if mp3[at : at + 2] == mp3[:2])
    return mp3[size:] if b"Xing" in mp3[:size] or b"Info" in mp3[:size] else mp3


def mp3(samples: NDArray[np.float32], level: float = 0.5) -> bytes:
    """Encode at a constant bit rate; level 0 is the highest."""
    made = io.BytesIO()
    with soundfile.SoundFile(
        made, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="CONSTANT", compression_level=level
    ) as out:
        out.write(samples)
    return made.getvalue()


def test_an_mp3_of_several_bit_rates_without_a_header_is_read_whole(put: Callable[[bytes], Path]) -> None:
    low, high = without_info(mp3(speechlike(), 0.99)), without_info(mp3(speechlike(), 0.0))
    assert len(high) > 2 * len(low)
    guessed, _ = soundfile.read(put(high + low))  # libsndfile guesses from the bit rate of the first frame
    assert len(guessed) < 1.5 * COUNT
    for content in (low + high, high + low):
        assert 2 * COUNT <= len(audio.load(put(content)).samples) <= 2 * COUNT + 6 * 1152
        assert audio.duration(put(content)) == pytest.approx(2 * COUNT / RATE, abs=0.3)


def test_an_mp3_without_a_header_has_the_same_samples(put: Callable[[bytes], Path]) -> None:
    whole = mp3(speechlike())
    expected, found = audio.load(put(whole)).samples, audio.load(put(without_info(whole))).samples
    assert len(expected) == COUNT
    lag = len(found) - len(expected)  # what the tag of the encoder trims is all that differs
    assert 0 < lag <= 3 * 1152
    assert min(np.abs(found[d : d + COUNT] - expected).max() for d in range(lag + 1)) < 1e-4


def test_mp3_tags_and_rubbish_do_not_count_as_speech(put: Callable[[bytes], Path]) -> None:
    whole = mp3(speechlike())
    bare = without_info(whole)
    tag = b"ID3\4\0\0\0\0\2\0" + bytes(256)
    tail = b"TAG" + bytes(125)
    for plain in (whole, bare):
        expected = audio.load(put(plain)).samples
        assert np.array_equal(audio.load(put(tag + plain + tail)).samples, expected)
    assert len(audio.load(put(bare + bytes(5000))).samples) == len(audio.load(put(bare)).samples)


def test_an_mp3_joined_of_two_is_read_whole(put: Callable[[bytes], Path]) -> None:
    whole = mp3(speechlike())
    assert len(audio.load(put(whole + whole)).samples) > 2 * COUNT - 2 * 1152


def test_an_mp3_that_ends_within_a_frame_is_refused(put: Callable[[bytes], Path]) -> None:
    bare = without_info(mp3(speechlike()))
    with pytest.raises(ItemError, match="cut short: its last frame is not whole"):
        audio.load(put(bare[:-20]))


def test_an_ogg_that_lost_a_page_or_its_end_is_refused(put: Callable[[bytes], Path]) -> None:
    whole = encoded("OGG", "VORBIS", np.tile(speechlike(), 8))
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    assert len(pages) > 5
    with pytest.raises(ItemError, match="no end"):
        audio.load(put(whole[: pages[-1]]))
    with pytest.raises(ItemError, match="1 pages of its stream are missing"):
        audio.load(put(whole[: pages[3]] + whole[pages[4] :]))


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_ogg_files_joined_to_one_are_refused(put: Callable[[bytes], Path], codec: str) -> None:
    whole = encoded("OGG", codec, np.tile(speechlike(), 8))
    assert audio.load(put(whole)).seconds > 0.5
    with pytest.raises(ItemError, match=r"only .* s can be decoded, as of files joined to one"):
        audio.load(put(whole + whole))


@pytest.mark.parametrize("container", ["VOC", "PAF", "SVX", "AVR", "IRCAM", "MAT5", "PVF", "HTK"])
def test_containers_that_may_end_early_unseen_are_refused(put: Callable[[bytes], Path], container: str) -> None:
    path = put(encoded(container, "PCM_16"))
    with pytest.raises(ItemError, match="is not read, as nothing tells whether such a file is whole"):
        audio.load(path)
    with pytest.raises(ItemError, match="is not read"):
        audio.sample_rate(path)


def test_one_lost_sample_is_not_said_to_be_none(put: Callable[[bytes], Path]) -> None:
    with pytest.raises(ItemError, match="cut short: 6e-05 of "):
        audio.load(put(encoded("WAV", "PCM_16")[:-2]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(100), "it holds MP4"),
        (b"\xff\xf1\x50\x80" + bytes(100), "it holds AAC"),
        (b"#!AMR\n" + bytes(100), "it holds AMR"),
        (b"<!DOCTYPE html><p>", "it is no audio but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 0x55, 1, RATE, 4000, 1, 0)), chunk(b"data", bytes(9000))),
         "MPEG layer III in WAV"),
        (b"NIST_1A\n   1024\nsample_rate -i 16000\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n"
         + bytes(2000), "embedded-shorten"),
        (bytes(5000), "can't be read as audio"),
    ],
)  # fmt: skip
def test_what_is_no_audio_or_foreign_is_named(put: Callable[[bytes], Path], content: bytes, words: str) -> None:
    path = put(content)
    with pytest.raises(ItemError, match=words) as caught:
        audio.load(path)
    assert str(path) in str(caught.value)


def test_long_claims_and_sparse_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.wav"
    with open(path, "wb") as stream:
        stream.write(riff(FORM, b"data" + struct.pack("<I", 3 << 30), size=3 << 30))
        stream.truncate((3 << 30) + 44)
    with pytest.raises(ItemError, match=r"100663\.3 s long; at most 600 s are read \(--max-seconds\)"):
        audio.load(path)
    with open(path, "r+b") as stream:
        stream.write(riff(FORM, b"data" + bytes(4), size=0))
    with pytest.raises(ItemError, match=r"at most 600 s are read"):
        audio.load(path)
    with open(path, "r+b") as stream:
        stream.write(bytes(100))
    with pytest.raises(ItemError, match="can't be read"):
        audio.load(path)
    path.write_bytes(riff(FORM, b"data" + struct.pack("<I", 1 << 30) + PCM))
    with pytest.raises(ItemError, match=r"cut short: 33551\.932 of 33554\.432 s are missing"):
        audio.load(path)


MAGIC = [b"", b"\xff\xfb\x90\x44", *(magic for magic, _ in containers._READERS)]


def damaged() -> st.SearchStrategy[bytes]:
    """Files of all kinds with bytes changed, cut out or put in."""
    wholes = [encoded(*kind, speechlike(3_000)) for kind in KINDS] + [without_info(mp3(speechlike(3_000)))]

    def damage(whole: bytes, changes: list[tuple[int, int, int]], end: int) -> bytes:
        made = bytearray(whole)
        for place, value, kind in changes:
            at = place % min(len(made), 400) if kind < 3 and made else place % max(1, len(made))
            made[at : at + (kind % 2 or 4)] = value.to_bytes(4, "little")[: (kind % 3) * 2]
        return bytes(made[: end or None])

    change = st.tuples(st.integers(0, 1 << 20), st.integers(0, (1 << 32) - 1), st.integers(0, 5))
    return st.builds(damage, st.sampled_from(wholes), st.lists(change, max_size=4), st.integers(0, 3000))


@settings(max_examples=400)
@given(st.one_of(damaged(), st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=300))))
def test_damage_gives_a_result_or_an_item_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(content)
    found: dict[str, object] = {}
    refusals: list[str] = []
    for read in (audio.load, audio.duration, audio.sample_rate):
        try:
            found[read.__name__] = read(path)
        except ItemError as error:
            refusals.append(str(error))
    assert all(str(path) in words for words in refusals)
    wave = found.get("load")
    if isinstance(wave, Waveform):  # what can be read has a length and a rate
        assert np.isfinite(wave.samples).all()
        assert found["sample_rate"] == wave.sample_rate
        assert found["duration"] == pytest.approx(wave.seconds, abs=0.1)


@pytest.mark.parametrize(
    ("name", "least"), [("vbr_noxing.mp3", 39_120), ("mp3_lame_vbr2.mp3", 39_120), ("vbr.mp3", 39_120)]
)
def test_published_faults_mp3_frames(shared: Path, name: str, least: int) -> None:
    wave = audio.load(shared / "review" / "cases" / "b04-mp3-frames" / name)
    assert least <= len(wave.samples) <= 40_320


@pytest.mark.parametrize("name", ["trunc_aiff.aiff", "trunc_plain.wav", "trunc_vorbis.ogg"])
def test_published_faults_truncated(shared: Path, name: str) -> None:
    with pytest.raises(ItemError, match=r"cut short: .* s are missing"):
        audio.load(shared / "review" / "cases" / "b05-truncated-wav" / name)


def test_published_faults_odd_audio(shared: Path) -> None:
    odd = shared / "review" / "cases" / "b14-b17-odd-audio"
    plain = audio.load(shared / "review" / "cases" / "b01-csv-quote" / "plain.wav").samples
    for name in ("oddlist.wav", "stream_zero.wav"):
        assert np.array_equal(audio.load(odd / name).samples, plain)
    assert audio.load(odd / "gsm610.wav").seconds == pytest.approx(len(plain) / 16_000, abs=0.05)
