"""What word and character error rate have in common: hear the converted speech, compare with its transcript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from vceval.errors import UnmetNeed
from vceval.metrics.base import Metric, Statistics, Workspace
from vceval.metrics.recognisers import PocketSphinx, Recogniser, choose, transcribe
from vceval.metrics.text import Unit, base_language, count_errors, normalise, normaliser_name
from vceval.records import Conversion

__all__ = ["TextErrorMetric"]


@dataclass(frozen=True)
class TextErrorMetric(Metric):
    """Error rate of a recogniser on converted speech, against what should be said.

    ``model`` is the Whisper checkpoint to use where it is at hand. The default, ``base``, needs about a second per
    recording on one core, and the same checkpoint serves every language of the corpora, so that a suite with several
    languages has one signature; ``base.en`` or ``large-v3`` err less on English.
    """

    model: str = "base"

    unit: ClassVar[Unit]
    needs: ClassVar[frozenset[str]] = frozenset({"transcript", "language"})
    version: ClassVar[str] = "1.0"
    source: ClassVar[str] = "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023"

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser: chosen when first asked for, then kept, so that signature and scores agree."""
        found: Recogniser | None = getattr(self, "_recogniser", None)
        if found is None:
            found = choose(self.model)
            object.__setattr__(self, "_recogniser", found)
        return found

    def signature(self) -> str:
        """Name every choice that changes the value, the recogniser among them.

        Before :meth:`open` the recogniser follows from what is on disk, and stays. Where downloads are allowed, open
        first: only then may one be fetched.
        """
        return (
            f"{self.name.upper()}|asr:{self.recogniser.identity}|sr:16000|norm:{normaliser_name()}"
            f"|unit:{self.unit}|agg:micro|v:{self.version}"
        )

    def open(self, workspace: Workspace) -> None:
        """Take the workspace and choose the recogniser, fetching its checkpoint where that is allowed.

        Raises:
            UsageError: the checkpoint can't be had.
        """
        super().open(workspace)
        if getattr(self, "_recogniser", None) is None:
            object.__setattr__(self, "_recogniser", choose(self.model, workspace.allow_download))

    def statistics(self, conversion: Conversion) -> Statistics:
        """Count errors in one conversion.

        Raises:
            UnmetNeed: no transcript (or one without words), no language, or one that the recogniser does not know.
            ItemError: the audio can't be read.
        """
        pair = conversion.pair
        if not conversion.transcript:
            raise UnmetNeed("transcript", f"pair {pair.id}: nobody says what {conversion.path} should say")
        if not conversion.language:
            raise UnmetNeed("language", f"pair {pair.id}: the language of {conversion.path} is not known")
        language = base_language(conversion.language)
        if not self.recogniser.knows(language):
            hint = f"; put Whisper's {self.model}.pt into ~/.cache/whisper or allow downloads"
            raise UnmetNeed(
                "language",
                f"recogniser {self.recogniser.identity.split(',')[0]} does not know language {conversion.language!r}"
                + (hint if isinstance(self.recogniser, PocketSphinx) else ""),
            )
        said = normalise(conversion.transcript, language)
        if not said:
            raise UnmetNeed("transcript", f"pair {pair.id}: transcript {conversion.transcript!r} has no words")
        heard = transcribe(self.recogniser, conversion.path, language, self.workspace.cache, self.workspace.device)
        understood = normalise(heard, language)
        counts = count_errors(said, understood, language, self.unit)
        details: dict[str, Any] = {"heard": heard, "said": conversion.transcript, **counts._asdict()}
        if understood != heard:
            details["heard_normalised"] = understood
        if said != conversion.transcript:
            details["said_normalised"] = said
        return Statistics({self.name: (float(counts.errors), float(counts.units))}, details)
