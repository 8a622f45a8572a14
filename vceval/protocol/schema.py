"""YAML files of settings, read with a check of every key: unknown, missing and mistyped ones are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from vceval.errors import UsageError

__all__ = ["REQUIRED", "Section", "read_document"]

#: Stands for "there is no default: the key must be given".
REQUIRED: Any = object()
_NAMES = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}
T = TypeVar("T")


def read_document(path: Path) -> Section:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UsageError: the file is missing, no YAML, or holds something else.
    """
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: can't be read as YAML ({error})") from error
    return Section(path, "", value)


class Section:
    """A mapping whose values are taken out one by one; what is left at :meth:`end` is an unknown key."""

    def __init__(self, path: Path, name: str, values: Any) -> None:
        self.path, self.name = path, name
        if not isinstance(values, dict):
            raise UsageError(f"{path}: {name or 'top level'}: expected a mapping of keys to values")
        self._values: dict[Any, Any] = values
        self._taken: set[Any] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, kind: type[T], default: Any = REQUIRED) -> T | Any:
        """Take the value of a key.

        Raises:
            UsageError: the key is missing and has no default, or its value is of another type.
        """
        self._taken.add(key)
        if key not in self._values:
            if default is REQUIRED:
                known = ", ".join(str(k) for k in self._values) or "none"
                raise self.error(key, f"is missing (keys given: {known})")
            return default
        value = self._values[key]
        wanted = (int, float) if kind is float else kind
        # YAML's yes and no are booleans, which Python counts as whole numbers
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise self.error(key, f"must be {_NAMES[kind]}, not {value!r}")
        return value

    def text(self, key: str) -> str:
        """Take a text that is not empty."""
        value: str = self.take(key, str)
        if not value.strip():
            raise self.error(key, "must not be empty")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts."""
        values = self.take(key, list)
        for value in values:
            if not isinstance(value, str) or not value.strip():
                raise self.error(key, f"must be a list of texts; {value!r} is none")
        if len(set(values)) < len(values):
            raise self.error(key, f"names something twice: {', '.join(values)}")
        return tuple(values)

    def whole(self, key: str, least: int = 0, default: Any = REQUIRED) -> int | Any:
        """Take a whole number of at least ``least``."""
        value = self.take(key, int, default)
        if key in self._values and value < least:
            raise self.error(key, f"must be at least {least}, not {value}")
        return value

    def number(self, key: str, default: Any = REQUIRED) -> float | Any:
        """Take a number."""
        value = self.take(key, float, default)
        return float(value) if key in self._values else value

    def span(self, key: str) -> tuple[float, float]:
        """Take a range: a list of two numbers, the first below the second."""
        values = self.take(key, list)
        plain = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(values) != 2 or len(plain) != 2 or not 0 <= plain[0] < plain[1]:
            raise self.error(key, f"must be two numbers, from and to, not {values!r}")
        return float(plain[0]), float(plain[1])

    def choice(self, key: str, known: Sequence[str], default: Any = REQUIRED) -> str:
        """Take one of several words."""
        value: str = self.take(key, str, default)
        if value not in known:
            raise self.error(key, f"must be one of {', '.join(known)}, not {value!r}")
        return value

    def section(self, key: str) -> Section:
        """Take a mapping, as a section of its own; its owner must call its :meth:`end`."""
        return Section(self.path, self._path(key), self.take(key, dict))

    def sections(self, key: str) -> list[Section]:
        """Take a list of mappings."""
        return [Section(self.path, f"{self._path(key)}[{i}]", v) for i, v in enumerate(self.take(key, list))]

    def end(self) -> None:
        """Make sure that every key was taken.

        Raises:
            UsageError: there is an unknown key.
        """
        unknown = [str(key) for key in self._values if key not in self._taken]
        if unknown:
            known = ", ".join(sorted(map(str, self._taken)))
            raise self.error(unknown[0], f"is no known key; known: {known}")

    def error(self, key: str, message: str) -> UsageError:
        """Make the error for a key of this section."""
        return UsageError(f"{self.path}: {self._path(key)}: {message}")

    def _path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key
