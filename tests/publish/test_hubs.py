"""What the repository of a model says of its results: read by the hub's own package, and nothing that stood is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from made_runs import MadeRun
from published_runs import WORDS, published_run

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.publish import keys
from vceval.publish.extract import publish
from vceval.reports.bibliography import references
from vceval.reports.hubs import citation, model
from vceval.reports.hubs.yaml_keys import with_key
from vceval.results import views
from vceval.results.rundir import RunDirectory

MINE = {"source": True, "mine": False}
#: What a reference of the Citation File Format 1.2.0 may hold, as far as it is written here; its schema says so.
TEXTS = {"title", "journal", "collection-title", "notes", "abstract", "version", "license", "issue"}
NUMBERS = {"volume", "start", "end", "year"}
OTHERS = {"type", "authors", "conference", "publisher", "doi", "identifiers", "url"}
DOI = re.compile(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return published_run(tmp_path_factory.mktemp("run") / "demo", systems=MINE)


def entries(folder: Path, name: str = "demo") -> list[Any]:
    found = yaml.safe_load((folder / ".eval_results" / f"{name}.yaml").read_text(encoding="utf-8"))
    return parse_eval_result_entries(found)


def card(folder: Path) -> ModelCard:
    return ModelCard((folder / "README.md").read_text(encoding="utf-8"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def well_formed(found: dict[str, Any]) -> None:
    assert {"type", "title", "authors"} <= set(found) <= TEXTS | NUMBERS | OTHERS
    assert found["type"] in {"article", "conference-paper", "data", "generic", "software"}
    assert all(isinstance(found[key], str) and found[key] for key in TEXTS & set(found))
    assert all(type(found[key]) is int for key in NUMBERS & set(found))
    assert found["authors"]
    for author in found["authors"]:
        assert set(author) in ({"name"}, {"family-names"}, {"family-names", "given-names"})
        assert all(text.strip() and not set(text) & set("{}") for text in author.values())
    assert len({str(author) for author in found["authors"]}) == len(found["authors"])
    assert DOI.fullmatch(found.get("doi", "10.1000/1"))
    assert re.fullmatch(r"https?://\S+", found.get("url", "https://a"))


def test_the_hub_reads_the_figures_of_the_tables(run: RunDirectory, tmp_path: Path) -> None:
    written, left_out = model.write([run.root], tmp_path, benchmark="group/voices")
    assert (left_out, {file.how for file in written}) == ([], {"new"})
    report = views.load(run)
    shown = {measure.name: measure for measure in report.primary_measures}
    found = entries(tmp_path)
    assert [one.task_id for one in found] == list(shown)
    for one in found:
        cell = report.cell("mine", one.task_id)
        assert cell is not None
        assert f"{one.value:.{shown[one.task_id].decimals}f}" == shown[one.task_id].text(cell.value)
        assert (one.dataset_id, one.date) == ("group/voices", "2026-01-01T00:00:00+00:00")
        assert f"{cell.n} of {cell.given} pairs, {cell.failed} failed" in one.notes
        assert report.metrics[shown[one.task_id].metric].signature in one.notes
        assert f"{shown[one.task_id].better} is better" in one.notes
        assert ("does not rank it: trained to please" in one.notes) == one.task_id.startswith("sv_")
    data = card(tmp_path).data
    assert data.model_name == "Mine"
    assert {one.metric_type for one in data.eval_results if "does_not_rank" in one.metric_args} == {
        name for name in shown if name.startswith("sv_")
    }
    assert {one.metric_type: one.metric_value for one in data.eval_results} == {one.task_id: one.value for one in found}
    assert {(one.task_type, one.dataset_type, one.dataset_name) for one in data.eval_results} == {
        ("audio-to-audio", "group/voices", "demo@1")
    }


def test_a_run_and_its_result_file_give_the_same_files(run: RunDirectory, tmp_path: Path) -> None:
    key = keys.make("Speech Group", tmp_path / "key.json")
    [(file, _)] = publish(run.root, tmp_path / "results", key, ["mine"])
    for name, source in (("run", run.root), ("file", file)):
        model.write([source], tmp_path / name, benchmark="group/voices")
    assert files(tmp_path / "run") == files(tmp_path / "file")
    assert set(files(tmp_path / "run")) == {"README.md", "CITATION.cff", ".eval_results/demo.yaml"}


def test_nothing_of_recordings_and_of_the_machine_is_in_them(tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", private=True, systems=MINE, metrics=("mcd", "wer"))
    _, left_out = model.write([run.root], tmp_path / "out", benchmark="group/voices")
    assert left_out == [".eval_results: score is no suite"]
    text = b"\n".join(files(tmp_path / "out").values()).decode()
    assert not re.search(rf"{WORDS}|walrus|\.wav|\.pt\b|worker|secret|somebody|a run|/home|private corpus", text)


def test_without_the_data_set_of_the_benchmark_or_of_a_part_there_are_no_eval_results(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(run.root), "--huggingface", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "left out: .eval_results" in said.err
    assert "--benchmark OWNER/NAME" in said.err
    assert "README.md: new" in said.out
    part = published_run(tmp_path / "run", systems=MINE, limit=20, metrics=("mcd",))
    _, [reason] = model.write([part.root], tmp_path / "part", benchmark="group/voices")
    assert "only some pairs of demo@1" in reason
    [result] = card(tmp_path / "part").data.eval_results
    assert result.dataset_name == "demo@1, 20 pairs, not all"
    # Nor does the card call it a result on the benchmark
    assert (result.dataset_type, result.dataset_config, result.dataset_split) == ("demo", None, None)


def test_again_gives_the_same_bytes(run: RunDirectory, tmp_path: Path) -> None:
    model.write([run.root], tmp_path, benchmark="group/voices")
    before = files(tmp_path)
    written, _ = model.write([run.root], tmp_path, benchmark="group/voices")
    assert {file.how for file in written} == {"same"}
    assert files(tmp_path) == before


FRONT = """\
---
# my notes
license:   mit
tags: [voice, "a: b"]   # not sorted
model-index:
- name: Their name
  results:
  - task: {type: text-to-speech}
    dataset: {type: ljspeech, name: LJ}
    metrics: [{type: wer, value: 3.0}]

# kept
pipeline_tag: audio-to-audio
---
# A model

---
text\twith --- dashes
"""


def test_a_card_keeps_every_other_byte_and_every_other_result(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(FRONT, encoding="utf-8")
    model.write([run.root], tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    start, end = FRONT.index("model-index"), FRONT.index("\n# kept")
    assert text.startswith(FRONT[:start])
    assert text.endswith(FRONT[end:])
    data = card(tmp_path).data
    assert data.model_name == "Their name"
    assert [one.dataset_type for one in data.eval_results][:2] == ["ljspeech", "demo"]
    other = published_run(tmp_path / "other", seed=1, systems=MINE, metrics=("mcd",))
    model.write([other.root], tmp_path)
    assert [one.metric_type for one in card(tmp_path).data.eval_results] == ["wer", "mcd"]
    assert data.get("license") == "mit"


def test_the_mark_at_the_beginning_of_a_text_stays(run: RunDirectory, tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "README.md").write_bytes(mark + b"---\r\nlicense: mit\r\n---\r\n# M\r\n")
    (tmp_path / "CITATION.cff").write_bytes(mark + b"cff-version: 1.2.0\n")
    for _ in range(2):
        model.write([run.root], tmp_path)
        found = files(tmp_path)
        assert found["README.md"].startswith(mark + b"---\r\nlicense: mit\r\nmodel-index:\r\n")
        assert found["CITATION.cff"].startswith(mark + b"cff-version: 1.2.0\nreferences:\n")
        assert b"".join(found.values()).count(mark) == 2


@pytest.mark.parametrize(
    "text", ["# A model\n\n---\n\ntext\n", "", "--- no front\n", "# M\r\n\r\ntext\r\n", "---\n---\nx"]
)
def test_a_card_without_metadata_keeps_its_text(run: RunDirectory, tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_bytes(text.encode())
    model.write([run.root], tmp_path)
    after = (tmp_path / "README.md").read_bytes().decode()
    assert after.endswith(text)
    assert after.count("\r\n") in (0, after.count("\n"))
    assert card(tmp_path).data.model_name == "Mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\na: [1\n---\n", "is no YAML"),
        ("---\njust text\n---\n", "holds no keys"),
        ("---\na: " + "[" * 3000 + "\n---\n", "too deep"),
        ("---\nmodel-index: nothing\n---\n", "is no list of models"),
        ("---\nmodel-index:\n- name: a # mine\n  results: []\n---\n", "can't be changed without losing"),
        ("---\n{license: mit}\n---\n", "can't be changed without losing"),
        ("---\na: 1\nmodel-index:\n- name: a\n  results: &all []\nb: *all\n---\n", "can't be changed without losing"),
    ],
)
def test_a_card_that_would_lose_something_is_left_as_it_is(
    run: RunDirectory, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as error:
        model.write([run.root], tmp_path, benchmark="group/voices")
    assert "README.md" in str(error.value)
    assert files(tmp_path) == {"README.md": text.encode()}


def test_a_card_that_is_no_text_is_left_as_it_is(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        model.write([run.root], tmp_path)
    assert files(tmp_path) == {"README.md": b"\xff\xfe\x00"}


def test_results_that_stand_there_are_left_as_they_are(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / ".eval_results").mkdir()
    (tmp_path / ".eval_results" / "demo.yaml").write_text("- mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"demo\.yaml: stands there and says something else"):
        model.write([run.root], tmp_path, benchmark="group/voices")
    assert files(tmp_path) == {".eval_results/demo.yaml": b"- mine\n"}


@pytest.mark.parametrize("name", ["", ".eval_results", "README.md", "CITATION.cff"])
def test_a_folder_that_is_a_file_and_a_file_that_is_a_folder(run: RunDirectory, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    if name in ("", ".eval_results"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x", encoding="utf-8")
    else:
        (folder / name).mkdir(parents=True)
    with pytest.raises(UsageError, match=re.escape(f"{folder / name}: is ")):
        model.write([run.root], folder, benchmark="group/voices")


MARKUP = "Mine: *x* & \"y\" 'z'\t# {a} [b](c) <script> | > - @ ` 日本 \x85 \x7f"


def test_names_with_markup_come_back_as_they_are(tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", systems=MINE, titles={"mine": MARKUP}, metrics=("mcd",))
    model.write([run.root], tmp_path, benchmark="group/voices")
    assert card(tmp_path).data.model_name == MARKUP
    about = yaml.safe_load((tmp_path / "CITATION.cff").read_text(encoding="utf-8"))
    assert about["title"] == MARKUP
    assert about["authors"] == [{"name": f"The authors of {MARKUP}"}]


@pytest.mark.parametrize(("suite", "name"), [("../../a b@1", "_a_b"), ("@1", "suite"), ("..\\c:d@1", "_c_d")])
def test_names_of_suites_lead_nowhere(tmp_path: Path, suite: str, name: str) -> None:
    run = published_run(tmp_path / "run", systems=MINE, metrics=("mcd",))
    for file in ("run.json", "summary.json"):
        run.write_json(file, {**run.read_json(file), "suite": suite})
    model.write([run.root], tmp_path / "out", benchmark="group/voices")
    assert set(files(tmp_path / "out")) == {"README.md", "CITATION.cff", f".eval_results/{name}.yaml"}
    assert card(tmp_path / "out").data.eval_results[0].dataset_name == suite


def test_a_repository_is_of_one_system_and_one_run_a_suite(run: RunDirectory, tmp_path: Path) -> None:
    two = published_run(tmp_path / "two", metrics=("mcd",))
    with pytest.raises(UsageError, match="--system says which one of mine, other"):
        model.write([two.root], tmp_path / "out")
    model.write([two.root], tmp_path / "out", "other")
    assert card(tmp_path / "out").data.model_name == "Other"
    with pytest.raises(UsageError, match="two runs of suite demo@1"):
        model.write([run.root, two.root], tmp_path / "more", "mine")
    with pytest.raises(UsageError, match="nobody"):
        model.write([two.root], tmp_path / "more", "nobody")
    with pytest.raises(UsageError, match="nothing"):
        model.write([tmp_path / "nothing"], tmp_path / "more")
    gate = published_run(tmp_path / "gate", "gate", systems=MINE, metrics=("mcd",))
    model.write([run.root, gate.root], tmp_path / "more")
    assert {one.dataset_type for one in card(tmp_path / "more").data.eval_results} == {"demo", "gate"}
    with pytest.raises(UsageError, match="data set of one suite"):
        model.write([run.root, gate.root], tmp_path / "yet", benchmark="group/voices")
    assert not (tmp_path / "yet").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--benchmark", "voices"], ["--benchmark", "a/b/c"], ["--benchmark", "https://a/b"], ["--check"],
        ["--out", "results"], ["--keys", "trusted.txt"], ["--system", "mine,source"],
    ],
)  # fmt: skip
def test_wrong_use_is_told(
    run: RunDirectory, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(run.root), "--huggingface", str(tmp_path / "out"), *options]) == 2
    assert options[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_changed_result_file_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    [(file, _)] = publish(run.root, tmp_path / "results", keys.make("Group", tmp_path / "key.json"), ["mine"])
    file.write_bytes(file.read_bytes().replace(b'"seed":0', b'"seed":1').replace(b"Mine", b"Mind"))
    with pytest.raises(UsageError, match=re.escape(str(file))):
        model.write([file], tmp_path / "out")


def test_every_paper_is_a_reference_of_the_format() -> None:
    for key in references():
        found = citation.reference(key, ["metric mcd"])
        well_formed(yaml.safe_load(yaml.safe_dump(found)))
        assert "Cited for metric mcd" in found["notes"]
        assert "doi" in found or "doi" not in references()[key]
    names = citation.reference("baas2023knnvc")["authors"]
    assert {"family-names": "van Niekerk", "given-names": "Benjamin"} in names
    assert citation.reference("yamagishi2019vctk")["type"] == "data"
    paper = citation.reference("kubichek1993mcd")
    assert (paper["start"], paper["end"], paper["volume"]) == (125, 128, 1)


def test_a_citation_names_model_corpus_metrics_and_vceval(tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", systems={"source": True, "knnvc": False, "world": False}, metrics=("mcd",))
    model.write([run.root], tmp_path, "knnvc")
    found = yaml.safe_load((tmp_path / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "type"} <= set(found)
    assert (found["cff-version"], found["type"], found["title"]) == ("1.2.0", "software", "Knnvc")
    assert found["preferred-citation"]["title"] == "Voice conversion with just nearest neighbors"
    assert found["authors"] == found["preferred-citation"]["authors"]
    for one in (found["preferred-citation"], *found["references"]):
        well_formed(one)
    titles = {one["title"] for one in found["references"]}
    assert "vceval" in titles
    assert "Mel-cepstral distance measure for objective speech quality assessment" in titles
    assert not any("WORLD" in title for title in titles)  # of another system


def test_a_citation_file_keeps_what_it_has(run: RunDirectory, tmp_path: Path) -> None:
    mine = "# mine\ncff-version: 1.2.0\nmessage: cite\ntitle: T\nauthors:\n- name: me\ndate-released: 2026-01-02\n"
    (tmp_path / "CITATION.cff").write_text(mine, encoding="utf-8")
    model.write([run.root], tmp_path)
    text = (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    assert text.startswith(mine)
    found = yaml.safe_load(text)["references"]
    assert found[-1]["title"] == "vceval"
    model.write([run.root], tmp_path)
    assert (tmp_path / "CITATION.cff").read_text(encoding="utf-8") == text


def test_a_run_that_is_not_finished_and_a_system_without_figures_are_refused(tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", systems=MINE, metrics=("mcd",))
    about = run.read_json("run.json")
    run.write_json("run.json", {**about, "state": "running"})
    with pytest.raises(UsageError, match="not finished"):
        model.write([run.root], tmp_path / "out")
    made = MadeRun().write(tmp_path / "made")
    with pytest.raises(UsageError, match="A has no figure"):
        model.write([made], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["", "a: 1", "a: 1\nkey: old\nb: 2\n", "key: |\n  long\n  text\n", "# only a comment\n"]
)
def test_a_key_is_changed_and_the_rest_is_as_it_was(text: str) -> None:
    after = with_key(text, "key", ["new"], "here")
    assert yaml.safe_load(after) == {**(yaml.safe_load(text) or {}), "key": ["new"]}
    assert [line for line in text.splitlines() if line[:1] in ("a", "b", "#")] == [
        line for line in after.splitlines() if line[:1] in ("a", "b", "#")
    ]
