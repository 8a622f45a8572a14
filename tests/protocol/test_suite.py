"""Suites: reading, checking, frozen lists and published figures."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from places import ROOT

from vceval.errors import UsageError
from vceval.protocol import pairlist, suite
from vceval.protocol.pairlist import FrozenPair
from vceval.protocol.sampling import normalise
from vceval.records import DIRECTIONS

LISTS = ROOT / "benchmarks" / "pairs"
SHARED = os.environ.get("VCEVAL_SHARED", "")
needs_shared = pytest.mark.skipif(not SHARED, reason="VCEVAL_SHARED is not set: no VCTK inventory here")

FROZEN = {"vctk_unseen": 300, "vctk_seen": 300, "vcc2020": 100, "demo": 12, "gate": 48}
DRAWN = {"librispeech_unseen": (2620, 40), "libritts_unseen": (4837, 39), "aishell3": (24773, None)}


def script(name: str) -> ModuleType:
    """Import a script that is no part of the package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / "drawing" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_target(pairs: list[FrozenPair]) -> Counter[tuple[str | None, str]]:
    return Counter((p.direction, p.prompts[0].split("_")[0]) for p in pairs)


# What comes with vceval


def test_names() -> None:
    assert suite.names() == sorted([*FROZEN, *DRAWN])


@pytest.mark.parametrize("name", [*FROZEN, *DRAWN])
def test_every_suite_loads(name: str) -> None:
    loaded = suite.load(name)
    assert loaded == suite.load(f"{name}@1")
    assert loaded.label == f"{name}@1"
    own = ("adainvc-demo",) if name in ("demo", "gate") else ()  # it knows the demo's voices, and no others
    parallel = ("mcd",) if name in FROZEN else ()
    if name == "gate":  # what its rules need, and no more
        assert loaded.systems == ("target", "world", *own)
        assert loaded.metrics == (*parallel, "sv", "wer", "sanity", "bandwidth")
    else:
        assert loaded.systems == ("source", "target", "resynthesis", "world", *own)
        assert loaded.metrics == (*parallel, "sv", "wer", "cer", "fake", "sanity", "bandwidth")
    assert len(loaded.description) > 50
    assert all({"paper", "citation", "value", "plus_minus"} <= set(row) for row in suite.published_rows(loaded))


@pytest.mark.parametrize(("name", "per_direction"), FROZEN.items())
def test_frozen_lists(name: str, per_direction: int) -> None:
    loaded = suite.load(name)
    pairs = suite.frozen_pairs(loaded)
    assert Counter(p.direction for p in pairs) == dict.fromkeys(DIRECTIONS, per_direction)
    targets = by_target(pairs)
    assert max(targets.values()) == min(targets.values())
    for pair in pairs:
        assert pair.natural == pair.reference is not None
        assert pair.source != pair.reference
        speakers = {u.split("_")[0] for u in (*pair.prompts, str(pair.reference))}
        assert len(speakers) == 1
        assert pair.source.split("_")[0] not in speakers
        assert pair.pair == f"{pair.source}-{pair.prompts[0]}"
    # no converter is given what serves as its target's natural speech
    assert not {u for p in pairs for u in p.prompts} & {p.natural for p in pairs}
    assert loaded.draw is None
    # the file is in the one form that hashes the same when it is written again
    assert pairlist.digest(pairs) == loaded.pairs_sha256


@pytest.mark.parametrize(("name", "counts"), DRAWN.items())
def test_drawn_suites(name: str, counts: tuple[int, int | None]) -> None:
    loaded = suite.load(name)
    assert loaded.draw is not None
    assert (loaded.draw.expected.utterances, loaded.draw.expected.speakers) == counts
    assert loaded.draw.pairs_per_direction == 300
    assert loaded.draw.prompt_seconds == (3.0, 8.0)
    assert suite.frozen_pairs(loaded) == []


def test_trials_as_in_the_mediumvc_protocol() -> None:
    trials = {name: suite.load(name).natural.trials for name in ("vctk_unseen", "librispeech_unseen", "vcc2020")}
    assert trials == {"vctk_unseen": 30000, "librispeech_unseen": 30000, "vcc2020": 10000}
    assert suite.load("vctk_unseen").natural == suite.load("vctk_seen").natural


def test_vcc2020_script_gives_the_frozen_bytes(tmp_path: Path) -> None:
    assert script("build_vcc2020").main([str(tmp_path)]) == 0
    assert (tmp_path / "vcc2020@1.csv").read_bytes() == (LISTS / "vcc2020@1.csv").read_bytes()
    pairs = suite.frozen_pairs(suite.load("vcc2020"))
    cells = Counter((p.source.split("_")[0], p.prompts[0].split("_")[0]) for p in pairs)
    assert len(cells) == 16
    assert set(cells.values()) == {25}
    assert {p.prompts[0].split("_")[1] for p in pairs} == {f"E{n}" for n in range(10051, 10071)}
    assert suite.load("vcc2020").references == "optional"


def test_demo_script_gives_the_frozen_bytes(tmp_path: Path) -> None:
    table = ROOT / "benchmarks" / "demo" / "utterances.csv"
    assert script("build_demo").main([str(table), str(tmp_path)]) == 0
    for name in ("demo@1.csv", "gate@1.csv"):
        assert (tmp_path / name).read_bytes() == (LISTS / name).read_bytes()


@pytest.mark.parametrize("name", ["demo", "gate"])
def test_demo_lists_name_recordings_that_are_there(name: str) -> None:
    table = ROOT / "benchmarks" / "demo" / "utterances.csv"
    with open(table, encoding="utf-8", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    for pair in suite.frozen_pairs(suite.load(name)):
        texts = [normalise(rows[u]["transcript"]) for u in (pair.source, str(pair.reference), *pair.prompts)]
        assert texts[0] == texts[1] != texts[2]
        assert pair.direction == f"{rows[pair.source]['gender']}2{rows[pair.prompts[0]]['gender']}"
        assert 3 <= float(rows[pair.prompts[0]]["duration"]) <= 8


@needs_shared
class TestVctkLists:
    """Against the inventory of the corpus."""

    corpora = Path(SHARED) / "corpora"

    def test_script_gives_the_frozen_bytes(self, tmp_path: Path) -> None:
        tables = [self.corpora / n for n in ("vctk_utterances.csv.gz", "vctk_speakers.csv", "training_speakers.csv")]
        assert script("build_vctk").main([*map(str, tables), str(tmp_path)]) == 0
        for name in ("vctk_unseen@1.csv", "vctk_seen@1.csv"):
            assert (tmp_path / name).read_bytes() == (LISTS / name).read_bytes()

    def test_order_of_the_inventory_changes_nothing(self, tmp_path: Path) -> None:
        lines = gzip.decompress((self.corpora / "vctk_utterances.csv.gz").read_bytes()).decode().splitlines()
        table = tmp_path / "utterances.csv"
        table.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
        others = [str(self.corpora / n) for n in ("vctk_speakers.csv", "training_speakers.csv")]
        script("build_vctk").main([str(table), *others, str(tmp_path)])
        assert (tmp_path / "vctk_seen@1.csv").read_bytes() == (LISTS / "vctk_seen@1.csv").read_bytes()

    @pytest.mark.parametrize("name", ["vctk_unseen", "vctk_seen"])
    def test_texts_genders_and_lengths(self, name: str) -> None:
        with gzip.open(self.corpora / "vctk_utterances.csv.gz", "rt", encoding="utf-8", newline="") as stream:
            rows = {row["utterance"]: row for row in csv.DictReader(stream)}
        pairs = suite.frozen_pairs(suite.load(name))
        for pair in pairs:
            source, prompt, reference = (rows[u] for u in (pair.source, pair.prompts[0], str(pair.reference)))
            assert normalise(source["text"]) == normalise(reference["text"]) != normalise(prompt["text"])
            assert pair.direction == f"{source['gender']}2{prompt['gender']}"
            assert 9 <= len((normalise(prompt["text"]) or "").split()) <= 20
        assert set(by_target(pairs).values()) == {30}
        assert len({p.prompts for p in pairs}) == 200
        assert len({normalise(rows[p.source]["text"]) for p in pairs}) > 900
        assert len({p.source for p in pairs}) > 1000
        used = {u.split("_")[0] for p in pairs for u in (p.source, *p.prompts)}
        assert not used & {"p280", "p315", "p362", "s5"}

    def test_who_is_seen(self) -> None:
        with open(self.corpora / "training_speakers.csv", encoding="utf-8", newline="") as stream:
            held = {row["system"]: set(row["speakers"].split()) for row in csv.DictReader(stream)}
        unseen, seen = (suite.frozen_pairs(suite.load(name)) for name in ("vctk_unseen", "vctk_seen"))
        targets = {p.prompts[0].split("_")[0] for p in unseen}
        assert len(targets) == 20
        assert held["YourTTS"] <= targets
        assert targets <= held["YourTTS"] | held["VQMIVC"]
        assert len(targets & held["VQMIVC"]) == 12
        assert {p.source.split("_")[0] for p in unseen} <= held["YourTTS"] | held["VQMIVC"]
        used = {u.split("_")[0] for p in seen for u in (p.source, *p.prompts)}
        assert not used & (held["YourTTS"] | held["VQMIVC"] | held["FreeVC"])

    def test_published_figures_are_all_there(self) -> None:
        with open(self.corpora / "published_results.csv", encoding="utf-8", newline="") as stream:
            wanted = [
                (r["paper"], r["table"], r["task"], r["system"], r["metric"], float(r["value"]),
                 float(r["plus_minus"]) if r["plus_minus"] else None, r["unit"], r["notes"])
                for r in csv.DictReader(stream)
            ]  # fmt: skip
        keys = ("paper", "table", "task", "system", "metric", "value", "plus_minus", "unit", "notes")
        rows = suite.published_rows(suite.load("vctk_unseen"))
        printed = [row for row in rows if row["metric"] not in ("threshold", "trials") or row["paper"] != "MediumVC"]
        assert [tuple(row[key] for key in keys) for row in printed] == wanted
        # A note's threshold and count of trials are figures of their own besides
        for row in (row for row in rows if row["paper"] == "MediumVC" and row["metric"] == "EER"):
            of_it = {r["metric"]: r["value"] for r in rows if (r["paper"], r["task"]) == (row["paper"], row["task"])}
            assert row["notes"] == f"threshold {of_it['threshold']}; {of_it['trials']:.0f} trial pairs"


# A user's own suite

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a suite of two pairs, some keys changed or (None) taken out, and return its path."""

    def make(**changes: Any) -> Path:
        import yaml

        pairs = pairlist.render(
            [FrozenPair("a-b", "F2M", "a", ("b",)), FrozenPair("a-c", None, "a", ("c", "d"), "e", "e")]
        )
        (tmp_path / "mine.csv").write_text(pairs, encoding="utf-8", newline="")
        values: dict[str, Any] = {
            "name": "mine", "version": 3, "title": "Mine", "description": "My voices", "language": "en",
            "corpus": {"name": "csv"}, "metrics": ["sv"], "systems": ["source"], "published": [],
            "natural": {"utterances_per_speaker": 5, "seed": 0, "trials": 100},
            "pairs": {"file": "mine.csv", "sha256": hashlib.sha256(pairs.encode()).hexdigest(), "count": 2},
        }  # fmt: skip
        for key, value in changes.items():
            outer, _, inner = key.partition("__")
            place = values[outer] if inner else values
            if value is None:
                del place[inner or outer]
            else:
                place[inner or outer] = value
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return make


def test_own_suite(write: Write) -> None:
    loaded = suite.load(str(write()))
    assert loaded.label == "mine@3"
    assert (loaded.corpus_options, loaded.seeds) == ({}, 1)
    assert suite.load(str(write(seeds=5))).seeds == 5
    assert suite.frozen_pairs(loaded) == [
        FrozenPair("a-b", "F2M", "a", ("b",), None, None),
        FrozenPair("a-c", None, "a", ("c", "d"), "e", "e"),
    ]


def test_own_suite_from_another_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write().parent)
    assert len(suite.frozen_pairs(suite.load("mine.yaml"))) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "titel: is no known key"),
        ({"corpus__root": "x"}, r"corpus\.root: is no known key"),
        ({"natural__hours": 3}, r"natural\.hours: is no known key"),
        ({"pairs__path": "x"}, r"pairs\.path: is no known key"),
        ({"title": None}, "title: is missing"),
        ({"natural__seed": None}, r"natural\.seed: is missing"),
        ({"title": " "}, "title: must not be empty"),
        ({"version": "1"}, "version: must be a whole number, not '1'"),
        ({"version": True}, "version: must be a whole number, not True"),
        ({"version": 0}, "version: must be at least 1"),
        ({"metrics": "sv"}, "metrics: must be a list"),
        ({"metrics": ["sv", 3]}, r"metrics\[1\]: must be text, not 3$"),
        ({"metrics": ["sv", "sv"]}, "metrics: names something twice"),
        ({"corpus": "csv"}, "corpus: must be a mapping"),
        ({"corpus__options": ["x"]}, r"corpus\.options: must be a mapping"),
        ({"pairs__references": "maybe"}, r"pairs\.references: must be one of required, optional"),
        ({"pairs__count": 3}, "holds 2 pairs"),
        ({"pairs__sha256": "0" * 64}, "SHA-256 is"),
        ({"pairs__file": "absent.csv"}, r"absent\.csv: no such file"),
        ({"pairs__file": "../mine.csv"}, "outside of"),
        ({"pairs__file": "/etc/passwd"}, "pairs.file: '/etc/passwd'"),
        ({"published": ["../clsvc"]}, "outside of"),
        ({"published": ["../x.yaml"]}, "outside of"),
        ({"published": ["nobody"]}, "published: .*nobody.yaml does not exist"),
        ({"pairs": None}, "either pairs"),
        ({"draw": {}}, "either pairs"),
        ({"pairs": None, "draw": {"seed": 1, "expected": {}}}, r"draw\.pairs_per_direction: is missing"),
    ],
)
def test_own_suite_with_a_mistake(write: Write, changes: dict[str, Any], message: str) -> None:
    path = write(**changes)
    with pytest.raises(UsageError, match=message) as caught:
        suite.load(str(path))
    assert str(path.parent) in str(caught.value)


def test_draw_section_is_checked(write: Write) -> None:
    rule = {
        "seed": 1, "pairs_per_direction": 5, "targets_per_gender": 2, "prompts_per_target": 2, "prompt_seconds": [3, 8],
        "source_seconds": [2, 10], "min_utterances": 4, "expected": {"utterances": 9},
    }  # fmt: skip
    loaded = suite.load(str(write(pairs=None, draw=rule)))
    assert loaded.draw == suite.DrawSpec(
        seed=1, pairs_per_direction=5, targets_per_gender=2, prompts_per_target=2, prompt_seconds=(3.0, 8.0),
        source_seconds=(2.0, 10.0), min_utterances=4, expected=suite.Expected(utterances=9),
    )  # fmt: skip
    assert loaded.draw.expected.speakers is None
    for span in ([8, 3], [3], [3, "8"], [True, 8]):
        with pytest.raises(UsageError, match=r"draw\.prompt_seconds: must be two numbers"):
            suite.load(str(write(pairs=None, draw=rule | {"prompt_seconds": span})))


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "", "!!python/object/apply:os.getcwd []"])
def test_no_yaml_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"x\.yaml"):
        suite.load(str(path))


def test_own_published_figures(write: Write, tmp_path: Path) -> None:
    table = "{table: T1, task: vc, corpus: VCTK, evaluator: own, rows: [{system: S, metric: MCD, value: 5}]}"
    (tmp_path / "figures.yaml").write_text(f"paper: P\ncitation: C\ntables: [{table}]\n")
    rows = suite.published_rows(suite.load(str(write(published=["figures.yaml", "mediumvc"]))))
    assert rows[0] == {
        "paper": "P", "citation": "C", "table": "T1", "task": "vc", "source": "the paper", "corpus": "VCTK",
        "split": "", "pairs": "", "evaluator": "own", "measured_by": "authors", "interval": "", "origin": "printed",
        "system": "S", "metric": "MCD", "value": 5.0, "plus_minus": None, "unit": "", "notes": "", "better": "",
        "apart": "",
    }  # fmt: skip
    assert [r["value"] for r in rows[1:] if r["metric"] == "EER"] == [7.71, 7.95, 1.06]
    (tmp_path / "figures.yaml").write_text("paper: P\ncitation: C\ntables: [{table: T1}]\n")
    with pytest.raises(UsageError, match=r"figures\.yaml: tables\[0\]\.task: is missing"):
        suite.published_rows(suite.load(str(write(published=["figures.yaml"]))))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vctk_unsen", "did you mean vctk_unseen"),
        ("vctk_unseen@2", "unknown suite 'vctk_unseen@2'; did you mean vctk_unseen@1"),
        ("zzz", "known: aishell3"),
        ("absent.yaml", "absent.yaml: no such file"),
        ("../suites/vctk_seen", "unknown suite"),
    ],
)
def test_unknown_suite(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        suite.load(name)


# Pair lists

HEADER = "pair,direction,source,prompts,reference,natural\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pair,source\na,b\n", "no column direction and prompts and reference and natural; found: 'pair', 'source'"),
        (HEADER, "x: holds no rows"),
        (HEADER + "a,F2F,,p,,\n", "x:2: source is empty"),
        (HEADER + "a,F2F\n", "x:2: 2 cells for 6 columns"),
        (HEADER.replace("\n", ",notes\n") + "a,F2F,s,p,,,x\n", "ignored, as they are not known: 'notes'"),
        (HEADER + "a/b,F2F,s,p,,\n", "x:2: pair 'a/b' can't be a file name"),
        (HEADER + "..,F2F,s,p,,\n", "can't be a file name"),
        (HEADER + "a,F2F,s,p,,\na,F2F,s,q,,\n", "x:3: repeats line 2: pair 'a'"),
        (HEADER + "a,F2X,s,p,,\n", "direction 'F2X'"),
        (HEADER + "a,F2F,s,p q,q,\n", "is its reference or natural speech as well"),
    ],
)
def test_malformed_lists(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pairlist.parse(text, "x")


def test_pair_names_are_file_names() -> None:
    assert pairlist.pair_name("p225_001", "p226_014") == "p225_001-p226_014"
    odd = [pairlist.pair_name(*ids) for ids in (("a/b", "c"), ("a b", "c"), ("a_b", "c"), ("../x", "y"), ("广", "州"))]
    assert len(set(odd)) == 5
    pairs = [FrozenPair(name, None, "s", ("p",)) for name in odd]
    assert pairlist.parse(pairlist.render(pairs), "x") == pairs
    assert len(pairlist.pair_name("x" * 300, "y")) < 150


def test_prompt_ids_with_blanks_are_refused_in_a_list() -> None:
    pair = FrozenPair("a", None, "s", ("my voice",))
    with pytest.raises(UsageError, match="'my voice' holds a blank"):
        pairlist.render([pair])
    assert len(pairlist.digest([pair])) == 64
