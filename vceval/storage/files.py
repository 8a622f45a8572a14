"""Files that appear whole or not at all, and what they hold."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["PART", "replacing", "sha256"]

#: Names of files that are being written begin like this; a leftover of a killed process is nobody's result.
PART = ".part-"


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a file for writing under a temporary name in the same folder; it gets its own name at the end.

    Args:
        path: its name; folders are made.
        durable: wait until it is on the disk before it gets its name, so that a power failure leaves no empty file.

    Raises:
        OSError: it can't be written; nothing is left of it, and what was there before is still there. The error names
            ``path``, not the temporary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=PART, suffix=path.suffix)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp keeps files to their owner
        os.replace(temporary, path)
    except OSError as error:
        if temporary and error.filename != temporary:
            raise  # another file's, or the disk's
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, read now.

    Raises:
        OSError: it can't be read.
    """
    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
