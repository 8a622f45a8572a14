"""Which devices converters work on."""

from __future__ import annotations

import ctypes

from vceval.errors import UsageError
from vceval.registry import did_you_mean

__all__ = ["devices"]


def devices(asked: str) -> tuple[str, ...]:
    """Turn ``--device`` into devices: ``("cpu",)``, one GPU (``cuda:1``), or all that there are (``cuda``).

    ``auto`` takes all GPUs, or the processor where there are none.

    Raises:
        UsageError: there is no such device, or torch can't use it.
    """
    kind, _, number = asked.partition(":")
    if asked == "cpu" or (asked == "auto" and not _driver()):
        return ("cpu",)
    if asked != "auto" and (kind != "cuda" or (number and not number.isdigit())):
        raise UsageError(
            f"--device {asked}: must be cpu, cuda, cuda:N or auto{did_you_mean(kind, ('cpu', 'cuda', 'auto'))}"
        )
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count and asked == "auto":
        return ("cpu",)
    if not count:
        raise UsageError(f"--device {asked}: this torch ({torch.__version__}) finds no GPU; use --device cpu")
    if number and int(number) >= count:
        raise UsageError(f"--device {asked}: there are {count} GPUs, numbered from 0")
    return (f"cuda:{number}",) if number else tuple(f"cuda:{n}" for n in range(count))


def _driver() -> bool:
    """Whether there is a driver for GPUs: loading torch to find out takes seconds."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
