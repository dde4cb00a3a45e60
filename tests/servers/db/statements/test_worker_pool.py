"""Workers: a statement that outlives its limit ends with its process, and the next one finds a new process."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portico_servers.db.errors import DatabaseSourceError, LimitError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import DatabaseSource, EngineName
from portico_servers.db.statements.worker_pool import Worker, WorkerLost, WorkerPool

LIMIT = 0.4
# What a statement may take beyond its limit.
LATE = 0.3
CROSS = "FROM order_items AS a, order_items AS b, order_items AS c, order_items AS d"
RUNAWAYS: dict[EngineName, list[str]] = {
    "sqlite": [
        "SELECT printf('%.*c', 400000000, 'x')",  # one call into C that no progress handler interrupts
        "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        f"SELECT count(*) {CROSS}",
    ],
    "duckdb": [
        "SELECT repeat('x', 4000000000)",
        "SELECT count(*) FROM range(100000000000)",
        f"SELECT count(*) {CROSS} WHERE a.quantity > b.quantity + c.quantity",
    ],
    "postgres": [
        "SELECT pg_sleep(30)",
        "SELECT count(*) FROM generate_series(1, 100000000000)",
        f"SELECT count(*) {CROSS} WHERE a.quantity > b.quantity + c.quantity",
    ],
}


@pytest.fixture
def shop(samples: dict[str, Path]) -> Iterator[WorkerPool]:
    pool = WorkerPool(DatabaseSource("shop", "sqlite", str(samples["shop"])))
    yield pool
    pool.close()


@pytest.mark.parametrize("engine", ["sqlite", "duckdb", "postgres"])
def test_a_runaway_ends_within_300_ms_of_its_limit_and_the_next_statement_runs(
    engine: EngineName, request: pytest.FixtureRequest
) -> None:
    fixture = {"sqlite": "samples", "duckdb": "duckdb_samples", "postgres": "postgres_samples"}[engine]
    pool = WorkerPool(DatabaseSource("shop", engine, str(request.getfixturevalue(fixture)["shop"])), size=1)
    for statement in RUNAWAYS[engine]:
        pool.run("SELECT 1", [], StatementLimits())  # the start of a process is not the statement's time
        best = 9.0
        for _ in range(3):  # another process may hold the cores for a moment: the best of three
            start = time.monotonic()
            with pytest.raises((LimitError, WorkerLost)):
                pool.run(statement, [], StatementLimits(seconds=LIMIT))
            best = min(best, time.monotonic() - start)
            pool.run("SELECT 1", [], StatementLimits())
            if best < LIMIT + LATE:
                break
        assert best < LIMIT + LATE, statement
        assert pool.run("SELECT COUNT(*) FROM orders", [], StatementLimits())["rows"] == [[240]]
    pool.close()


def test_cancelling_a_call_ends_its_process_and_nothing_further_starts(samples: dict[str, Path]) -> None:
    from portico_servers.db.databases.databases import Databases
    from portico_servers.db.sources import parse_sources
    from portico_servers.db.statements.cancellation import Cancellation, StatementCancelled

    databases = Databases(parse_sources([str(samples["shop"])]))
    database, call, running = databases.all[0], Cancellation(), threading.Event()
    workers: list[Worker] = []
    started = call.started

    def notice(worker: Worker) -> None:
        started(worker)
        workers.append(worker)
        running.set()

    call.started = notice  # type: ignore[method-assign]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            database.run(RUNAWAYS["sqlite"][1], [], StatementLimits(seconds=30), call)
        except WorkerLost as exc:
            failures.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(60)
    call.cancel()
    thread.join(60)
    assert not thread.is_alive()
    assert len(failures) == 1
    assert not workers[0].alive
    with pytest.raises(StatementCancelled):
        database.run("SELECT 1", [], StatementLimits(), call)
    databases.close()


def test_a_cancel_after_the_answer_leaves_the_worker_to_the_next_call(
    samples: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from portico_servers.db.databases.databases import Databases
    from portico_servers.db.sources import parse_sources
    from portico_servers.db.statements.cancellation import Cancellation

    databases = Databases(parse_sources([str(samples["shop"])]))
    database, call = databases.all[0], Cancellation()
    release = database.pool._release
    returned: list[Worker] = []

    def release_then_cancel(worker: Worker) -> None:
        release(worker)
        returned.append(worker)
        call.cancel()  # from here on another call may have this worker

    monkeypatch.setattr(database.pool, "_release", release_then_cancel)
    assert database.run("SELECT 1", [], StatementLimits(), call)["rows"] == [[1]]
    assert database.explain("SELECT 1", [], StatementLimits(), Cancellation())
    assert returned[0].alive
    assert returned[0] is returned[1]
    databases.close()


def test_cancels_at_any_moment_end_no_other_calls_statement(samples: dict[str, Path]) -> None:
    from portico_servers.db.databases.databases import Databases
    from portico_servers.db.sources import parse_sources
    from portico_servers.db.statements.cancellation import Cancellation, StatementCancelled

    databases = Databases(parse_sources([str(samples["shop"])]))
    database = databases.all[0]
    problems: list[str] = []
    answered: list[object] = []

    def client(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            call, cancelled = Cancellation(), chance.random() < 0.15
            # Around the time that a warm worker takes to answer: many cancels come just before or after the answer.
            timer = threading.Timer(chance.random() * 0.004, call.cancel)
            if cancelled:
                timer.start()
            try:
                answered.append(database.run("SELECT COUNT(*) FROM orders", [], StatementLimits(), call)["rows"])
            except (WorkerLost, StatementCancelled) as exc:
                if not cancelled:
                    problems.append(repr(exc))
            if cancelled:
                timer.join()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert len(answered) > 250
    assert all(rows == [[240]] for rows in answered)
    databases.close()


def test_statements_run_side_by_side_up_to_the_pools_size(shop: WorkerPool) -> None:
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(shop.run("SELECT COUNT(*) FROM orders", [], StatementLimits())["rows"]))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [[[240]]] * 12


def test_a_worker_that_was_killed_from_outside_is_an_error_and_is_replaced(shop: WorkerPool) -> None:
    shop.run("SELECT 1", [], StatementLimits())
    children = [
        child for child in psutil.Process().children() if "portico_servers.db.statements.worker_process" in child.cmdline()
    ]
    for child in children:
        child.kill()
        child.wait(60)
    assert shop.run("SELECT 1", [], StatementLimits())["rows"] == [[1]]


def test_workers_end_with_their_parent_even_in_the_middle_of_a_statement(samples: dict[str, Path]) -> None:
    script = f"""
import sys, threading, os
from portico_servers.db.statements.worker_pool import WorkerPool
from portico_servers.db.sources import parse_sources
from portico_servers.db.limits import StatementLimits
pool = WorkerPool(parse_sources([{str(samples["shop"])!r}])[0])
def started(worker):
    print(worker._process.pid, flush=True)
pool.run({RUNAWAYS["sqlite"][1]!r}, [], StatementLimits(seconds=120), on_start=started)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(60)
    parent.stdout.close()
    worker.wait(60)
    assert not psutil.pid_exists(worker.pid)


def test_rows_bytes_and_cells_beyond_the_limits_are_cut_and_marked(shop: WorkerPool) -> None:
    found = shop.run("SELECT * FROM orders", [], StatementLimits(rows=10))
    assert (len(found["rows"]), found["truncated"]) == (10, True)
    assert shop.run("SELECT * FROM orders LIMIT 10", [], StatementLimits(rows=10))["truncated"] is False
    found = shop.run("SELECT hex(zeroblob(500)) FROM orders", [], StatementLimits(rows=1000, bytes=10_000))
    assert 1 < len(found["rows"]) < 12
    assert found["truncated"] is True
    found = shop.run("SELECT hex(zeroblob(50000)), zeroblob(100)", [], StatementLimits())
    assert found["truncated"] is True
    assert len(found["rows"][0][0]) < 5_000
    assert found["rows"][0][1].endswith("(100 bytes)")


def test_a_statement_that_needs_too_much_memory_is_a_limit_error(shop: WorkerPool) -> None:
    bomb = "SELECT group_concat(hex(zeroblob(7000000))) FROM orders"
    with pytest.raises((LimitError, WorkerLost)):
        shop.run(bomb, [], StatementLimits(seconds=20))
    assert shop.run("SELECT 1", [], StatementLimits())["rows"] == [[1]]


@pytest.mark.parametrize("parameters", [[1, 2], [], [[1]], {"a": 1}])
def test_wrong_parameters_are_an_error_of_the_statement(shop: WorkerPool, parameters: object) -> None:
    with pytest.raises(StatementError):
        shop.run("SELECT ?", parameters, StatementLimits())
    assert shop.run("SELECT ? || ?", ["a", "b"], StatementLimits())["rows"] == [["ab"]]


def test_a_file_that_vanished_is_a_source_error(tmp_path: Path) -> None:
    pool = WorkerPool(DatabaseSource("gone", "sqlite", str(tmp_path / "gone.db")))
    with pytest.raises(DatabaseSourceError, match="no such file"):
        pool.schema()
    pool.close()


def test_an_idle_worker_lets_go_of_a_duckdb_file_so_that_others_may_write(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "x.duckdb"
    duckdb.connect(str(path)).execute("CREATE TABLE t (a INTEGER)").close()
    pool = WorkerPool(DatabaseSource("x", "duckdb", str(path)))
    assert pool.run("SELECT COUNT(*) FROM t", [], StatementLimits())["rows"] == [[0]]
    with pytest.raises(duckdb.IOException, match="lock"):
        duckdb.connect(str(path))
    pool.release_idle(0.0)
    with duckdb.connect(str(path)) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
    assert pool.run("SELECT COUNT(*) FROM t", [], StatementLimits())["rows"] == [[1]]
    pool.close()
