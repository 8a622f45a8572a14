"""Made-up speech-like sounds for tests."""

from __future__ import annotations

import numpy as np


def hum(seconds: float = 1.0, rate: int = 16_000, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """A buzzing vowel whose pitch and formants move: voiced for WORLD, never the same for two seeds."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    f0 = pitch * (1 + 0.1 * np.sin(2 * np.pi * 1.5 * t + seed))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    wave = np.zeros_like(t)
    for harmonic in range(1, int(min(4_000, rate / 2.5) / pitch)):
        centre = 600 + 300 * np.sin(2 * np.pi * 2 * t)
        gain = np.exp(-(((harmonic * f0 - centre) / 400) ** 2)) + 0.3 * np.exp(-(((harmonic * f0 - 1_800) / 500) ** 2))
        wave += gain * np.sin(harmonic * phase)
    wave += 0.003 * rng.standard_normal(len(t))
    return (0.3 * wave / np.max(np.abs(wave))).astype(np.float32)


def buzz(seconds: float = 1.2, seed: int = 0, rate: int = 16_000) -> np.ndarray:
    """A buzz through moving resonances, with a breath of noise, at full scale 0.5."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 120.0 + 20.0 * seed + 15.0 * np.sin(2 * np.pi * 2.0 * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    centre = 700.0 + 400.0 * np.sin(2 * np.pi * (1.0 + 0.3 * seed) * time)
    wave = sum(np.exp(-(((k * pitch - centre) / 500.0) ** 2)) * np.sin(k * phase) for k in range(1, 30))
    wave = wave + 0.01 * generator.normal(size=len(time))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)
