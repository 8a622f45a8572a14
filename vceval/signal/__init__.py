"""From recordings to numbers.

Audio intake, resamplers, spectral front ends, WORLD, voice activity, Griffin-Lim, loudness. It imports storage, and
knows nothing of converters or metrics.
"""
