"""The pages of the metrics say what the code says: signatures, recipes, measures, needs, sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vceval import registry
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.metrics.recogniser_choice import listens

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pages" / "metrics"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md")) if path.stem != "index"}
EVERYWHERE = [ROOT / "README.md", *sorted(ROOT.glob("docs/pages/**/*.md"))]
SIGNATURE = re.compile(r"^[A-Z0-9-]+(?::[\w-]+)?\|\S+\|v:[\d.]+$", re.MULTILINE)
RECIPE = re.compile(r"(?<![|\w:])(mcd|f0|sv|wer|cer|fake|sanity|bandwidth|mos):([a-z][\w-]*)")
#: What the pages call a need of :data:`vceval.records.NEEDS`.
WORDS = {
    "reference": "a parallel recording: the target speaker reading the same text",
    "transcript": "transcript",
    "language": "language",
    "target": "a recording of the target speaker",
    "natural": "natural speech of the target speaker",
    "source": "a recording of the source",
}


def names() -> list[str]:
    return [full for name in registry.names("metric") for full in (name, *recipes(name))]


def recipes(name: str) -> list[str]:
    return [f"{name}:{recipe}" for recipe in registry.load("metric", name).recipes]


def signature(name: str) -> str | None:
    """None where weights or a package are missing on this machine."""
    given = {"asr": "whisper:large-v3"} if listens(name) else {}
    try:
        return str(registry.load("metric", name)(**given).signature())
    except UsageError:
        return None


@pytest.fixture(autouse=True)
def _no_models_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages show the signatures of an installation without any weight file."""
    for name in ("HOME", "XDG_CACHE_HOME", "VCEVAL_CHECKPOINTS"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in (
        "VCEVAL_WHISPER",
        "VCEVAL_UTMOS",
        "VCEVAL_DVECTOR",
        "VCEVAL_CAMPPLUS",
        "VCEVAL_WAVLM_SV",
        "VCEVAL_ECAPA",
        "TORCH_HOME",
    ):
        monkeypatch.delenv(name, raising=False)


def test_every_metric_has_a_page() -> None:
    own = [name for name in registry.names("metric") if registry.origin("metric", name).startswith("vceval.")]
    assert sorted(PAGES) == sorted(own)


def test_signatures_are_those_that_the_code_prints() -> None:
    known = {found for name in names() if (found := signature(name))}
    for path in EVERYWHERE:
        for shown in SIGNATURE.findall(path.read_text(encoding="utf-8")):
            assert shown in known, f"{path.relative_to(ROOT)}: {shown}"


def test_recipes_are_those_that_there_are() -> None:
    groups = {f"{name}:{group}" for name in registry.names("metric") for group in registry.load("metric", name).groups}
    known = {*names(), *groups}
    for path in EVERYWHERE:
        for metric, recipe in RECIPE.findall(path.read_text(encoding="utf-8")):
            assert f"{metric}:{recipe}" in known, f"{path.relative_to(ROOT)}: {metric}:{recipe}"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_says_what_the_code_says(name: str) -> None:
    page, kind = PAGES[name], registry.load("metric", name)
    top, _, rest = page.partition("\n## Recipes\n")
    _check(top, kind, signature(name))
    sections = {part.partition("\n")[0]: part for part in re.split(r"^### ", rest, flags=re.MULTILINE)[1:]}
    assert sorted(sections) == sorted(recipes(name))
    for full, section in sections.items():
        other = registry.load("metric", full)
        _check_measures(section, other)
        shown = signature(full)
        assert SIGNATURE.findall(section) == ([shown] if shown else [])
        if other.source != kind.source:
            assert f"Source: {other.source}." in section
        if other.needs != kind.needs:
            assert f"Needs: {_needs(other)}." in section
    for heading in ("## Definition", "## Traps"):
        assert f"\n{heading}\n" in top
    assert "```text\n" in top.partition("## Definition")[2]  # a formula


def _check(text: str, kind: type[Metric], shown: str | None) -> None:
    _check_measures(text, kind)
    assert f"**Source**: {kind.source}." in text
    assert f"**Needs**: {_needs(kind) or 'nothing but the converted recording'}." in text
    assert SIGNATURE.findall(text) == [shown]


def _check_measures(text: str, kind: type[Metric]) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| (lower|higher) \|$", text, re.MULTILINE)
    assert rows == [(m.name, m.label, m.unit or "–", m.better) for m in kind.measures]


def _needs(kind: type[Metric]) -> str:
    return ", ".join(WORDS[need] for need in sorted(kind.needs))
