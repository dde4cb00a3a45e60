"""PostgreSQL, read-only by the server itself: every statement in a READ ONLY transaction that is rolled back.

What READ ONLY leaves to any role: ending its own other sessions, advisory locks (given back here), messages in the WAL for
logical decoding (`pg_logical_emit_message`: an owner who minds revokes it). Roles that could leave the database (superusers,
members of the server-file and server-program roles, who may run dblink) are refused unless the owner allows them.

It owns one connection; what the tables are like is in `postgres_schema.py`.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.string import TextLoader

from portico_servers.db.engines import postgres_schema
from portico_servers.db.engines.base import Parameters, StatementResult, collect
from portico_servers.db.errors import DatabaseSourceError, LimitError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.schema import DatabaseSchema

_OPTIONS = (
    "-c default_transaction_read_only=on -c lock_timeout=2s -c idle_in_transaction_session_timeout=60s "
    "-c client_connection_check_interval=100ms -c datestyle=ISO -c intervalstyle=postgres"
)
_CONNECT_SECONDS = 10
# Shown as the server writes them: Python's own types can't hold infinity, years BC or intervals of months.
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")
_POWERS = """
SELECT CASE WHEN rolsuper THEN 'is a superuser' END FROM pg_catalog.pg_roles WHERE rolname = current_user
UNION ALL
SELECT 'is a member of ' || r.rolname FROM pg_catalog.pg_roles AS r
WHERE r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
  AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
UNION ALL
SELECT 'may run ' || p.proname FROM pg_catalog.pg_proc AS p
WHERE p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export',
                    'pg_file_write', 'dblink', 'dblink_exec', 'dblink_connect', 'dblink_send_query')
  AND pg_catalog.has_function_privilege(current_user, p.oid, 'EXECUTE')
"""


class PostgresEngine:
    """One connection to one database."""

    warning: str | None = None

    def __init__(self, dsn: str, *, allow_powerful_role: bool = False) -> None:
        self._dsn = dsn
        self._connection = self._connect()
        powers = self._powers()
        if powers and not allow_powerful_role:
            self._connection.close()
            raise DatabaseSourceError(
                f"{without_secrets(dsn)}: the role {'; '.join(powers)}: READ ONLY does not hold it. Use a role that may only "
                "SELECT, or allow it with --allow-powerful-role"
            )
        if powers:
            self.warning = f"connected as a role that {'; '.join(powers)}"

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            connection = psycopg.connect(
                self._dsn, autocommit=True, options=_OPTIONS, connect_timeout=_CONNECT_SECONDS, application_name="portico-db"
            )
        except psycopg.Error as exc:
            wanted = "expected a PostgreSQL database that can be reached"
            raise DatabaseSourceError(f"{without_secrets(self._dsn)}: {_line(exc)}; {wanted}") from None
        for name in _AS_TEXT:
            connection.adapters.register_loader(name, TextLoader)
        return connection

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The connection; a new one where the server ended the last."""
        if self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _powers(self) -> list[str]:
        found = [row[0] for row in self._connection.execute(_POWERS).fetchall() if row[0]]
        return list(dict.fromkeys(found))[:4]

    def schema(self) -> DatabaseSchema:
        """All tables and views that the role may read."""
        try:
            return postgres_schema.read(self._connected())
        except psycopg.Error as exc:
            raise translated(exc, 30.0) from None

    def schema_version(self) -> str:
        try:
            return postgres_schema.version(self._connected())
        except psycopg.Error as exc:
            raise translated(exc, 30.0) from None

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """One statement with `$1` placeholders."""
        start = time.monotonic()
        try:
            self._begin(limits)
            columns = self._prepared(sql)
            rows, truncated = self._stream(columns, sql, parameters, limits)
        except psycopg.Error as exc:
            raise translated(exc, limits.seconds) from None
        except (ValueError, OverflowError) as exc:
            raise StatementError(_line(exc)) from None
        finally:
            self._leave()
        return StatementResult(columns, rows, truncated, time.monotonic() - start)

    def _begin(self, limits: StatementLimits) -> None:
        self._connected().execute("BEGIN TRANSACTION READ ONLY")
        self._connection.execute(f"SET LOCAL statement_timeout = {max(int(limits.seconds * 1000), 1)}")

    def _prepared(self, sql: str) -> list[str]:
        """Let the server parse the statement alone: it refuses a second one behind it, and tells what rows come.

        Of SET, COPY, DO, LOCK and the like none come: they are refused before they run.
        """
        connection, encoding = self._connection.pgconn, self._connection.info.encoding
        prepared = connection.prepare(b"", sql.encode(encoding))
        if prepared.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(prepared, encoding)
        described = connection.describe_prepared(b"")
        if described.nfields == 0:
            raise ReadOnlyError("refused, this connection only reads: the statement returns no rows")
        return [(described.fname(i) or b"").decode(encoding) for i in range(described.nfields)]

    def _stream(
        self, columns: list[str], sql: str, parameters: Parameters, limits: StatementLimits
    ) -> tuple[list[list[Any]], bool]:
        with psycopg.RawCursor(self._connection) as cursor:
            stream = cursor.stream(sql.encode(self._connection.info.encoding), parameters or None)
            with contextlib.closing(stream) as rows:  # type: ignore[type-var]
                return collect(columns, rows, limits)

    def _leave(self) -> None:
        """Undo everything: settings, cursors, locks of the session."""
        try:
            if self._connection.closed:
                return
            if self._connection.info.transaction_status != pq.TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
            self._connection.execute("SELECT pg_catalog.pg_advisory_unlock_all()")
        except psycopg.Error:
            self._connection.close()  # the next statement connects anew

    def explain(self, sql: str, parameters: Parameters, limits: StatementLimits) -> list[str]:
        """EXPLAIN; with GENERIC_PLAN where the statement has placeholders but no values came."""
        if parameters or "$1" not in sql:
            return [str(row[0]) for row in self.run("EXPLAIN " + sql, parameters, limits).rows]
        try:
            self._begin(limits)
            self._prepared(sql)  # one statement alone, so the simple protocol below, which takes several, gets one too
            encoding = self._connection.info.encoding
            plan = self._connection.pgconn.exec_(f"EXPLAIN (GENERIC_PLAN) {sql}".encode(encoding))
            if plan.status != pq.ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(plan, encoding)
            return [(plan.get_value(i, 0) or b"").decode(encoding) for i in range(plan.ntuples)]
        except psycopg.Error as exc:
            raise translated(exc, limits.seconds) from None
        finally:
            self._leave()

    def close(self) -> None:
        self._connection.close()


def without_secrets(dsn: str) -> str:
    """`postgresql://host:port/database`, as far as the DSN says so."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        return "postgresql://…"
    return f"postgresql://{parts.get('host', '')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _line(exc: BaseException) -> str:
    return str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__


def translated(exc: psycopg.Error, seconds: float) -> StatementError:
    """The server's error as one of ours."""
    if isinstance(exc, psycopg.errors.QueryCanceled | psycopg.errors.AdminShutdown):
        return LimitError(f"stopped; the limit for one statement is {seconds:g} s")
    if isinstance(exc, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.InsufficientPrivilege):
        return ReadOnlyError(f"refused, this connection only reads: {_line(exc)}")
    if "multiple commands" in str(exc):
        return ReadOnlyError("only one statement at a time is run")
    return StatementError(_line(exc))
