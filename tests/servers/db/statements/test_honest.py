"""Two hundred honest statements: window functions, nested CTEs, WITHIN GROUP, JSON, catalogs, plans. None is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import WorkerPool

STATEMENTS = Path(__file__).parent


def honest(kind: str) -> list[str]:
    return (STATEMENTS / f"honest_{kind}.sql").read_text(encoding="utf-8").splitlines()


def test_the_list_holds_two_hundred_different_statements() -> None:
    every = [statement for kind in ("common", "sqlite", "duckdb", "postgres") for statement in honest(kind)]
    assert len(set(every)) >= 200


@pytest.mark.parametrize("engine", ["sqlite", "duckdb", "postgres"])
def test_no_honest_statement_is_refused(engine: str, request: pytest.FixtureRequest) -> None:
    fixture = {"sqlite": "samples", "duckdb": "duckdb_samples", "postgres": "postgres_samples"}[engine]
    source = DatabaseSource("shop", engine, str(request.getfixturevalue(fixture)["shop"]))  # type: ignore[arg-type]
    pool = WorkerPool(source, size=1)
    refused = []
    for statement in [*honest("common"), *honest(engine)]:
        try:
            found = pool.run(statement, [], StatementLimits(seconds=20))
        except DbError as exc:
            refused.append((statement, f"{type(exc).__name__}: {exc}"))
        else:
            assert found["columns"]
    pool.close()
    assert not refused
