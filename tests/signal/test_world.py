"""Our form of WORLD's analysis, for a processor and for a device of torch: pyworld's values.

``VCEVAL_TEST_DEVICE=cpu`` runs the tests marked ``gpu`` on the processor.
"""

from __future__ import annotations

import numpy as np
import pytest
from devices import DEVICES
from sounds import buzz, hum

from vceval.errors import UsageError
from vceval.signal import world, world_arrays, world_constants, world_torch
from vceval.signal.audio import Waveform


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
def test_speech_like_sounds_are_analysed_as_by_pyworld(rate):
    from vceval.benchmarks.speed.world import deviation, largest  # of the checkout: it is not installed

    sounds = [hum(0.8, rate=rate), buzz(0.7, seed=1, rate=rate), np.round(hum(0.6, rate=rate) * 32768) / 32768]
    worst = largest(deviation(sound.astype(np.float64), rate) for sound in sounds)
    assert worst.decided == 0
    assert worst.f0 <= 1e-6
    assert worst.envelope <= 1e-6
    assert worst.cepstra <= 1e-6


def test_random_signals_are_analysed_as_by_pyworld():
    from vceval.benchmarks.speed.world import deviation, largest, random_signals

    found: dict[str, list] = {}
    for kind, samples, rate in random_signals(60, seed=1):
        found.setdefault(kind, []).append(deviation(samples, rate))
    worst = {kind: largest(several) for kind, several in found.items()}
    assert all(one.decided == 0 and one.f0 <= 1e-6 for one in worst.values()), worst
    # Between the partials of a pure tone, 200 dB below it, lie rounding errors only: pyworld's own
    assert all(one.envelope <= 1e-6 for kind, one in worst.items() if kind != "tone"), worst
    assert worst["tone"].cepstra <= 0.1


def test_random_numbers_are_those_of_world_wherever_one_begins():
    """Marsaglia's generator, written down as it is defined."""
    x, y, z, w = 123456789, 362436069, 521288629, 88675123
    expected = []
    for _ in range(1000):
        total = 0
        for _ in range(12):
            t = (x ^ (x << 11)) & 0xFFFFFFFF
            x, y, z, w = y, z, w, w ^ (w >> 19) ^ t ^ (t >> 8)
            total += w >> 4
        expected.append(total)
    assert world_arrays.draws(0, 1000).tolist() == expected
    chunk = 64 * 4096
    across = world_arrays.draws(chunk - 5, chunk + 5)
    assert across.tolist() == [*world_arrays.draws(0, chunk)[-5:], *world_arrays.draws(chunk, chunk + 5)]


def test_frames_in_digital_silence_have_no_pitch():
    sound = np.concatenate([np.zeros(4_000), hum(0.5), np.zeros(6_000), hum(0.5), np.zeros(4_000)])
    f0, times = world.world_f0(Waveform(sound.astype(np.float32), 16_000))
    silent = (times < 0.2) | ((times > 0.8) & (times < 1.05)) | (times > 1.7)
    assert not f0[silent].any()
    assert f0[~silent].any()


def test_cepstra_are_those_of_the_envelope():
    wave = Waveform(hum(0.5), 16_000)
    f0, cepstra = world.world_cepstra(wave, 24, 0.42)
    frames = world.world_analysis(wave)
    assert np.array_equal(f0, frames.f0)
    assert cepstra == pytest.approx(world.mel_cepstrum(frames.envelope, 24, 0.42), abs=1e-11)


def test_pyworld_computes_where_it_is_asked_for(monkeypatch):
    wave = Waveform(hum(0.5), 16_000)
    ours, cepstra = world.world_analysis(wave), world.world_cepstra(wave, 24, 0.42)[1]
    monkeypatch.setenv("VCEVAL_WORLD", "pyworld")
    monkeypatch.delattr(world_arrays, "dio")
    monkeypatch.delattr(world_arrays, "cheaptrick")
    monkeypatch.delattr(world_arrays, "smoothed_cepstra")
    theirs = world.world_analysis(wave)
    assert theirs.f0 == pytest.approx(ours.f0, abs=1e-6)
    assert theirs.envelope == pytest.approx(ours.envelope, rel=1e-6)
    assert world.world_cepstra(wave, 24, 0.42)[1] == pytest.approx(cepstra, abs=1e-7)
    monkeypatch.setenv("VCEVAL_WORLD", "python")
    with pytest.raises(UsageError, match="'python'; set it to pyworld"):
        world.world_f0(wave)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_a_batch_is_analysed_as_its_recordings_one_by_one(rate, device, record_property):
    silence = np.concatenate([hum(0.3, rate=rate), np.zeros(rate // 3), hum(0.2, rate=rate, seed=2)])
    sounds = [hum(0.9, rate=rate), buzz(0.4, seed=1, rate=rate), silence, hum(0.02, rate=rate), np.zeros(rate // 5)]
    matrix = world.mel_cepstrum_matrix(world_constants.fft_size_for(rate) // 2 + 1, 24, 0.42)
    samples, lengths = world_torch.pad(sounds, device)
    made = world_torch.batch_analysis(samples, lengths, rate, matrix)
    envelopes = world_torch.batch_envelopes(samples, lengths, rate, made.f0, made.frames).cpu().numpy()
    worst = 0.0
    for row, sound in enumerate(sounds):
        wave, count = Waveform(sound.astype(np.float64), rate), made.frames[row]
        f0, cepstra = world.world_cepstra(wave, 24, 0.42)
        assert count == len(f0)
        assert made.f0[row, :count].cpu().numpy() == pytest.approx(f0, abs=1e-6)
        worst = max(worst, float(np.abs(made.cepstra[row, :count].cpu().numpy() - cepstra).max()))
        assert envelopes[row, :count] == pytest.approx(world.world_analysis(wave).envelope, rel=1e-6)
        assert not made.f0[row, count:].any()
        assert not made.cepstra[row, count:].any()
    record_property("cepstra_deviation", worst)
    assert worst <= 1e-6
