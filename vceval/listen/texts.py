"""What listeners read, in their language: one file per language, all with the same keys and placeholders."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.protocol.schema import read_yaml

__all__ = ["Texts", "languages", "read_texts", "text_file", "texts_in"]

_FOLDER = Path(__file__).parent / "texts"
#: The language that all others are held against.
_MODEL = "en"
#: Characters of the longest text, and keys that a message names.
_LONGEST, _NAMED = 1000, 12
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Texts:
    """All that listeners read.

    lang: BCP 47 tag of the language.
    values: text by dotted key, such as ``trial.next``.
    name: by which signatures tell one wording from another: the tag, with a hash for a file of the user's.
    """

    lang: str
    values: Mapping[str, str]
    name: str

    def __getitem__(self, key: str) -> str:
        return self.values[key]


def languages() -> list[str]:
    """Codes of the languages that there are texts in."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def text_file(language: str) -> Path:
    """Find the file of a language, given by code, tag or name.

    Raises:
        UsageError: it is no language, or there are no texts in it; the nearest is named.
    """
    code = language_code(language)
    if code not in languages():
        raise UsageError(
            f"no texts in {language!r}; there are {', '.join(languages())}; for another language translate what "
            f"'vceval listen texts {_MODEL}' prints, and give the file as --texts FILE"
        )
    return _FOLDER / f"{code}.yaml"


def texts_in(language: str) -> Texts:
    """Read the texts of a language; errors as :func:`text_file`."""
    path = text_file(language)
    lang, values = _read(path)
    return Texts(lang, values, lang)


def read_texts(path: Path) -> Texts:
    """Read a user's file of texts.

    Raises:
        UsageError: it can't be read, a key is missing or unknown, a text is none or has other placeholders.
    """
    lang, values = _read(path)
    model = _read(_FOLDER / f"{_MODEL}.yaml")[1]
    wrong = [
        _listed("missing: ", (key for key in model if key not in values)),
        _listed("unknown: ", (_unknown(key, model) for key in values if key not in model)),
        _listed("", (said for key in model if key in values for said in _differing(key, values[key], model[key]))),
    ]
    if any(wrong):
        raise UsageError(f"{path}: {'; '.join(filter(None, wrong))} (as in 'vceval listen texts {_MODEL}')")
    digest = hashlib.sha256("\n".join(f"{key}={values[key]}" for key in sorted(values)).encode()).hexdigest()
    return Texts(lang, values, f"{lang}-{digest[:8]}")


def _read(path: Path) -> tuple[str, dict[str, str]]:
    """Read a file: its language tag, and its texts by dotted key."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: must be a mapping of keys to texts")
    values = dict(_flat(content, path))
    lang = values.pop("lang", "")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}", lang):
        raise UsageError(f"{path}: lang: must be the tag of the language, such as {_MODEL} or pt-BR, not {lang!r:.60}")
    return lang, values


def _flat(content: Mapping[Any, Any], path: Path, above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        key = f"{above}{name}"
        if isinstance(value, dict):
            yield from _flat(value, path, f"{key}.")
        elif not isinstance(value, str):
            raise UsageError(f"{path}: {key}: must be text, not {value!r:.60}; put it into quotes")
        elif not value.strip() or len(value) > _LONGEST:
            raise UsageError(f"{path}: {key}: must have between 1 and {_LONGEST} characters, not {len(value):,}")
        elif strange := [letter for letter in value if unicodedata.category(letter) == "Cc"]:
            raise UsageError(f"{path}: {key}: holds a character that can't be shown ({strange[0]!r})")
        else:
            yield key, value


def _differing(key: str, text: str, model: str) -> Iterator[str]:
    needed, found = set(_PLACEHOLDER.findall(model)), set(_PLACEHOLDER.findall(text))
    if needed != found:
        names = ", ".join(f"{{{name}}}" for name in sorted(needed)) or "no placeholder"
        yield f"{key} must hold {names}, not {', '.join(f'{{{name}}}' for name in sorted(found)) or 'none'}"


def _unknown(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f"{key} (did you mean {near[0]}?)" if near else key


def _listed(what: str, found: Iterable[str]) -> str:
    """Name what was found, up to some; empty where nothing was."""
    all_ = list(found)
    rest = f" and {len(all_) - _NAMED} more" if len(all_) > _NAMED else ""
    return f"{what}{', '.join(all_[:_NAMED])}{rest}" if all_ else ""
