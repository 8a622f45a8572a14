"""Files for a folder that may hold others already: what would lose something is told before the first is written."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, NamedTuple

from vceval.errors import UsageError
from vceval.storage.files import replacing

__all__ = ["Files", "Written", "dump"]


class Written(NamedTuple):
    """A file, and whether it is ``new``, ``changed`` or the ``same`` as before."""

    path: Path
    how: str


class Files:
    """Files to be written into a folder.

    Raises:
        UsageError: the folder is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[Path, tuple[bytes, bytes | None]] = {}
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root}: is a file; give the folder of the repository")

    def text(self, name: str) -> str | None:
        """Read what stands there; None where nothing does.

        Raises:
            UsageError: it is no file, or no text in UTF-8.
        """
        data = self._read(self.root / name)
        try:
            return None if data is None else data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.root / name}: is no text in UTF-8 ({error}); save it as such") from error

    def add(self, name: str, text: str | bytes) -> None:
        """Have a file written whole.

        Raises:
            UsageError: another one stands there.
        """
        path, data = self.root / name, text.encode() if isinstance(text, str) else text
        before = self._read(path)
        if before not in (None, data):
            raise UsageError(f"{path}: stands there and says something else; move it away, or give another folder")
        self._found[path] = (data, before)

    def merge(self, name: str, text: str) -> None:
        """Have a file written that holds all that it held, and more."""
        path = self.root / name
        before = self._read(path)
        # Some editors begin a text by a mark, which is none of it
        mark = BOM_UTF8 if before is not None and before.startswith(BOM_UTF8) else b""
        self._found[path] = (mark + text.encode(), before)

    def write(self) -> list[Written]:
        """Write them.

        Raises:
            OSError: one can't be written.
        """
        done = []
        for path, (data, before) in self._found.items():
            if data != before:
                with replacing(path) as stream:
                    stream.write(data)
            done.append(Written(path, "new" if before is None else "same" if data == before else "changed"))
        return done

    @staticmethod
    def _read(path: Path) -> bytes | None:
        if path.parent.exists() and not path.parent.is_dir():
            raise UsageError(f"{path.parent}: is a file; a folder of this name is needed")
        if not path.exists():
            return None
        if not path.is_file():
            raise UsageError(f"{path}: is no file; move it away, or give another folder")
        return path.read_bytes()


def dump(value: Any) -> str:
    """Write YAML as people do; whatever could be read as something else is quoted."""
    import yaml

    class _Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return text
