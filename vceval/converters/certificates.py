"""Certificates: what ``vceval reproduce`` found of a system, kept beside the weight files, and named by later runs.

A certificate belongs to a converter with certain options, its signature and the SHA-256 of every weight file: to the
same system wherever its files lie, and to no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vceval.checkpoints import store
from vceval.converters.base import Converter
from vceval.errors import UsageError
from vceval.storage.cache import file_digest
from vceval.storage.files import replacing

__all__ = ["keep", "kept", "subject", "summary"]

#: Options that say where files lie, and not what they are.
_PLACES = ("weights", "python", "checkout")


def subject(converter: Converter, options: Mapping[str, Any]) -> dict[str, Any]:
    """Name the system that a certificate is about: converter, options, signature, and SHA-256 of each weight file."""
    return {
        "converter": converter.info.name,
        "options": {name: value for name, value in sorted(options.items()) if name not in _PLACES},
        "signature": converter.signature(),
        "files": {name: file_digest(path) for name, path in sorted(converter.assets().items())},
    }


def _place(about: Mapping[str, Any]) -> Path:
    text = json.dumps(about, sort_keys=True, ensure_ascii=False)
    return store.store() / "certificates" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def keep(about: Mapping[str, Any], conversion: str, found: Mapping[str, Any]) -> Path:
    """Keep what was found of one published conversion, whether reproduced or not, in place of what was found before.

    Args:
        about: what :func:`subject` gave.
        conversion: name of the published conversion.
        found: the certificate.

    Returns:
        Where it is kept.
    """
    place = _place(about)
    content = {**about, "conversions": {**kept(about), conversion: dict(found)}}
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as stream:
        stream.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return place


def kept(about: Mapping[str, Any]) -> dict[str, Any]:
    """Give all certificates of a system, by the published conversion; none where there are none.

    Raises:
        UsageError: their file is damaged.
    """
    place = _place(about)
    try:
        found = json.loads(place.read_text(encoding="utf-8"))["conversions"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{place}: can't be read as certificates ({error}); remove it, and reproduce again") from error
    if not isinstance(found, dict):
        raise UsageError(f"{place}: holds no certificates; remove it, and reproduce again")
    return found


def summary(converter: Converter, options: Mapping[str, Any]) -> dict[str, Any]:
    """Say for a run what is certified of a system; empty where nothing is.

    Raises:
        UsageError: as :func:`kept`.
    """
    if not converter.assets():
        return {}
    found = kept(subject(converter, options))
    if not found:
        return {}
    return {
        "reproduced": sum(bool(one["reproduced"]) for one in found.values()),
        "of": len(found),
        "conversions": {name: f"{one['verdict']} (vceval {one['vceval']})" for name, one in sorted(found.items())},
    }
