"""At least sixty attacks per engine, run as a host's statement would be: all refused, nothing changed or read."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portico_servers.db.errors import DatabaseSourceError, LimitError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import WorkerLost, WorkerPool

STATEMENTS = Path(__file__).parent
LIMITS = StatementLimits(rows=50, bytes=100_000, seconds=0.5)
CANARY = "canary-4711"
# How an attack may fail other than by a refusal of ours: what it calls isn't there, or may not be used by this role.
NOT_THERE = re.compile(
    r"no such (function|table|module)|does not exist|must be|permission denied|not allowed|unrecognized|could not|cannot|"
    r"not (a|been|yet|supported|found|in)|no such|doesn't|Expected a single SELECT|Catalog Error|Binder Error|IO Error|HTTP",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """A database to attack, and the folder that must stay as it is."""

    pool: WorkerPool
    folder: Path
    outside: Path

    def fill(self, statement: str) -> str:
        names = {"dir": self.folder, "secret": self.outside / "secret.txt", "secret_db": self.outside / "secret.db"}
        for name, path in names.items():
            statement = statement.replace(f"{{{name}}}", str(path))
        return statement

    def snapshot(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def target(
    request: pytest.FixtureRequest, tmp_path: Path, samples: dict[str, Path], duckdb_samples: dict[str, Path]
) -> Iterator[Target]:
    folder, outside = tmp_path / "inside", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text(f"{CANARY}\n")
    shutil.copy(samples["music"], outside / "secret.db")
    if request.param == "postgres":
        source = DatabaseSource("shop", "postgres", request.getfixturevalue("postgres_samples")["shop"])
    else:
        path = (samples if request.param == "sqlite" else duckdb_samples)["shop"]
        shutil.copy(path, folder / path.name)
        source = DatabaseSource("shop", request.param, str(folder / path.name))
    pool = WorkerPool(source, size=1)
    yield Target(pool, folder, outside)
    pool.close()


def attacks(engine: str) -> list[str]:
    return (STATEMENTS / f"attacks_{engine}.sql").read_text(encoding="utf-8").splitlines()


def test_every_attack_is_refused_and_nothing_is_changed_or_read(target: Target) -> None:
    statements = attacks(target.pool.source.engine)
    assert len(set(statements)) >= 60
    before, counts = target.snapshot(), row_counts(target.pool)
    wrong = []
    for statement in statements:
        try:
            found = target.pool.run(target.fill(statement), [], LIMITS)
        except (ReadOnlyError, LimitError, WorkerLost):
            continue
        except StatementError as exc:
            if "syntax error" in str(exc).lower() or not NOT_THERE.search(str(exc)):
                wrong.append((statement, f"{type(exc).__name__}: {exc}"))
            continue
        wrong.append((statement, f"ran: {found['rows'][:2]}"))
    assert not wrong
    assert target.snapshot() == before
    assert row_counts(target.pool) == counts


def row_counts(pool: WorkerPool) -> list[list[int]]:
    tables = ("customers", "categories", "products", "orders", "order_items")
    return [pool.run(f"SELECT COUNT(*) FROM {table}", [], StatementLimits())["rows"] for table in tables]


@pytest.mark.parametrize("statement", ["SELECT 1\0; DROP TABLE orders", "SELECT '\ud800'", "", "   ", "-- nothing", ";"])
def test_a_broken_text_is_an_error_and_the_worker_goes_on(target: Target, statement: str) -> None:
    with pytest.raises(StatementError):
        target.pool.run(statement, [], LIMITS)
    assert target.pool.run("SELECT 41 + 1", [], LIMITS)["rows"] == [[42]]


def test_a_role_that_read_only_does_not_hold_is_refused_unless_allowed(postgres: str) -> None:
    refusing = WorkerPool(DatabaseSource("pg", "postgres", postgres))
    with pytest.raises(DatabaseSourceError, match="is a superuser"):
        refusing.schema()
    refusing.close()
    pool = WorkerPool(DatabaseSource("pg", "postgres", postgres, allow_powerful_role=True))
    assert "superuser" in pool.schema()["warning"]
    pool.close()


def test_a_role_that_may_run_dblink_is_refused(postgres: str) -> None:
    """Its extension lets everybody run it once it is there, and what it runs elsewhere is in no transaction of ours."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE linked")
    dsn = postgres.removesuffix("postgres") + "linked"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION dblink_exec(TEXT, TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT 1::text'")
        refused = WorkerPool(DatabaseSource("linked", "postgres", dsn.replace("//postgres@", "//reader@")))
        with pytest.raises(DatabaseSourceError, match="may run dblink_exec"):
            refused.schema()
        refused.close()
        connection.execute("REVOKE EXECUTE ON FUNCTION dblink_exec FROM PUBLIC")
        pool = WorkerPool(DatabaseSource("linked", "postgres", dsn.replace("//postgres@", "//reader@")))
        assert pool.schema()["warning"] is None
        with pytest.raises(ReadOnlyError):
            pool.run("SELECT dblink_exec('dbname=linked', 'DROP TABLE x')", [], LIMITS)
        pool.close()


def test_a_foreign_table_is_not_written_even_by_a_role_that_may(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE foreign_tables")
    dsn = postgres.removesuffix("postgres") + "foreign_tables"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE FOREIGN DATA WRAPPER hollow; CREATE SERVER away FOREIGN DATA WRAPPER hollow")
        connection.execute("CREATE FOREIGN TABLE far (a INT) SERVER away; GRANT ALL ON far TO reader")
        connection.execute("GRANT USAGE ON FOREIGN DATA WRAPPER hollow TO reader; GRANT USAGE ON FOREIGN SERVER away TO reader")
        connection.execute("GRANT CREATE ON SCHEMA public TO reader")
    pool = WorkerPool(DatabaseSource("far", "postgres", dsn.replace("//postgres@", "//reader@")))
    assert [table["name"] for table in pool.schema()["tables"]] == ["far"]
    for statement in (
        "INSERT INTO far VALUES (1) RETURNING a",
        "UPDATE far SET a = 2 RETURNING a",
        "TRUNCATE far",
        "CREATE SERVER second FOREIGN DATA WRAPPER hollow",
        "CREATE FOREIGN TABLE near (a INT) SERVER away",
        "CREATE USER MAPPING FOR reader SERVER away",
    ):
        with pytest.raises(StatementError):
            pool.run(statement, [], LIMITS)
    assert [table["name"] for table in pool.schema()["tables"]] == ["far"]
    pool.close()


def test_settings_and_locks_of_one_statement_do_not_outlive_it(postgres_samples: dict[str, str]) -> None:
    pool = WorkerPool(DatabaseSource("pg", "postgres", postgres_samples["shop"]), size=1)
    pool.run("SELECT set_config('statement_timeout', '0', false), pg_advisory_lock(77)", [], LIMITS)
    assert pool.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", [], LIMITS)["rows"] == [[0]]
    with pytest.raises(LimitError):
        pool.run("SELECT pg_sleep(20)", [], LIMITS)
    pool.close()
