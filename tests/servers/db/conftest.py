"""Sample databases of every engine, written once a session; tests must not change them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.data.db_samples import SAMPLES, write_duckdb, write_postgres, write_sqlite
from tests.servers.db.postgres import running


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three samples as SQLite files, by name."""
    folder = tmp_path_factory.mktemp("sqlite")
    return {name: write_sqlite(folder, name) for name in SAMPLES}


@pytest.fixture(scope="session")
def duckdb_samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three samples as DuckDB files, by name."""
    folder = tmp_path_factory.mktemp("duckdb")
    return {name: write_duckdb(folder, name) for name in SAMPLES}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A running PostgreSQL with a database for each sample: the DSN of its superuser, for the database `postgres`."""
    import psycopg

    with running() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN")
            for name in SAMPLES:
                connection.execute(f"CREATE DATABASE {name}")
        for name in SAMPLES:
            with psycopg.connect(dsn.removesuffix("postgres") + name, autocommit=True) as connection:
                write_postgres(connection, name)
                connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        yield dsn


@pytest.fixture(scope="session")
def postgres_samples(postgres: str) -> dict[str, str]:
    """The three samples as DSNs of a role that may only read, by name."""
    return {name: reader(postgres, name) for name in SAMPLES}


def reader(dsn: str, database: str) -> str:
    """The DSN for the role that only reads."""
    return dsn.replace("//postgres@", "//reader@").removesuffix("postgres") + database
