"""Make the demo corpus: synthesise ``sentences.csv``, trim, level, and write FLAC with its ``utterances.csv``.

    python benchmarks/training/make_demo_corpus.py OUT

Writes ``OUT/audio/<speaker>/<speaker>_<number>.flac`` and ``OUT/utterances.csv``; give ``benchmarks/demo`` as OUT to
make the shipped corpus again. It takes about one minute on one core and gives the same samples every time.

It needs flite 2.2 with its built-in voices slt, rms, awb and kal16 (``apt-get install flite`` on Debian 12), and the
Python packages numpy, scipy, pyworld and soundfile 0.13 or newer. Other releases of flite or pyworld speak the same
sentences, with other samples.

Four voices are flite's own. Two female ones, ``rmsf`` and ``awbf``, are the male voices rms and awb taken apart by
WORLD (Morise, Yokomori and Ozawa 2016) and put together with a higher pitch, formants moved up, and another tempo,
so that they are no mere copies in time of the voices they come from.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "COLUMNS",
    "SENTENCES",
    "VOICES",
    "Voice",
    "finish",
    "main",
    "make",
    "read_sentences",
    "resynthesise",
    "speak",
    "trim",
]

SAMPLE_RATE = 16_000
#: Who reads what.
SENTENCES = Path(__file__).with_name("sentences.csv")
COLUMNS = ("file", "id", "speaker", "gender", "language", "transcript", "duration")
#: Root mean square of every recording, in dB of full scale.
LEVEL_DB = -26.0
#: Silence left before and after the speech, in seconds.
MARGIN = 0.1
#: Frames this far below the loudest one (in dB, frames of 10 ms) count as silence at the ends: above the noise of the
#: voice awb, 43 dB down; weaker sounds next to speech stay in the margins.
SILENCE_DB = 40.0
#: Corner of the high-pass filter, in Hz: the voice rms has an offset, awb a rumble, and no voice speaks so low.
HIGHPASS_HZ = 50.0
#: Bits that hold sound; the others of the 16 are zero, which FLAC stores at no cost. The rounding noise lies 57 dB
#: below the speech, and the corpus takes 5 MB in place of 7.
BITS = 13
#: Length of the fades at both ends, in seconds: no step where the cut is made.
FADE = 0.02


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker of the corpus.

    ``flite`` is the name of flite's voice, ``stretch`` its tempo (durations are multiplied by it). ``pitch`` and
    ``formants`` are the factors of the WORLD resynthesis; None leaves flite's own audio as it is.
    """

    id: str
    gender: Literal["F", "M"]
    flite: str
    stretch: float = 1.0
    pitch: float | None = None
    formants: float | None = None


VOICES = (
    Voice("slt", "F", "slt", stretch=1.02),
    Voice("rmsf", "F", "rms", stretch=0.98, pitch=2.0, formants=1.16),
    Voice("awbf", "F", "awb", stretch=1.14, pitch=1.65, formants=1.12),
    Voice("rms", "M", "rms", stretch=0.99),
    Voice("awb", "M", "awb", stretch=1.07),
    Voice("kal", "M", "kal16", stretch=1.06),
)


def read_sentences(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Read ``sentences.csv``: for every speaker of VOICES the (number, text) pairs, the common ones first.

    Raises:
        ValueError: a line names a speaker that VOICES lacks, or a speaker has a number twice.
    """
    sentences: dict[str, list[tuple[str, str]]] = {voice.id: [] for voice in VOICES}
    with open(path, encoding="utf-8", newline="") as handle:
        for line, row in enumerate(csv.DictReader(handle), start=2):
            speakers = list(sentences) if row["speaker"] == "all" else [row["speaker"]]
            for speaker in speakers:
                if speaker not in sentences:
                    raise ValueError(f"{path}:{line}: no voice {speaker!r}; VOICES has {', '.join(sentences)}")
                if any(number == row["number"] for number, _ in sentences[speaker]):
                    raise ValueError(f"{path}:{line}: {speaker} has the sentence {row['number']} already")
                sentences[speaker].append((row["number"], row["text"]))
    return sentences


def speak(text: str, voice: Voice, wav: Path) -> NDArray[np.float64]:
    """Synthesise one sentence: flite, a high-pass filter, then WORLD where the voice asks for it.

    Returns:
        Samples at 16 kHz, full scale 1.0.

    Raises:
        RuntimeError: flite is not installed, fails, lacks the voice, or gives another sample rate.
    """
    import numpy as np
    import soundfile
    from scipy.signal import butter, sosfiltfilt

    command = [
        "flite",
        "-voice",
        voice.flite,
        "--setf",
        f"duration_stretch={voice.stretch}",
        "-t",
        text,
        "-o",
        str(wav),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RuntimeError("flite is not installed; on Debian: apt-get install flite") from error
    if done.returncode or not wav.is_file():
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    samples, rate = soundfile.read(wav, dtype="float64")
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"flite's voice {voice.flite} speaks at {rate} Hz, not {SAMPLE_RATE} Hz")
    filters = butter(4, HIGHPASS_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    samples = np.ascontiguousarray(sosfiltfilt(filters, samples - samples.mean()), dtype=np.float64)
    if voice.pitch is None or voice.formants is None:
        return samples
    return resynthesise(samples, voice.pitch, voice.formants)


def resynthesise(samples: NDArray[np.float64], pitch: float, formants: float) -> NDArray[np.float64]:
    """Multiply pitch and formant frequencies by constant factors with WORLD, at 16 kHz.

    The envelope at f Hz becomes that at f / formants: Harvest for pitch, CheapTrick for the envelope, D4C for the
    aperiodicity (M. Morise, F. Yokomori, K. Ozawa, WORLD: a vocoder-based high-quality speech synthesis system,
    IEICE Trans. Inf. & Syst. E99-D, 2016).
    """
    import numpy as np
    import pyworld

    f0, times = pyworld.harvest(samples, SAMPLE_RATE)
    f0 = pyworld.stonemask(samples, f0, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(samples, f0, times, SAMPLE_RATE)
    bins = np.arange(envelope.shape[1], dtype=np.float64)

    def warp(frames: NDArray[np.float64]) -> NDArray[np.float64]:
        # Linear interpolation of decibels: that of powers would fill the valleys between formants.
        moved: NDArray[np.float64] = np.exp([np.interp(bins / formants, bins, np.log(frame)) for frame in frames])
        return moved

    made = pyworld.synthesize(f0 * pitch, warp(envelope), np.minimum(warp(aperiodicity), 1.0), SAMPLE_RATE)
    return np.asarray(made, dtype=np.float64)


def trim(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut silence off both ends but for 0.1 s, padding with zeros where there is less, and fade in and out.

    Raises:
        ValueError: there is nothing but silence.
    """
    import numpy as np

    frame = SAMPLE_RATE // 100
    margin, fade = round(MARGIN * SAMPLE_RATE), round(FADE * SAMPLE_RATE)
    padded = np.pad(samples, (0, -len(samples) % frame))
    power = np.square(padded.reshape(-1, frame)).mean(axis=1)
    if not power.max(initial=0.0) > 0:
        raise ValueError("nothing but silence")
    loud = np.flatnonzero(power > power.max() * 10 ** (-SILENCE_DB / 10))
    first, last = int(loud[0]) * frame, min((int(loud[-1]) + 1) * frame, len(samples))
    kept = np.pad(samples, margin)[first : last + 2 * margin].copy()
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    # The first and last samples of the recording may lie within the margins: fade there too.
    start, stop = max(margin - first, 0), len(kept) - max(last + margin - len(samples), 0)
    kept[start : start + fade] *= ramp
    kept[stop - fade : stop] *= ramp[::-1]
    return kept


def finish(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    """Trim, bring to -26 dB of full scale (root mean square) and round to 13 of 16 bits.

    Raises:
        ValueError: nothing but silence, or the peak would be over full scale at that level.
    """
    import numpy as np

    kept = trim(samples)
    kept *= 10 ** (LEVEL_DB / 20) / np.sqrt(np.square(kept).mean())
    peak = float(np.abs(kept).max())
    if peak > 0.98:
        raise ValueError(f"a level of {LEVEL_DB} dB would put the peak at {peak:.2f} of full scale")
    step = 2 ** (16 - BITS)
    rounded: NDArray[np.int16] = (np.round(kept * 32768 / step) * step).astype(np.int16)
    return rounded


def make(out: Path, sentences: Path) -> list[dict[str, str]]:
    """Make all recordings below ``out``, write ``out/utterances.csv`` and return its rows.

    Raises:
        RuntimeError: flite can't be used.
        ValueError: ``sentences`` is malformed, or a recording is silent or too loud.
    """
    import soundfile

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for voice in VOICES:
            for number, text in read_sentences(sentences)[voice.id]:
                name = f"{voice.id}_{number}"
                samples = finish(speak(text, voice, Path(scratch) / f"{name}.wav"))
                file = f"audio/{voice.id}/{name}.flac"
                (out / file).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(
                    out / file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0
                )
                seconds = f"{len(samples) / SAMPLE_RATE:.3f}"
                rows.append(dict(zip(COLUMNS, (file, name, voice.id, voice.gender, "en", text, seconds), strict=True)))
    with open(out / "utterances.csv", "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 0 when the corpus was made."""
    parser = argparse.ArgumentParser(description="Make the demo corpus.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that gets audio/ and utterances.csv")
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="what is read by whom")
    options = parser.parse_args(arguments)
    try:
        rows = make(options.out, options.sentences)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"make_demo_corpus: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} recordings, {sum(float(row['duration']) for row in rows):.0f} s, in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
