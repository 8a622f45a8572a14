"""Reference cases ("kits"): made-up weights by a rule that anyone can follow, and what the authors' own code gave.

A kit is a folder with ``kit.json`` (sizes, every key with shape and fill, cases) and arrays (``in_*``, ``out_*``).
A stage passes when its shape is the stored one and its largest difference is within the kit's tolerance. The stored
outputs are read only here, after the port has computed its own: a port is never given them.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, thinned
from vceval.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]

__all__ = ["Kit", "KitReport", "StageReport", "filled", "made_up_weights", "run_kit"]


@dataclass(frozen=True)
class StageReport:
    """One stored stage: the largest difference, what is allowed, and what is wrong where something is."""

    name: str
    where: str
    difference: float
    allowed: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the stage agrees."""
        return not self.problem


@dataclass
class KitReport:
    """What came out of one kit. ``stored`` counts its stages, ``stages`` are those that were compared."""

    kit: str
    keys: int
    matched: int
    stored: int = 0
    stages: list[StageReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Every key matched, at least one stage compared, nothing differs."""
        fine = self.keys == self.matched and bool(self.stages) and not self.problems
        return fine and all(stage.passed for stage in self.stages)

    @property
    def worst(self) -> StageReport | None:
        """The compared stage that comes nearest to its limit, or goes furthest beyond it."""
        finite = [stage for stage in self.stages if stage.difference == stage.difference]
        return max(finite, key=lambda s: s.difference / s.allowed if s.allowed else s.difference * 1e30, default=None)


class Kit:
    """A kit in a folder.

    Raises:
        UsageError: there is no ``kit.json``, or it can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            described: dict[str, Any] = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
            self.name: str = described["kit"]
            self.config: dict[str, Any] = described["config"]
            self.entries: list[dict[str, Any]] = described["state_dict"]
            self.seed: int = described["seed"]
            self._listings = [(kind, listing) for kind in ("cases", "features") for listing in described.get(kind, [])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{folder / 'kit.json'}: can't be read as a kit ({type(error).__name__}: {error})"
            ) from error

    def weights(self) -> dict[str, Tensor]:
        """Fill every entry by the rule; names as the official file has them, each after its group's name."""
        import torch

        return {_full_name(entry): torch.from_numpy(_filled(entry, self.seed)) for entry in self.entries}

    def runs(self) -> list[tuple[Case, Mapping[str, Any]]]:
        """Give each listing of the kit: the case, and the rules for its stages."""
        found = []
        for kind, listing in self._listings:
            arrays = self._arrays(listing["file"], list(listing["inputs"]))
            meanings = {name: str(rule.get("meaning", "")) for name, rule in listing["outputs"].items()}
            found.append((Case(kind, listing["file"], arrays, meanings), listing["outputs"]))
        return found

    def stored(self, file: str, name: str) -> Array:
        """Give a stored output."""
        return self._arrays(file, [name])[name]

    def _arrays(self, file: str, names: list[str]) -> dict[str, Array]:
        import numpy as np

        try:
            with np.load(self.folder / file, allow_pickle=False) as archive:
                return {name: archive[name] for name in names}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UsageError(f"{self.folder / file}: can't be read ({type(error).__name__}: {error})") from error


def _full_name(entry: Mapping[str, Any]) -> str:
    return f"{entry['group']}.{entry['key']}" if entry.get("group") else str(entry["key"])


def _filled(entry: Mapping[str, Any], seed: int) -> Array:
    key = entry.get("fill_key", entry["key"])
    return filled(key, entry["shape"], entry["fill"], seed, entry.get("scale", 1.0), entry["dtype"])


def filled(key: str, shape: Sequence[int], fill: str, seed: int, scale: float = 1.0, dtype: str = "float32") -> Array:
    """Make one tensor by the kits' rule: normal values drawn by the key's CRC-32 plus the seed, brought to size.

    Raises:
        UsageError: the rule knows no such fill.
    """
    import numpy as np

    if fill == "int_zero":
        return np.zeros(shape, dtype=dtype if dtype != "float32" else "int64")
    number = zlib.crc32(key.encode("utf-8")) + seed
    z = np.random.Generator(np.random.PCG64(number)).standard_normal(tuple(shape))
    rules: dict[str, Callable[[], Array]] = {
        "matrix": lambda: z / np.sqrt(np.prod(shape[1:])),
        "weight_g": lambda: 0.5 * np.abs(z) + 0.5,
        "running_var": lambda: 1.0 + 0.1 * np.abs(z),
        "norm_weight": lambda: 1.0 + 0.1 * z,
        "vector": lambda: 0.1 * z,
    }
    if fill not in rules:
        raise UsageError(f"kit entry {key}: unknown fill {fill!r}; known: int_zero, {', '.join(rules)}")
    values: Array = np.asarray(rules[fill]() * scale, dtype=np.float32)
    return values


def made_up_weights(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Fill every tensor of a network by the kits' rule, the fill chosen by the tensor's name and dimensions.

    For tests without published weights: anyone gets the same values.
    """
    import torch

    weights: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        last = key.rsplit(".", 1)[-1]
        if not value.is_floating_point():
            fill = "int_zero"
        elif last in ("running_var", "weight_g"):
            fill = last
        elif value.dim() > 1:
            fill = "matrix"
        else:
            fill = "norm_weight" if last == "weight" else "vector"
        made = filled(key, tuple(value.shape), fill, seed)
        weights[key] = torch.from_numpy(made).to(value.dtype)
    return weights


def run_kit(folder: Path, port: Port) -> KitReport:
    """Build the port's network, fill it, load it strictly, run every case, and compare every stage it exposes.

    Raises:
        UsageError: the kit can't be read.
    """
    import torch

    from vceval.checkpoints.weights import differences, shapes_of

    kit = Kit(folder)
    torch.set_num_threads(1)
    network = port.build(kit.config).eval()
    weights = kit.weights()
    wanted = shapes_of(network.state_dict())
    prefix = _common_prefix(list(weights), list(wanted))
    found = {name.removeprefix(prefix): value for name, value in weights.items()}
    wrong = differences(shapes_of(found), wanted)
    matched = len(found) - len(wrong.unexpected) - len(wrong.reshaped)
    report = KitReport(kit.name, len(found), matched)
    if wrong:
        report.problems.append(str(wrong))
        report.stored = sum(len(rules) for _, rules in kit.runs())
        return report
    network.load_state_dict(found, strict=True)
    for case, rules in kit.runs():
        report.stored += len(rules)
        try:
            with torch.inference_mode():
                stages = port.run(network, case)
        except Exception as error:  # a port that breaks is a failed case, and the other cases still run
            report.problems.append(f"{case.file} {sorted(case.inputs)}: {type(error).__name__}: {error}")
            continue
        for name, rule in rules.items():
            if name in stages:
                report.stages.append(_compare(kit, case, name, rule, stages[name]))
            else:
                report.skipped.append(f"{case.file}:{name}")
    return report


def _common_prefix(names: list[str], wanted: list[str]) -> str:
    """Start that every name of the file has more than the network's own, such as ``module.``."""
    for start in {name.split(".", 1)[0] + "." for name in names}:
        if all(name.startswith(start) for name in names) and names[0].removeprefix(start) in wanted:
            return start
    return ""


def _compare(kit: Kit, case: Case, name: str, rule: Mapping[str, Any], value: Any) -> StageReport:
    import numpy as np
    import torch

    stored = kit.stored(case.file, name)
    found = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if found.shape != stored.shape:
        found = thinned(found, str(rule.get("meaning", "")))
    top = float(np.abs(stored).max(initial=0.0)) if stored.dtype.kind != "b" else 1.0
    allowed = float(rule["tolerance"]) * (top if rule["relative"] else 1.0)
    where = case.file
    if found.shape != stored.shape:
        problem = f"shape {found.shape}, stored {stored.shape}"
        return StageReport(name, where, float("nan"), allowed, problem)
    apart = np.abs(found.astype(np.float64) - stored.astype(np.float64))
    difference = float(apart.max(initial=0.0))
    if not difference <= allowed:
        return StageReport(name, where, difference, allowed, f"differs by {difference:.3g}, allowed {allowed:.3g}")
    return StageReport(name, where, difference, allowed)
