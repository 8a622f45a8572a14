"""Worker processes that crash, hang or are left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vceval.runner.pool import Lost, Pool

SOURCE = """
import os, signal, time

def plain(offset):
    def work(task):
        if task == "die": os.kill(os.getpid(), signal.SIGKILL)
        if task == "leave": os._exit(3)
        if task == "hang": time.sleep(60)
        if task == "pid": return os.getpid()
        return task + offset
    return work
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
    assert results["hang"] == Lost("not done within 1.5 s")


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
