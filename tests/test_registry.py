"""Plug-ins: lazy, with helpful errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vceval import registry
from vceval.errors import UsageError


def test_everything_registered_can_be_loaded() -> None:
    for kind in registry.GROUPS:
        assert registry.names(kind)
        for name in registry.names(kind):
            assert registry.load(kind, name).__name__ == registry.origin(kind, name).partition(":")[2]


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("metric", "mdc", "mcd"),
        ("converter", "wrold", "world"),
        ("corpus", "vctk08", "vctk080"),
        ("metric", "WER", "wer"),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(kind: str, name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown {kind} .*did you mean .*{hint}"):
        registry.load(kind, name)


def test_a_name_like_none_gets_the_whole_list() -> None:
    with pytest.raises(UsageError, match="known: bandwidth, cer, f0, fake, mcd, mos, sanity, sv, wer"):
        registry.load("metric", "zzzzzz")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, vceval.cli.main\n"
        "try: vceval.cli.main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'torch', 'pandas', 'scipy', 'matplotlib', 'rich', 'pydantic')\n"
        "print(*[m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
