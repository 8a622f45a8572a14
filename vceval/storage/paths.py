"""Paths that come from other people's files: a manifest may only name what lies in its own folder."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

from vceval.errors import UsageError

__all__ = ["resolve_inside"]


def resolve_inside(root: Path, value: str, where: str) -> Path:
    """Resolve a path written in a manifest and make sure that it stays in its root.

    Links are followed, so one that leads out of the root is refused too. The file need not exist.

    Args:
        root: the folder that relative paths start from and must stay in.
        value: the path as written: relative to ``root``, or an absolute one inside of it.
        where: file and line of the value, for the message (``scores.csv:3``).

    Returns:
        The absolute path, all links resolved.

    Raises:
        UsageError: the path is empty, names a drive or leads out of the root.
    """
    if not value.strip() or "\0" in value:
        raise UsageError(f"{where}: {value!r} is no path of a file")
    if PureWindowsPath(value).drive:
        raise UsageError(
            f"{where}: {value!r} is a path of another system; write it relative to {root}, or give another root"
        )
    base = os.path.realpath(root)
    found = os.path.realpath(os.path.join(base, value))  # noqa: PTH118 - twice as fast, and called once per recording
    if found != base and not found.startswith(base.rstrip(os.sep) + os.sep):
        raise UsageError(
            f"{where}: {value!r} leads to {found}, outside of {base}; "
            "move the file into that folder, or give another root that holds it"
        )
    return Path(found)
