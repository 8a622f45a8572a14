"""Scored trials of made-up voices, for tests of calibration."""

from __future__ import annotations

import numpy as np


def scored_trials(speakers, each, seed, deviation=0.6):
    """Scores of made-up embeddings, every pair of recordings a trial, with the speakers on both sides."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 1, (speakers, 12)) + 0.6 * np.eye(12)[0]
    embeddings = (centres[:, None] + deviation * generator.normal(0, 1, (speakers, each, 12))).reshape(-1, 12)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(speakers * each, 1)
    pairs = np.stack([first, second], axis=1) // each
    values, same = (embeddings[first] * embeddings[second]).sum(axis=1), pairs[:, 0] == pairs[:, 1]
    return values[same], values[~same], pairs[same], pairs[~same], speakers
