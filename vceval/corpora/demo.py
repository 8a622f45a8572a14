"""The demo corpus: a few synthetic speakers inside the package, so that a first run needs no download."""

from __future__ import annotations

from pathlib import Path

from vceval.corpora.base import CorpusInfo
from vceval.corpora.csv_manifest import CsvManifest
from vceval.errors import UsageError

__all__ = ["Demo"]


class Demo(CsvManifest):
    """The reader of the corpus that comes with vceval.

    Args:
        root: a folder with another copy of it (``utterances.csv`` and ``audio/``); None is the one in the package.

    Raises:
        UsageError: it was not installed.
    """

    info = CorpusInfo(
        name="demo",
        title="vceval demo corpus",
        languages=("en",),
        sample_rate=16_000,
        licence="those of flite's voices; LICENCES.md in the corpus holds them",
        url="https://github.com/festvox/flite",
        citation="synthetic speech; Black, Lenzo: Flite: a small fast run-time synthesis engine, SSW4 2001",
    )
    layout = None  # nothing tells it from other manifests

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(_packaged() if root is None else root)


def _packaged() -> Path:
    from importlib.resources import files

    try:
        folder = Path(str(files("vceval.benchmarks"))) / "demo"
    except ModuleNotFoundError as error:
        raise UsageError("the demo corpus is not installed (no vceval.benchmarks); install vceval again") from error
    if not folder.is_dir():
        raise UsageError(f"{folder}: the demo corpus is not there; install vceval again")
    return folder
