"""The package installs, plainly, editable and from an sdist: linked folders as one package, data inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import setuptools
from places import ROOT

CHECK = """
import importlib.util, sys
from pathlib import Path
from vceval import registry
import vceval.metrics.base, vceval.benchmarks, vceval.reports
for kind in registry.GROUPS:
    for name in registry.names(kind):
        module = registry.origin(kind, name).partition(":")[0]
        assert importlib.util.find_spec(module) is not None, module
data = Path(vceval.benchmarks.__file__).parent
assert (data / "suites" / "demo.yaml").is_file()
assert (data / "pairs" / "demo@1.csv").is_file()
assert (data / "baselines" / "demo.json").is_file()
assert (data / "rules" / "demo.yaml").is_file()
assert (data / "schemas" / "suite.json").is_file()
for name in ("vcc2020.csv.gz", "noise.json", "LICENCES.md"):
    assert (data / "ratings" / name).is_file(), name
assert (Path(vceval.__file__).parent / "gate" / "default.yaml").is_file()
from vceval.conformance.golden import FILE
assert FILE.is_file()
assert len(list((data / "demo" / "audio").rglob("*.flac"))) == 144
assert list((Path(vceval.reports.__file__).parent / "templates").iterdir())
assert (Path(vceval.__file__).parent / "py.typed").is_file()
assert len(list((Path(vceval.__file__).parent / "listen" / "templates").iterdir())) == 3
assert len(list((Path(vceval.__file__).parent / "listen" / "texts").iterdir())) == 6
print(Path(vceval.__file__).parent)
"""
#: What only the repository holds, and names that are too common to take from a user.
NOT_INSTALLED = """
import importlib.util
for stranger in ("metrics", "reports", "benchmarks", "tests"):
    assert importlib.util.find_spec(stranger) is None, stranger
for room in ("drawing", "gpu", "simulations", "speed", "training"):
    assert importlib.util.find_spec(f"vceval.benchmarks.{room}") is None, room
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the sources, links as links."""
    place = tmp_path / "source"
    place.mkdir()
    for name in ("vceval", "metrics", "benchmarks", "reports"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place / name)
    return place


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """Environment in which setuptools is that of the tests, so nothing is downloaded."""
    place = tmp_path / "tools"
    place.mkdir()
    found = Path(setuptools.__file__).parents[1]
    for part in (*found.glob("setuptools*"), *found.glob("pkg_resources"), *found.glob("_distutils_hack")):
        (place / part.name).symlink_to(part)
    return {**os.environ, "PYTHONPATH": str(place)}


def install(home: Path, tools: dict[str, str], *what: str) -> subprocess.CompletedProcess[str]:
    venv.create(home, with_pip=False, symlinks=True)
    return subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "-q", "--no-deps",
         "--no-index", "--no-build-isolation", "--disable-pip-version-check", *what],
        env=tools, check=False, capture_output=True, text=True,
    )  # fmt: skip


def ask(home: Path, script: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(home / "bin" / "python"), "-c", script], cwd=home, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["plain", "editable", "sdist"])
def test_install(tmp_path: Path, source: Path, tools: dict[str, str], way: str) -> None:
    what = {"plain": [str(source)], "editable": ["--editable", str(source)], "sdist": []}[way]
    if way == "sdist":
        build = "from setuptools.build_meta import build_sdist; build_sdist('../built')"
        subprocess.run([sys.executable, "-c", build], cwd=source, env=tools, check=True, capture_output=True)
        what = [str(next((tmp_path / "built").glob("*.tar.gz")))]
    home = tmp_path / "home"
    done = install(home, tools, *what)
    assert done.returncode == 0, done.stderr
    place = Path(ask(home, CHECK))
    assert place.is_relative_to(source) == (way == "editable")
    if way != "editable":
        ask(home, NOT_INSTALLED)
    version = subprocess.run([str(home / "bin" / "vceval"), "--version"], capture_output=True, text=True, check=False)
    assert version.returncode == 0, version.stderr
    assert version.stdout.startswith("vceval ")


def test_links_that_did_not_survive_are_told_in_words(tmp_path: Path, source: Path, tools: dict[str, str]) -> None:
    """As Git writes them where links are switched off."""
    (source / "vceval" / "metrics").unlink()
    (source / "vceval" / "metrics").write_text("../metrics")
    done = install(tmp_path / "home", tools, str(source))
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "vceval/metrics should be a link to metrics/, but is not" in said
    assert "git config core.symlinks true" in said


def test_tools_in_another_folder_see_every_module(tmp_path: Path, source: Path, tools: dict[str, str]) -> None:
    """Type checkers and editors read no import hooks: an editable install must be a plain path."""
    home = tmp_path / "home"
    assert install(home, tools, "--editable", str(source)).returncode == 0
    lines = [
        line
        for file in (home / "lib").rglob("*.pth")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    assert lines == [str(source)]
    assert (Path(lines[0]) / "vceval" / "metrics" / "base.py").is_file()
