"""The package installs, plainly and editable, with its four folders as one package and its data inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
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
assert (data / "gate" / "noise.json").is_file()
from vceval.gate.rules import DEFAULT
assert DEFAULT.is_file()
assert len(list((data / "demo" / "audio").rglob("*.flac"))) == 144
assert list((Path(vceval.reports.__file__).parent / "templates").iterdir())
assert (Path(vceval.__file__).parent / "py.typed").is_file()
assert len(list((Path(vceval.__file__).parent / "listen" / "templates").iterdir())) == 3
for stranger in ("metrics", "reports", "benchmarks", "tests"):
    assert importlib.util.find_spec(stranger) is None, stranger
print(Path(vceval.__file__).parent)
"""


@pytest.mark.parametrize("editable", [False, True], ids=["plain", "editable"])
def test_install(tmp_path: Path, editable: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("vceval", "metrics", "benchmarks", "reports"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    home = tmp_path / "home"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    # setuptools comes from the environment of the tests, so nothing is downloaded
    tools = tmp_path / "tools"
    tools.mkdir()
    site = Path(sysconfig.get_paths()["purelib"])
    for found in (*site.glob("setuptools*"), *site.glob("pkg_resources"), *site.glob("_distutils_hack")):
        (tools / found.name).symlink_to(found)
    build = {**os.environ, "PYTHONPATH": str(tools)}
    where = ["--editable", str(source)] if editable else [str(source)]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check", *where],
        env=build, check=True,
    )  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", CHECK], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    place = Path(done.stdout.strip())
    assert place.is_relative_to(source) == editable
    version = subprocess.run([str(home / "bin" / "vceval"), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("vceval ")
