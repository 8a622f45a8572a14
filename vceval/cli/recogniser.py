"""The recogniser of a command: the one that is asked for, or the best Whisper on disk, or one that is fetched now."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vceval.errors import UsageError

__all__ = ["OFFERED", "settle"]

#: Checkpoints that are offered where none is on disk.
OFFERED = ("base", "small", "large-v3-turbo", "large-v3")


def settle(asked: str | None, usual: str | None, metrics: Sequence[str], named: bool, fetch: bool) -> str:
    """Find the recogniser of a run, which is there; empty where words are to be left out.

    Where none is named and no Whisper is on disk, a person at a terminal is asked whether to fetch one.

    Args:
        asked: what the command names; None for nothing.
        usual: what the suite names.
        metrics: those of the run that have a recogniser.
        named: whether the command names the metrics: then they are not left out.
        fetch: whether an official checkpoint that is not there is fetched.

    Raises:
        UsageError: what is named is unknown or not there, no metric has a recogniser, or a named metric lacks one.
    """
    from vceval.metrics import recogniser_choice
    from vceval.metrics.recognisers import Whisper

    if not metrics:
        if asked:
            raise UsageError(f"--recogniser {asked}: no metric of this run hears words; add wer or cer to --metrics")
        return ""
    name = asked or usual or recogniser_choice.usual()
    if not name and fetch:
        name = f"whisper:{OFFERED[0]}"
    elif not name and (model := _offered()):
        name, fetch = f"whisper:{model}", True
    if not name and not named:
        return ""
    found = recogniser_choice.recogniser(name)
    if fetch and isinstance(found, Whisper) and found.model:
        recogniser_choice.fetch(found.model)
    found.check()
    return name


def _offered() -> str:
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
