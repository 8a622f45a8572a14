"""The three ways in which vceval says that something went wrong."""

from __future__ import annotations

__all__ = ["ItemError", "UnmetNeed", "UsageError", "VcevalError"]


class VcevalError(Exception):
    """Base of every error that vceval raises on purpose."""


class UsageError(VcevalError):
    """The request itself is wrong: the command line ends with exit code 2.

    The message names the file or value at fault and says what to do next.
    """


class ItemError(VcevalError):
    """One item (a recording, a pair) can't be handled: it is counted as a failure, the rest goes on."""


class UnmetNeed(VcevalError):
    """A metric lacks something it needs for this pair (say, a transcript): no value, counted as skipped.

    ``need`` is the short name of what is missing, as in :data:`vceval.records.NEEDS`.
    """

    def __init__(self, need: str, message: str) -> None:
        super().__init__(message)
        self.need = need
