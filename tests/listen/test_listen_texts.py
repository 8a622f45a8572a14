"""What listeners read: the same in every language, and every bit of the page from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from listener_pages import Listener, sensible
from listeners import make_run
from pages import OpenPage, wait_for

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.listen.export import Look, export
from vceval.listen.key import read_key
from vceval.listen.kinds import KINDS
from vceval.listen.pages import QUESTIONS
from vceval.listen.plan import Settings
from vceval.listen.texts import languages, read_texts, text_file, texts_in
from vceval.results.rundir import RunDirectory

ENGLISH = texts_in("en").values
#: Absolute categories of ITU-T P.800, from 5 to 1.
SCALES = {
    "en": "Excellent, Good, Fair, Poor, Bad",
    "de": "Ausgezeichnet, Gut, Ordentlich, Dürftig, Schlecht",
    "es": "Excelente, Buena, Regular, Mediocre, Mala",
    "fr": "Excellent, Bon, Assez bon, Médiocre, Mauvais",
    "ja": "非常に良い, 良い, 普通, 悪い, 非常に悪い",
    "zh": "优, 良, 中, 差, 劣",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_run(tmp_path_factory.mktemp("texts"))


def test_there_are_six_languages() -> None:
    assert languages() == sorted(SCALES)


@pytest.mark.parametrize("language", sorted(SCALES))
def test_every_language_says_the_same_things(language: str) -> None:
    texts = read_texts(text_file(language))  # the checks that a user's file passes: keys, placeholders, characters
    assert texts.values.keys() == ENGLISH.keys()
    assert texts.lang.split("-")[0] == language
    for key, value in texts.values.items():
        # What listeners read is put in as text, never as markup: an escape would be read as it stands
        assert not re.search(r"<|>|&\w+;|&#|\\", value), key
        assert value == value.strip() or key == "page.separator", key
        for digits in re.findall(r"\d", ENGLISH[key]):
            assert digits in value, key
    assert ", ".join(texts[f"tests.mos.{value}.label"] for value in "54321") == SCALES[language]
    labels = [[texts[f"tests.{name}.{one.value}.label"] for one in kind.options] for name, kind in KINDS.items()]
    assert all(len(set(of_one)) == len(of_one) for of_one in labels)
    if language != "en":
        assert not {key for key in ENGLISH if texts[key] == ENGLISH[key] and len(ENGLISH[key]) > 12}


def test_all_that_a_page_can_ask_for_is_there() -> None:
    script = (Path(text_file("en")).parents[1] / "templates" / "listen.js").read_text(encoding="utf-8")
    assert set(re.findall(r'\bt\("([^"]+)"', script)) <= ENGLISH.keys()
    asked = set(re.findall(r'"([a-z]+\.[a-z_]+)"', script)) & ENGLISH.keys()
    asked |= {f"questions.{name}.{value}" for name, values in QUESTIONS.items() for value in ("text", *values)}
    for name, kind in KINDS.items():
        asked |= {f"tests.{name}.{one.value}.label" for one in kind.options}
        asked |= {f"tests.{name}.{one.value}.hint" for one in kind.options if name != "ab"}
        asked |= {f"tests.{name}.{part}" for part in ("title", "question", "heard", "judge")}
        asked |= {f"recordings.{part}" for part in kind.recordings}
    asked |= {f"welcome.{name}" for name in ("quiet", "parts", "one", "opinion", "anywhere", "later")}
    asked |= {f"instructions.{name}" for name in ("end", "scale", "no_return", "space", "enter")}
    asked |= {"page.title", "page.noscript", "page.progress"}
    assert asked == ENGLISH.keys()


def nested(values: dict[str, str], lang: str) -> str:
    """A file of texts."""
    content: dict[str, object] = {"lang": lang}
    for key, value in values.items():
        *above, last = key.split(".")
        place = content
        for name in above:
            place = place.setdefault(name, {})  # type: ignore[assignment]
        place[last] = value
    return yaml.safe_dump(content, allow_unicode=True)


def test_every_visible_bit_of_the_page_comes_from_the_texts(
    open_page: OpenPage, run: RunDirectory, tmp_path: Path
) -> None:
    """All texts are put into brackets; what stands on a page without them was not taken from there."""
    marked = {key: f"⟦{value}⟧" for key, value in ENGLISH.items()}
    marked |= {f"recordings.{name}": name.upper() for name in "abx"}
    (tmp_path / "marked.yaml").write_text(nested(marked, "eo"), encoding="utf-8")
    settings = Settings(("smos", "ab"), forms=1, pairs=2, each=1, checks=1)
    made = export(run, tmp_path / "test", settings, Look(texts=read_texts(tmp_path / "marked.yaml")))
    page, seen = open_page(made.folder / "page" / "index.html")
    bare = """(() => {
      const found = [], inner = /⟦[^⟦⟧]*⟧/g;
      const whole = (text) => (text.match(inner) ? whole(text.replace(inner, '')) : text);
      for (const one of document.querySelectorAll('main > *, header > *, footer > *')) {
        found.push(whole(one.textContent));
        for (const named of one.querySelectorAll('[aria-label]')) found.push(whole(named.getAttribute('aria-label')));
      }
      found.push(whole(document.title), whole(document.querySelector('#progress').getAttribute('aria-label')));
      return found.join('').replace(/[ABX0-9\\s]/g, '');
    })()"""
    listener = Listener(page, read_key(made.folder / "key.json"), made.folder, sensible)
    wait_for(page, "!!document.querySelector('#next')")
    assert page.evaluate("document.documentElement.lang") == "eo"
    assert page.evaluate(bare) == ""
    page.fill("#number", "9")
    page.click("#next")
    assert "⟦" in page.inner_text(".warn")
    assert page.evaluate(bare) == ""
    page.fill("#number", "")
    listener.begin()
    assert page.evaluate(bare) == ""
    listener.set_up()
    while listener.step():
        assert page.evaluate(bare) == ""
    listener.finish()
    assert page.evaluate(bare) == ""
    assert seen.errors == seen.outside == []
    page.evaluate("localStorage.clear()")


def test_a_page_in_german_says_so_and_its_signature_too(run: RunDirectory, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    arguments = ["--tests", "mos", "--listeners", "2", "--pairs", "2", "--each", "1", "--page-language", "German"]
    assert main(["listen", "export", str(run.root), "--out", str(folder), *arguments]) == 0
    text = (folder / "page" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in text
    assert "<title>Hörtest</title>" in text
    plan = json.loads(re.findall(r'id="plan">(.*?)</script>', text, re.DOTALL)[0])
    assert plan["texts"]["trial.next"] == "Weiter"
    assert read_key(folder / "key.json").texts == "de"


def test_texts_are_printed_to_be_translated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["listen", "texts", "zh-CN"]) == 0
    printed = capsys.readouterr().out
    assert "非常相似" in printed
    (tmp_path / "mine.yaml").write_text(printed, encoding="utf-8")
    assert re.fullmatch(r"zh-Hans-[0-9a-f]{8}", read_texts(tmp_path / "mine.yaml").name)
    assert main(["listen", "texts"]) == 0
    assert capsys.readouterr().out.split() == languages()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trial.next": None, "end.copy": None}, "missing: trial.next, end.copy"),
        ({"trial.nexts": "x"}, "unknown: trial.nexts (did you mean trial.next?)"),
        ({"begin.text": "Go."}, "begin.text must hold {count}, not none"),
        ({"trial.next": "{count} more"}, "trial.next must hold no placeholder, not {count}"),
        ({"questions.hearing.normal": True}, "questions.hearing.normal: must be text, not True; put it into quotes"),
        ({"trial.next": ""}, "trial.next: must have between 1 and 1000 characters, not 0"),
        ({"trial.next": "x" * 1001}, "not 1,001"),
        ({"trial.next": "a\x07b"}, "can't be shown"),
        ({"lang": "<b>"}, "lang: must be the tag of the language"),
        ({"lang": None}, "lang: must be the tag of the language"),
    ],
)
def test_a_file_of_texts_with_mistakes_is_refused_with_all_that_is_missing(
    run: RunDirectory, tmp_path: Path, change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {**ENGLISH, "lang": "en", **change}
    kept = {key: value for key, value in values.items() if value is not None}
    lang = kept.pop("lang", None)
    text = nested(kept, str(lang))  # type: ignore[arg-type]
    (tmp_path / "mine.yaml").write_text(text if lang else text.replace("lang: None", ""), encoding="utf-8")
    out = tmp_path / "out"
    command = ["listen", "export", str(run.root), "--out", str(out), "--texts", str(tmp_path / "mine.yaml")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "mine.yaml" in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("germn", "did you mean 'german' (de)?"),
        ("Dutch", "there are de, en, es, fr, ja, zh"),
        ("", "names no language"),
    ],
)
def test_a_language_that_is_not_there_is_refused_with_the_nearest(language: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        texts_in(language)


@pytest.mark.parametrize("text", ["- a\n- b\n", "lang: [", "x\n", ""])
def test_what_is_no_file_of_texts_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        read_texts(tmp_path / "mine.yaml")
