"""A package of somebody else's, installed in a folder: real modules, real metadata, real entry points."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import warm


def install(folder: Path, name: str, module: str, **points: Iterable[str]) -> Path:
    """Put a package of one module into a folder, as an installer would.

    Args:
        folder: for PYTHONPATH; several packages may share it.
        name: of the package and its module.
        module: its text.
        points: ``metrics``, ``converters`` or ``corpora`` to names of plug-ins, each the object of the same name in the
            module, or ``NAME=MODULE:OBJECT``.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(module)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for kind, plugins in points.items():
        lines.append(f"[vceval.{kind}]")
        for plugin in plugins:
            word, _, place = plugin.partition("=")
            lines.append(f"{word} = {place or f'{name}:{word}'}")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def vceval(
    site: Path, cwd: Path, *arguments: object, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that finds what is installed in ``site``."""
    environment = {**os.environ, "PYTHONPATH": str(site), **(variables or {})}
    return warm.run([*map(str, arguments)], cwd, environment)
