"""What audio files say of themselves: rate, channels, how long they claim to be, and how much of that is there.

libsndfile believes the end of the file, not the header, so that half a file looks like a whole one to it. Headers are
therefore read here, without decoding anything: WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AIFC, AU, CAF, NIST SPHERE, Ogg
(Vorbis, Opus), FLAC, and MPEG audio. Little is read, nothing is believed that could cost memory, and every walk ends.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import BinaryIO

from vceval.errors import ItemError

__all__ = ["Header", "read_header"]

#: Chunks, pages or lines that a header may have before it counts as damaged.
_MOST_CHUNKS = 4096
_ADVICE = "convert it to FLAC or 16-bit WAV"
#: Bytes that are read at a time.
_WINDOW = 1 << 16
#: Bytes of rubbish between two frames or pages that are passed over.
_RUBBISH = 1 << 16


@dataclass(frozen=True, slots=True)
class Header:
    """What a file promises, and what is there of it.

    seconds: promised, or found where nothing is promised; None where only decoding tells.
    missing: seconds that are promised and not in the file.
    cut: how it shows that the file ends early, where seconds can't say it; otherwise empty.
    odd: whether libsndfile misreads the file as it is.
    lead, start, stop: bytes that can take the place of its beginning, and the part of the file that follows them.
    """

    container: str
    codec: str
    rate: int = 0
    channels: int = 0
    seconds: float | None = None
    missing: float = 0.0
    cut: str = ""
    odd: bool = False
    lead: bytes = b""
    start: int = 0
    stop: int = 0


def read_header(stream: BinaryIO, most_seconds: float = float("inf")) -> Header | None:
    """Read the header of an open file; None for a container that is not known here.

    Args:
        stream: a real file, opened unbuffered or not; its position does not matter and is not kept.
        most_seconds: where frames or pages have to be counted, counting ends beyond so many seconds.

    Raises:
        ItemError: the header is damaged or holds no audio that could be read; the message does not name the file.
    """
    file = _File(stream.fileno())
    if not file.length:
        raise ItemError("it is empty (0 bytes)")
    start = _after_id3(file, 0)
    mark = file.at(start, 16)
    for magic, read in _READERS:
        if mark.startswith(magic):
            try:
                return read(file, start, most_seconds)
            except (struct.error, ValueError, OverflowError, ZeroDivisionError) as error:
                raise ItemError(f"its header is damaged ({error})") from error
    for place, magic, name in _FOREIGN:
        if file.at(start + place, len(magic)) == magic:
            raise ItemError(f"it holds {name}, which can't be read; {_ADVICE}")
    for magic, name in _NO_AUDIO:
        if mark.startswith(magic):
            raise ItemError(f"it is no audio but {name}")
    return _mpeg(file, start, most_seconds)


class _File:
    """Bytes of an open file by their place; keeps the last window that was read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.length = os.fstat(descriptor).st_size
        self._begin, self._window = 0, b""

    def at(self, place: int, count: int) -> bytes:
        """At most ``count`` bytes; fewer, or none, at the end of the file."""
        if place < 0 or place >= self.length:
            return b""
        if not self._begin <= place or place + count > self._begin + len(self._window):
            self._begin, self._window = place, os.pread(self._descriptor, max(count, _WINDOW), place)
        return self._window[place - self._begin : place - self._begin + count]

    def take(self, form: str, place: int) -> tuple[int, ...]:
        """Numbers; struct.error where the file ends before them."""
        return struct.unpack(form, self.at(place, struct.calcsize(form)))


# --- chunks --------------------------------------------------------------------------------------------------------

#: Codecs of WAV by number.
_WAV_CODECS = {
    1: "PCM", 2: "Microsoft ADPCM", 3: "float", 6: "A-law", 7: "u-law", 0x11: "IMA ADPCM", 0x31: "GSM 6.10",
    0x38: "NMS ADPCM", 0x40: "G.721", 0x50: "MPEG layer II", 0x55: "MPEG layer III", 0xFF: "AAC",
    0x161: "Windows Media Audio", 0x2000: "AC-3",
}  # fmt: skip
_WAV_PLAIN = (1, 3, 6, 7)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Name and contents of a chunk; ``odd`` where the padding byte of the one before is missing."""

    name: bytes
    place: int
    size: int
    odd: bool


def _riff_chunks(file: _File, place: int, order: str) -> Iterator[_Chunk]:
    """Chunks of RIFF and AIFF, each padded to an even length, also where writers forgot that."""
    odd = False
    for _ in range(_MOST_CHUNKS):
        if place + 8 > file.length:
            return
        name, size = file.at(place, 4), file.take(order + "I", place + 4)[0]
        yield _Chunk(name, place + 8, size, odd)
        after = place + 8 + size
        if size % 2 and (_is_name(file.at(after + 1, 4)) or not _is_name(file.at(after, 4))):
            after += 1
        elif size % 2:
            odd = True
        place = after
    raise ItemError(f"its header is damaged (more than {_MOST_CHUNKS} chunks)")


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= letter < 127 for letter in name)


def _wav(file: _File, begin: int, _: float) -> Header:
    magic = file.at(begin, 4)
    order = ">" if magic == b"RIFX" else "<"
    large = magic in (b"RF64", b"BW64")
    if file.at(begin + 8, 4) != b"WAVE":
        raise ItemError(f"it is a RIFF file and no WAV, which can't be read; {_ADVICE}")
    form, wide = b"", None
    for chunk in _riff_chunks(file, begin + 12, order):
        if chunk.name == b"fmt " and not form:
            form = file.at(chunk.place, min(chunk.size, 1024))
        elif chunk.name == b"ds64" and large:
            wide = file.take("<Q", chunk.place + 8)[0]
        elif chunk.name == b"data":
            size = wide if large and wide is not None and chunk.size == 0xFFFFFFFF else chunk.size
            name = "WAV" if not large else magic.decode()
            odd = chunk.odd or magic == b"BW64"
            return _wav_data(file, name, order, form, chunk.place, size, odd)
    return Header("WAV", "unknown", cut="it ends before its audio begins")


def _w64(file: _File, begin: int, _: float) -> Header:
    place, form = begin + 40, b""
    for _step in range(_MOST_CHUNKS):
        if place + 24 > file.length:
            return Header("W64", "unknown", cut="it ends before its audio begins")
        name, size = file.at(place, 4), file.take("<Q", place + 16)[0]
        if name == b"fmt ":
            form = file.at(place + 24, min(max(size - 24, 0), 1024))
        elif name == b"data":
            return _wav_data(file, "W64", "<", form, place + 24, max(size - 24, 0), False)
        place += max(24, size + -size % 8)
    raise ItemError(f"its header is damaged (more than {_MOST_CHUNKS} chunks)")


def _wav_data(file: _File, name: str, order: str, form: bytes, place: int, size: int, odd: bool) -> Header:
    """Finish a header of the WAV family from its chunk ``fmt`` and from place and size of its data."""
    if len(form) < 16:
        raise ItemError("its header is damaged (no chunk that says what its samples are)")
    kind, channels, rate, per_second, block, bits = struct.unpack(order + "HHIIHH", form[:16])
    if kind == 0xFFFE and len(form) >= 26:
        kind = struct.unpack(order + "H", form[24:26])[0]
    codec = _WAV_CODECS.get(kind, f"codec 0x{kind:04x}")
    if kind in (1, 3):
        codec = f"{codec} {bits} bit"
    if kind in _WAV_PLAIN:
        per_second = rate * max(channels * ceil(bits / 8), block if kind == 1 else 1)
    there = max(0, file.length - place)
    streamed = size > there and _is_unknown(size) if size else there > 0 and not _only_chunks(file, place, order)
    size = there if streamed else size
    used = min(there, size)
    chunks = b"fmt " + struct.pack(order + "I", len(form)) + form + b"\0" * (len(form) % 2)
    lead = b"RIFX" if order == ">" else b"RIFF"
    lead += struct.pack(order + "I", min(12 + len(chunks) + used, 0xFFFFFFFF)) + b"WAVE"
    lead += chunks + b"data" + struct.pack(order + "I", min(used, 0xFFFFFFFF))
    header = Header(name, codec, rate, channels, odd=streamed or odd, lead=lead, start=place, stop=place + used)
    return _measured(header, size, there, per_second)


def _is_unknown(size: int) -> bool:
    """Whether a size is what streams write where they can't know it: sox 0x7ffff000, arecord 0x80000000, ffmpeg -1."""
    return any(top - 0x10000 <= size <= top for top in (1 << 31, 1 << 32, 1 << 63, 1 << 64))


def _only_chunks(file: _File, place: int, order: str) -> bool:
    """Whether chunks, and nothing else, fill the rest of a file: its audio is empty then."""
    for _ in range(64):
        if place == file.length:
            return True
        if place + 8 > file.length or not _is_name(file.at(place, 4)):
            return False
        size = file.take(order + "I", place + 4)[0]
        place += 8 + size + size % 2
    return False


def _measured(header: Header, promised: int, there: int, per_second: float) -> Header:
    """Put into seconds what is promised and what is there, both in bytes."""
    if per_second > 0 and header.rate > 0:
        frame = per_second / header.rate
        missing = max(0, int(promised / frame) - int(there / frame))
        return replace(header, seconds=promised / per_second, missing=missing / header.rate)
    missing = max(0, promised - there)
    return replace(header, cut=f"{missing:,} of {promised:,} bytes are missing" if missing else "")


#: Bytes and frames of a block of one channel, by AIFF's names of codecs; of those that are not here, bits decide.
_AIFF_CODECS = {
    b"fl32": ("float 32 bit", 4, 1), b"FL32": ("float 32 bit", 4, 1), b"fl64": ("float 64 bit", 8, 1),
    b"FL64": ("float 64 bit", 8, 1), b"alaw": ("A-law", 1, 1), b"ALAW": ("A-law", 1, 1), b"ulaw": ("u-law", 1, 1),
    b"ULAW": ("u-law", 1, 1), b"ima4": ("IMA ADPCM", 34, 64), b"GSM ": ("GSM 6.10", 33, 160),
    b"MAC3": ("MACE 3:1", 2, 6), b"MAC6": ("MACE 6:1", 1, 6),
}  # fmt: skip
_AIFF_PCM = (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"42ni", b"23ni")


def _aiff(file: _File, begin: int, _: float) -> Header | None:
    kind = file.at(begin + 8, 4)
    if kind not in (b"AIFF", b"AIFC"):
        return None
    common, data = b"", None
    for chunk in _riff_chunks(file, begin + 12, ">"):
        if chunk.name == b"COMM":
            common = file.at(chunk.place, min(chunk.size, 1024))
        elif chunk.name == b"SSND":
            data = chunk
        if common and data:
            break
    name = kind.decode()
    if len(common) < 18:
        return Header(name, "unknown", cut="it ends before it says what its samples are")
    channels, frames, bits = struct.unpack(">hIh", common[:8])
    rate = _extended(common[8:18])
    codec = common[18:22] if kind == b"AIFC" else b"NONE"
    if codec in _AIFF_PCM:
        title, size, each = f"PCM {bits} bit", max(1, ceil(bits / 8)), 1
    else:
        title, size, each = _AIFF_CODECS.get(codec, (f"codec {codec.decode('latin-1')!r}", 0, 1))
    header = Header(name, title, rate, channels)
    if data is None:
        return replace(header, cut="it ends before its audio begins", seconds=frames / rate if rate else None)
    place = data.place + 8 + min(file.take(">I", data.place)[0] if data.place + 4 <= file.length else 0, file.length)
    there = max(0, file.length - place)
    per_second = rate * channels * size / each
    said = max(0, data.size - (place - data.place))
    if data.odd or (there and (said == 0 or (said > there and _is_unknown(said)))):
        said = min(said, there) if data.odd and said else there
        count = int(said / per_second * rate) if per_second > 0 else frames
        fixed = common[:2] + struct.pack(">I", min(count, 0xFFFFFFFF)) + common[6:]
        chunks = b"COMM" + struct.pack(">I", len(fixed)) + fixed + b"\0" * (len(fixed) % 2)
        chunks += b"SSND" + struct.pack(">III", min(said + 8, 0xFFFFFFFF), 0, 0)
        lead = b"FORM" + struct.pack(">I", min(4 + len(chunks) + said, 0xFFFFFFFF)) + kind + chunks
        return _measured(replace(header, odd=True, lead=lead, start=place, stop=place + said), said, there, per_second)
    return _measured(header, max(said, ceil(frames * per_second / rate) if rate else 0), there, per_second)


def _extended(number: bytes) -> int:
    """Read a sample rate written as an 80-bit float; 0 for what is none."""
    exponent, mantissa = struct.unpack(">HQ", number)
    power = exponent - 16383 - 63
    return int(mantissa * 2.0**power) if -80 < power < -20 else 0


#: Names and bits of a sample by AU's numbers of codecs.
_AU_CODECS = {
    1: ("u-law", 8), 2: ("PCM 8 bit", 8), 3: ("PCM 16 bit", 16), 4: ("PCM 24 bit", 24), 5: ("PCM 32 bit", 32),
    6: ("float 32 bit", 32), 7: ("float 64 bit", 64), 23: ("G.721", 4), 25: ("G.723", 3), 26: ("G.723", 5),
    27: ("A-law", 8),
}  # fmt: skip


def _au(file: _File, begin: int, _: float) -> Header:
    order = ">" if file.at(begin, 4) == b".snd" else "<"
    offset, size, kind, rate, channels = file.take(order + "IIIII", begin + 4)
    codec, bits = _AU_CODECS.get(kind, (f"codec {kind}", 0))
    place = begin + offset
    there = max(0, file.length - place)
    header = Header("AU", codec, rate, channels)
    if there and (size == 0 or (size > there and _is_unknown(size))):
        size = there
        lead = file.at(begin, 4) + struct.pack(order + "IIIII", 24, there, kind, rate, channels)
        header = replace(header, odd=True, lead=lead, start=place, stop=place + there)
    return _measured(header, size, there, rate * channels * bits / 8)


_CAF_CODECS = {b"lpcm": "PCM", b"alac": "ALAC", b"alaw": "A-law", b"ulaw": "u-law", b"ima4": "IMA ADPCM",
               b"aac ": "AAC", b".mp3": "MPEG layer III"}  # fmt: skip


def _caf(file: _File, begin: int, _: float) -> Header:
    place, about, seconds = begin + 8, None, None
    audio: tuple[int, int] | None = None
    for _step in range(_MOST_CHUNKS):
        if place + 12 > file.length:
            break
        name, size = file.at(place, 4), file.take(">q", place + 4)[0]
        if name == b"desc":
            about = struct.unpack(">d4sIIIII", file.at(place + 12, 32))
        elif name == b"pakt" and about and about[0] >= 1:
            seconds = max(0, file.take(">q", place + 20)[0]) / about[0]
        elif name == b"data":
            audio = (place + 16, size - 4 if size >= 4 else max(0, file.length - place - 16))
        place += 12 + size
        if size < 0 or (audio and seconds):
            break
    if about is None:
        raise ItemError("its header is damaged (no chunk that says what its samples are)")
    speed, kind, _flags, per_packet, frames, channels, bits = about
    rate = int(speed) if isfinite(speed) and 0 < speed < 2**31 else 0
    codec = _CAF_CODECS.get(kind, f"codec {kind.decode('latin-1')!r}") + (f" {bits} bit" if kind == b"lpcm" else "")
    header = Header("CAF", codec, rate, channels, seconds)
    if audio is None:
        return replace(header, cut="it ends before its audio begins")
    there = max(0, file.length - audio[0])
    per_second = rate * per_packet / frames if frames and per_packet else 0.0
    if seconds and not per_second and audio[1]:  # packets of unequal sizes: the share is about right
        return replace(header, missing=seconds * max(0, audio[1] - there) / audio[1])
    return _measured(header, audio[1], there, per_second)


def _sphere(file: _File, begin: int, _: float) -> Header:
    text = file.at(begin, 16)
    size = int(text[8:16].decode("ascii", "replace").strip())
    if not 16 <= size <= _WINDOW:
        raise ItemError(f"its header is damaged (it claims {size} bytes)")
    found: dict[str, str] = {}
    for line in file.at(begin, size).decode("latin-1").split("\n")[2:]:
        words = line.split(None, 2)
        if words[:1] == ["end_head"]:
            break
        if len(words) == 3:
            found[words[0]] = words[2].strip()
    rate, channels, width = (int(found.get(key, "0")) for key in ("sample_rate", "channel_count", "sample_n_bytes"))
    coding = found.get("sample_coding", "pcm")
    if "," in coding:
        raise ItemError(
            f"it is NIST SPHERE compressed as {coding.partition(',')[2]}, which can't be read; convert it with sph2pipe"
        )
    there = max(0, file.length - begin - size)
    frame = width * channels
    promised = int(found["sample_count"]) * frame if "sample_count" in found else there
    return _measured(Header("NIST SPHERE", coding, rate, channels), promised, there, rate * frame)


# --- streams of pages and frames -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Logical:
    """One stream in an Ogg file."""

    codec: str
    rate: int
    channels: int
    skip: int
    last: int = 0
    page: int = -1
    lost: int = 0
    ended: bool = False


def _ogg(file: _File, place: int, most_seconds: float) -> Header:
    streams: dict[int, _Logical] = {}
    audio: list[_Logical] = []
    kind = "unknown"
    lacking = 0.0
    while (head := file.at(place, 27))[:4] == b"OggS" and len(head) == 27:
        flags, granule, serial, number, _check, count = struct.unpack("<xxxxxBqIIIB", head)
        lacing = file.at(place + 27, count)
        body = place + 27 + count
        if flags & 2:
            kind, found = _ogg_stream(file.at(body, 64))
            if found is not None:
                streams[serial] = found
                audio.append(found)
        if (stream := streams.get(serial)) is not None:
            if len(lacing) < count or body + sum(lacing) > file.length:
                lacking = max(0, granule - max(stream.last, stream.skip)) / stream.rate
                stream.ended = bool(flags & 4)
                break
            stream.lost += max(0, number - stream.page - 1)
            stream.page = number
            if granule > 0:
                stream.last = granule
            stream.ended = bool(flags & 4)
            if (stream.last - stream.skip) / stream.rate > most_seconds:
                stream.ended = True
                break
        place = body + sum(lacing)
        if file.at(place, 4) != b"OggS" and place < file.length and not all(s.ended for s in audio):
            rubbish = file.at(place, _RUBBISH)
            place += max(0, rubbish.find(b"OggS")) if b"OggS" in rubbish else len(rubbish)
    if not audio:
        raise ItemError(f"it is Ogg with {kind}, which can't be read; {_ADVICE}")
    first = audio[0]
    seconds = sum(max(0, stream.last - stream.skip) / stream.rate for stream in audio)
    header = Header("Ogg", first.codec, first.rate if first.codec != "Opus" else 0, first.channels, seconds + lacking)
    if not all(stream.ended for stream in audio):
        return replace(header, cut=f"its stream has no end; at least {lacking:.3f} s are missing")
    if lost := sum(stream.lost for stream in audio):
        return replace(header, cut=f"{lost} pages of its stream are missing")
    return replace(header, missing=lacking)


def _ogg_stream(packet: bytes) -> tuple[str, _Logical | None]:
    """Read the first packet of a stream: codec and, of audio that can be read, its facts."""
    if packet.startswith(b"\x01vorbis") and len(packet) >= 16:
        channels, rate = struct.unpack("<BI", packet[11:16])
        return "Vorbis", _Logical("Vorbis", rate, channels, 0) if rate else None
    if packet.startswith(b"OpusHead") and len(packet) >= 12:
        channels, skip = struct.unpack("<xBH", packet[8:12])
        return "Opus", _Logical("Opus", 48_000, channels, skip)  # granules count 48 kHz, whatever went in
    others = {b"\x7fFLAC": "FLAC", b"Speex": "Speex", b"\x80theora": "video", b"fishead": "a skeleton"}
    return next((name for magic, name in others.items() if packet.startswith(magic)), "no audio"), None


def _flac(file: _File, begin: int, _: float) -> Header:
    about = file.at(begin + 8, 18)
    if len(about) < 18 or file.at(begin + 4, 1)[0] & 127:
        raise ItemError("its header is damaged (no block that says what its samples are)")
    packed = int.from_bytes(about[10:18], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    total = packed & (1 << 36) - 1
    header = Header("FLAC", f"FLAC {bits} bit", rate, channels, total / rate if total and rate else None)
    if total or not rate:
        return header
    # A stream: its writer did not know the length, which libsndfile then can't do without
    total = _flac_samples(file, int.from_bytes(about[:2], "big"))
    if not total:
        return replace(header, cut="its last frame is not whole; how much is missing can't be known")
    lead = file.at(begin, 18) + (packed | total).to_bytes(8, "big")
    return replace(header, seconds=total / rate, odd=True, lead=lead, start=begin + 26, stop=file.length)


def _flac_samples(file: _File, block: int) -> int:
    """Number of samples up to the end of the last frame, which must be whole; 0 where there is none.

    ``block`` is the number of samples of every frame but the last, in streams where that is fixed.
    """
    begin = max(0, file.length - _WINDOW)
    tail = file.at(begin, _WINDOW)
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if tail[place + 1 : place + 2] in (b"\xf8", b"\xf9") and len(tail) - place >= 11:
            ones = next((n for n in range(8) if not tail[place + 4] >> (7 - n) & 1), 8)
            after = place + 4 + max(1, ones)  # the number of the frame, or of its first sample, is coded like UTF-8
            number = tail[place + 4] & (0x7F >> ones)
            for byte in tail[place + 5 : after]:
                number = number << 6 | byte & 63
            code, wide = tail[place + 2] >> 4, 0
            samples = (
                192 if code == 1 else 576 << (code - 2) if 2 <= code <= 5 else 256 << (code - 8) if code > 7 else 0
            )
            if code in (6, 7):
                wide = code - 5
                samples = int.from_bytes(tail[after : after + wide], "big") + 1
            rate = tail[place + 2] & 15
            after += wide + (1 if rate == 12 else 2 if rate in (13, 14) else 0)
            whole = (
                after < len(tail)
                and _crc(tail[place:after], 8, 0x07) == tail[after]
                and _crc(tail[place:], 16, 0x8005) == 0
            )
            if whole and code:
                return number + samples if tail[place + 1] & 1 else number * block + samples
    return 0


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    """Cyclic redundancy check, the highest bit first."""
    found, top = 0, 1 << (bits - 1)
    for byte in data:
        found ^= byte << (bits - 8)
        for _ in range(8):
            found = (found << 1 ^ (polynomial if found & top else 0)) & (top * 2 - 1)
    return found


#: Kilobits a second by (MPEG 1?, layer) and index.
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
#: What may stand behind the last frame.
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")


@dataclass(frozen=True, slots=True)
class _Frame:
    """Header of a frame of MPEG audio; ``size`` 0 where it does not say (free format)."""

    first: bool
    layer: int
    rate: int
    channels: int
    samples: int
    size: int

    @classmethod
    def of(cls, head: bytes) -> _Frame | None:
        """Read four bytes; None for what is no header."""
        if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
            return None
        version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
        bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
        if version == 1 or layer == 4 or bitrate == 15 or rate == 3 or head[3] & 3 == 2:
            return None
        first = version == 3
        hertz = _RATES[rate] >> (0 if first else 1 if version == 2 else 2)
        samples = 384 if layer == 1 else 576 if layer == 3 and not first else 1152
        size = 0
        if bitrate:
            bits = _BITRATES[first, layer][bitrate - 1] * 1000
            size = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
        return cls(first, layer, hertz, 1 if head[3] >> 6 == 3 else 2, samples, size)

    def like(self, other: _Frame | None) -> bool:
        """Whether another frame can belong to the same stream."""
        return other is not None and (self.first, self.layer, self.rate) == (other.first, other.layer, other.rate)


def _mpeg(file: _File, begin: int, most_seconds: float) -> Header | None:
    start, frame = _first_frame(file, begin)
    if frame is None:
        return None
    codec = f"MPEG layer {'I' * frame.layer}"
    header = Header("MPEG", codec, frame.rate, frame.channels)
    if not frame.size:
        return header  # free format: only a decoder finds the frames
    promised, length = _promised(file, start, frame)
    there = file.length - start
    if promised and length and length <= there <= length + 4096:
        return replace(header, seconds=promised * frame.samples / frame.rate)
    count, lacking = _count(file, start + (frame.size if promised else 0), frame, most_seconds)
    seconds = count * frame.samples / frame.rate
    if promised > count + 1 or (promised > count and length > there):
        return replace(header, seconds=promised * frame.samples / frame.rate,
                     missing=(promised - count) * frame.samples / frame.rate)  # fmt: skip
    if lacking > 1:  # some writers forget the last byte of padding
        return replace(header, seconds=seconds, cut="its last frame is not whole; how much is missing can't be known")
    if frame.layer == 3 and count != promised and seconds <= most_seconds:
        # decoders guess lengths from the first frame; a header with the true count stops that
        first = start + (frame.size if promised else 0)
        lead = _info_frame(file.at(first if promised else start, 4), frame, count, file.length - first)
        return replace(header, seconds=seconds, odd=True, lead=lead, start=first, stop=file.length)
    return replace(header, seconds=seconds)


def _first_frame(file: _File, begin: int) -> tuple[int, _Frame | None]:
    """Find the first frame: one at the very beginning and the next one, or three in a row behind rubbish."""
    rubbish = file.at(begin, _RUBBISH)
    place = rubbish.find(b"\xff")
    while place >= 0:
        frame = _Frame.of(rubbish[place : place + 4])
        if frame is not None and (place == 0 or frame.size):
            after = begin + place + frame.size
            second = _Frame.of(file.at(after, 4))
            if place == 0 and (frame.like(second) or after >= file.length):
                return begin, frame
            if second and frame.like(second) and second.like(_Frame.of(file.at(after + second.size, 4))):
                return begin + place, frame
        place = rubbish.find(b"\xff", place + 1)
    return begin, None


def _promised(file: _File, start: int, frame: _Frame) -> tuple[int, int]:
    """Frames and bytes that a Xing, Info or VBRI header promises; 0 for what it does not say."""
    if frame.layer != 3:
        return 0, 0
    side = (32 if frame.channels == 2 else 17) if frame.first else (17 if frame.channels == 2 else 9)
    head = file.at(start + 4 + side, 16)
    if head[:4] in (b"Xing", b"Info") and len(head) == 16:
        flags = int.from_bytes(head[4:8], "big")
        numbers = [int.from_bytes(head[8:12], "big"), int.from_bytes(head[12:16], "big")]
        return (numbers.pop(0) if flags & 1 else 0), (numbers[0] if flags & 2 else 0)
    head = file.at(start + 36, 18)
    if head[:4] == b"VBRI" and len(head) == 18:
        return int.from_bytes(head[14:18], "big"), int.from_bytes(head[10:14], "big")
    return 0, 0


def _count(file: _File, place: int, like: _Frame, most_seconds: float) -> tuple[int, int]:
    """Count whole frames; returns them, and how many bytes the last one lacks."""
    count = 0
    most = most_seconds * like.rate / like.samples
    while place < file.length and count <= most:
        frame = _Frame.of(file.at(place, 4))
        if frame is not None and frame.size and like.like(frame):
            if place + frame.size > file.length:
                return count, place + frame.size - file.length
            count += 1
            place += frame.size
            continue
        rest = file.at(place, 16)
        if rest.startswith(_TAGS):
            break
        tagged = _after_id3(file, place)
        after = _next_frame(file, place + 1, like) if tagged == place else tagged
        if after is None:
            break
        place = after
    return count, 0


def _next_frame(file: _File, begin: int, like: _Frame) -> int | None:
    """Look for the next two frames of a stream behind rubbish."""
    rubbish = file.at(begin, _RUBBISH)
    place = rubbish.find(b"\xff")
    while place >= 0:
        frame = _Frame.of(rubbish[place : place + 4])
        if frame is not None and frame.size and like.like(frame):
            second = _Frame.of(file.at(begin + place + frame.size, 4))
            if like.like(second):
                return begin + place
        place = rubbish.find(b"\xff", place + 1)
    return None


def _info_frame(head: bytes, frame: _Frame, count: int, length: int) -> bytes:
    """Make a frame of silence that says how many frames follow."""
    made = bytes([0xFF, head[1] | 1, 0x90 | (head[2] & 0x0C), head[3]])
    size = (_Frame.of(made) or frame).size
    side = (32 if frame.channels == 2 else 17) if frame.first else (17 if frame.channels == 2 else 9)
    body = made + b"\0" * side + b"Info" + struct.pack(">III", 3, count, min(length + size, 0xFFFFFFFF))
    return body + b"\0" * (size - len(body))


def _after_id3(file: _File, place: int) -> int:
    """Pass over ID3 tags, of which players put several before anything else."""
    for _ in range(16):
        head = file.at(place, 10)
        if len(head) < 10 or head[:3] != b"ID3" or any(part & 128 for part in head[6:10]):
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        place += 10 + size + (10 if head[5] & 16 else 0)
    return place


_READERS: tuple[tuple[bytes, Callable[[_File, int, float], Header | None]], ...] = (
    (b"RIFF", _wav), (b"RIFX", _wav), (b"RF64", _wav), (b"BW64", _wav), (b"riff\x2e\x91\xcf\x11", _w64),
    (b"FORM", _aiff), (b".snd", _au), (b"dns.", _au), (b"caff", _caf), (b"NIST_1A\n", _sphere), (b"OggS", _ogg),
    (b"fLaC", _flac),
)  # fmt: skip
#: Place, mark and name of audio that libsndfile has no decoder for.
_FOREIGN = (
    (4, b"ftyp", "MP4 (AAC, ALAC)"), (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media Audio"), (0, b"#!AMR", "AMR"),
    (0, b"MAC ", "Monkey's Audio"), (0, b"wvpk", "WavPack"), (0, b"TTA1", "True Audio"), (0, b"ajkg", "Shorten"),
    (0, b"#!SILK", "SILK"), (0, b"\xff\xf1", "AAC"), (0, b"\xff\xf9", "AAC"), (0, b"ADIF", "AAC"),
)  # fmt: skip
#: What people take for audio.
_NO_AUDIO = (
    (b"version https:/", "a pointer of Git LFS; fetch the file itself with: git lfs pull"),
    (b"<!DOCTYPE", "a web page"), (b"<!doctype", "a web page"), (b"<html", "a web page"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"),
)  # fmt: skip
