"""Offers at a terminal to fetch a recogniser where there is none."""

from __future__ import annotations

import sys

__all__ = ["OFFERED", "offer"]

#: Checkpoints that are offered.
OFFERED = ("base", "small", "large-v3-turbo", "large-v3")


def offer() -> str:
    """Ask at a terminal which Whisper to fetch; empty for none, and where nobody can answer."""
    from vceval.metrics.recogniser_choice import BEST_FIRST, LICENCE, folder

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    sizes = ", ".join(f"{model} ({BEST_FIRST[model]:,} MB)" for model in OFFERED)
    print(
        f"Word error rates need a recogniser, and no Whisper is in {folder()}.\n"
        f"Fetch one (licence: {LICENCE})? {sizes}",
        file=sys.stderr,
    )
    while True:
        print("Its name, or nothing to leave words out: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
        if not answer or answer in BEST_FIRST:
            return answer
        print(f"{answer!r} is none of them.", file=sys.stderr)
