"""File-name patterns such as ``{system}_{source}TO{target}.wav``: read names, or make them.

Grammar: ``{name}`` stands for one piece of a name without a slash, ``[...]`` for something that may be absent,
``*`` for anything without a slash; all else for itself. A pattern describes the end of a path, from a folder
boundary on. Field ``direction`` matches F2F, F2M, M2F, M2M only, ``ext`` audio suffixes only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from vceval.errors import UsageError

__all__ = ["NAMED_PATTERNS", "Pattern"]

#: Layouts known by name.
NAMED_PATTERNS = {
    # demo pages of MediumVC and MAE-VC: corpus/direction[/number]/letter_METHOD_sourceTOtarget.wav
    "mae-vc": "[{dataset}/{direction}/[{number}/]]{letter}_{system}_{source}TO{target}.{ext}",
    # demo page of SKQVC: src;utterance&tgt;utterance/SYSTEM.wav
    "skqvc": "[{dataset}/]src;{source}&tgt;{target}/{system}.{ext}",
}

_SPECIAL = {"direction": "[FM]2[FM]", "ext": "(?i:wav|flac|ogg|mp3)", "letter": "[A-Za-z]", "number": "[0-9]+"}
#: What a field without a rule of its own matches.
_PIECE = "[^/]+?"
_TOKEN = re.compile(r"\{(?P<field>\w+)\}|(?P<open>\[)|(?P<close>\])|(?P<star>\*)|(?P<text>[^{}\[\]*]+)|(?P<bad>.)")


class Pattern:
    """A pattern, given by its text or by one of the names of NAMED_PATTERNS.

    Raises:
        UsageError: the text is no pattern.
    """

    def __init__(self, text: str) -> None:
        self.text = NAMED_PATTERNS.get(text, text)
        self._tokens = list(_TOKEN.finditer(self.text))
        depth = 0
        for token in self._tokens:
            depth += (token["open"] is not None) - (token["close"] is not None)
            if token["bad"] or depth < 0:
                raise UsageError(f"pattern {text!r}: unexpected {token[0]!r} at position {token.start()}")
        if depth:
            raise UsageError(f"pattern {text!r}: a [ is not closed")

    @property
    def fields(self) -> frozenset[str]:
        """Names of all fields."""
        return frozenset(token["field"] for token in self._tokens if token["field"])

    @cache  # noqa: B019 - patterns are few and live as long as the program
    def _regex(self, system_length: int | None = None) -> re.Pattern[str]:
        seen: set[str] = set()

        def part(field: str) -> str:
            if field in seen:
                return f"(?P={field})"
            seen.add(field)
            if field == "system" and system_length is not None:
                return f"(?P<system>[^/]{{{system_length}}})"
            return f"(?P<{field}>{_SPECIAL.get(field, _PIECE)})"

        return self._expression(part)

    def _expression(self, part: Callable[[str], str]) -> re.Pattern[str]:
        parts = [r"(?:^|.*?/)"]
        for token in self._tokens:
            if token["field"]:
                parts.append(part(token["field"]))
            elif token["open"]:
                parts.append("(?:")
            elif token["close"]:
                parts.append(")?")
            else:
                parts.append("[^/]*" if token["star"] else re.escape(token["text"]))
        return re.compile("".join(parts) + "$")

    def match(self, path: str) -> dict[str, str] | None:
        """Read the fields out of a path with forward slashes; None where it does not fit."""
        return _fields(self._regex().match(path))

    def readings(self, path: str) -> list[dict[str, str]]:
        """Read a path in every way in which its system's name may end, the shortest first.

        ``A_Ours_p1TOp2.wav`` may be system ``A`` and source ``Ours_p1``, or system ``A_Ours`` and source ``p1``: only
        whoever knows the recordings can tell.
        """
        longest = max(len(piece) for piece in path.split("/"))
        found = (_fields(self._regex(length).match(path)) for length in range(1, longest + 1))
        return [fields for fields in found if fields is not None]

    def candidates(self, values: dict[str, str]) -> re.Pattern[str]:
        """Make the expression that paths must match when some fields are known.

        Fields without a value match anything, so ``{letter}_{system}...`` finds a file whatever its letter.
        """
        return self._expression(
            lambda field: re.escape(values[field]) if values.get(field) else _SPECIAL.get(field, _PIECE)
        )


def _fields(found: re.Match[str] | None) -> dict[str, str] | None:
    return None if found is None else {name: value for name, value in found.groupdict().items() if value}
