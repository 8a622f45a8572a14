"""Stop with plain words where the links inside vceval/ did not survive; everything else stands in setup.cfg."""

import sys
from pathlib import Path

from setuptools import setup

LINKED = ("metrics", "reports", "benchmarks")

broken = [name for name in LINKED if not (Path(__file__).parent / "vceval" / name / "__init__.py").is_file()]
if broken:
    sys.exit(
        f"vceval can't be installed from this folder: vceval/{broken[0]} should be a link to {broken[0]}/, but is "
        "not. Git writes links as text files where they are not switched on (Windows). Run "
        "`git config core.symlinks true`, then `git checkout -- vceval`, or install from a wheel or an sdist."
    )

setup()
