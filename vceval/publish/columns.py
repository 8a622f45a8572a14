"""Numbers of many pairs as short text: float64, byte by byte, deflated, in base64. Not a digit is lost."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MOST", "pack", "pack_facts", "places", "unpack", "unpack_facts"]

#: Numbers that one text may hold.
MOST = 1 << 20
#: Shorter lists of numbers stay lists.
_SHORT = 8
#: Keys of a list of numbers that is packed.
_NUMBERS, _SHAPE = "numbers", "shape"


def pack(values: ArrayLike) -> str:
    """Write numbers as text: the first bytes of all as little-endian float64, then the second bytes, and so on."""
    import numpy as np

    plain = np.ascontiguousarray(values, dtype="<f8").reshape(-1)
    planes = plain.view(np.uint8).reshape(-1, 8).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 9)).decode("ascii")


def unpack(text: str, count: int | None = None) -> NDArray[np.float64]:
    """Read numbers that :func:`pack` wrote.

    Args:
        text: as it was written.
        count: how many there must be; None for any number up to :data:`MOST`.

    Raises:
        ValueError: it is no such text, or holds another count; no more memory is taken than the count needs.
    """
    import numpy as np

    most = 8 * (MOST if count is None else count)
    try:
        reader = zlib.decompressobj()
        planes = reader.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"no numbers ({error})") from error
    if len(planes) > most or len(planes) % 8 or not reader.eof or reader.unused_data:
        raise ValueError(f"not {'a number of' if count is None else count} numbers")
    if count is not None and len(planes) != most:
        raise ValueError(f"{len(planes) // 8} numbers, not {count}")
    found = np.frombuffer(planes, np.uint8).reshape(8, -1).T
    return np.ascontiguousarray(found).view("<f8").reshape(-1).astype(np.float64)


def places(text: str, below: int, count: int | None = None) -> NDArray[np.int64]:
    """Read whole numbers from 0 to ``below`` less one.

    Raises:
        ValueError: one is none, or not among them.
    """
    import numpy as np

    found = unpack(text, count)
    if not bool(np.all((found >= 0) & (found < below) & (found == np.floor(found)))):
        raise ValueError(f"a number is none of 0 to {below - 1}")
    return found.astype(np.int64)


def pack_facts(value: Any) -> Any:
    """Pack the longer lists of numbers in what was learnt: draws, curves, scores of natural speech."""
    if isinstance(value, Mapping):
        return {str(name): pack_facts(one) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    shape = _shape(value)
    if shape is None or prod(shape) < _SHORT:
        return [pack_facts(one) for one in value]
    return {_NUMBERS: pack(value), _SHAPE: shape}


def unpack_facts(value: Any) -> Any:
    """Undo :func:`pack_facts`.

    Raises:
        ValueError: what is packed is no list of numbers of the shape that it says.
    """
    import numpy as np

    if isinstance(value, Mapping):
        if set(value) == {_NUMBERS, _SHAPE}:
            shape = value[_SHAPE]
            if not isinstance(shape, list) or not all(type(one) is int and 0 < one <= MOST for one in shape):
                raise ValueError(f"no shape: {shape!r:.80}")
            if prod(shape) > MOST:
                raise ValueError(f"more than {MOST} numbers")
            return np.reshape(unpack(str(value[_NUMBERS]), prod(shape)), shape).tolist()
        return {name: unpack_facts(one) for name, one in value.items()}
    return [unpack_facts(one) for one in value] if isinstance(value, list) else value


def _shape(value: list[Any]) -> list[int] | None:
    """The shape of a list of floats, or of lists of as many floats each; None for anything else."""

    def floats(some: Iterable[Any]) -> bool:
        return all(type(one) is float for one in some)

    if floats(value):
        return [len(value)]
    inner = {len(one) if isinstance(one, list) and floats(one) else 0 for one in value}
    return [len(value), inner.pop()] if len(inner) == 1 and 0 not in inner else None
