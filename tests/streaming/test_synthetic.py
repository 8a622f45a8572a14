"""Workers with known look-ahead, delay, times and defects: what is measured of them is what they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sounds import hum
from synthetic_streams import CHUNK, RATE, Synthetic, streamed

from vceval.signal.audio import Waveform
from vceval.streaming import lookahead
from vceval.streaming.figures import look_ahead, of_pair

#: Half a second of silence, and then speech at once: the source is first heard at its sample 8,000.
ONSET = 8_000
SOURCE = np.concatenate([np.zeros(ONSET, np.float32), np.abs(hum(0.01)[:1]) + 0.1, hum(2.49)[1:]]).astype(np.float32)


@dataclass(frozen=True)
class Known:
    """What a worker is: look-ahead, delay and seams in samples and numbers, latencies in seconds, drift in ms/s."""

    worker: Synthetic
    ahead: int = 0
    latency: float = 0.04
    first: float | None = 0.05
    delay: int = 0
    misses: int = 0
    silent: float = 0.0
    seams: int = 0
    drift: float | None = 0.0


BLOCKS = 2 * CHUNK
#: A second, to the next sample that is loud.
PLAYED = int(RATE + np.argmax(np.abs(SOURCE[RATE : RATE + 200])))
WORKERS: dict[str, Known] = {
    "nothing to wait for": Known(Synthetic()),
    "at three times the rate": Known(Synthetic(rate=48_000)),
    "22,050 Hz, ahead": Known(Synthetic(rate=22_050, ahead=777), 777, 0.12, 0.13 - 777 / RATE),
    "24,000 Hz, late and ahead": Known(
        Synthetic(rate=24_000, delay=480, ahead=100), 100, 0.08 + 0.02, 0.09 + 0.02 - 100 / RATE, 320
    ),
    "44,100 Hz, late": Known(Synthetic(rate=44_100, delay=441), 0, 0.04 + 0.01, 0.05 + 0.01, 160),
    "hears 1 sample ahead": Known(Synthetic(ahead=1), 1, 0.08, 0.09 - 1 / RATE),
    "hears 100 samples ahead": Known(Synthetic(ahead=100), 100, 0.08, 0.09 - 100 / RATE),
    "hears 640 samples ahead": Known(Synthetic(ahead=640), 640, 0.08, 0.05),
    "hears 1,777 samples ahead": Known(Synthetic(ahead=1777), 1777, 0.16, 0.17 - 1777 / RATE),
    "hears its block": Known(Synthetic(levelled=True), 639),
    "hears its block and 200 more": Known(Synthetic(levelled=True, ahead=200), 839, 0.08, 0.09 - 200 / RATE),
    "two chunks in a block": Known(Synthetic(block=BLOCKS), 0, 0.08, 0.09),
    "hears two chunks": Known(Synthetic(block=BLOCKS, levelled=True), 1279, 0.08, 0.09),
    "late by 333 samples": Known(Synthetic(delay=333), 0, 0.04 + 333 / RATE, 0.05 + 333 / RATE, 333),
    "late, and hears ahead": Known(Synthetic(delay=1600, ahead=400), 400, 0.08 + 0.1, 0.09 + 0.1 - 400 / RATE, 1600),
    "sends silence at once": Known(Synthetic(zeros=0.3), 0, 0.34, 0.34, 4800),
    "plays the source first": Known(Synthetic(played=PLAYED / RATE), first=0.05 + (PLAYED - ONSET) / RATE, drift=None),
    "one slow chunk": Known(Synthetic(slow={30: 0.1}), misses=1, silent=0.06),
    "slow within the time": Known(Synthetic(slow={30: 0.03, 40: 0.029})),
    "three slow chunks": Known(Synthetic(slow={20: 0.05, 35: 0.16, 50: 0.31}), misses=3, silent=0.27),
    "two pieces turned round": Known(Synthetic(flipped=frozenset({20, 40})), seams=4),
    "louder pieces and gaps": Known(Synthetic(louder=frozenset({25}), gaps=frozenset({35, 45, 55})), seams=5),
    "loses samples": Known(Synthetic(lost=10), drift=-1000.0 / (10 * CHUNK)),
}


@pytest.mark.parametrize("name", WORKERS)
def test_what_is_measured_is_what_the_worker_is(name: str) -> None:
    known = WORKERS[name]
    line = streamed(known.worker, SOURCE)
    offline = Waveform(known.worker.offline(SOURCE), known.worker.rate)
    found = of_pair("p", line, Waveform(SOURCE, RATE), offline)
    assert found.delay_by == "waveform"
    assert found.delay is not None
    if not known.drift:
        assert abs(found.delay - known.delay * known.worker.rate / RATE) <= 1
    assert found.first_audio == pytest.approx(known.first, abs=1.01 / RATE)
    assert (found.misses, found.pieces) == (known.misses, len(line.pieces))
    assert found.silent == pytest.approx(known.silent, abs=1e-6)
    assert found.drift == (None if known.drift is None else pytest.approx(known.drift, abs=0.1))
    if known.drift == 0.0:
        assert found.seams_counted == known.seams
    spent = sorted(known.worker.work + known.worker.slow.get(number, 0.0) for number in range(len(line.chunks)))
    busy = [one * CHUNK / RATE for one in found.busy[:-1]]
    assert max(busy) == pytest.approx(spent[-1])
    assert np.median(busy) == pytest.approx(0.01)


@pytest.mark.parametrize("name", [name for name, known in WORKERS.items() if not known.drift])
def test_look_ahead_is_found_to_the_sample(name: str) -> None:
    known = WORKERS[name]

    def run(source: Waveform, enough: int | None) -> np.ndarray:
        return streamed(known.worker, source.samples, "fast", enough).audio.samples

    source = Waveform(SOURCE, RATE)
    line = streamed(known.worker, SOURCE, "fast")
    usual = line.audio.samples
    assert lookahead.repeats(usual, run(source, None)) == 0.0
    found = lookahead.horizons(run, source, usual, 0.0, [len(SOURCE) // 2, len(SOURCE) // 3, 2 * len(SOURCE) // 3])
    summed = look_ahead("p", line, found, known.delay * known.worker.rate // RATE)
    assert summed.samples is not None
    assert summed.latency is not None
    # Of three moments, the most that was found: each is right by itself where the first sample of a block hears most
    assert abs(max(summed.found) - known.ahead) <= 1
    assert not summed.whole
    assert summed.latency == pytest.approx(1000.0 * known.latency, abs=0.1)
