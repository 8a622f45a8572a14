"""YAML files of users: what mistakes are called, and the JSON schemas that editors read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from places import ROOT

import vceval.benchmarks
from vceval.cli.main import main
from vceval.cli.schema import schema_of
from vceval.converters.recipe import RecipeFile
from vceval.errors import UsageError
from vceval.gate.rules import DEFAULT, RulesFile
from vceval.protocol.config import ConfigFile
from vceval.protocol.schema import Section, read_document
from vceval.protocol.suite import SuiteFile
from vceval.protocol.systems import SystemsFile, read_systems, system_of

BENCHMARKS = Path(str(vceval.benchmarks.__file__)).parent
SUITES = sorted((BENCHMARKS / "suites").glob("*.yaml"))
RULES = [DEFAULT, *sorted((BENCHMARKS / "rules").glob("*.yaml"))]
KINDS: dict[str, type[Section]] = {
    "suite": SuiteFile, "systems": SystemsFile, "rules": RulesFile, "config": ConfigFile, "recipe": RecipeFile,
}  # fmt: skip
SUITE = """
name: mine
version: 1
title: Mine
description: My voices
corpus: {name: csv}
pairs: {file: a.csv, sha256: abc, count: 2}
natural: {utterances_per_speaker: 5, seed: 0, trials: 100}
metrics: [sv]
systems: [source]
published: []
"""
DRAW = "draw: {seed: 1, pairs_per_direction: 1, targets_per_gender: 1, prompts_per_target: 1, min_utterances: 2, "

#: What is wrong in a file, and all that is said of it after the file's name.
MISTAKES = [
    ("suite", SUITE.replace("title:", "titel:"), "titel: is no known key; did you mean title? Known: corpus, "
     "description, draw, language, metrics, name, natural, pairs, published, recogniser, seeds, systems, title, "
     "version"),
    ("suite", SUITE + "7: x\n", "7: is no known key; known: corpus, description, draw, language, metrics, name, "
     "natural, pairs, published, recogniser, seeds, systems, title, version"),
    ("suite", SUITE.replace("csv}", "csv, option: {}}"), "corpus.option: is no known key; did you mean options? Known: "
     "name, options"),
    ("suite", SUITE.replace("title: Mine\n", ""), "title: is missing (keys given: name, version, description, corpus, "
     "pairs, natural, metrics, systems, published)"),
    ("suite", SUITE.replace("title: Mine", "title: ' '"), "title: must not be empty"),
    ("suite", SUITE.replace("title: Mine", "title:"), "title: must be text, not None"),
    ("suite", SUITE.replace("title: Mine", "title: 2026"), "title: must be text, not 2026"),
    ("suite", SUITE.replace("title: Mine", "title: 2026-11-27"),
     "title: must be text, not datetime.date(2026, 11, 27)"),
    ("suite", SUITE + "language: no\n", "language: must be text, not False"),
    ("suite", SUITE + "language:\n", "language: has no value; give it one, or leave the key out"),
    ("suite", SUITE.replace("version: 1", "version: yes"), "version: must be a whole number, not True"),
    ("suite", SUITE.replace("version: 1", "version: '1'"), "version: must be a whole number, not '1'"),
    ("suite", SUITE.replace("version: 1", "version: 1.0"), "version: must be a whole number, not 1.0"),
    ("suite", SUITE.replace("version: 1", "version: 0"), "version: must be at least 1, not 0"),
    ("suite", SUITE.replace("trials: 100", "trials: many"), "natural.trials: must be a whole number, not 'many'"),
    ("suite", SUITE.replace("[sv]", "sv"), "metrics: must be a list, not 'sv'"),
    ("suite", SUITE.replace("[sv]", "{sv: 1}"), "metrics: must be a list, not {'sv': 1}"),
    ("suite", SUITE.replace("[sv]", "[sv, on]"), "metrics[1]: must be text, not True"),
    ("suite", SUITE.replace("[sv]", "[sv, wer, sv]"), "metrics: names something twice: sv, wer, sv"),
    ("suite", SUITE.replace("{name: csv}", "csv"), "corpus: must be a mapping of keys to values, not 'csv'"),
    ("suite", SUITE.replace("csv}", "csv, options: {1: 2}}"), "corpus.options.1: must be text, not 1"),
    ("suite", SUITE.replace("count: 2", "count: 2, references: maybe"),
     "pairs.references: must be one of required, optional, not 'maybe'"),
    ("suite", SUITE + "draw: {}\n", "pairs: give either pairs (a frozen list) or draw (a rule), one of the two"),
    ("suite", SUITE.replace("pairs: {file: a.csv, sha256: abc, count: 2}", DRAW + "prompt_seconds: [8, 3], "
     "source_seconds: [1, 2], expected: {}}"), "draw.prompt_seconds: must be two numbers, from and to, not [8, 3]"),
    ("suite", SUITE.replace("pairs: {file: a.csv, sha256: abc, count: 2}", DRAW + "prompt_seconds: [3, 8], "
     "source_seconds: [1, '2'], expected: {}}"), "draw.source_seconds: must be two numbers, from and to, not [1, '2']"),
    ("suite", SUITE.replace("pairs: {file: a.csv, sha256: abc, count: 2}", DRAW + "prompt_seconds: [3, 8], "
     "source_seconds: [1, 2], expected: {speaker: 3}}"),
     "draw.expected.speaker: is no known key; did you mean speakers? Known: speakers, utterances"),
    ("suite", "[1, 2]", "top level: must be a mapping of keys to values, not [1, 2]"),
    ("suite", "", "top level: must be a mapping of keys to values, not None"),
    ("systems", "a: 1\n", "a: is no known key; known: systems"),
    ("systems", "{}\n", "systems: is missing (keys given: none)"),
    ("systems", "system: {}\n", "system: is no known key; did you mean systems? Known: systems"),
    ("systems", "systems: [world]\n", "systems: must be a mapping of keys to values, not ['world']"),
    ("systems", "systems: {}\n", "systems: must not be empty"),
    ("systems", "systems: {mine: world}\n", "systems.mine: must be a mapping of keys to values, not 'world'"),
    ("systems", "systems: {mine: {command: [x]}}\n", "systems.mine.converter: is missing (keys given: command)"),
    ("systems", "systems: {mine: {converter: yes}}\n", "systems.mine.converter: must be text, not True"),
    ("systems", "systems: {yes: {converter: world}}\n", "systems.True: must be text, not True"),
    ("systems", "systems: {a b: {converter: world}}\n",
     "systems.a b: can't be the name of a system: letters, digits and ._+- only, at most 64"),
    ("rules", "schema: 2\nrulez: []\n", "schema: is 2; this vceval reads 1"),
    ("rules", "rules: []\n", "schema: is missing (keys given: rules)"),
    ("rules", "schema: 1\nrules: [wer]\n", "rules[0]: must be a mapping of keys to values, not 'wer'"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: 1, directons: [F2F]}]\n",
     "rules[0].directons: is no known key; did you mean directions? Known: accept_blind, cap, confidence, directions, "
     "measure, minimum_pairs, pass_confidence, relative_worsening, systems, worsening"),
    ("rules", "schema: 1\nrules: [{new: flags, alowed: 1}]\n",
     "rules[0].alowed: is no known key; did you mean allowed? Known: allowed, new, systems"),
    ("rules", "schema: 1\nrules: [{new: bugs}]\n", "rules[0].new: must be one of failures, flags, not 'bugs'"),
    ("rules", "schema: 1\nrules: [{new: flags, allowed: -1}]\n", "rules[0].allowed: must be at least 0, not -1"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: 1}, {worsening: 1}]\n",
     "rules[1].measure: is missing (keys given: worsening)"),
    ("rules", "schema: 1\nrules: [{measure: mcd}]\n", "rules[0].worsening: give either worsening (in stored units) or "
     "relative_worsening (a share of the baseline's value), one of the two"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: -1}]\n", "rules[0].worsening: must be 0 or more, not -1"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: '1'}]\n", "rules[0].worsening: must be 0 or more, not '1'"),
    ("rules", "schema: 1\nrules: [{measure: mcd, relative_worsening: 1}]\n",
     "rules[0].relative_worsening: must be from 0 to below 1, not 1"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: 1, cap: 0}]\n", "rules[0].cap: must be above 0, not 0"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: 1, cap: null}]\n",
     "rules[0].cap: has no value; give it one, or leave the key out"),
    ("rules", "schema: 1\nrules: [{measure: mcd, worsening: 1, directions: [A2B]}]\n",
     "rules[0].directions: must be some of all, F2F, F2M, M2F, M2M, not ['A2B']"),
    ("rules", "schema: 1\nconfidence: 95\nrules: []\n", "confidence: must be at least 0.5 and below 1, not 95"),
    ("rules", "schema: 1\nminimum_pairs: 0\nrules: []\n", "minimum_pairs: must be at least 1, not 0"),
]  # fmt: skip

#: What a JSON schema can't say: 1.0 is a whole number there, all keys are text, and blanks are text.
BEYOND_SCHEMAS = {
    "title: must not be empty",
    "version: must be a whole number, not 1.0",
    "corpus.options.1: must be text, not 1",
    "draw.prompt_seconds: must be two numbers, from and to, not [8, 3]",
    "systems.True: must be text, not True",
}


@pytest.mark.parametrize(("kind", "text", "said"), MISTAKES, ids=[said[:40] for _, _, said in MISTAKES])
def test_every_mistake_is_named_with_file_place_and_value(tmp_path: Path, kind: str, text: str, said: str) -> None:
    path = tmp_path / f"{kind}.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=f"^{re.escape(f'{path}: {said}')}$"):
        read_document(path, KINDS[kind])


@pytest.mark.parametrize(("kind", "text", "said"), MISTAKES, ids=[said[:40] for _, _, said in MISTAKES])
def test_schemas_refuse_the_same_mistakes(kind: str, text: str, said: str) -> None:
    errors = list(validator(kind).iter_errors(as_json(yaml.safe_load(text))))
    assert bool(errors) == (said not in BEYOND_SCHEMAS)


def test_a_value_of_any_size_is_named_in_short(tmp_path: Path) -> None:
    path = tmp_path / "laughs.yaml"
    layers = "".join(f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    path.write_text(f"systems:\n  - &a0 [ha]\n{layers}", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_systems(path)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_those_of_the_models(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    printed = capsys.readouterr().out
    kept = BENCHMARKS / "schemas" / f"{kind}.json"
    assert kept.read_text(encoding="utf-8") == printed, f"vceval schema {kind} > {kept}"
    jsonschema.Draft202012Validator.check_schema(json.loads(printed))


@pytest.mark.parametrize("path", [*SUITES, *RULES], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_the_package_are_of_their_schema(path: Path) -> None:
    kind = "rules" if path in RULES else "suite"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [fault.message for fault in validator(kind).iter_errors(found)] == []


def test_suites_name_their_schema_by_a_path_that_is_there() -> None:
    for path in SUITES:
        found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
        assert found is not None, path
        assert (path.parent / found[1]).read_text(encoding="utf-8") == schema_of("suite")


@pytest.mark.parametrize(
    ("kind", "begins"), [("suite", "name: mine"), ("systems", "# systems.yaml"), ("config", "# vceval.yaml")]
)
def test_the_page_shows_files_of_the_schemas_and_all_keys(kind: str, begins: str) -> None:
    page = (ROOT / "docs/pages/reference/suites.md").read_text(encoding="utf-8")
    [shown] = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if text.startswith(begins)]
    found = yaml.safe_load(shown)
    assert [fault.message for fault in validator(kind).iter_errors(found)] == []
    told = {*found, *re.findall(r"`(\w+)`", page), *re.findall(r"^(\w+):", page, re.MULTILINE)}
    assert set(json.loads(schema_of(kind))["properties"]) <= told


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_of(kind)))


def as_json(value: Any) -> Any:
    """Turn what YAML holds into what an editor holds against a schema: keys are text, dates too."""
    return json.loads(json.dumps(value, default=lambda date: {"date": str(date)}))


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + "systems: *i\n", "aliases make more than 100,000 values of it"),
        (MERGES + "systems: *i\n", "aliases make more than 100,000 values of it"),
        ("systems: &a {x: *a}\n", "aliases make more than 100,000 values of it"),
        ("rules: &a [*a]\n", "aliases make more than 100,000 values of it"),
        ("systems: " + "[" * 5000, "too deep"),
        ("systems: {mine: {converter: world, x: " + "9" * 6000 + "}}\n", "can't be read as YAML"),
        ("systems: {mine: {converter: world, x: 2026-13-40}}\n", "can't be read as YAML"),
        ("systems: {mine: {converter: world, x: !!python/object/apply:os.getcwd []}}\n", "can't be read as YAML"),
        ("systems: {? [a, b] : 1}\n", "can't be read as YAML"),
        ("systems: \x00", "can't be read as YAML"),
        ("#" * (5 << 20), "no such file has more than"),
    ],
)
@pytest.mark.parametrize("kind", [SystemsFile, RulesFile, SuiteFile])
def test_what_no_person_writes_is_refused_at_once(tmp_path: Path, kind: type[Section], text: str, said: str) -> None:
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_document(tmp_path / "f.yaml", kind)
    assert str(caught.value).startswith(f"{tmp_path / 'f.yaml'}: ")
    assert len(str(caught.value)) < 2000


def test_aliases_that_people_write_are_read(tmp_path: Path) -> None:
    path = tmp_path / "systems.yaml"
    path.write_text(
        "systems:\n  a: &base {converter: command, command: [python, a.py], timeout: 5}\n"
        "  b: {<<: *base, command: [python, b.py]}\n"
    )
    found = {one.name: one.options for one in read_systems(path)}
    assert found["b"] == {"command": ["python", "b.py"], "timeout": 5}


@pytest.mark.parametrize("text", ["x=command:'unclosed", 'x=command:python "a', "x=command:python \\"])
def test_a_command_that_has_no_words_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="can't be divided into words"):
        system_of(text)
