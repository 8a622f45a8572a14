"""Opening a corpus by name: from what a suite or the command line says to a reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.corpora.base import Corpus
from vceval.errors import UsageError

__all__ = ["open_corpus"]


def open_corpus(name: str, data: Path | None, options: Mapping[str, Any]) -> Corpus:
    """Open the registered corpus of a name; its recordings are listed when they are first asked for.

    Args:
        name: of the corpus.
        data: its folder; None only for the demo, which brings its own.
        options: of its reader, such as ``splits``.

    Raises:
        UsageError: no such corpus, no folder, a folder of another layout, or options that the reader does not take.
    """
    kind = registry.load("corpus", name)
    if data is None and name != "demo":
        raise UsageError(
            f"{kind.info.title} must be on disk: say with --data where (published at: {kind.info.url or 'its owner'})"
        )

    def construct() -> Corpus:
        try:
            made: Corpus = kind(*([] if data is None else [data]), **options)
        except TypeError as error:
            place = registry.origin("corpus", name)
            raise UsageError(f"corpus {name!r} ({place}) does not take these options: {error}") from None
        return made

    corpus = registry.ask("corpus", name, "its constructor", construct)
    if not hasattr(corpus, "root"):
        raise registry.unusable("corpus", name, "its __init__ must call super().__init__(root)")
    return corpus
