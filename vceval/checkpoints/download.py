"""Fetching a published file: with progress, going on where an earlier try was cut off."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from vceval.errors import UsageError
from vceval.version import VERSION

__all__ = ["download"]

_BLOCK = 1 << 20


def download(url: str, path: Path, timeout: float = 60.0) -> Path:
    """Fetch a file by http or https; what is there of it as ``path`` with ``.part`` added is not fetched again.

    Returns:
        ``path``, complete: as many bytes as the server announced.

    Raises:
        UsageError: another kind of address, the server can't be reached or refuses, or the connection broke off; what
            came stays for the next try.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    if _scheme(url) not in ("http", "https"):
        raise UsageError(f"{url}: only http and https addresses are fetched")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"vceval/{VERSION}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            resumed = answer.status == 206
            length = answer.headers.get("Content-Length")
            total = int(length) + (have if resumed else 0) if length else None
            columns = (TextColumn(path.name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            with Progress(*columns) as bar, part.open("ab" if resumed else "wb") as handle:
                task = bar.add_task("", total=total, completed=have if resumed else 0)
                while block := answer.read(_BLOCK):
                    handle.write(block)
                    bar.advance(task, len(block))
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to fetch
            raise UsageError(f"{url}: the server answers {error.code} {error.reason}; fetch it by hand") from error
        total = have
    except urllib.error.URLError as error:
        raise UsageError(f"{url}: the server can't be reached ({_reason(error.reason)})") from error
    except OSError as error:
        raise UsageError(f"{url}: {_reason(error)}; what came is kept, the same command goes on from there") from error
    except (http.client.HTTPException, ValueError) as error:  # a broken answer, or an address that is none
        raise UsageError(
            f"{url}: what came can't be understood ({type(error).__name__}: {' '.join(str(error).split())[:200]}); the "
            "same command tries again"
        ) from error
    size = part.stat().st_size
    if total is not None and size != total:
        raise UsageError(f"{url}: {size} of {total} bytes came; the same command goes on from there")
    part.replace(path)
    return path


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError as error:
        raise UsageError(f"{url}: is no address ({error})") from error


def _reason(error: object) -> object:
    """What a person reads of an error of the network."""
    return (isinstance(error, OSError) and error.strerror) or error
