"""How listeners of a crowd platform report that they have finished: a link back, and a code that can be checked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vceval.errors import UsageError
from vceval.listen.answers import Session

__all__ = ["PARTICIPANT", "Completion", "codes_in", "make_completion", "own_code", "participant_parameters"]

#: Parameters of a link that name its listener: Prolific's, and Mechanical Turk's.
PARTICIPANT = ("PROLIFIC_PID", "workerId")
#: Letters of a listener's own code: no I, L, O and U, which are misread.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 10
_PLACE = "{code}"


@dataclass(frozen=True, slots=True)
class Completion:
    """What a listener is shown at the end.

    url: where the platform wants them back; ``{code}`` in its query stands for the code. Empty for nowhere.
    code: one for all; empty for none.
    secret: hex from which a code of each listener's own follows; empty where there are none.
    """

    url: str = ""
    code: str = ""
    secret: str = ""

    def of(self, session: Session) -> str:
        """The code that a session is shown at its end; empty for none."""
        return own_code(session.id, self.secret if session.served else "") if self.secret else self.code


def make_completion(url: str = "", code: str = "", each: bool = False) -> Completion:
    """Check what was asked for.

    Args:
        url: http or https, in plain ASCII.
        code: up to 64 letters, digits, hyphens and underscores.
        each: whether every listener gets a code of their own.

    Raises:
        UsageError: one of them is not so, or a link has a place for a code where there is none.
    """
    if url:
        _check_url(url)
    if code and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", code):
        raise UsageError(
            f"--completion-code: {code!r:.80} must be 1 to 64 letters, digits, hyphens and underscores (A-Z, a-z, 0-9)"
        )
    if _PLACE in url and not (code or each):
        raise UsageError(f"--completion-url: has {_PLACE}, but there is none; give --completion-code or --own-codes")
    return Completion(url, code, secrets.token_hex(32) if each else "")


def _check_url(url: str) -> None:
    if len(url) > 2000 or not re.fullmatch(r"[!-~]+", url) or re.search(r"""["'<>\\^`|]""", url):
        raise UsageError(f"--completion-url: {url!r:.80} holds what no address may: write such characters as %20")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        good = good and re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?", parts.netloc) is not None
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"--completion-url: {url!r:.80} must be an address such as https://example.org/done?cc=CODE")
    if re.search(r"[{}]", parts.path) or re.search(r"[{}]", f"{parts.query}{parts.fragment}".replace(_PLACE, "")):
        raise UsageError(f"--completion-url: {url!r:.80}: braces stand for {_PLACE} alone, after the question mark")


def participant_parameters(name: str) -> tuple[str, ...]:
    """The parameters of a link that name its listener: one that the user names, or those of the platforms known here.

    Raises:
        UsageError: it is no name of a parameter.
    """
    if name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name):
        raise UsageError(
            f"--participant-parameter: {name!r:.80} is no name of a parameter (letters, digits, -, _), such as id in "
            "https://example.org/?id=P01"
        )
    return (name,) if name else PARTICIPANT


def own_code(session: str, secret: str = "") -> str:
    """The code of one listener, such as ``7KQ2M-X04TB``: 50 bits.

    With a secret, it is HMAC-SHA256 of the session's name, which the server alone can make. A page without a server
    has no secret: its code is the beginning of the name itself, and holds only together with the file of answers.
    """
    if secret:
        data = hmac.new(bytes.fromhex(secret), f"completion:{session}".encode(), hashlib.sha256).digest()
    elif re.fullmatch(r"[0-9a-f]{32}", session):
        data = bytes.fromhex(session)
    else:
        return ""
    code = "".join(_LETTERS[byte & 31] for byte in data[:_LENGTH])
    return f"{code[:5]}-{code[5:]}"


def codes_in(path: Path) -> Sequence[str]:
    """Find all codes in a file that a platform made, whatever its form.

    Raises:
        UsageError: it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace").upper()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error})") from error
    return list(dict.fromkeys(re.findall(rf"(?<![\w-])[{_LETTERS}]{{5}}-[{_LETTERS}]{{5}}(?![\w-])", text)))
