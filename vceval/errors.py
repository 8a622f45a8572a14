"""The ways in which vceval says that something went wrong."""

from __future__ import annotations

import errno

__all__ = [
    "ContractError",
    "ItemError",
    "NoRoomError",
    "UnmetNeed",
    "UsageError",
    "VcevalError",
    "no_room",
    "reason_of",
]


class VcevalError(Exception):
    """Base of every error that vceval raises on purpose."""


class UsageError(VcevalError):
    """The request itself is wrong: the command line ends with exit code 2.

    The message names the file or value at fault and says what to do next.
    """


class ItemError(VcevalError):
    """One item (a recording, a pair) can't be handled: it is counted as a failure, the rest goes on."""


class ContractError(ItemError):
    """What a plug-in gave for one item is not what its contract asks for: its author must correct it."""


class UnmetNeed(VcevalError):
    """A metric lacks something it needs for this pair (say, a transcript): no value, counted as skipped.

    ``need`` is the short name of what is missing, as in :data:`vceval.records.NEEDS`.
    """

    def __init__(self, need: str, message: str) -> None:
        super().__init__(message)
        self.need = need


class NoRoomError(VcevalError):
    """A disk is full: the run stops, what is finished is kept, and the same command goes on when there is room."""


def no_room(error: OSError) -> bool:
    """Whether an error of the system says that a disk or a quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: BaseException) -> str:
    """Put an error in words that any file can hold: vceval's own as they are, others after their kind."""
    text = str(error) if isinstance(error, VcevalError) else f"{type(error).__name__}: {error}"
    return text.encode(errors="backslashreplace").decode()
