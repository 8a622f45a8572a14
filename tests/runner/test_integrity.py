"""What is damaged, exchanged or gone in a run is refused by whoever reads it, and made again by its command."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import warm
from installed import install
from plugin import MODULE
from sounds import hum

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.results.hashes import FILE, Hashes
from vceval.results.rundir import RunDirectory
from vceval.runner.execute import locked
from vceval.runner.integrity import RESULTS, start_over
from vceval.runner.journal import read_records

TIMES = "efficiency.json"
MORTAL = '''

@dataclass(frozen=True)
class Mortal(Loudness):
    """Kills its worker while it learns, as long as a file is there."""

    name: ClassVar = "mortal"
    measures: ClassVar = (Measure("mortal", "Mortal", "dB", "higher"),)

    def calibrate(self, dataset, natural):
        if os.path.exists(os.environ.get("MORTAL", "")):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"recordings": len(natural)}

    def statistics(self, conversion):
        return Statistics({"mortal": (1.0, 1.0)})
'''
ASKED = ("run", "--metrics", "loudness", "--converters", "source,quiet", "--limit", "4", "--workers", "1")


@dataclass(frozen=True)
class Desk:
    """A folder to give commands in."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        here = {
            "PYTHONPATH": str(self.root / "site"), "VCEVAL_CACHE": "off", "LOUDNESS_LOG": str(self.root / "log"),
            "MORTAL": str(self.root / "mortal"),
        }  # fmt: skip
        return {**os.environ, **here}

    def start(self, *arguments: object, **variables: str) -> warm.Command:
        return warm.Command([*map(str, arguments)], self.root, {**self.environment, **variables})

    def run(self, code: int, *arguments: object, **variables: str) -> str:
        """Give a command that ends with an exit code; what it said."""
        process = self.start(*arguments, **variables)
        _, said = process.communicate(timeout=600)
        assert process.returncode == code, said
        return said

    def scored(self) -> int:
        """Conversions scored since the last time this was asked."""
        log = self.root / "log"
        count = len(log.read_text().splitlines()) if log.exists() else 0
        log.unlink(missing_ok=True)
        return count


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A folder with the finished run ``whole``."""
    found = Desk(tmp_path_factory.mktemp("desk"))
    install(
        found.root / "site", "third_party", MODULE + MORTAL, converters=["quiet=third_party:Quiet"],
        metrics=["loudness=third_party:Loudness", "mortal=third_party:Mortal"],
    )  # fmt: skip
    found.run(0, *ASKED, "--out", "whole")
    assert found.scored() == 8
    return found


@pytest.fixture
def run(desk: Desk) -> Path:
    """A copy of the run, with the times of its files."""
    return shutil.copytree(desk.root / "whole", desk.root / f"copy{time.monotonic_ns()}")


def contents(run: Path) -> dict[str, bytes]:
    """What is the same to the byte however often it is made: all but the times that converting took."""
    audio = [str(path.relative_to(run)) for path in sorted((run / "audio").rglob("*.flac"))]
    return {name: (run / name).read_bytes() for name in [*RESULTS, *audio] if name != TIMES}


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(path.stat().st_size))


def edited(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], None]] = [emptied, halved, garbled, edited, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused_by_name_and_written_again(
    desk: Desk, run: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before, times = contents(run), (run / TIMES).read_bytes()
    for name in ("run.json", *RESULTS):
        kept = (run / name).read_bytes()
        damage(run / name)
        for command in (["report", run], ["compare", run, desk.root / "whole"], ["gate", run, "--baseline", run]):
            assert main([*map(str, command)]) == 2
            said = capsys.readouterr().err
            assert f"{run / name}: " in said
            assert "give the command that made the run again" in said
            assert name == "run.json" or "vceval run --metrics loudness" in said
        assert main(["verify", str(run)]) == 1
        said = capsys.readouterr().out
        assert said.startswith(f"{name}: ")
        assert "1 not as they were written" in said
        (run / name).write_bytes(kept)
    assert main(["verify", str(run)]) == 0
    for name in ("run.json", *RESULTS):
        damage(run / name)
    said = desk.run(0, *ASKED, "--out", run.name)
    for name in ("run.json", *RESULTS):
        assert f"{run.name}/{name}: " in said
    assert desk.scored() == 0
    assert contents(run) == before
    assert (run / TIMES).read_bytes() == times, "of the same conversions"
    assert main(["verify", str(run)]) == 0
    assert main(["report", str(run)]) == 0
    assert "all done and scored before" in desk.run(0, *ASKED, "--out", run.name)


def test_no_flip_of_a_bit_gives_another_number(run: Path) -> None:
    path = run / "scores.parquet"
    whole, chance = path.read_bytes(), random.Random(1)
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(UsageError, match=r"scores\.parquet: not as it was written"):
            RunDirectory(run).read_scores()


def test_pages_of_a_table_without_its_run_have_checksums(run: Path) -> None:
    import pyarrow.parquet

    path = run / "scores.parquet"
    (run / FILE).unlink()
    whole, before = path.read_bytes(), RunDirectory(run).read_scores()
    pages = pyarrow.parquet.read_metadata(path).row_group(0)
    for number in range(pages.num_columns):
        column = pages.column(number)
        end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
        flipped = bytearray(whole)
        flipped[end - 1] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(UsageError, match=r"scores\.parquet: can't be read"):
            RunDirectory(run).read_scores()
    path.write_bytes(whole)
    assert RunDirectory(run).read_scores().equals(before)


def test_recordings_that_are_exchanged_cut_or_gone_are_made_again(
    desk: Desk, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    one, other, cut, gone = sorted((run / "audio" / "quiet").iterdir())
    one.rename(run / "x")
    other.rename(one)
    (run / "x").rename(other)
    halved(cut)
    gone.unlink()
    assert main(["verify", str(run)]) == 1
    said = capsys.readouterr().out
    for path in (one, other, cut):
        assert f"audio/quiet/{path.name}: not the recording that was made" in said
    assert f"audio/quiet/{gone.name}: gone" in said
    said = desk.run(0, *ASKED, "--out", run.name)
    assert "and 1 more: converted again" in said
    assert contents(run) == before
    assert main(["verify", str(run)]) == 0


def test_a_flip_that_no_time_tells_is_found_when_it_is_read(
    desk: Desk, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    [path, *_] = sorted((run / "audio" / "quiet").iterdir())
    stat = path.stat()
    edited(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert main(["verify", str(run)]) == 1
    assert "To repair: touch those recordings, " in capsys.readouterr().out
    (run / "journal" / "score.jsonl").unlink()
    said = desk.run(1, *ASKED, "--out", run.name)
    assert "not what was converted; the same command converts it again" in said
    desk.run(0, *ASKED, "--out", run.name)
    assert contents(run) == before
    assert main(["verify", str(run)]) == 0


def test_a_copy_with_other_times_is_not_scored_again(desk: Desk) -> None:
    run = shutil.copytree(desk.root / "whole", desk.root / "moved", copy_function=shutil.copy)
    desk.scored()
    for _ in range(2):
        assert "all done and scored before" in desk.run(0, *ASKED, "--out", "moved")
        size = (run / "journal" / "score.jsonl").stat().st_size
    assert desk.scored() == 0
    assert main(["verify", str(run)]) == 0
    assert size == (run / "journal" / "score.jsonl").stat().st_size


def test_a_recording_made_elsewhere_is_scored_again_where_it_is_another(desk: Desk) -> None:
    for number in range(2):
        soundfile.write(desk.root / f"{number}.wav", hum(seed=number), 16_000)
    (desk.root / "made.csv").write_text("system,converted,transcript\nmine,0.wav,a\nmine,1.wav,b\n")
    asked = ("score", "made.csv", "--metrics", "loudness", "--workers", "1", "--out", "given")
    desk.scored()
    desk.run(0, *asked)
    path = desk.root / "1.wav"
    (desk.root / "0.wav").touch()
    soundfile.write(path, hum(seed=5), 16_000)
    assert main(["verify", str(desk.root / "given")]) == 1
    assert f"not what was scored: {path}: scored again" in desk.run(0, *asked)
    assert desk.scored() == 3
    assert main(["verify", str(desk.root / "given")]) == 0


def test_starting_over_leaves_a_folder_alone_that_holds_no_run(desk: Desk) -> None:
    mine = desk.root / "mine" / "audio" / "a.wav"
    mine.parent.mkdir(parents=True)
    mine.touch()
    start_over(RunDirectory(desk.root / "mine"))
    assert mine.exists()


def test_damage_in_a_journal_costs_its_batch(desk: Desk, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    journal = run / "journal" / "score.jsonl"
    edited(journal)
    assert main(["verify", str(run)]) == 1
    assert "journal/score.jsonl: not as it was written: damaged in 1 of its batches" in capsys.readouterr().out
    said = desk.run(0, *ASKED, "--out", run.name)
    assert "score.jsonl: damaged in 1 of its batches: their work is done again" in said
    assert contents(run) == before
    halved(journal)
    assert main(["verify", str(run)]) == 1
    assert "journal/score.jsonl: cut" in capsys.readouterr().out
    desk.run(0, *ASKED, "--out", run.name)
    assert contents(run) == before
    assert main(["verify", str(run)]) == 0


def test_another_plan_is_not_taken_for_that_of_a_damaged_run(desk: Desk, run: Path) -> None:
    halved(run / "run.json")
    said = desk.run(2, *ASKED, "--seed", 7, "--out", run.name)
    assert "run.json: not as it was written" in said
    assert "--fresh" in said
    desk.run(0, *ASKED, "--seed", 7, "--out", run.name, "--fresh")
    assert main(["verify", str(run)]) == 0


def test_damaged_hashes_are_said_and_written_again(desk: Desk, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, whole = contents(run), (run / FILE).read_bytes()
    chance = random.Random(3)
    for _ in range(100):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole) - 1)] ^= 1 << chance.randrange(8)
        (run / FILE).write_bytes(flipped)
        assert Hashes(run).broken
    assert main(["report", str(run)]) == 2
    assert "hashes.json is damaged" in capsys.readouterr().err
    assert main(["verify", str(run)]) == 1
    assert "hashes.json: damaged: written again" in desk.run(0, *ASKED, "--out", run.name)
    assert (run / FILE).read_bytes() == whole or main(["verify", str(run)]) == 0
    assert contents(run) == before


def test_a_run_of_a_version_without_hashes_is_read(desk: Desk, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / FILE).unlink()
    (run / TIMES).unlink()  # which is younger still
    for name in ("convert", "score"):
        path = run / "journal" / f"{name}.jsonl"
        lines = []
        for line in map(json.loads, path.read_text().splitlines()):
            gone = ("sha256", "crc32") + (("stamp", "speed", "worker") if name == "convert" else ())
            lines.append(json.dumps({key: value for key, value in line.items() if key not in gone}))
        path.write_text("\n".join(lines) + "\n")
    with open(run / "audio.csv", encoding="utf-8", newline="") as stream:
        rows = [row[:-1] for row in csv.reader(stream)]
    (run / "audio.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    assert main(["report", str(run)]) == 0
    capsys.readouterr()
    assert main(["verify", str(run)]) == 0
    said = capsys.readouterr().out
    assert "the results were made before hashes were kept" in said
    assert "8 recordings were made before hashes were kept" in said
    desk.scored()
    desk.run(0, *ASKED, "--out", run.name)
    assert desk.scored() == 0
    assert contents(run).keys() == contents(desk.root / "whole").keys()
    assert json.loads((run / TIMES).read_text())["systems"] == []
    assert (run / "scores.parquet").read_bytes() == (desk.root / "whole" / "scores.parquet").read_bytes()
    assert main(["verify", str(run)]) == 0


def test_an_unfinished_run_is_verified_by_its_journal(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    process = desk.start(*ASKED, "--out", "cut", LOUDNESS_PAUSE="60")
    journal = desk.root / "cut" / "journal" / "convert.jsonl"
    while process.poll() is None and len([*read_records(journal)]) < 8:
        time.sleep(0.02)
    assert main(["verify", str(desk.root / "cut")]) == 2
    assert "at work" in capsys.readouterr().err
    process.kill()
    process.wait()
    assert main(["verify", str(desk.root / "cut")]) == 0
    [path, *_] = sorted((desk.root / "cut" / "audio" / "quiet").iterdir())
    edited(path)
    assert main(["verify", str(desk.root / "cut")]) == 1
    assert f"audio/quiet/{path.name}: not the recording" in capsys.readouterr().out
    assert main(["verify", str(desk.root)]) == 2


def test_a_second_process_with_fresh_harms_nothing(desk: Desk, run: Path) -> None:
    before = contents(run)
    with locked(run):
        assert "another vceval is at work" in desk.run(2, *ASKED, "--out", run.name, "--fresh")
    assert contents(run) == before
    assert main(["verify", str(run)]) == 0
    desk.scored()
    desk.run(0, *ASKED, "--out", run.name, "--fresh")
    assert desk.scored() == 8
    assert contents(run) == before


def learnt(run: Path) -> dict[str, object]:
    """What the metric has learnt of the demo corpus."""
    [facts] = json.loads((run / "calibration.json").read_text())["mortal"].values()
    found: dict[str, object] = facts
    return found


def test_a_worker_that_dies_while_it_learns_is_a_failure_that_passes(desk: Desk) -> None:
    asked = [*ASKED[:2], "mortal", *ASKED[3:], "--out", "mortals"]
    run = desk.root / "mortals"
    (desk.root / "mortal").touch()
    for _ in range(2):
        said = desk.run(1, *asked)
        assert "no calibration: the worker process died (killed by SIGKILL)" in said
        assert "not learnt from natural speech: mortal, vceval demo corpus: the worker process died" in said
        assert learnt(run)["fault"] is True
    (desk.root / "mortal").unlink()
    desk.run(0, *asked)
    assert set(learnt(run)) == {"recordings"}
    (desk.root / "mortal").touch()
    (run / "calibration.json").unlink()
    assert "not learnt from natural speech: mortal" in desk.run(1, *asked)
    (desk.root / "mortal").unlink()
    desk.run(0, *asked)
    assert set(learnt(run)) == {"recordings"}
    assert main(["verify", str(run)]) == 0
