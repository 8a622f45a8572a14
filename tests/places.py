"""Where the repository lies, whichever folder a test is in."""

from __future__ import annotations

from pathlib import Path

#: The repository's root: the folder with ``setup.cfg``.
ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "setup.cfg").is_file())
#: Files that tests read.
DATA = ROOT / "tests"
