"""Looks a pickle over before it is read: what it asks for must stand in proportion to what it holds.

Python's unpickler believes what a pickle says: nine bytes can have it make room for four billion objects.
"""

from __future__ import annotations

import mmap
import pickletools

from vceval.errors import UsageError

__all__ = ["check"]

#: Steps of the largest pickle that is read; those of weights have a few ten thousand.
_STEPS = 1 << 21
#: Places for remembered objects that are never used: programs number them one by one.
_UNUSED = 1024
_CODES = {ord(code.code): code for code in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
#: Steps with two lines after them: module and name.
_TWO_LINES = frozenset({"GLOBAL", "INST"})


def check(content: bytes | mmap.mmap, place: int = 0) -> None:
    """Refuse a pickle that asks for more memory than its length explains. What is no pickle at all passes.

    Args:
        content: that holds it.
        place: at which it begins.

    Raises:
        UsageError: it has too many steps, numbers objects that it can't hold, or claims bytes that are not there.
    """
    remembered = 0
    for _ in range(_STEPS):
        code = _CODES.get(content[place]) if place < len(content) else None
        if code is None or code.name == "STOP":
            return  # the unpickler says what is wrong
        place += 1
        start, size = place, code.arg.n if code.arg is not None else 0
        if size == pickletools.UP_TO_NEWLINE:
            for _ in range(2 if code.name in _TWO_LINES else 1):
                place = content.find(b"\n", place) + 1
                if not place:
                    return
        elif size < 0:
            place += _LENGTHS[size]
            claimed = int.from_bytes(content[start:place], "little")
            if claimed > len(content) - place:
                raise UsageError(f"claims {claimed:,} bytes of which {max(0, len(content) - place):,} are there")
            place += claimed
        else:
            place += size
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            remembered += 1
            said = content[start:place]
            number = _number(said) if code.name == "PUT" else int.from_bytes(said, "little")
            if number > remembered + _UNUSED:
                raise UsageError(f"numbers an object {number:,} of {remembered:,}; it is damaged, or made to do harm")
    raise UsageError(f"has more than {_STEPS:,} steps; no file of weights has")


def _number(line: bytes) -> int:
    line = line.strip()
    return int(line[:20]) if line.isdigit() else 0  # the unpickler refuses what is no number
