"""File-name patterns such as ``{system}_{source}TO{target}.wav``: read names, or make them.

Grammar: ``{name}`` stands for one piece of a name without a slash, ``[...]`` for something that may be absent,
``*`` for anything without a slash; all else for itself. A pattern describes the end of a path, from a folder
boundary on. Field ``direction`` matches F2F, F2M, M2F, M2M only, ``ext`` audio suffixes only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from vceval.errors import UsageError
from vceval.registry import unknown_name

__all__ = ["NAMED_PATTERNS", "USUAL_FORMS", "Pattern"]


@dataclass(frozen=True, slots=True)
class _Node:
    """A piece of a pattern: a ``field`` with its name, a ``text``, ``any``, or ``maybe`` with the pieces in it."""

    kind: str
    text: str = ""
    inner: tuple[_Node, ...] = ()


#: Layouts known by name.
NAMED_PATTERNS = {
    # demo pages of MediumVC and MAE-VC: corpus/direction[/number]/letter_METHOD_sourceTOtarget.wav
    "mae-vc": "[{dataset}/{direction}/[{number}/]]{letter}_{system}_{source}TO{target}.{ext}",
    # demo page of SKQVC: src;utterance&tgt;utterance/SYSTEM.wav
    "skqvc": "[{dataset}/]src;{source}&tgt;{target}/{system}.{ext}",
}

#: What stands between source and target in the names of files, the ones first that say more.
_JOINTS = ("_to_", "TO", "-to-", "_TO_", "to", "2", "--", "-", "__", "_")
#: Layouts that are tried where no pattern is given: those where a folder is the system, then those where the name says
#: it, then published ones.
USUAL_FORMS = (
    *(f"{{system}}/{{source}}{joint}{{target}}.{{ext}}" for joint in _JOINTS),
    "{system}/{source}/{target}.{ext}",
    "{system}/{target}/{source}.{ext}",
    *(f"{{system}}{mark}{{source}}{joint}{{target}}.{{ext}}" for mark in ("_", "-") for joint in _JOINTS),
    *(f"{{source}}{joint}{{target}}/{{system}}.{{ext}}" for joint in _JOINTS),
    *(f"{{source}}{joint}{{target}}_{{system}}.{{ext}}" for joint in _JOINTS),
    *NAMED_PATTERNS.values(),
    "{system}/{source}.{ext}",
)

_SPECIAL = {
    "direction": "[FM]2[FM]",
    "ext": "(?i:wav|flac|ogg|mp3|aiff|aif|au|caf|sph|opus)",
    "letter": "[A-Za-z]",
    "number": "[0-9]+",
}
#: Divisions of one name that are looked at.
_WAYS = 500
#: What a field without a rule of its own matches.
_PIECE = "[^/]+?"
_TOKEN = re.compile(r"\{(?P<field>\w+)\}|(?P<open>\[)|(?P<close>\])|(?P<star>\*)|(?P<text>[^{}\[\]*]+)|(?P<bad>.)")


class Pattern:
    """A pattern, given by its text or by one of the names of NAMED_PATTERNS.

    Raises:
        UsageError: the text is no pattern.
    """

    def __init__(self, text: str) -> None:
        if text not in NAMED_PATTERNS and "{" not in text:
            raise unknown_name("pattern", text, list(NAMED_PATTERNS))
        self.text = NAMED_PATTERNS.get(text, text)
        self._tokens = list(_TOKEN.finditer(self.text))
        depth = 0
        for token in self._tokens:
            depth += (token["open"] is not None) - (token["close"] is not None)
            if token["bad"] or depth < 0:
                raise UsageError(f"pattern {text!r}: unexpected {token[0]!r} at position {token.start()}")
        if depth:
            raise UsageError(f"pattern {text!r}: a [ is not closed")
        self._tree = _grown(self._tokens)

    @property
    def fields(self) -> frozenset[str]:
        """Names of all fields."""
        return frozenset(token["field"] for token in self._tokens if token["field"])

    def readings(self, path: str) -> list[dict[str, str]]:
        """Read the fields out of a path with forward slashes, in every way in which it can be divided.

        ``A_Ours_p1TOp2.wav`` may be system ``A`` and source ``Ours_p1``, or system ``A_Ours`` and source ``p1``: only
        whoever knows the recordings can tell. Those that begin earliest come first, then those with the shortest
        first fields; none where the path does not fit.
        """
        found: dict[tuple[tuple[str, str], ...], None] = {}
        for start in (0, *(place + 1 for place, letter in enumerate(path) if letter == "/")):
            for fields in islice(_ways(self._tree, path, start, {}), _WAYS):
                found.setdefault(tuple(fields.items()))
        return [dict(fields) for fields in found]

    def filled(self, values: Mapping[str, str]) -> str:
        """Make the path that has these fields; parts that may be absent are there where all their fields are."""
        return _filled(self._tree, values)

    def candidates(self, values: dict[str, str]) -> re.Pattern[str]:
        """Make the expression that paths must match when some fields are known.

        Fields without a value match anything, so ``{letter}_{system}...`` finds a file whatever its letter.
        """
        parts = [r"(?:^|.*?/)"]
        for token in self._tokens:
            if field := token["field"]:
                parts.append(re.escape(values[field]) if values.get(field) else _SPECIAL.get(field, _PIECE))
            elif token["open"]:
                parts.append("(?:")
            elif token["close"]:
                parts.append(")?")
            else:
                parts.append("[^/]*" if token["star"] else re.escape(token["text"]))
        return re.compile("".join(parts) + "$")


def _grown(tokens: Sequence[re.Match[str]]) -> tuple[_Node, ...]:
    """The tree of a pattern."""
    levels: list[list[_Node]] = [[]]
    for token in tokens:
        if token["open"]:
            levels.append([])
        elif token["close"]:
            inner = levels.pop()
            levels[-1].append(_Node("maybe", inner=tuple(inner)))
        elif token["field"]:
            levels[-1].append(_Node("field", token["field"]))
        else:
            levels[-1].append(_Node("any") if token["star"] else _Node("text", token["text"]))
    return tuple(levels[0])


def _ways(nodes: tuple[_Node, ...], path: str, place: int, fields: dict[str, str]) -> Iterator[dict[str, str]]:
    """Every way to read the rest of a path by the rest of a pattern."""
    if not nodes:
        if place == len(path):
            yield fields
        return
    node, rest = nodes[0], nodes[1:]
    if node.kind == "text" or node.text in fields:
        text = fields.get(node.text, "") if node.kind == "field" else node.text
        if path.startswith(text, place):
            yield from _ways(rest, path, place + len(text), fields)
    elif node.kind == "maybe":
        yield from _ways(node.inner + rest, path, place, fields)
        yield from _ways(rest, path, place, fields)
    else:
        end = path.find("/", place)
        for stop in range(place + (node.kind == "field"), (len(path) if end < 0 else end) + 1):
            if rest and rest[0].kind == "text" and not path.startswith(rest[0].text, stop):
                continue
            value = path[place:stop]
            if node.kind == "any":
                yield from _ways(rest, path, stop, fields)
            elif node.text not in _SPECIAL or re.fullmatch(_SPECIAL[node.text], value):
                yield from _ways(rest, path, stop, {**fields, node.text: value})


def _filled(nodes: Sequence[_Node], values: Mapping[str, str]) -> str:
    parts = []
    for node in nodes:
        if node.kind == "maybe":
            whole = all(inner.kind != "field" or inner.text in values for inner in node.inner)
            parts.append(_filled(node.inner, values) if whole else "")
        else:
            parts.append({"field": values.get(node.text, "*"), "text": node.text}.get(node.kind, "*"))
    return "".join(parts)
