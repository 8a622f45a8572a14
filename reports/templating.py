"""Pages from templates: what is put in is escaped, what is missing is an error, and nothing is asked of other sites."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import jinja2

__all__ = ["fill", "fragment", "read"]

_TEMPLATES = Path(__file__).parent / "templates"


def read(names: Sequence[str]) -> list[str]:
    """Read files of the folder of templates: style sheets, parts of scripts."""
    return [(_TEMPLATES / name).read_text(encoding="utf-8") for name in names]


def fill(template: str, style: str, script: str, sources: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Fill a template in; besides ``values`` it gets ``style``, ``script`` and ``policy``.

    Filters: ``minus`` sets minus signs for hyphens, ``quoted`` makes a name part of a URL, ``anchor`` makes it an id.

    Args:
        template: name of the file.
        style: style sheet of the page.
        script: script of the page.
        sources: what the page may load besides these two, by kind: ``script``, ``img``, ``media`` or ``connect`` to
            sources as a content security policy names them.
        values: what the template shows, by name.
    """
    from markupsafe import Markup

    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(style, script, sources),
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            **values,
        )
    )


def fragment(template: str, **values: Any) -> str:
    """Fill in a template that is a part of somebody else's page."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minus": _minus, "quoted": lambda name: quote(name, safe=""), "anchor": _anchor}
    return environment


def _policy(style: str, script: str, sources: Mapping[str, str]) -> str:
    """Allow a page its own style and script and what is named, nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    allowed = {"style": digest(style), **sources, "script": f"{digest(script)} {sources.get('script', '')}".rstrip()}
    directives = (
        f"{kind}-src {allowed[kind]}" for kind in ("style", "script", "img", "media", "connect") if kind in allowed
    )
    return "; ".join(["default-src 'none'", *directives, "base-uri 'none'", "form-action 'none'"])


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _anchor(name: str) -> str:
    """Make a name fit for an id: letters, digits and hyphens."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in name)
