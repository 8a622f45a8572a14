"""Which speech recogniser a run uses: the one that is named, else the best Whisper that is on disk.

Names: ``whisper:large-v3`` (an official checkpoint), ``whisper:PATH.pt``, ``faster-whisper:FOLDER`` (or the name of a
model that faster-whisper has fetched before), ``pocketsphinx``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vceval.checkpoints.download import download
from vceval.errors import UsageError
from vceval.metrics.recognisers import (
    FasterWhisper,
    NoRecogniser,
    PocketSphinx,
    Recogniser,
    Whisper,
    official,
    official_name,
)
from vceval.registry import load, unknown_name
from vceval.storage.cache import file_digest

__all__ = ["BEST_FIRST", "LICENCE", "fetch", "folder", "listens", "recogniser", "settle", "usual"]

#: Licence of the official checkpoints.
LICENCE = "MIT"
#: Official checkpoints in the order in which they are preferred, and their sizes in MB. Of two of a size the one that
#: knows more languages comes first, so that a suite with several languages has one recogniser.
BEST_FIRST = {
    "large-v3": 3087, "large-v3-turbo": 1618, "large-v2": 3087, "large-v1": 3087, "medium": 1528, "medium.en": 1528,
    "small": 484, "small.en": 484, "base": 145, "base.en": 145, "tiny": 76, "tiny.en": 76,
}  # fmt: skip
#: The one that is fetched where none is named.
FETCHED = "base"
#: Names whose meaning moves with the package, and the checkpoints that they stand for here.
_PINNED = {"large": "large-v3", "turbo": "large-v3-turbo"}
_KINDS = ("whisper:MODEL", "whisper:PATH.pt", "faster-whisper:FOLDER", "faster-whisper:MODEL", "pocketsphinx")


def recogniser(name: str = "") -> Recogniser:
    """Make a recogniser by name; nothing is loaded, and an official checkpoint need not be there yet.

    Args:
        name: as above; empty for :func:`usual`.

    Raises:
        UsageError: nothing is called so, or a file or folder is not there.
    """
    name = name or usual()
    if not name:
        return NoRecogniser()
    kind, _, which = name.partition(":")
    if name == "pocketsphinx":
        return PocketSphinx()
    if kind == "whisper" and which:
        model = _PINNED.get(which, which)
        if model in BEST_FIRST:
            return Whisper(folder() / f"{model}.pt", model)
        path = Path(which).expanduser().resolve()
        if "/" not in which and not path.is_file():
            raise unknown_name("Whisper model", which, list(BEST_FIRST))
        Whisper(path).check()
        return Whisper(path, official_name(path))
    if kind == "faster-whisper" and which:
        return FasterWhisper(_converted(which))
    raise unknown_name("recogniser", name, list(_KINDS))


def usual() -> str:
    """Name the recogniser that is used where none is named; empty where there is none.

    ``$VCEVAL_WHISPER`` comes first: a Whisper checkpoint (a file), or a folder in the form of CTranslate2 for
    faster-whisper (extra ``vceval[faster-whisper]``). Then the best official checkpoint in Whisper's own folder
    (~/.cache/whisper).

    Raises:
        UsageError: ``$VCEVAL_WHISPER`` is neither.
    """
    own = os.environ.get("VCEVAL_WHISPER")
    if own:
        if Path(own).is_dir():
            return f"faster-whisper:{own}"
        if not Path(own).is_file():
            raise UsageError(
                f"VCEVAL_WHISPER={own}: no such file or folder; name a Whisper checkpoint (.pt) or a folder for "
                "faster-whisper, or unset it"
            )
        return f"whisper:{own}"
    return next((f"whisper:{model}" for model in BEST_FIRST if (folder() / f"{model}.pt").is_file()), "")


def settle(
    asked: str | None,
    suite: str | None,
    metrics: Sequence[str],
    named: bool,
    allow_download: bool,
    offer: Callable[[], str],
) -> str:
    """Find the recogniser of a run, which is there; empty where words are to be left out.

    The suite's comes before the best on disk.

    Args:
        asked: what the command names; None for nothing.
        suite: what the suite names.
        metrics: those of the run that have a recogniser.
        named: whether the command names the metrics: then they are not left out.
        allow_download: whether an official checkpoint that is not there is fetched.
        offer: asked where there is none; gives the name of the official checkpoint to fetch, or nothing.

    Raises:
        UsageError: what is named is unknown or not there, no metric has a recogniser, or a named metric lacks one.
    """
    if not metrics:
        if asked:
            raise UsageError(f"--recogniser {asked}: no metric of this run hears words; add wer or cer to --metrics")
        return ""
    name = asked or suite or usual()
    if not name and allow_download:
        name = f"whisper:{FETCHED}"
    elif not name and (model := offer()):
        name, allow_download = f"whisper:{model}", True
    if not name and not named:
        return ""
    found = recogniser(name)
    if allow_download and isinstance(found, Whisper) and found.model:
        fetch(found.model)
    found.check()
    return name


def listens(metric: str) -> bool:
    """Whether a metric, by name, takes any recogniser; some recipes are bound to that of the tool they follow."""
    kind = load("metric", metric)
    return hasattr(kind, "asr") and not kind.bound


def folder() -> Path:
    """Where Whisper keeps official checkpoints."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def fetch(model: str) -> Path:
    """Fetch an official checkpoint, unless it is there, and see that its SHA-256 is the official one.

    Raises:
        UsageError: no model is called so, it can't be fetched, or what came is something else.
    """
    model = _PINNED.get(model, model)
    if model not in BEST_FIRST:
        raise unknown_name("Whisper model", model, list(BEST_FIRST))
    path, published = folder() / f"{model}.pt", official(model)
    if not path.is_file():
        try:
            whole = download(published.address, path.parent / ".downloads" / path.name)
        except UsageError as error:
            raise UsageError(
                f"Whisper {model}: {error}. Without a network, fetch it on another machine and put it at {path}"
            ) from error
        if file_digest(whole) != published.sha256:
            whole.unlink()
            raise UsageError(f"what came from {published.address} is not the official checkpoint (SHA-256 differs)")
        whole.replace(path)
    elif file_digest(path) != published.sha256:
        raise UsageError(f"{path}: not the official Whisper checkpoint {model!r} (SHA-256 differs); delete it")
    return path


def _converted(which: str) -> Path:
    """The folder of a model in CTranslate2's form: itself, or where faster-whisper keeps what it fetched."""
    if (given := Path(which).expanduser()).is_dir():
        return given.resolve()
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface") / "hub")
    kept = sorted(hub.expanduser().glob(f"models--*--faster-whisper-{which}/snapshots/*/model.bin"))
    if len(kept) == 1:
        return kept[0].parent
    found = "several models of that name are" if kept else "no such folder, and no model of that name is"
    raise UsageError(f"faster-whisper:{which}: {found} in {hub}; name the folder that holds model.bin")
