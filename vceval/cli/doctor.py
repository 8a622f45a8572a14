"""``vceval doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import argparse
import importlib
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vceval import registry
from vceval.errors import UsageError
from vceval.results import terminal
from vceval.storage import cache
from vceval.version import VERSION

__all__ = ["add_commands", "diagnose"]

#: Package to import, distribution, what it serves, whether the demo needs it.
_PACKAGES = (
    ("torch", "torch", "networks and d-vectors", True),
    ("resemblyzer", "resemblyzer", "metrics sv and fake", True),
    ("pyworld", "pyworld", "mcd, world, resynthesis", True),
    ("numba", "numba", "mcd", True),
    ("soxr", "soxr", "resampling", True),
    ("soundfile", "soundfile", "audio files", True),
    ("pocketsphinx", "pocketsphinx", "wer and cer in English, offline", True),
    ("whisper", "openai-whisper", "wer and cer, text normalisation", True),
    ("jiwer", "jiwer", "wer and cer", True),
    ("opencc", "opencc", "wer and cer in Chinese", True),
    ("pyarrow", "pyarrow", "scores.parquet", True),
    ("matplotlib", "matplotlib", "figures", True),
    ("speechbrain", "speechbrain", "ECAPA-TDNN speaker encoder (extra vceval[speechbrain])", False),
    ("torchaudio", "torchaudio", "needed by speechbrain", False),
    ("onnxruntime", "onnxruntime", "mos:dnsmos (extra vceval[mos])", False),
    ("faster_whisper", "faster-whisper", "wer and cer, several times faster (extra vceval[faster-whisper])", False),
    ("transformers", "transformers", "wer:freevc and wer:s3prl (extra vceval[ctc])", False),
    ("zhconv", "zhconv", "texts of Chinese by the rules seedtts and f5 (extra vceval[chinese])", False),
    ("pymcd", "pymcd", "comparison of MCD with pymcd (extra vceval[peers])", False),
)
#: Where the text of a line begins, behind mark and name.
_TEXT = 21


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("doctor", help="say what works on this machine")
    parser.set_defaults(command=lambda _: diagnose())


def diagnose() -> int:
    """Print what works; 0 when the demo suite can run, 1 when something that it needs is broken."""
    from vceval.converters import environments

    print(terminal.line(f"vceval {VERSION}, Python {platform.python_version()}, {platform.platform()}", 2))
    broken = 0
    for module, distribution, purpose, needed in _PACKAGES:
        state, fine = _package(module, distribution)
        broken += needed and not fine
        _line(fine, needed, f"{distribution:<15}{state}", purpose)
    for name, check in (("GPU", _gpu), ("recogniser", _recogniser), ("folders", _folders)):
        fine, text = check()
        broken += name == "folders" and not fine
        _line(fine, False, f"{name:<15}{text}", "")
    for name in registry.recipe_folders():
        found = environments.state(name)
        _line(found.usable, False, f"{'env ' + name:<15}{found.text}", f"converter {name}")
    for kind in registry.GROUPS:
        for name in registry.names(kind):
            try:
                registry.load(kind, name)
            except UsageError as error:
                broken += 1
                _line(False, True, f"{kind} {name}: {error}", "")
    print("The demo suite can run: vceval run" if not broken else f"{broken} needed things do not work")
    return 1 if broken else 0


def _line(fine: bool, needed: bool, text: str, purpose: str) -> None:
    mark = "ok " if fine else ("BAD" if needed else "-  ")
    print(terminal.line(f"  {mark} {text}" + (f"  ({purpose})" if purpose else ""), _TEXT))


def _package(module: str, distribution: str) -> tuple[str, bool]:
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return "not installed", False
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken binary may raise anything; saying so is the purpose
        return f"{installed} is installed but can't be imported: {_brief(error)}", False
    return installed, True


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"


def _gpu() -> tuple[bool, str]:
    try:
        import torch
    except Exception as error:  # as in _package: reported, not hidden
        return False, f"unknown, torch can't be imported: {_brief(error)}"
    if torch.cuda.is_available():
        return True, f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}"
    return False, f"none that torch {torch.__version__} can use; everything runs on the CPU"


def _recogniser() -> tuple[bool, str]:
    try:
        found = registry.load("metric", "wer")().recogniser
        found.check()
    except Exception as error:  # as above
        return False, str(error) if isinstance(error, UsageError) else _brief(error)
    return True, f"{found.title}, for wer and cer"


def _folders() -> tuple[bool, str]:
    where: list[str] = []
    checks: tuple[tuple[str, Callable[[], Path | None]], ...] = (
        ("cache", cache.default_root),
        ("runs", lambda: Path("runs")),
    )
    for name, place in checks:
        path = place()
        if path is None:
            where.append(f"{name} off")
            continue
        existing = next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())
        try:
            with tempfile.TemporaryFile(dir=existing):
                free = shutil.disk_usage(existing).free / 2**30
        except OSError as error:
            return False, f"{name} {path} can't be written: {_brief(error)}"
        where.append(f"{name} {path} ({free:.0f} GiB free)")
    return True, ", ".join(where)
