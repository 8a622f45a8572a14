"""Changes one key at the top of somebody's YAML and leaves every other byte as it is."""

from __future__ import annotations

import re
from typing import Any

from vceval.errors import UsageError
from vceval.reports.hubs.files import dump

__all__ = ["mapping", "with_key"]

_COMMENT = re.compile(r"(^|\s)#")


def mapping(text: str, where: str) -> dict[str, Any]:
    """Read YAML that must be a mapping.

    Raises:
        UsageError: it is no YAML, or something else.
    """
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: is no YAML ({' '.join(str(error).split())}); mend it first") from error
    except RecursionError:
        raise UsageError(f"{where}: is no YAML (one thing in another, too deep); mend it first") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{where}: holds no keys with values; mend it first")
    return found


def with_key(text: str, key: str, value: Any, where: str) -> str:
    """Give a key of a mapping another value, at its place or at the end.

    Args:
        text: YAML, a mapping in block style.
        key: at its top.
        value: the new one.
        where: what messages name.

    Raises:
        UsageError: it is no such YAML, or something that stands there would be lost: comments at the key.
    """
    import yaml

    before = mapping(text, where)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = dump({key: value}).replace("\n", newline)
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader) if before else None
    starts = [name.start_mark.line for name, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    at = [place for place, (name, _) in enumerate(root.value) if name.value == key] if starts else []  # type: ignore[union-attr]
    refused = UsageError(
        f"{where}: {key} can't be changed without losing what stands there, such as a comment; give another folder, "
        f"and copy {key} from there"
    )
    if len(at) > 1:
        raise refused
    if at:
        first, last = starts[at[0]], starts[at[0] + 1] if at[0] + 1 < len(starts) else len(lines)
        while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
            last -= 1
        if any(_COMMENT.search(line) for line in lines[first:last]):
            raise refused
        lines[first:last] = [block]
    else:
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += newline
        lines.append(block)
    after = "".join(lines)
    try:
        if mapping(after, where) == {**before, key: value}:
            return after
    except UsageError:
        pass
    raise refused
