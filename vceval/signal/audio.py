"""Reading, resampling and writing of audio: the one place for sample rates and file formats.

What is read, and what is refused, is the same for every recording: converted, source, prompt, reference, natural.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, TypeVar, get_args
from weakref import WeakKeyDictionary

from vceval.errors import ItemError
from vceval.signal.containers import Header, read_header
from vceval.storage.files import replacing
from vceval.storage.paths import existing, no_such_file

if TYPE_CHECKING:
    import numpy as np
    import soundfile
    from numpy.typing import NDArray

__all__ = [
    "CHANNELS", "LENGTH_OPTION", "MAX_RATE", "MAX_SECONDS", "MEDIA", "MIN_RATE", "MIN_SECONDS", "USUAL", "Channel",
    "Facts", "Reading", "Resampler", "Waveform", "Written", "duration", "ffmpeg_line", "load", "once", "read_as",
    "reading", "resample", "sample_rate", "shared", "use", "write_flac",
]  # fmt: skip

#: Sample rates outside of this range are refused, not resampled silently.
MIN_RATE, MAX_RATE = 8_000, 96_000
#: Shorter recordings hold no speech that could be scored.
MIN_SECONDS = 0.1
#: Longer ones are no utterances, and would fill the memory.
MAX_SECONDS = 600.0
#: What messages call the limit that a run may set instead.
LENGTH_OPTION = "--max-seconds"
#: Peak below which a recording counts as silent (-80 dB of full scale).
SILENCE_PEAK = 1e-4
#: Channels that differ by no more are the same recording, rounded or dithered twice: two steps of 16 bits.
SAME_CHANNEL = 2.0 / 32768.0
#: No recording of speech has more.
MAX_CHANNELS = 8
#: Peaks of floats from which on they are no samples of full scale 1: of any kind, and of whole numbers.
_NO_FULL_SCALE, _NO_FULL_SCALE_WHOLE = 100.0, 8.0
#: Decoders may give so many seconds less than frames and pages promise: they begin and end within one.
_SLACK = 0.1
#: Frames that are read at a time where nothing tells how many come.
_BLOCK = 1 << 16
_ADVICE = "convert it to FLAC or 16-bit WAV"
#: Endings of sound and video that are not read, and that ffmpeg reads.
MEDIA = frozenset({
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".avi", ".flv", ".3gp", ".aac", ".wma", ".wmv",
    ".amr", ".mp2", ".ac3", ".ape", ".wv", ".tta",
})  # fmt: skip
#: Samples of recordings that are held for whoever asks for them next (64 MB).
_HELD = 16_000_000

Channel = Literal["left", "right", "mix"]
#: Ways to change the sample rate: soxr (HQ), those of :mod:`vceval.signal.resamplers`, and SoX's own.
Resampler = Literal["soxr", "resampy-0.2", "resampy-0.4", "torchaudio", "sox"]
#: What may be taken of channels that differ.
CHANNELS: tuple[Channel, ...] = get_args(Channel)


@dataclass(frozen=True, slots=True)
class Reading:
    """How recordings are read.

    channel: what is taken of channels that differ: the first, the second, or their mean. None refuses them.
    max_seconds: longer recordings are refused.
    """

    channel: Channel | None = None
    max_seconds: float = MAX_SECONDS

    @property
    def key(self) -> str:
        """What results depend on besides the recordings, empty for the default: part of the address of what is kept."""
        length = "" if self.max_seconds == MAX_SECONDS else f"|max_seconds:{self.max_seconds:g}"
        return f"{self.signed}{length}".lstrip("|")

    @property
    def signed(self) -> str:
        """What signatures say of it: nothing where channels must be equal."""
        return "" if self.channel is None else f"|channel:{self.channel}"


USUAL = Reading()
_reading = USUAL


def reading() -> Reading:
    """How recordings are read in this process."""
    return _reading


def use(wanted: Reading) -> None:
    """Read all recordings of this process in a certain way from now on, as workers do for the run they work for."""
    global _reading  # plug-ins of other people call load() too, and must hear what all others hear
    _reading = wanted


@contextlib.contextmanager
def read_as(wanted: Reading) -> Iterator[None]:
    """Read all recordings of this process in a certain way for a while."""
    before = _reading
    use(wanted)
    try:
        yield
    finally:
        use(before)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file was before it became a waveform.

    container, codec: as libsndfile names them, such as ``WAV`` and ``PCM_16``.
    sample_rate: in Hz, before resampling. channels: their number.
    difference: largest difference between channels, of full scale; 0 for one channel.
    peak: of full scale, of what was taken.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    difference: float
    peak: float


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Waveform:
    """Mono audio: ``samples`` float32 of shape (n,), full scale 1.0, at ``sample_rate`` Hz.

    ``facts`` say what the file was; None for audio that comes from no file.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    facts: Facts | None = None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


Made = TypeVar("Made")
_lock = threading.Lock()
_held: OrderedDict[Hashable, Waveform] = OrderedDict()
_made: WeakKeyDictionary[Waveform, dict[Hashable, Any]] = WeakKeyDictionary()


def load(path: str | os.PathLike[str], sample_rate: int | None = None, *, allow_silence: bool = False) -> Waveform:
    """Read an audio file as mono, resampled to ``sample_rate`` where one is given.

    Of channels that are equal one is taken; of those that differ, what :func:`reading` says. Integer formats are scaled
    to full scale 1.0, float formats taken as they are. A file whose name is written in another Unicode form or encoding
    is found.

    Raises:
        ItemError: the file is missing, unreadable, cut short (its header promises more), empty, shorter than 0.1 s,
            longer than :attr:`Reading.max_seconds`, silent, holds NaN, infinite samples or 16-bit values stored as
            floats, has channels that differ and none was chosen, or its rate lies outside of 8 to 96 kHz.
    """
    path = _found(path)
    wave = _read(path)
    if not allow_silence:
        _check_heard(path, wave)
    return wave if sample_rate is None else resample(wave, sample_rate)


def shared(path: str | os.PathLike[str], sample_rate: int | None = None, *, allow_silence: bool = False) -> Waveform:
    """Read as :func:`load` does, for those who only look: what was read of late is not read again.

    The samples can't be written to. What is made of such a recording (:func:`once`), other rates of it above all, is
    made once and kept as long as the recording itself.

    Raises:
        ItemError: as :func:`load`.
    """
    path = _found(path)
    stat = path.stat()
    key = str(path), stat.st_size, stat.st_mtime_ns, _reading
    with _lock:
        wave = _held.get(key)
        if wave is not None:
            _held.move_to_end(key)
    if wave is None:
        wave = _fixed(_read(path))
        with _lock:
            _held[key] = wave
            while len(_held) > 1 and sum(len(held.samples) for held in _held.values()) > _HELD:
                _held.popitem(last=False)
    if not allow_silence:
        _check_heard(path, wave)
    return wave if sample_rate is None else resample(wave, sample_rate)


def once(wave: Waveform, what: Hashable, make: Callable[[], Made]) -> Made:
    """Make something of a recording: once of one that is :func:`shared`, anew of any other, as that may change."""
    if wave.samples.flags.writeable:
        return make()
    with _lock:
        made = _made.setdefault(wave, {})
    if what not in made:
        made[what] = make()
    found: Made = made[what]
    return found


def _fixed(wave: Waveform) -> Waveform:
    wave.samples.setflags(write=False)
    return wave


def _read(path: Path) -> Waveform:
    import numpy as np

    with _opened(path) as stream:
        samples, facts = _decoded(path, stream, _header(path, stream))
    rate = facts.sample_rate
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ItemError(f"{path}: sample rate {rate} Hz lies outside of {MIN_RATE} to {MAX_RATE} Hz")
    if not len(samples):
        raise ItemError(f"{path}: holds no samples")
    if len(samples) < MIN_SECONDS * rate:
        raise ItemError(f"{path}: only {len(samples) / rate:.3f} s long; at least {MIN_SECONDS} s are needed")
    if not np.isfinite(samples).all():
        raise ItemError(f"{path}: holds NaN or infinite samples")
    _check_scale(path, samples)
    mono, difference = _mono(path, samples)
    peak = float(np.max(np.abs(mono)))
    return Waveform(np.ascontiguousarray(mono), rate, replace(facts, difference=difference, peak=peak))


def _check_heard(path: Path, wave: Waveform) -> None:
    if wave.facts is not None and wave.facts.peak < SILENCE_PEAK:
        raise ItemError(f"{path}: silent (peak below {SILENCE_PEAK:g} of full scale)")


def duration(path: str | os.PathLike[str]) -> float:
    """Length of a file in seconds, read from its header.

    Raises:
        ItemError: the file is missing, not audio, or its header promises more than is there.
    """
    path = _found(path)
    with _opened(path) as stream:
        header = _header(path, stream)
        if header is not None and header.seconds is not None:
            return header.seconds
        with _sound(path, stream, header) as handle:
            return float(handle.frames / handle.samplerate)


def sample_rate(path: str | os.PathLike[str]) -> int:
    """Sample rate of a file in Hz, read from its header.

    Raises:
        ItemError: the file is missing or not audio.
    """
    path = _found(path)
    with _opened(path) as stream:
        header = _header(path, stream)
        if header is not None and header.rate:
            return header.rate
        with _sound(path, stream, header) as handle:
            return int(handle.samplerate)


def _found(path: str | os.PathLike[str]) -> Path:
    path = existing(Path(path))
    if not path.is_file():
        raise ItemError(no_such_file(path))
    return path


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb", buffering=0) as stream:
            yield stream
    except OSError as error:
        raise ItemError(f"{path}: can't be read ({error.strerror})") from error


def _header(path: Path, stream: BinaryIO) -> Header | None:
    """Read the header; what promises more than is there is refused."""
    try:
        header = read_header(stream, _reading.max_seconds)
    except ItemError as error:
        raise ItemError(f"{path}: can't be read as audio: {error}") from error
    if header is None:
        return None
    if header.missing:
        total = f" of {header.seconds:.3f}" if header.seconds else ""
        raise ItemError(f"{path}: cut short: {_shown(header.missing)}{total} s are missing")
    if header.cut:
        raise ItemError(f"{path}: cut short: {header.cut}")
    return header


def _decoded(path: Path, stream: BinaryIO, header: Header | None) -> tuple[NDArray[np.float32], Facts]:
    """Read all samples (n, channels) of what is not too long."""
    if header is not None and header.seconds is not None:
        _check_length(path, header.seconds)
    with _sound(path, stream, header) as handle:
        rate, frames = handle.samplerate, handle.frames
        facts = Facts(handle.format, handle.subtype, rate, handle.channels, 0.0, 0.0)
        mpeg = handle.format == "MP3"
        if handle.channels > MAX_CHANNELS:
            raise ItemError(f"{path}: has {handle.channels} channels; at most {MAX_CHANNELS} are read")
        if mpeg and header is not None and header.seconds is not None:
            frames = min(frames, ceil(header.seconds * rate))
        _check_length(path, frames / rate)
        try:
            samples = _all_of(handle, frames)
        except (RuntimeError, ValueError, TypeError) as error:
            there = _readable(path, stream, header)
            lacking = f"only {there / rate:.3f} of {frames / rate:.3f} s can be decoded"
            raise ItemError(f"{path}: cut short or damaged: {lacking} ({_words(error)})") from error
    promised = frames
    if mpeg and header is not None and header.seconds is not None:
        promised = int((header.seconds - _SLACK) * rate)
    if len(samples) < promised and handle.seekable():
        raise ItemError(
            f"{path}: cut short: {_shown((promised - len(samples)) / rate)} of {promised / rate:.3f} s are missing"
        )
    if header is not None and header.seconds is not None and len(samples) < (header.seconds - _SLACK) * rate:
        found = f"only {len(samples) / rate:.3f} of {header.seconds:.3f} s can be decoded, as of files joined to one"
        raise ItemError(f"{path}: {found}; {_ADVICE}")
    return samples, facts


def _all_of(handle: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
    """Read until nothing more comes; codecs that can't be sought are read in blocks."""
    import numpy as np

    if handle.seekable():
        whole: NDArray[np.float32] = handle.read(frames, dtype="float32", always_2d=True)
        return whole
    blocks = []
    while len(block := handle.read(_BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, handle.channels), np.float32)


def _readable(path: Path, stream: BinaryIO, header: Header | None) -> int:
    """Count the frames before the place at which decoding fails."""
    count = 0
    with _sound(path, stream, header) as handle, contextlib.suppress(RuntimeError, ValueError, TypeError):
        while block := len(handle.read(1024, dtype="float32")):
            count += block
    return count


@contextlib.contextmanager
def _sound(path: Path, stream: BinaryIO, header: Header | None) -> Iterator[soundfile.SoundFile]:
    """Open a file by libsndfile, behind another beginning where the header asks for one."""
    import soundfile

    # A name of any bytes, and any suffix, will do: libsndfile is given the open file
    os.lseek(stream.fileno(), 0, os.SEEK_SET)
    rewritten = header is not None and header.odd
    source = _rewritten(path, stream, header) if header is not None and rewritten else stream.fileno()
    try:
        try:
            handle = soundfile.SoundFile(source, closefd=False)
        except RuntimeError:
            if header is None or not header.lead or rewritten:
                raise
            handle = soundfile.SoundFile(_rewritten(path, stream, header))
    except (RuntimeError, ValueError, TypeError) as error:
        # Any bytes may look like a frame of MPEG audio
        what = f"{header.codec} in {header.container}: " if header is not None and header.container != "MPEG" else ""
        raise ItemError(f"{path}: can't be read as audio ({what}{_words(error)}); {_advice(path)}") from error
    with handle:
        if header is None or (header.container == "MPEG" and handle.format != "MP3"):
            form = handle.format_info
            raise ItemError(
                f"{path}: {form} is not read, as nothing tells whether such a file is whole; {_advice(path)}"
            )
        yield handle


def ffmpeg_line(paths: Sequence[str | os.PathLike[str]]) -> str:
    """The line for a shell that converts recordings to FLAC beside them, at their own rate and with their channels.

    Names may hold anything. Nothing is overwritten; of a video the first sound is taken.
    """
    flags = "-nostdin -n -loglevel error -i {0} -map 0:a:0 -c:a flac -sample_fmt s32 {1}"
    names = [os.fspath(path) for path in paths]
    names = [f"./{name}" if name.startswith("-") else name for name in names]  # no option
    if len(names) == 1:
        made = os.path.splitext(names[0])[0] + ".flac"  # noqa: PTH122 - a text
        return "ffmpeg " + flags.format(shlex.quote(f"file:{names[0]}"), shlex.quote(f"file:{made}"))
    endings = sorted({os.path.splitext(name)[1] for name in names})  # noqa: PTH122 - a text
    tests = " -o ".join(f"-name '*{ending}'" for ending in endings)
    inner = "ffmpeg " + flags.format('"file:$1"', '"file:${1%.*}.flac"')
    folder = os.path.commonpath([os.path.dirname(name) or "." for name in names])  # noqa: PTH120 - a text
    return f"find {shlex.quote(folder)} -type f \\( {tests} \\) -exec sh -c '{inner}' _ {{}} \\;"


def _advice(path: Path) -> str:
    known = path.suffix.lower() in MEDIA
    return f"{_ADVICE}: {ffmpeg_line([path])}" if known else _ADVICE


def _rewritten(path: Path, stream: BinaryIO, header: Header) -> io.BytesIO:
    """Put another beginning before the audio of a file, in memory."""
    _check_length(path, header.seconds or 0.0)
    return io.BytesIO(header.lead + os.pread(stream.fileno(), header.stop - header.start, header.start))


def _shown(seconds: float) -> str:
    """Seconds in figures that are not all zeros."""
    return f"{seconds:.3f}" if seconds >= 0.001 else f"{seconds:.1g}"


def _words(error: Exception) -> str:
    """What libsndfile says, without the number of the open file."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _check_length(path: Path, seconds: float) -> None:
    most = _reading.max_seconds
    if seconds > most:
        raise ItemError(
            f"{path}: {seconds:.1f} s long; at most {most:g} s are read ({LENGTH_OPTION}), as more is no utterance"
        )


def _mono(path: Path, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """One channel of equal ones, or what was chosen of others; and the largest difference between channels."""
    import numpy as np

    first = samples[:, 0]
    if samples.shape[1] == 1:
        return first, 0.0
    difference = max(float(np.max(np.abs(samples[:, n] - first))) for n in range(1, samples.shape[1]))
    if difference <= SAME_CHANNEL:
        return first, difference
    if _reading.channel is None:
        peaks = ", ".join(f"{float(np.max(np.abs(channel))):.3f}" for channel in samples.T)
        raise ItemError(
            f"{path}: its {samples.shape[1]} channels differ (peaks {peaks}; difference up to {_shown(difference)}); "
            "say which is meant with --channel left, right or mix"
        )
    if _reading.channel == "mix":
        return samples.mean(axis=1, dtype=np.float32), difference
    return (first if _reading.channel == "left" else samples[:, 1]), difference


def _check_scale(what: Path | str, samples: NDArray[np.float32]) -> None:
    """Refuse floats that are no samples of full scale 1.0."""
    import numpy as np

    peak = float(np.max(np.abs(samples)))
    if peak <= _NO_FULL_SCALE_WHOLE:
        return
    if peak > _NO_FULL_SCALE or float(np.mean(samples == np.round(samples))) > 0.9:
        bits = 16 if peak <= 2.0**16 else 24 if peak <= 2.0**24 else 32
        raise ItemError(
            f"{what}: peak {peak:.6g} where full scale is 1: looks like {bits}-bit values stored as floats; divide "
            f"them by {2 ** (bits - 1)}"
        )


def resample(wave: Waveform, sample_rate: int, by: Resampler = "soxr") -> Waveform:
    """Change the sample rate; the result has ceil(n * new / old) samples, as librosa gives.

    The length rule matters: one sample more or less at the end moves frame counts, and with them MCD.
    """
    if wave.sample_rate == sample_rate:
        return wave
    return once(wave, ("rate", sample_rate, by), lambda: _resampled(wave, sample_rate, by))


def _resampled(wave: Waveform, sample_rate: int, by: Resampler) -> Waveform:
    import numpy as np

    wanted = ceil(len(wave.samples) * sample_rate / wave.sample_rate)
    samples = _moved(wave.samples, wave.sample_rate, sample_rate, by)
    fixed = samples[:wanted] if len(samples) >= wanted else np.pad(samples, (0, wanted - len(samples)))
    made = Waveform(np.ascontiguousarray(fixed, dtype=np.float32), sample_rate, wave.facts)
    return made if wave.samples.flags.writeable else _fixed(made)


def _moved(samples: NDArray[np.float32], old: int, new: int, by: Resampler) -> NDArray[np.floating]:
    if by == "soxr":
        import soxr

        found: NDArray[np.floating] = soxr.resample(samples, old, new, quality="HQ")
        return found
    if by == "sox":
        from vceval.signal.sox_rate import sox_rate

        return sox_rate(samples, old, new)
    from vceval.signal.resamplers import kaiser_best, torchaudio_sinc

    if by == "torchaudio":
        return torchaudio_sinc(samples, old, new)
    return kaiser_best(samples, old, new, by.removeprefix("resampy-"))


class Written(NamedTuple):
    """What was written: the gain that was applied, 1.0 for audio within full scale, and the file's SHA-256."""

    gain: float
    sha256: str


def write_flac(path: str | os.PathLike[str], wave: Waveform) -> Written:
    """Write 24-bit FLAC under a temporary name, then rename: a half-written file never bears the name.

    FLAC can't hold values over full scale: louder audio is scaled down as a whole, never clipped.

    Raises:
        ItemError: the samples are empty, not finite, not mono, not of full scale 1 or not at a rate that FLAC holds.
        OSError: there is no room, or the folder can't be written to.
    """
    import numpy as np
    import soundfile

    path = Path(path)
    samples = np.asarray(wave.samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise ItemError(f"converted audio must be mono and not empty, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ItemError("converted audio holds NaN or infinite samples")
    _check_scale("converted audio", samples)
    peak = float(np.max(np.abs(samples)))
    gain = 1.0 if peak <= 1.0 else 0.999 / peak
    encoded = io.BytesIO()  # libsndfile does not say why a file can't be written
    try:
        soundfile.write(encoded, samples * np.float32(gain), wave.sample_rate, format="FLAC", subtype="PCM_24")
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise ItemError(f"{path}: can't be written as FLAC at {wave.sample_rate} Hz ({error})") from error
    with replacing(path) as stream:
        stream.write(encoded.getbuffer())
    return Written(gain, hashlib.sha256(encoded.getbuffer()).hexdigest())
