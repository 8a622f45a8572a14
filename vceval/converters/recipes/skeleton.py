"""The program behind every recipe: speaks the protocol of the converter ``command`` for the recipe's ``worker.py``.

Started as ``python -I skeleton.py WORKER ASKED`` with the interpreter of an environment; it imports nothing of vceval,
whose environment is another one. ``ASKED`` is a JSON object with what :class:`Job` holds. The networks are loaded at
the first pair; if that fails, every pair is answered with the reason.

Nothing is fetched: libraries are told to stay offline, their caches lie in an empty folder that is removed at the end,
and connections are refused.

A worker has ``load(job)``, which gives what converts a pair, and may have ``make_up(job)``, which writes weights of the
right shapes into the places of ``job.files``.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

#: Makes audio of a source and prompts, as the task names them; gives samples and their rate.
Convert = Callable[[str, "list[str]", "dict[str, Any]"], "tuple[Any, int]"]
#: Tensors whose names differ are named up to this number.
_NAMED = 3


@dataclass
class Job:
    """What a worker is told, and what it may ask for.

    model: which one. files: what a file is for, and where it lies. options: those of the system. speakers: for a
    system with a model for each target, target speaker to ``model`` and what else the table says. checkout: the clone.
    device: ``cpu`` or ``cuda``. scratch: an empty folder, removed at the end; the present one. parameters: number of
    them by network, and precision that they compute in, for the report.
    """

    model: str
    files: Mapping[str, Path]
    options: Mapping[str, Any]
    speakers: Mapping[str, Mapping[str, Any]]
    checkout: Path
    device: str
    scratch: Path
    parameters: dict[str, int] = field(default_factory=dict)
    precision: str = "float32"

    def count(self, name: str, network: Any) -> None:
        """Note how many parameters a network has."""
        self.parameters[name] = sum(one.numel() for one in network.parameters())

    def tensors(self, path: Path, entry: Iterable[str] = ()) -> dict[str, Any]:
        """Read tensors by name, under the keys of ``entry`` where these are there; nothing in the file is run."""
        import torch

        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(str(path))
        else:
            content = torch.load(str(path), map_location="cpu", weights_only=True)
        for key in entry:
            content = content.get(key, content) if isinstance(content, dict) else None
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds no table of weights")
        return {name: value for name, value in content.items() if torch.is_tensor(value)}

    def compare(
        self, wanted: Mapping[str, Any], found: Mapping[str, Any], path: Path, optional: tuple[str, ...] = ()
    ) -> None:
        """Make sure that a file's tensors are those of a network, name for name and shape for shape.

        Names that begin or end with one of ``optional`` may be missing, or be in the file alone.

        Raises:
            ValueError: a tensor is missing, too many, or of another shape.
        """
        wanted, found = (
            {name: value for name, value in one.items() if not (name.startswith(optional) or name.endswith(optional))}
            for one in (wanted, found)
        )
        missing = [name for name in wanted if name not in found]
        more = [name for name in found if name not in wanted]
        other = [name for name in wanted if name in found and tuple(wanted[name].shape) != tuple(found[name].shape)]
        said = [
            f"{len(names)} tensors {what} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
            for names, what in ((missing, "missing"), (more, "too many"), (other, "of another shape"))
            if names
        ]
        if said:
            raise ValueError(f"{path} is not of this model: {'; '.join(said)}")

    def speaker(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give what the table of speakers says of the target of a pair."""
        return self.speakers[str(task["target_speaker"])]

    def key(self, task: Mapping[str, Any], pitch: Callable[[], Any]) -> float:
        """Give the semitones by which the source of a pair is moved, by the option ``key``.

        Args:
            task: the pair.
            pitch: gives the pitch of the source in Hz by frame, 0 where it has none; asked only where the key is to
                bring the median of its voiced frames to the target's.

        Raises:
            ValueError: the median of the target is not in the table, or the source has no voiced frame.
        """
        import numpy as np

        if self.options["key"] != "median":
            return float(self.options["key"])
        target = self.speaker(task).get("median_f0")
        if target is None:
            raise ValueError(
                f"speaker {task['target_speaker']} has no median_f0 in the table: name it in Hz, or set the option key"
            )
        track = np.asarray(pitch())
        if not (track > 0).any():
            raise ValueError("the source has no voiced frame, so that no key follows from its pitch")
        return 12 * math.log2(target / float(np.median(track[track > 0])))

    def hub_file(self, use: str, name: str) -> None:
        """Put a file where torch.hub would fetch it to, under the name that it has there."""
        place = self.scratch / "torch" / "hub" / "checkpoints" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(self.files[use])


def main() -> int:
    """Answer requests until the input ends."""
    worker, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
    # Libraries print to standard output, which belongs to the protocol
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    scratch = Path(tempfile.mkdtemp(prefix="vceval-"))
    try:
        job = prepared(asked, scratch)
        if asked.get("make_up"):
            imported(worker).make_up(job)
            return 0
        serve(job, worker, asked, answers)
    finally:
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def serve(job: Job, worker: Path, asked: Mapping[str, Any], answers: Any) -> None:
    """Convert pair by pair."""
    convert: Convert | None = None
    broken = ""
    for line in sys.stdin:
        task = json.loads(line)
        answer = {"id": task["id"]}
        if convert is None and not broken:
            try:
                convert = loaded(job, worker)
                if asked.get("warm_up"):
                    made(convert, job, task, asked)
            except Exception as error:  # told with every pair, and not tried again
                broken = f"{job.model} can't be loaded: {said(error)}"
        if broken or convert is None:
            answer["error"] = broken
        else:
            try:
                write(made(convert, job, task, asked), task)
            except Exception as error:  # whatever the library throws costs this pair
                answer["error"] = said(error)
            answer["report"] = report(job)
        print(json.dumps(answer), file=answers, flush=True)


def prepared(asked: Mapping[str, Any], scratch: Path) -> Job:
    """Set the process up before any library is imported: offline, on one thread, on the device that vceval names."""
    hub = scratch / "hub"
    os.environ.update(
        HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRAINER_TELEMETRY="0", HF_HOME=str(hub), HF_HUB_CACHE=str(hub),
        TORCH_HOME=str(scratch / "torch"), NUMBA_CACHE_DIR=str(scratch / "numba"), MPLBACKEND="agg",
        OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1",
        # Files of weights are pickles: nothing in them is run, whatever a library asks for
        TORCH_FORCE_WEIGHTS_ONLY_LOAD="1",
    )  # fmt: skip
    kind, _, number = os.environ.get("VCEVAL_DEVICE", "cpu").partition(":")
    # Many libraries choose a GPU by themselves: they are shown the one that is meant, or none
    seen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    chosen = seen[int(number or 0)] if seen and int(number or 0) < len(seen) else (number or "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = chosen if kind == "cuda" else ""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("the library wants to fetch something; that is not allowed here")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    checkout = Path(asked.get("checkout") or scratch)
    sys.path[:0] = [str((checkout / entry).resolve()) for entry in asked.get("path_entries", ())]
    os.chdir(scratch)
    files = {use: Path(place) for use, place in asked["files"].items()}
    return Job(asked["model"], files, asked["options"], asked.get("speakers") or {}, checkout, kind, scratch)


def imported(worker: Path) -> Any:
    """Import the recipe's own part."""
    spec = importlib.util.spec_from_file_location("recipe_worker", worker)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recipe_worker"] = module
    spec.loader.exec_module(module)
    return module


def loaded(job: Job, worker: Path) -> Convert:
    """Load the networks, on the CPU where this environment's torch can't use the device."""
    import torch

    torch.set_num_threads(1)
    if job.device == "cuda" and not torch.cuda.is_available():
        print(f"torch {torch.__version__} can't use a GPU: converting on the CPU", file=sys.stderr)
        job.device = "cpu"
    convert: Convert = imported(worker).load(job)
    return convert


def made(convert: Convert, job: Job, task: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Any, int]:
    """Convert one pair with its seed."""
    import numpy as np
    import torch

    torch.manual_seed(task["seed"])
    np.random.seed(task["seed"] % 2**32)  # libraries draw from the global one
    random.seed(task["seed"])
    prompts = task["prompts"]
    if asked["prompts"] == "joined" and len(prompts) > 1:
        prompts = [joined(prompts, job.scratch)]
    with torch.inference_mode():
        return convert(task["source"], prompts, dict(task))


def joined(prompts: list[str], scratch: Path) -> str:
    """Join prompts end to end, for a library that takes one file."""
    import numpy as np
    import soundfile

    parts = [soundfile.read(prompt, dtype="float32", always_2d=True) for prompt in prompts]
    rates = {rate for _, rate in parts}
    if len(rates) > 1:
        raise ValueError(f"prompts of several sample rates can't be joined: {sorted(rates)}")
    place = scratch / "prompts.wav"
    soundfile.write(place, np.concatenate([wave.mean(axis=1) for wave, _ in parts]), rates.pop(), subtype="FLOAT")
    return str(place)


def write(audio: tuple[Any, int], task: Mapping[str, Any]) -> None:
    """Write samples, floats or 16-bit numbers, into the file of a pair."""
    import numpy as np
    import soundfile

    samples, rate = audio
    samples = np.asarray(samples.detach().cpu() if hasattr(samples, "detach") else samples)
    if samples.size != max(samples.shape, default=0):
        raise ValueError(f"the model gave audio of shape {samples.shape}, which is not one channel")
    samples = samples.reshape(-1)
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / 32768
    soundfile.write(task["output"], samples.astype(np.float32), int(rate), subtype="FLOAT")


def report(job: Job) -> dict[str, Any]:
    """Say what this process is, for the table of efficiency."""
    import torch

    gpu: dict[str, Any] = {}
    if job.device == "cuda":
        gpu = {"device": torch.cuda.get_device_name(), "device_memory": torch.cuda.max_memory_allocated()}
    return {
        "precision": job.precision, "torch": torch.__version__, "threads": torch.get_num_threads(),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **({"parameters": job.parameters} if job.parameters else {}),
        **gpu,
    }  # fmt: skip


def said(error: Exception) -> str:
    """Put an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


if __name__ == "__main__":
    sys.exit(main())
