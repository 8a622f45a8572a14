"""Worker processes that crash, hang or are left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from vceval.runner.pool import Lost, Pool

SOURCE = """
import os, signal, threading, time

def plain(offset):
    def work(task):
        if task == "die": os.kill(os.getpid(), signal.SIGKILL)
        if task == "leave": os._exit(3)
        if task == "hang": time.sleep(60)
        if task == "pid" or str(task).startswith("kind"): time.sleep(0.02); return os.getpid()
        if task == "offset": time.sleep(0.005); return offset
        return task + offset
    return work

def variable(name):
    return lambda task: os.environ.get(name)

class Overlapped:
    ahead = 2
    def fetch(self, task):
        time.sleep(0.1)
        return task
    def compute(self, task, fetched):
        if fetched == "die": os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return fetched * 10, threading.get_ident()
    def store(self, task, computed):
        time.sleep(0.1)
        return computed[0] + 1, computed[1]
"""


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[object], object]]:
    """A handler in a module that worker processes can import."""
    (tmp_path / "pool_handlers.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("pool_handlers", None)
    import pool_handlers  # type: ignore[import-not-found]

    found: Callable[..., Callable[[object], object]] = pool_handlers.plain
    return found


def test_every_task_has_one_result(handler: Callable[..., Callable[[object], object]]) -> None:
    with Pool(2, handler, (100,)) as pool:
        assert sorted(pool.run(range(20))) == [(n, n + 100) for n in range(20)]
        assert list(pool.run([])) == []
        assert list(pool.run([5])) == [(5, 105)]


def test_a_worker_that_dies_costs_its_task_alone(handler: Callable[..., Callable[[object], object]]) -> None:
    with Pool(2, handler, (0,), lambda task: 1.5 if task == "hang" else None) as pool:
        results = dict(pool.run([1, "die", 2, "leave", 3, "hang", 4]))
    assert {n: results[n] for n in (1, 2, 3, 4)} == {1: 1, 2: 2, 3: 3, 4: 4}
    assert results["die"] == Lost("the worker process died (killed by SIGKILL)")
    assert results["leave"] == Lost("the worker process died (exit code 3)")
    assert results["hang"] == Lost("not done within 1.5 s", hung=True)


def test_tasks_are_taken_as_they_are_needed(handler: Callable[..., Callable[[object], object]]) -> None:
    taken = 0

    def coming() -> Iterator[int]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield taken

    with Pool(2, handler, (0,)) as pool:
        results = pool.run(coming())
        assert [next(results)[0] for _ in range(3)]
        assert taken < 100
        assert len(list(results)) == 997


def test_every_worker_has_arguments_of_its_own(handler: Callable[..., Callable[[object], object]]) -> None:
    with Pool(2, handler, lambda slot: (100 * slot,), lambda task: None) as pool:
        found = [result for task, result in pool.run(["offset"] * 50 + ["die"] + ["offset"] * 50) if task == "offset"]
    assert set(found) == {0, 100}, "one that is started again takes the place of the one that died"


def test_what_is_alike_goes_to_one_worker(handler: Callable[..., Callable[[object], object]]) -> None:
    tasks = [f"kind {kind}" for kind in "aaaabbbbccccdddd"]
    workers: dict[str, set[int]] = {}
    with Pool(2, handler, (0,), alike=lambda task: task) as pool:
        for task, result in pool.run(tasks):
            workers.setdefault(task, set()).add(result)
    assert sum(map(len, workers.values())) <= 5, "each kind at one worker, but for the last ones"
    assert len(set.union(*workers.values())) == 2


def test_reading_and_writing_beside_the_work(handler: Callable[..., Callable[[object], object]]) -> None:
    import pool_handlers

    with Pool(1, pool_handlers.Overlapped, (), lambda task: 5.0, ahead=2) as pool:
        began = time.monotonic()
        results = dict(pool.run(range(12)))
        took = time.monotonic() - began
        assert {task: result[0] for task, result in results.items()} == {n: n * 10 + 1 for n in range(12)}
        assert len({result[1:] for result in results.values()}) == 1, "one thread works"
        lost = dict(pool.run([20, "die", 21, 22]))
        dead = Lost("the worker process died (killed by SIGKILL)")
        assert lost["die"] == dead
        assert lost[20] in (dead, (201, lost[21][1])), "its result was being written when the worker died"
        assert (lost[21][0], lost[22][0]) == (211, 221)
    assert took < 12 * 0.3, "each takes three times 0.1 s; overlapped, about 0.1 s"


@pytest.mark.parametrize("begun", [True, False])
def test_an_interrupt_while_a_worker_starts_leaves_none_behind(
    handler: Callable[..., Callable[[object], object]], monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    real = BaseProcess.start

    def interrupted(process: BaseProcess) -> None:
        if begun:
            real(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(BaseProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Pool(1, handler, (0,)) as pool:
        list(pool.run([1]))
    assert multiprocessing.active_children() == []


def test_an_interrupt_that_reaches_a_worker_while_it_starts_is_not_its_business(
    handler: Callable[..., Callable[[object], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches all processes of a terminal, also those that have not come to look away from it yet."""
    real = BaseProcess.start

    def started(process: BaseProcess) -> None:
        real(process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)

    monkeypatch.setattr(BaseProcess, "start", started)
    with Pool(1, handler, (5,)) as pool:
        assert list(pool.run([1])) == [(1, 6)]


def test_a_worker_has_the_environment_of_today(
    handler: Callable[..., Callable[[object], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of the time when the server of workers was started."""
    import pool_handlers

    with Pool(1, handler, (0,)) as pool:
        list(pool.run([1]))
    monkeypatch.setenv("VCEVAL_MADE_UP", "here")
    with Pool(1, pool_handlers.variable, ("VCEVAL_MADE_UP",)) as pool:
        assert list(pool.run(["a"])) == [("a", "here")]
    monkeypatch.delenv("VCEVAL_MADE_UP")
    with Pool(1, pool_handlers.variable, ("VCEVAL_MADE_UP",)) as pool:
        assert list(pool.run(["a"])) == [("a", None)]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked from a server on Linux only")
def test_a_server_of_workers_that_is_killed_costs_what_its_workers_were_at(
    handler: Callable[..., Callable[[object], object]],
) -> None:
    with Pool(1, handler, (0,)) as pool:
        [(_, worker)] = pool.run(["pid"])
        server = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        assert server != os.getpid()
        os.kill(server, signal.SIGKILL)
        results = dict(pool.run([1, 2, 3]))
        assert set(results) == {1, 2, 3}
        assert sum(isinstance(result, Lost) for result in results.values()) <= 1
        assert list(pool.run([4])) == [(4, 4)]


def test_without_a_place_for_a_socket_workers_start_from_nothing(
    handler: Callable[..., Callable[[object], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> None:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", nowhere)
    with Pool(2, handler, (0,)) as pool:
        assert dict(pool.run([1, "die", 2])) == {1: 1, 2: 2, "die": Lost("the worker process died (killed by SIGKILL)")}


def test_workers_end_when_the_main_process_is_killed(
    tmp_path: Path, handler: Callable[..., Callable[[object], object]]
) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        textwrap.dedent("""
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from vceval.runner.pool import Pool
        import pool_handlers
        if __name__ == "__main__":
            pool = Pool(1, pool_handlers.plain, (0,))
            print(next(iter(pool.run(["pid"])))[1], flush=True)
            time.sleep(60)
        """)
    )
    main = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert main.stdout is not None
    worker = int(main.stdout.readline())
    main.send_signal(signal.SIGKILL)
    main.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(worker):
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
