"""What word and character error rates have in common: hear the converted speech, compare with what it should say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Metric, Statistics, Workspace
from vceval.metrics.recognisers import PocketSphinx, Recogniser, choose, transcribe, transcribe_all
from vceval.metrics.text import Unit, base_language
from vceval.metrics.text_rules import TextRule, rule_of
from vceval.records import Conversion
from vceval.storage.cache import file_digest

__all__ = ["HeardReference", "TextErrorMetric"]


@dataclass(frozen=True)
class TextErrorMetric(Metric):
    """Error rate of a recogniser on converted speech, against what should be said.

    ``model`` is the Whisper checkpoint to use where it is at hand. The default, ``base``, needs about a second per
    recording on one core, and the same checkpoint serves every language of the corpora, so that a suite with several
    languages has one signature; ``base.en`` or ``large-v3`` err less on English.

    A recipe changes how texts are compared, never the recogniser: other tools use models of their own, and their
    published figures carry those models' errors.
    """

    model: str = "base"

    unit: ClassVar[Unit]
    #: Which of :data:`vceval.metrics.text_rules.RULES`.
    recipe: ClassVar[str] = "default"
    needs: ClassVar[frozenset[str]] = frozenset({"transcript", "language"})
    version: ClassVar[str] = "1.0"
    source: ClassVar[str] = "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023"
    facts: ClassVar[Mapping[str, str]] = {
        "reference": "transcript",
        "resampler": "soxr-hq",
        "channels": "mean",
        "level": "as-is",
        "trim": "no",
        "dtype": "float32",
        "missing": "counted-as-failed,not-averaged",
    }
    packages: ClassVar[tuple[str, ...]] = (
        "ctranslate2", "faster-whisper", "jiwer", "openai-whisper", "opencc", "pocketsphinx", "soxr", "torch", "zhconv",
    )  # fmt: skip

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser: chosen when first asked for, then kept, so that signature and scores agree."""
        found: Recogniser | None = getattr(self, "_recogniser", None)
        if found is None:
            found = choose(self.model)
            object.__setattr__(self, "_recogniser", found)
        return found

    @property
    def rule(self) -> TextRule:
        """How texts are compared."""
        return rule_of(self.unit, self.recipe)

    def signature(self) -> str:
        """Name every choice that changes the value, the recogniser among them.

        Before :meth:`open` the recogniser follows from what is on disk, and stays. Where downloads are allowed, open
        first: only then may one be fetched.
        """
        base, colon, recipe = self.name.partition(":")
        reference = "" if self.facts["reference"] == "transcript" else f"|ref:{self.facts['reference']}"
        return (
            f"{base.upper()}{colon}{recipe}|asr:{self.recogniser.identity}|sr:16000{reference}|norm:{self.rule.norm()}"
            f"|unit:{self.unit}|agg:{self.rule.aggregation}|v:{self.version}"
        )

    def open(self, workspace: Workspace) -> None:
        """Take the workspace and choose the recogniser, fetching its checkpoint where that is allowed.

        Raises:
            UsageError: the checkpoint can't be had.
        """
        super().open(workspace)
        if getattr(self, "_recogniser", None) is None:
            object.__setattr__(self, "_recogniser", choose(self.model, workspace.allow_download))

    @property
    def batch(self) -> int:
        """As many as the recogniser likes to hear together."""
        return self.recogniser.batch

    def prepare(self, conversions: Sequence[Conversion]) -> None:
        """Hear recordings of one language together and keep what was heard."""
        paths: dict[str, list[Path]] = {}
        for conversion in conversions:
            with contextlib.suppress(UnmetNeed):
                paths.setdefault(self._language(conversion), []).extend(self.recordings(conversion))
        for language, some in paths.items():
            transcribe_all(self.recogniser, some, language, self.workspace.cache, self.workspace.device)

    def recordings(self, conversion: Conversion) -> tuple[Path, ...]:
        """Which recordings are heard."""
        return (conversion.path,)

    def statistics(self, conversion: Conversion) -> Statistics:
        """Count errors in one conversion.

        Raises:
            UnmetNeed: nothing to compare with (or nothing in it), no language, or one that the recogniser or the
                rule does not know.
            ItemError: the audio can't be read.
            UsageError: the rule needs a package that is not installed.
        """
        language, rule = self._language(conversion), self.rule
        expected = self.expected(conversion, language)
        said = rule.said(expected, language)
        if not said.strip():
            need = "transcript" if "transcript" in self.needs else "source"
            raise UnmetNeed(need, f"pair {conversion.pair.id}: {need} {expected!r} has no words")
        heard = transcribe(self.recogniser, conversion.path, language, self.workspace.cache, self.workspace.device)
        understood = rule.heard(heard, language)
        counts = rule.count(said, understood, language, self.unit)
        details: dict[str, Any] = {"heard": heard, "said": expected, **counts._asdict()}
        if understood != heard:
            details["heard_normalised"] = understood
        if said != expected:
            details["said_normalised"] = said
        sums = {self.name: rule.sums(counts)}
        capped = f"{self.name}_capped"
        if any(measure.name == capped for measure in self.measures):
            sums[capped] = (float(min(counts.errors, counts.units)), float(counts.units))
        return Statistics(sums, details)

    def expected(self, conversion: Conversion, language: str) -> str:
        """What the conversion should say.

        Raises:
            UnmetNeed: nobody knows.
        """
        if not conversion.transcript:
            raise UnmetNeed("transcript", f"pair {conversion.pair.id}: nobody says what {conversion.path} should say")
        return conversion.transcript

    def _language(self, conversion: Conversion) -> str:
        if "transcript" in self.needs:
            self.expected(conversion, "")  # the plainer lack is named first
        if not conversion.language:
            raise UnmetNeed("language", f"pair {conversion.pair.id}: the language of {conversion.path} is not known")
        language = base_language(conversion.language)
        if self.rule.languages is not None and language not in self.rule.languages:
            raise UnmetNeed("language", f"{self.name} has no rule for language {conversion.language!r}")
        if not self.recogniser.knows(language):
            hint = f"; put Whisper's {self.model}.pt into ~/.cache/whisper or allow downloads"
            raise UnmetNeed(
                "language",
                f"recogniser {self.recogniser.identity.split(',')[0]} does not know language {conversion.language!r}"
                + (hint if isinstance(self.recogniser, PocketSphinx) else ""),
            )
        return language


@dataclass(frozen=True)
class HeardReference(TextErrorMetric):
    """An error rate whose reference is what the recogniser hears in the source, not the transcript.

    Errors that the recogniser makes on the source are forgiven where it repeats them, so values are lower than
    those against transcripts and need none. Conversions that say another text than the source have no value.

    Source: the authors' answer in issue 9 of the FreeVC repository (Li et al., "FreeVC: towards high-quality
    text-free one-shot voice conversion", ICASSP 2023).
    """

    recipe: ClassVar[str] = "freevc"
    needs: ClassVar[frozenset[str]] = frozenset({"source", "language"})
    facts: ClassVar[Mapping[str, str]] = {**TextErrorMetric.facts, "reference": "asr-of-source"}

    def recordings(self, conversion: Conversion) -> tuple[Path, ...]:
        """The conversion and its source."""
        source = conversion.pair.source
        return (conversion.path,) if source is None else (conversion.path, source.path)

    def expected(self, conversion: Conversion, language: str) -> str:
        """What the recogniser hears in the source.

        Raises:
            UnmetNeed: no source, the conversion is the source itself, or it says another text.
            ItemError: the source can't be read.
        """
        pair = conversion.pair
        if pair.source is None:
            raise UnmetNeed("source", f"pair {pair.id} has no recording of the source")
        if conversion.transcript != pair.transcript:
            raise UnmetNeed("source", f"pair {pair.id}: {conversion.path} says another text than the source")
        if not conversion.path.is_file():
            raise ItemError(f"{conversion.path}: no such file")
        if not pair.source.path.is_file():
            raise ItemError(f"{pair.source.path}: no such file (source of pair {pair.id})")
        if file_digest(conversion.path) == file_digest(pair.source.path):
            raise UnmetNeed("other", f"{conversion.path} is the source itself, and is heard as the source is")
        return transcribe(self.recogniser, pair.source.path, language, self.workspace.cache, self.workspace.device)
