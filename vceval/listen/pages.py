"""The page that listeners open: one HTML file that asks for nothing elsewhere, and what a server reads back from it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.listen.kinds import KINDS
from vceval.listen.texts import Texts
from vceval.storage.paths import no_such_file

__all__ = ["QUESTIONS", "PageFacts", "page", "page_facts"]

#: What is asked before the test: column name, and the values of its answers.
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "device": ("headphones", "earphones", "loudspeakers"),
    "hearing": ("normal", "impaired", "unsaid"),
    "language": ("native", "fluent", "little"),
}
_OPEN, _CLOSE = '<script type="application/json" id="plan">', "</script>"


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What a page says about its plan: all that is needed to check answers without knowing which system is which.

    trials: kind of test by trial. forms: per form its trials that count, in order. own_codes: whether each listener
    is shown a code of their own at the end.
    """

    plan: str
    trials: Mapping[str, str]
    forms: tuple[tuple[str, ...], ...]
    own_codes: bool = False


def page(content: Mapping[str, Any], texts: Texts) -> str:
    """Render ``index.html`` around the plan as listeners may know it.

    Args:
        content: id, title, intro, minutes, volume, trials, forms, completion, and the parameters of links that are
            kept; what is asked is added here.
        texts: what listeners read.
    """
    import jinja2
    from markupsafe import Markup

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("listen.css", "listen.js"))
    used = {part["test"] for form in content["forms"] for part in form}
    whole = {
        **content,
        "texts": texts.values,
        "questions": QUESTIONS,
        "tests": {
            name: {"recordings": kind.recordings, "options": [asdict(one) for one in kind.options], "scale": kind.scale}
            for name, kind in KINDS.items()
            if name in used
        },
    }
    # Text of a script element ends at the first end tag, whatever it stands for
    plan = json.dumps(whole, ensure_ascii=True, separators=(",", ":"))
    plan = plan.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return environment.get_template("listen.html.j2").render(
        title=content["title"],
        texts=texts,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        plan=Markup(plan),  # noqa: S704 - no character of markup is left in it
    )


def _policy(style: str, script: str) -> str:
    """Allow this page's own style and script, recordings beside it, and answers to where it came from."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; media-src 'self' file:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


def page_facts(path: Path) -> PageFacts:
    """Read the plan back from a page.

    Raises:
        UsageError: there is no such page, or it is none of ours.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text.partition(_OPEN)[2].partition(_CLOSE)[0])
        forms = tuple(tuple(trial for part in form for trial in part["trials"]) for form in content["forms"])
        trials = {str(name): str(trial["test"]) for name, trial in content["trials"].items()}
        own_codes = bool(content.get("completion", {}).get("own"))
        return PageFacts(str(content["id"]), trials, forms, own_codes)
    except FileNotFoundError:
        raise UsageError(f"{no_such_file(path)}; make the test first: vceval listen export RUN") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: not the page of a listening test ({type(error).__name__}: {error})") from error
