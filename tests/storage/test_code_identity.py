"""What a module computes is identified by the code and packages that it really imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from vceval.storage import code_identity as under_test
from vceval.storage.code_identity import code_identity

Write = Callable[..., dict[str, Any]]

#: A package in which ``toy.main`` imports in every way there is.
FILES = {
    "__init__.py": "",
    "main.py": "import json\nfrom typing import TYPE_CHECKING\nfrom toy import plain\nfrom . import sibling\n"
    "if TYPE_CHECKING:\n    from toy import typed\nNETWORK = 'toy.nets.named:build'\n\n"
    "def work():\n    from .nets.inner import function\n    import toy.whole\n    return function\n",
    "plain.py": "import toy.main\nimport numpy as np\n",
    "sibling.py": "X = 1\n",
    "typed.py": "import torch\n",
    "whole.py": "import scipy.signal\n",
    "other.py": "import torch\n",
    "nets/__init__.py": "",
    "nets/named.py": "from ..deep import *\n",
    "nets/inner.py": "def function():\n    'Speak.'\n    return 1\n",
    "deep.py": "from vceval.errors import ItemError\n",
}


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the package, some files changed, and identify ``toy.main``."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(changes: Mapping[str, str] = {}) -> dict[str, Any]:
        for name, text in (FILES | changes).items():
            (tmp_path / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "toy" / name).write_text(text, encoding="utf-8")
        for function in (code_identity, under_test._find, under_test._read):
            function.cache_clear()
        return code_identity("toy.main")

    return write


UNUSED = {"typed.py", "other.py"}


@pytest.mark.parametrize("name", FILES)
def test_code_counts_where_it_is_imported(identity: Write, name: str) -> None:
    before = identity()
    after = identity({name: FILES[name] + "\nNEW = 1\n"})
    assert (after["code"] == before["code"]) == (name in UNUSED)
    assert after["packages"] == before["packages"]


def test_comments_docstrings_and_layout_do_not_count(identity: Write) -> None:
    dressed = '"""Say more."""\n# Why\ndef function():\n    """Speak up."""\n\n    return (\n        1\n    )\n'
    assert identity({"nets/inner.py": dressed}) == identity()


def test_packages_are_those_imported_anywhere(identity: Write) -> None:
    assert identity()["packages"] == {name: metadata.version(name) for name in ("numpy", "scipy")}
    more = identity({"plain.py": "import numpy, soundfile, not_installed\n"})
    assert more["packages"].keys() == {"numpy", "scipy", "soundfile"}


def test_a_package_of_another_name_than_its_distribution(identity: Write) -> None:
    assert identity({"plain.py": "import yaml, PIL.Image\n"})["packages"].keys() == {"PyYAML", "pillow", "scipy"}


def test_another_version_of_a_package_counts(identity: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity()
    monkeypatch.setattr(under_test, "version", lambda name: "99" if name == "numpy" else metadata.version(name))
    after = identity()
    assert after["code"] == before["code"]
    assert after["packages"] == {**before["packages"], "numpy": "99"}


def test_a_change_of_vceval_counts_where_it_is_imported(identity: Write) -> None:
    assert (
        identity({"deep.py": "X = 1\n"})["code"] != identity({"deep.py": "from vceval.records import System\n"})["code"]
    )


def test_converters_do_not_depend_on_the_command_line_or_on_each_other() -> None:
    def modules(name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            module = waiting.pop()
            if module.startswith("vceval") and module not in found and (spec := under_test._find(module)) is not None:
                found.add(module)
                waiting += under_test._read(module, Path(str(spec.origin)))[1]
        return found

    demo = modules("vceval.converters.adainvc_demo")
    assert {"vceval.networks.adainvc", "vceval.converters.native", "vceval.signal.audio"} <= demo
    assert not demo & {
        "vceval.cli.main",
        "vceval.cli.doctor",
        "vceval.protocol.suite",
        "vceval.networks.freevc",
        "vceval.converters.freevc",
    }
    assert not {name for name in modules("vceval.converters.world") if name.startswith("vceval.networks")}
    # Networks are named in the table of files, and built by name
    assert "vceval.networks.freevc" in modules("vceval.converters.freevc")
