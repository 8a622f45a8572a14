"""The key with which results are signed: Ed25519, kept in the user's configuration folder, readable by its owner alone.

Source: Josefsson and Liusvaara, "Edwards-Curve Digital Signature Algorithm (EdDSA)", RFC 8032, 2017.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vceval.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["CHANGED", "Key", "key_file", "load", "make", "trusted", "valid"]

_KIND = "ed25519:"
#: What a signature that does not fit says.
CHANGED = "the signature does not fit: the file was changed, or another key signed it"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of one's own, and the name under which its owner publishes. public: ``ed25519:`` and base64."""

    name: str
    public: str
    _private: Ed25519PrivateKey

    def sign(self, message: bytes) -> str:
        """Sign bytes; the signature in base64."""
        return base64.b64encode(self._private.sign(message)).decode("ascii")


def key_file() -> Path:
    """Where the user's key lies."""
    return Path(f"{os.environ.get('XDG_CONFIG_HOME') or '~/.config'}/vceval/key.json").expanduser()


def make(name: str, path: Path | None = None) -> Key:
    """Make a new key and keep it; nobody but its owner can read the file.

    Raises:
        UsageError: there is one already, the name is none, or the package is missing.
    """
    ed25519 = _library()
    if not _is_name(name):
        raise UsageError(f"a name of 1 to 200 printable characters is needed, not {name!r:.80}: --name 'Speech Group'")
    path = path or key_file()
    private = ed25519.Ed25519PrivateKey.generate()
    secret = base64.b64encode(private.private_bytes_raw()).decode("ascii")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{path}: there is a key already, and results that it signed are known by it; 'vceval key show' shows it. "
            "To begin anew, put that file away first"
        ) from None
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        json.dump({"name": name, "private": secret}, stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    return _key(name, private)


def load(path: Path | None = None) -> Key:
    """Read the user's key.

    Raises:
        UsageError: there is none, others can read it, or it is damaged; or the package is missing.
    """
    ed25519 = _library()
    path = path or key_file()
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path}: others can read this key; keep it to yourself: chmod 600 '{path}'")
        content = json.loads(path.read_text(encoding="utf-8"))
        private = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(content["private"], validate=True))
        if not _is_name(name := str(content["name"])):
            raise UsageError(f"{path}: name {name!r:.80} is none of 1 to 200 printable characters; write it anew there")
        return _key(name, private)
    except FileNotFoundError:
        raise UsageError(f"{path}: no key yet; make one: vceval key new --name 'Speech Group'") from None
    except (OSError, ValueError, TypeError, KeyError) as error:  # never what is in it
        raise UsageError(
            f"{path}: can't be read as a key ({type(error).__name__}); bring back a copy of it, or put it away and "
            "make a new one: vceval key new"
        ) from None


def valid(public: str, message: bytes, signature: str) -> bool:
    """Whether some bytes were signed with a key, given as ``ed25519:`` and base64.

    Raises:
        UsageError: the package is missing.
    """
    ed25519 = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        known = ed25519.Ed25519PublicKey.from_public_bytes(_raw(public))
        known.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def trusted(path: Path) -> dict[str, str]:
    """Read the keys that somebody trusts: one a line, after it a name of one's own; what follows ``#`` is a remark.

    Raises:
        UsageError: the file is missing, a line is no key, a key is there twice, or a name holds what nobody sees.
    """
    found = dict[str, str]()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: can't be read as a list of keys ({error})") from error
    for number, line in enumerate(lines, 1):
        key, name = [*line.partition("#")[0].split(maxsplit=1), "", ""][:2]
        if not key:
            continue
        try:
            _raw(key)
        except ValueError as error:
            told = f"{key!r:.80} is no key ({error}); 'vceval key show' prints one"
            raise UsageError(f"{path}:{number}: {told}") from None
        if not name.isprintable():
            raise UsageError(f"{path}:{number}: the name {name!r:.80} holds what nobody sees; write it anew")
        if key in found:
            raise UsageError(f"{path}:{number}: {key} stands there already, as {found[key] or 'nobody'}; take one out")
        found[key] = name.strip()
    return found


def _is_name(name: str) -> bool:
    return bool(name.strip()) and name.isprintable() and len(name) <= 200


def _key(name: str, private: Ed25519PrivateKey) -> Key:
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode("ascii")
    return Key(name, _KIND + public, private)


def _raw(public: str) -> bytes:
    """The 32 bytes of a public key."""
    kind, _, text = public.partition(":")
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    # Of four texts that stand for the same bytes one is the key: nobody has two names by it
    if f"{kind}:" != _KIND or len(raw) != 32 or base64.b64encode(raw).decode("ascii") != text:
        raise ValueError(f"not {_KIND} and 32 bytes in base64")
    return raw


def _library() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UsageError("signatures need the package cryptography: pip install 'vceval[publish]'") from None
    return ed25519
