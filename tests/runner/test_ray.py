"""Runs on a Ray cluster: the same results as on this machine, also where a node dies in mid-run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from plugin import write_plugin

from vceval.cli.main import main
from vceval.runner.journal import read_records

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra vceval[ray])")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ray")
    write_plugin(place / "site")
    systems = {"slow": {"converter": "quiet", "each": 0.1}}
    (place / "systems.yaml").write_text(yaml.safe_dump({"systems": systems}))
    return place


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Any]:
    """Two nodes on this machine, with one processor each; their working directory is not that of the runs."""
    from ray.cluster_utils import Cluster

    (folder / "elsewhere").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "site"))
        patch.chdir(folder / "elsewhere")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
        for node in [*made.worker_nodes, made.head_node]:
            made.remove_node(node, allow_graceful=False)  # a graceful end can wait for ever


def start(folder: Path, out: str, *more: str) -> warm.Command:
    arguments = ["run", "--converters", "source", "--systems", "systems.yaml", "--metrics", "loudness,sanity"]
    environment = {
        **os.environ, "PYTHONPATH": str(folder / "site"), "VCEVAL_CACHE": "off", "LOUDNESS_PAUSE": "0.02",
    }  # fmt: skip
    return warm.Command([*arguments, "--limit", "24", "--out", out, *more], folder, environment)


def finish(process: warm.Command) -> None:
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said


def test_a_node_that_dies_in_mid_run_costs_nothing(folder: Path, cluster: Any) -> None:
    finish(start(folder, "here"))
    undisturbed = (folder / "here" / "scores.parquet").read_bytes()
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    process = start(folder, "there", "--executor", "ray", "--ray-address", cluster.address)
    journal = folder / "there" / "journal" / "convert.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.poll() is None, "the run was over before a node could die"
    cluster.remove_node(node, allow_graceful=False)
    finish(process)
    assert (folder / "there" / "scores.parquet").read_bytes() == undisturbed
    items = [(record["system"], record["pair"]) for record in read_records(journal)]
    assert len(items) == len(set(items)) == 48
    assert not list((folder / "elsewhere").iterdir())


def test_a_run_begun_here_goes_on_there(folder: Path, cluster: Any) -> None:
    process = start(folder, "moved")
    journal = folder / "moved" / "journal" / "convert.jsonl"
    while not (journal.exists() and journal.stat().st_size) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    finish(start(folder, "moved", "--executor", "ray", "--ray-address", cluster.address))
    assert (folder / "moved" / "scores.parquet").read_bytes() == (folder / "here" / "scores.parquet").read_bytes()
    assert not list((folder / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ray-address", "auto"), "goes with --executor ray only"),
        (("--executor", "ray", "--ray-address", "127.0.0.1:1"), "no Ray cluster is to be found there"),
        (("--executor", "ray", "--device", "cuda:1"), "must be cpu, cuda or auto"),
    ],
)
def test_wrong_use_is_explained(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["run", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert words in capsys.readouterr().err
