"""The long form of the standing attack: ``python -m tests.faults`` prints the fault table, in about twenty minutes.

Exit code 1, and what must not be, line by line, where something broke.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults import damage, hostile, serving, surroundings
from faults.table import Row, markdown


def main() -> int:
    """Attack all, or the parts that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("parts", nargs="*", help="damage, hostile, surroundings, serving (all)")
    parser.add_argument("--cuts", type=int, default=2000, help="places where each file is cut (2000, or every one)")
    parser.add_argument("--flips", type=int, default=300, help="changes of a bit or a byte of each file (300)")
    parser.add_argument("--seed", type=int, default=15)
    options = parser.parse_args()
    rows: list[Row] = []

    def told(row: Row) -> None:
        rows.append(row)
        print(f"{row.kind}: {dict(row.found)}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = options.parts or ["damage", "hostile", "surroundings", "serving"]
        if "damage" in parts:
            for kind in damage.kinds(folder):
                told(damage.attack(kind, folder, options.cuts, options.flips, options.seed))
        if "hostile" in parts:
            for case in hostile.CASES:
                told(hostile.attack(case, folder))
        if "surroundings" in parts:
            for row in surroundings.Surroundings(folder / "around").rows(surroundings.long_cases()):
                told(row)
        if "serving" in parts:
            served = serving.Served(folder / "served")
            for attack in (serving.newcomer, serving.listeners, serving.kills):
                told(attack(served, folder))
    print(markdown(rows))
    for row in rows:
        for line in row.bad:
            print(line)
    return int(any(row.bad for row in rows))


if __name__ == "__main__":
    sys.exit(main())
