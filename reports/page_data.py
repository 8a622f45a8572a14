"""Data files of a page that opens from disk: scripts, since a browser reads no other file beside a page from there.

A chunk ``NAME`` is ``data/NAME.js``, which hands its value to the page's ``vceval`` function; in a page of one file
it is a JSON block inside of it. The page's script asks for chunks by name either way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Chunks", "compact", "embedded"]


def compact(value: Any) -> str:
    """Write JSON without blanks that is also inert inside a script element: no ``<``, no line separators of Unicode.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def embedded(name: str, text: str) -> str:
    """Make the block that holds a chunk inside of a page."""
    return f'<script type="application/json" id="data-{name}">{text}</script>\n'


class Chunks:
    """Writes chunks: each as a file at once, or as a block that is kept for a page of one file.

    Args:
        folder: where the files go; None keeps blocks instead.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.blocks: list[str] = []
        self.bytes = 0

    def add(self, name: str, value: Any) -> None:
        """Write one chunk; its name is made of letters, digits and hyphens."""
        text = compact(value)
        self.bytes += len(text.encode())
        if self._folder is None:
            self.blocks.append(embedded(name, text))
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.js").write_text(f'vceval("{name}",{text});\n', encoding="utf-8")
