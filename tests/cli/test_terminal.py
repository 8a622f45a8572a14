"""What the command line shows: the end of a run at several widths, help, near words, completion, vceval.yaml."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import report_runs
import yaml

from vceval.cli import config, listing
from vceval.cli.completion import SHELLS, script
from vceval.cli.examples import EXAMPLES, FIRST
from vceval.cli.main import main, parsed, parser
from vceval.cli.schema import schema_of
from vceval.errors import UsageError
from vceval.protocol.config import TEMPLATE, ConfigFile, read_config
from vceval.reports.tables import main_tables
from vceval.reports.terminal import ending, lacking
from vceval.results import terminal, views
from vceval.results.views import Report


def leaves(top: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not found:
        return [top]
    return [leaf for action in found for one in dict.fromkeys(action.choices.values()) for leaf in leaves(one)]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return views.load(report_runs.demo(tmp_path / "run"))


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_the_end_of_a_run_fits_its_terminal(report: Report, columns: int) -> None:
    said = ending(report, Path("run/report/index.html"), columns)
    assert max(map(len, said.splitlines())) <= columns
    assert not re.search(r"&\w+;|<u>|\*\*|^\|", said, re.MULTILINE)  # neither HTML nor Markdown
    assert "|v:" not in said  # signatures are in the tables
    assert [line.split()[0] for line in said.splitlines()[:1]] == ["voice"]
    assert said.count("page     run/report/index.html") == 1
    assert "tables   run/report/tables" in said
    assert "\nControls (not" in said


def test_columns_that_decide_stay_and_the_others_are_named(report: Report) -> None:
    narrow, wide = (ending(report, Path("index.html"), columns) for columns in (80, 300))
    [left_out] = re.findall(r"Not shown here: (.*?\.)\n\n", narrow, re.DOTALL)
    labels = {measure.label.rstrip(".") for measure in report.measures}
    for label in labels:
        assert label in narrow, label  # in the table, or among those that are named
    assert len(left_out) > len("".join(re.findall(r"Not shown here: (.*?\.)\n\n", wide, re.DOTALL)))


@pytest.mark.parametrize("kind", ["single", "broken"])
def test_every_dash_has_a_reason(tmp_path: Path, kind: str) -> None:
    report = views.load(getattr(report_runs, kind)(tmp_path / "run"))
    table = main_tables(report)[0]
    dashes = {
        column.heading
        for place, column in enumerate(table.columns)
        for row in table.rows
        if (entry := row.entries[place]) and not entry.value
    }
    said = lacking(report, table)
    assert len(said) == len(dashes) > 0
    some = [column for column in table.columns if column.heading in dashes][:1]
    assert lacking(report, table, some) == [line for line in said if not line.startswith(some[0].heading)]
    assert all(any(line.startswith(name) for line in said) for name in dashes)
    assert all("for lack of" in line or "failed" in line for line in said)


def test_names_stay_whole_where_numbers_can_fold() -> None:
    """First the headings between words, then what stands in brackets; nothing of it where all fits."""
    headings = ["System", "Look-ahead (ms)", "First audio (ms)", "Set-up (s)"]
    rows = [["converter-160", "239.9", "1,311 [1,290, 1,321]", "0.09 [0.08, 0.34]"]]
    fits, heads, cells = (terminal.grid(headings, [rows], {1, 2, 3}, columns) for columns in (75, 67, 60))
    assert "System         Look-ahead (ms)      First audio (ms)         Set-up (s)" in fits
    assert "converter-160       239.9  1,311 [1,290, 1,321]  0.09 [0.08, 0.34]" in heads
    assert cells.splitlines()[-2:] == [
        "converter-160       239.9           1,311          0.09",
        "                           [1,290, 1,321]  [0.08, 0.34]",
    ]


def test_a_pipe_gets_no_styles_and_a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("shutil.os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError()))
    assert terminal.width() == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.width() == 72
    monkeypatch.setenv("COLUMNS", "1")
    assert terminal.width() == terminal.NARROWEST
    said = terminal.grid(["a", "b"], [[["x", terminal.Cell("1", "bold red")]], [["y\x1b[31m", "22"]]], {1}, 60)
    assert said.splitlines()[0].split() == ["a", "b"]
    assert "\x1b" not in said
    assert said.splitlines()[2].endswith(" 1")


def test_styles_are_for_terminals_and_colours_for_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> str:
        return terminal.grid(["a"], [[[terminal.Cell("x", "bold red")]]], (), 60)

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in drawn()


def test_every_command_shows_examples_that_it_understands() -> None:
    for one in leaves(parser()):
        name = one.prog.partition(" ")[2]
        assert name in EXAMPLES, f"vceval/cli/examples.py: give {name!r} examples"
        assert one.format_help().endswith("\n".join(f"  {example}" for example in EXAMPLES[name]) + "\n")
        assert one.format_help() == one.format_help()
    for example in (one for some in EXAMPLES.values() for one in some):
        words = shlex.split(example.partition(" > ")[0])[1:]
        if "--columns" not in words:  # prints and exits
            parsed(words)


def test_help_names_the_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "score"):
        with pytest.raises(SystemExit):
            parsed([command, "--help"])
        printed = " ".join(capsys.readouterr().out.split())
        assert "usual ones: bandwidth, cer, f0, fake, mcd, mos, sanity, sv, wer" in printed


def test_without_a_command_the_first_steps_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr().out
    assert all(command in printed for command in FIRST)
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rn", "vceval: unknown command 'rn'; did you mean run?"),
        ("run --suit-x demo", "vceval run: unknown option --suit-x; did you mean --suite"),
        ("run --executor rey", "vceval run: unknown --executor 'rey'; did you mean ray?"),
        ("run --precision fp15", "did you mean fp16"),
        ("list metriks", "did you mean metrics?"),
        ("report runs/demo --stile acl", "did you mean --style?"),
        ("checkpoints ad x", "did you mean add?"),
        ("status", "vceval status: required: RUN"),
        ("status a b", "does not take 'b'"),
    ],
)
def test_the_nearest_word_is_named(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(words.split())
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--suite vctk_unsen", "did you mean vctk_unseen"),
        ("--device cud", "did you mean cuda or cpu?"),
        ("--metrics wer --recogniser whisper:lagre-v3", "did you mean large-v3"),
        ("--metrics wer --recogniser poketsphinx", "did you mean pocketsphinx?"),
        ("--metrics mcdd", "did you mean mcd?"),
        ("--converters wrld", "did you mean world?"),
    ],
)
def test_the_nearest_name_is_named(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *words.split(), "--dry-run"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("what", ["suites", "converters", "metrics", "corpora"])
def test_lists_fit_and_machines_read_them(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert main(["list", what, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == [one["name"] for one in listing.entries(what)]
    assert all(one["unusable"] or one["title"] for one in found)
    assert main(["list", what, "--signatures"]) == (0 if what in ("metrics", "converters") else 2)


@pytest.mark.parametrize("shell", SHELLS)
def test_completions_are_written(shell: str) -> None:
    written = script(shell, parser())
    assert "checkpoints" in written
    assert "gate plan" not in written  # a word with a blank is none


@pytest.mark.parametrize(
    ("words", "offered"),
    [("rep", "report reproduce"), ("run --rec", "--recogniser"), ("list me", "metrics"), ("run --executor ra", "ray"),
     ("checkpoints ve", "verify")],
)  # fmt: skip
def test_bash_completes(tmp_path: Path, words: str, offered: str) -> None:
    (tmp_path / "vceval.bash").write_text(script("bash", parser()))
    typed = ["vceval", *words.split()]
    ask = (
        f"source vceval.bash; COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; "
        '$(complete -p vceval | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == offered.split(), done.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_first_file_is_written_once_and_is_of_its_schema(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert main(["init"]) == 2
    assert "vceval.yaml: is there already" in capsys.readouterr().err
    everything = re.sub(r"^# (?=[a-z]+:( [^v]|$)|  )", "", TEMPLATE, flags=re.MULTILINE)
    schema = jsonschema.Draft202012Validator(json.loads(schema_of("config")))
    for text in (TEMPLATE, everything):
        assert list(schema.iter_errors(yaml.safe_load(text))) == []
    (folder / "all.yaml").write_text(everything)
    found = read_config(folder / "all.yaml")
    assert [system.name for system in found["system"]] == ["mine", "theirs"]
    assert found["out"] == folder / "runs/mine"
    assert found["metrics"] == ["mcd", "sv", "wer", "sanity"]


def test_every_key_is_an_option() -> None:
    [commands] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    known = {action.dest for name in config.READERS for action in commands.choices[name]._actions}
    assert set(ConfigFile.model_fields) <= known


def test_the_command_wins_and_what_was_taken_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "vceval.yaml").write_text(
        "limit: 4\nmetrics: [sanity]\nout: here\nsystems: {mine: {converter: command, command: [cat]}}\nsuite: gate\n"
    )
    options = parsed(["run", "--limit", "2", "--suite", "demo"])
    assert capsys.readouterr().err == "vceval: from vceval.yaml: metrics, out, systems\n"
    assert (options.limit, options.suite, options.metrics, options.out) == (2, "demo", ["sanity"], Path("here"))
    assert [system.name for system in options.system] == ["mine"]
    assert parsed(["run", "--metrics", "mcd"]).metrics == ["mcd"]
    assert parsed(["run", "--no-config"]).metrics is None
    assert parsed(["status", "x"]).run == Path("x")
    capsys.readouterr()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mine.yaml").write_text("out: there\nconversions: c.csv\nsuite: own.yaml\n")
    options = parsed(["score", "--config", "elsewhere/mine.yaml"])
    assert (options.conversions, options.out) == (Path("elsewhere/c.csv"), Path("elsewhere/there"))
    assert parsed(["score", "d.csv", "--config", "elsewhere/mine.yaml"]).conversions == [Path("d.csv")]
    assert parsed(["run", "--config", "elsewhere/mine.yaml"]).suite == "elsewhere/own.yaml"


def test_a_wrong_file_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "vceval.yaml").write_text("limt: 4\n")
    assert main(["run", "--dry-run"]) == 2
    assert "vceval.yaml: limt: is no known key; did you mean limit?" in capsys.readouterr().err
    assert main(["run", "--config", "nothing.yaml"]) == 2
    with pytest.raises(UsageError, match="give one of the two"):
        parsed(["run", "--config", "vceval.yaml", "--no-config"])
    (folder / "vceval.yaml").write_text("channel: middle\n")
    assert main(["run"]) == 2
    assert "channel: must be one of left, right, mix" in capsys.readouterr().err


def test_without_a_file_nothing_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed(["run", "--limit", "2"]).limit == 2
    assert capsys.readouterr().err == ""


def test_help_is_quick() -> None:
    heavy = "numpy|scipy|torch|pandas|pydantic|rich|shtab|yaml|soundfile"
    ask = f"import sys, re; from vceval.cli.main import parser; parser().format_help(); \
print([m for m in sys.modules if re.fullmatch('{heavy}', m)])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("doctor",), ("env", "list")])
def test_what_is_listed_fits_a_terminal_and_has_a_line_each_in_a_pipe(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(command)
    piped = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    main(command)
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, piped)) > 80 >= max(map(len, shown))
    assert "".join("".join(shown).split()) == "".join("".join(piped).split())
