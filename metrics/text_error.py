"""Word and character error rate: what a speech recogniser makes of converted speech, against what it should say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.languages import language_code, nearest_language
from vceval.metrics.base import Measure, Metric, Recipe, Statistics, Workspace
from vceval.metrics.hallucination import signs
from vceval.metrics.recogniser_choice import recogniser
from vceval.metrics.recognisers import PocketSphinx, Recogniser, read_ahead, transcribe, transcribe_all, whisper_knows
from vceval.metrics.recognisers_of_tools import recogniser_of
from vceval.metrics.text import UNSPACED, TextRule, Unit, error_rate, rule_of
from vceval.records import Conversion, Utterance
from vceval.signal import audio
from vceval.storage.cache import file_digest

__all__ = ["CharacterErrorRate", "TextErrorRate", "WordErrorRate", "character_error_rate", "word_error_rate"]

#: A recogniser that errs more on natural speech does not tell systems apart by their own faults.
NATURAL_LIMIT = 0.15
#: The Whisper that knows most languages.
_SEVERAL = "large-v3"
_FACTS: Mapping[str, str] = {
    "reference": "transcript",
    "resampler": "soxr-hq",
    "channels": "equal or chosen",
    "level": "of-speech",
    "trim": "to-speech",
    "dtype": "float32",
    "missing": "counted-as-failed,not-averaged",
}
_CHOICES = (
    "{0.signed_name}|asr:{0.recogniser.identity}|sr:16000|norm:{0.rule.name}|unit:{0.unit}|agg:{0.rule.aggregation}"
)
_FACTS_AS_IS: Mapping[str, str] = {**_FACTS, "level": "as-is, but for pocketsphinx", "trim": "no, but for pocketsphinx"}
#: Of recipes, which have none of the default's rules: other tools hear recordings as they are.
_AS_BEFORE: Mapping[str, Any] = {"version": "1.0", "as_is": True, "facts": _FACTS_AS_IS}


def _heard_with(model: str) -> dict[str, Any]:
    """Bind a recipe to the recogniser of the tool that it follows."""
    return {**_AS_BEFORE, "bound": model}


#: Recipes of both rates. Those named after other tools follow their text rules (:data:`vceval.metrics.text.RULES`).
_RECIPES: Mapping[str, Recipe] = {
    "freevc": Recipe(
        """Errors against what the recogniser transcribes from the source, by Whisper's normalisers; micro average.

        The recogniser is the authors' HuBERT (facebook/hubert-large-ls960-ft), English only. Errors that it makes on
        the source are forgiven where it repeats them, so values are lower than those against transcripts, and no
        transcript is needed. Conversions that say another text than the source have no value.

        Source: the authors' answer in issue 9 of the FreeVC repository (Li et al., "FreeVC: towards high-quality
        text-free one-shot voice conversion", ICASSP 2023).
        """,
        "FreeVC",
        "against what is heard in the source",
        changes={
            **_heard_with("facebook/hubert-large-ls960-ft"),
            "against": "source",
            "needs": frozenset({"source", "language"}),
            "beside": "",
            "choices": _CHOICES.replace("|norm", "|ref:asr-of-source|norm"),
            "facts": {**_FACTS_AS_IS, "reference": "asr-of-source"},
            "source": "Li et al., FreeVC: towards high-quality text-free one-shot voice conversion, ICASSP 2023",
        },
    ),
    "none": Recipe(
        """Errors of the texts as they are: case and punctuation count; micro average.

        In languages without blanks between words, words are characters.
        """,
        "raw",
        "texts as they are",
        changes=_AS_BEFORE,
    ),
    "s3prl": Recipe(
        """The rule of s3prl and s3prl-vc: upper case, Unicode punctuation removed, blanks collapsed; micro average.

        The recogniser is theirs, wav2vec 2.0 (facebook/wav2vec2-large-960h-lv60-self), English only.

        Source: Huang et al., "S3PRL-VC: open-source voice conversion framework with self-supervised speech
        representations", ICASSP 2022.
        """,
        "s3prl",
        changes={
            **_heard_with("facebook/wav2vec2-large-960h-lv60-self"),
            "source": "Huang et al., S3PRL-VC, ICASSP 2022",
        },
    ),
    "whisper-basic": Recipe(
        """Errors after Whisper's basic normaliser, as in VERSA's default; micro average.

        In languages without blanks between words, words are characters, and so are the blanks that replace punctuation.
        """,
        "Whisper basic",
        "Whisper's basic normaliser",
        changes=_AS_BEFORE,
    ),
    "whisper-english": Recipe(
        "Errors after Whisper's English normaliser in every language; micro average.",
        "Whisper English",
        "Whisper's English normaliser",
        changes=_AS_BEFORE,
    ),
}
#: Recipes of the word error rate alone.
_WORD_RECIPES: Mapping[str, Recipe] = {
    "f5": Recipe(
        """The rule of F5-TTS: that of ``wer:seedtts``, and apostrophes are removed too; heard as there.

        Source: Chen et al., "F5-TTS: a fairytaler that fakes fluent and faithful speech with flow matching", 2024.
        """,
        "F5-TTS",
        changes={
            **_heard_with("large-v3"),
            "source": "Chen et al., F5-TTS: fluent and faithful speech with flow matching, 2024",
        },
    ),
    "seedtts": Recipe(
        """The rule of seed-tts-eval's ``run_wer.py`` and ``average_wer.py``: the mean of the rates of utterances.

        All punctuation but the ASCII apostrophe is removed (not replaced by a blank), English is lower-cased,
        Chinese is split into characters; of Chinese only the hypothesis is brought to simplified characters.
        The recogniser is the tool's, Whisper large-v3. It hears Chinese with another one, Paraformer, which vceval does
        not run: Chinese has no value here, but texts of Chinese can be compared (``word_error_rate``, with the extra
        ``chinese``).

        Source: Anastassiou et al., "Seed-TTS: a family of high-quality versatile speech generation models", 2024.
        """,
        "Seed-TTS",
        changes={
            **_heard_with("large-v3"),
            "source": "Anastassiou et al., Seed-TTS: high-quality versatile speech generation models, 2024",
        },
    ),
    "whisper-basic-split": Recipe(
        "``wer:whisper-basic`` with languages without blanks between words split into letters; micro average.",
        "Whisper basic, split",
        "Whisper's basic normaliser, letters split",
        changes=_AS_BEFORE,
    ),
}


@dataclass(frozen=True)
class TextErrorRate(Metric):
    """Error rate of a recogniser on converted speech, against what should be said.

    ``asr`` names the recogniser (:mod:`vceval.metrics.recogniser_choice`); by default it is the best Whisper that is on
    disk.

    Recipes named after a tool are heard with that tool's recogniser, as published figures carry its errors: where it
    is not at hand, the recipe is refused and not run on another one. Those named after a normaliser (``whisper-basic``,
    ``whisper-english``, ``none``) change how texts are compared, and are heard with what the default is heard with.
    """

    asr: str = ""

    unit: ClassVar[Unit]
    #: Where the text comes from that the conversion should say.
    against: ClassVar[Literal["transcript", "source"]] = "transcript"
    #: The only recogniser that will do, that of a tool; empty where any will.
    bound: ClassVar[str] = ""
    #: Whether recordings are heard as they are, not brought to one form.
    as_is: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"transcript", "language"})
    beside: ClassVar[str] = "source"
    version: ClassVar[str] = "2.0"
    source: ClassVar[str] = "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023"
    recipes: ClassVar[Mapping[str, Recipe | str]] = _RECIPES
    choices: ClassVar[str] = _CHOICES
    facts: ClassVar[Mapping[str, str]] = _FACTS
    packages: ClassVar[tuple[str, ...]] = (
        "ctranslate2", "faster-whisper", "jiwer", "openai-whisper", "opencc", "pocketsphinx", "soxr", "torch",
        "transformers", "zhconv",
    )  # fmt: skip

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser: chosen when first asked for, then kept, so that signature and scores agree."""
        found: Recogniser | None = getattr(self, "_recogniser", None)
        if found is None:
            found = recogniser_of(self.name, self.bound) if self.bound else recogniser(self.asr)
            found = found.untouched() if self.as_is else found
            object.__setattr__(self, "_recogniser", found)
        return found

    @property
    def judge(self) -> str:
        """The recogniser, as tables name it."""
        return self.recogniser.title

    @property
    def cites(self) -> str:
        """The paper of the rule, and that of the recogniser."""
        return "; ".join(dict.fromkeys(filter(None, (self.source, self.recogniser.source))))

    def _parameters(self) -> list[str]:
        return []  # the recogniser stands in the signature, without the place of its file

    @property
    def rule(self) -> TextRule:
        """How texts are compared."""
        return rule_of(self.unit, self.recipe or "default")

    @property
    def signed_name(self) -> str:
        """What the signature starts with: ``WER``, ``WER:seedtts``."""
        base, colon, recipe = self.name.partition(":")
        return f"{base.upper()}{colon}{recipe}"

    def open(self, workspace: Workspace) -> None:
        """Take the workspace and see that the recogniser is there.

        Raises:
            UsageError: it is not.
        """
        super().open(workspace)
        self.recogniser.check()

    @property
    def on_device(self) -> bool:
        """Whether the recogniser works on a GPU."""
        return self.recogniser.on_device

    def read_ahead(self, items: Sequence[Conversion | Utterance]) -> None:
        """Read the conversions."""
        for item in items:
            with contextlib.suppress(ItemError):
                read_ahead(item.path)

    @property
    def batch(self) -> int:
        """How many recordings the recogniser works on together."""
        return self.recogniser.batch

    def prepare(self, conversions: Sequence[Conversion]) -> None:
        """Transcribe recordings of one language together and keep the texts."""
        paths: dict[str, list[Path]] = {}
        for conversion in conversions:
            with contextlib.suppress(UnmetNeed):
                recordings = paths.setdefault(self._language(conversion), [])
                recordings.append(conversion.path)
                if self.against == "source" and conversion.pair.source is not None:
                    recordings.append(conversion.pair.source.path)
        for language, some in paths.items():
            transcribe_all(self.recogniser, some, language, self.workspace.cache, self.workspace.device)

    def statistics(self, conversion: Conversion) -> Statistics:
        """Count errors in one conversion.

        Raises:
            UnmetNeed: nothing to compare with (or nothing in it), no language, or one that the recogniser or the
                rule does not know.
            ItemError: the audio can't be read.
            UsageError: the rule needs a package that is not installed.
        """
        language, rule = self._language(conversion), self.rule
        expected = self._expected(conversion, language)
        reference = rule.reference(expected, language)
        if not reference.strip():
            raise UnmetNeed(self.against, f"pair {conversion.pair.id}: {self.against} {expected!r} has no words")
        found = transcribe(self.recogniser, conversion.path, language, self.workspace.cache, self.workspace.device)
        hypothesis = rule.hypothesis(found, language)
        counts = rule.count(reference, hypothesis, language, self.unit)
        # The names of these columns are part of the format of finished runs
        details: dict[str, Any] = {"heard": found, "said": expected, **counts._asdict()}
        if hypothesis != found:
            details["heard_normalised"] = hypothesis
        if reference != expected:
            details["said_normalised"] = reference
        details |= signs(
            found, *_units(hypothesis, reference, language), _seconds(conversion), unspaced=language in UNSPACED
        )
        sums = {self.name: rule.sums(counts)}
        capped = f"{self.name}_capped"
        if any(measure.name == capped for measure in self.measures):
            sums[capped] = (float(min(counts.errors, counts.units)), float(counts.units))
        return Statistics(sums, details)

    def _expected(self, conversion: Conversion, language: str) -> str:
        """The text that the conversion should say: its transcript, or the recogniser's transcript of the source.

        Raises:
            UnmetNeed: there is none; or no source, the conversion is the source itself, or it says another text.
            ItemError: the source can't be read.
        """
        if self.against == "transcript":
            return _transcript(conversion)
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
            raise UnmetNeed("other", f"{conversion.path} is the source itself: both have the same text")
        return transcribe(self.recogniser, pair.source.path, language, self.workspace.cache, self.workspace.device)

    def _language(self, conversion: Conversion) -> str:
        if self.against == "transcript":
            _transcript(conversion)  # the plainer lack is named first
        if not conversion.language:
            raise UnmetNeed("language", f"pair {conversion.pair.id}: the language of {conversion.path} is not known")
        try:
            language = language_code(conversion.language)
        except UsageError as error:
            raise UnmetNeed("language", f"pair {conversion.pair.id}: {error}") from error
        if self.rule.languages is not None and language not in self.rule.languages:
            raise UnmetNeed("language", f"{self.name} has no rule for language {conversion.language!r}")
        if self.bound and language != "en":
            raise UnmetNeed(
                "language", f"{self.name} hears English only; its tool has another recogniser, or none, else"
            )
        if not self.recogniser.knows(language):
            raise UnmetNeed(
                "language",
                f"{self.recogniser.title} does not know language {conversion.language!r}{self._hint(language)}",
            )
        return language

    def _hint(self, language: str) -> str:
        """Say what would help, if anything does."""
        if not isinstance(self.recogniser, PocketSphinx):
            return nearest_language(language)
        if whisper_knows(_SEVERAL, language):
            return f"; Whisper does: vceval checkpoints add whisper/{_SEVERAL}, --recogniser whisper:{_SEVERAL}"
        return f", and neither does Whisper{nearest_language(language)}"


def _units(heard: str, said: str, language: str) -> tuple[list[str], list[str]]:
    """Words of both texts, or characters in languages without blanks between words."""
    if language in UNSPACED:
        return list("".join(heard.split())), list("".join(said.split()))
    return heard.split(), said.split()


def _seconds(conversion: Conversion) -> float:
    """Length of the source where there is one that says the same, else of the conversion itself.

    Raises:
        ItemError: it can't be read.
    """
    source = conversion.pair.source
    if source is not None and conversion.transcript == conversion.pair.transcript:
        with contextlib.suppress(ItemError):
            return audio.duration(source.path)
    return audio.duration(conversion.path)


def _transcript(conversion: Conversion) -> str:
    if not conversion.transcript:
        raise UnmetNeed("transcript", f"pair {conversion.pair.id}: there is no transcript of {conversion.path}")
    return conversion.transcript


@dataclass(frozen=True)
class WordErrorRate(TextErrorRate):
    """WER: word errors over words that should be said, both summed over all pairs (micro average).

    In languages without blanks between words every character counts as a word. ``wer_capped`` counts no more errors
    than words for any pair, so that one hallucinated tail can't outweigh many good conversions.
    """

    name: ClassVar[str] = "wer"
    title: ClassVar[str] = "Word error rate"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("wer", "WER", "%", "lower", scale=100.0, decimals=1, ranked_by="wer_capped"),
        Measure("wer_capped", "WER cap.", "%", "lower", 100.0, 1, worst=1.0, rate=True, natural_limit=NATURAL_LIMIT,
                question="words"),
    )  # fmt: skip
    recipes: ClassVar[Mapping[str, Recipe | str]] = dict(sorted({**_RECIPES, **_WORD_RECIPES}.items()))


@dataclass(frozen=True)
class CharacterErrorRate(TextErrorRate):
    """CER: character errors over characters that should be said, both summed over all pairs (micro average).

    Blanks between words count as characters, except in languages that are written without them; in recipes, but for
    ``cer:freevc``, they count in every language. ``cer_capped`` counts no more errors than characters for any pair.
    """

    name: ClassVar[str] = "cer"
    title: ClassVar[str] = "Character error rate"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cer", "CER", "%", "lower", scale=100.0, decimals=1, ranked_by="cer_capped"),
        Measure("cer_capped", "CER cap.", "%", "lower", 100.0, 1, worst=1.0, rate=True, natural_limit=NATURAL_LIMIT,
                question="words"),
    )  # fmt: skip


def word_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], language: str = "en", recipe: str = "default"
) -> float:
    """Word error rate of texts, compared as the ``wer`` metric does it, or one of its recipes.

    Args:
        references: what should be said (for ``freevc``: what the recogniser makes of the source).
        hypotheses: what the recogniser makes of the conversion, one for each reference.
        language: of both; English and Chinese have normalisers of their own.
        recipe: ``default``, or what follows the colon in ``wer:seedtts``; it decides on the normaliser, on the units
            of languages without blanks, and whether errors are summed (micro) or rates averaged (macro).

    Returns:
        A fraction, 0 for a perfect match; insertions can push it over 1.

    Raises:
        UsageError: the numbers of texts differ, a reference has no words, the recipe is unknown, has no rule for the
            language or needs a package that is not installed.
    """
    return error_rate(references, hypotheses, language, "word", recipe)


def character_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], language: str = "en", recipe: str = "default"
) -> float:
    """Character error rate of texts, compared as the ``cer`` metric does it, or one of its recipes (``cer:s3prl``).

    Arguments, result and errors are those of :func:`word_error_rate`.
    """
    return error_rate(references, hypotheses, language, "character", recipe)
