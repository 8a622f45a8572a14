"""What predictors of opinion have in common: a recording, nothing else, and figures from 1 to 5 that are kept."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from vceval.errors import UsageError
from vceval.metrics.base import Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["MOVES", "OpinionPredictor", "packaged"]

#: What a listener does not call a change, and a predictor may: ``benchmarks/invariance/predictors.py`` measures it.
MOVES = ("gain", "padding", "polarity", "rate")


class OpinionPredictor(Metric):
    """A network that says what listeners would.

    ``figures`` names what it predicts, one for each measure. ``moved_by`` holds those of :data:`MOVES` that change a
    figure by more than 0.1, or ``untested``; they stand in the signature.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    figures: ClassVar[tuple[str, ...]] = ("opinion",)
    moved_by: ClassVar[tuple[str, ...]]
    #: Where the cache has its figures.
    kept_as: ClassVar[str]

    @abstractmethod
    def predict(self, wave: Waveform) -> dict[str, float]:
        """Predict every figure of a recording in memory, and whatever else a pair's details should have."""

    @property
    def moves(self) -> str:
        """What moves it, as the signature says it."""
        return ",".join(self.moved_by) or "none"

    def statistics(self, conversion: Conversion) -> Statistics:
        """Predict the opinion of one recording.

        Raises:
            ItemError: it can't be read or is silent.
            UsageError: the weights are not what they should be.
        """
        audio.duration(conversion.path)  # says which file is missing before the cache looks for its digest
        found = self._kept(conversion.path)
        sums = {one.name: (float(found.pop(name)), 1.0) for one, name in zip(self.measures, self.figures, strict=True)}
        return Statistics(sums, found)

    def _kept(self, path: Path, known: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Give what the cache has, or keep what is ``known`` or predicted now."""

        def compute() -> Mapping[str, float]:
            return self.predict(audio.shared(path)) if known is None else known

        return dict(self.workspace.cache.get(self.kept_as, path, {"signature": self.signature()}, compute))


def packaged(package: str, wanted: str, files: Mapping[str, str], title: str) -> tuple[Path, ...]:
    """Find the networks that a package carries, without importing it, which would pull in what is not needed here.

    Args:
        package: and its release, ``speechmos 0.0.1.1``.
        wanted: how to install it.
        files: names inside the package, to the SHA-256 of each.
        title: of the predictor.

    Raises:
        UsageError: the package is not installed, or its networks are others.
    """
    name, _, release = package.partition(" ")
    try:
        installed = version(name)
    except PackageNotFoundError:
        raise UsageError(f"{title} needs {name}, which is not installed: {wanted}") from None
    spec = importlib.util.find_spec(name)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    anew = f"install it anew: pip install --force-reinstall --no-deps {name}=={release}"
    found = []
    for inner, digest in files.items():
        path = next((folder / inner for folder in folders if (folder / inner).is_file()), None)
        if path is None:
            raise UsageError(f"{name} {installed} has no {inner}; {anew}")
        own = file_digest(path)
        if own != digest:
            raise UsageError(
                f"{path}: not the network that vceval knows (its SHA-256 starts with {own[:8]}, not with "
                f"{digest[:8]}); {anew}"
            )
        found.append(path)
    return tuple(found)
