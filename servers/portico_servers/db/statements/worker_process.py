"""The process that runs statements for one source: requests on its stdin, answers on a private copy of its stdout.

It owns one engine and can be killed at any moment: it holds nothing but a read-only connection. It knows nothing of MCP.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from portico_servers.db.engines.base import DatabaseEngine
from portico_servers.db.errors import DatabaseSourceError, DbError, StatementError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.schema import to_json
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.frames import encode_frame, read_frame

_MEMORY = {"sqlite": 1 << 30, "duckdb": 6 << 30, "postgres": 2 << 30}  # bytes of address space


def open_engine(source: DatabaseSource) -> DatabaseEngine:
    """The source's engine, connected. DatabaseSourceError where it can't be."""
    if source.writable:
        return _open_writer(source)
    if source.engine == "sqlite":
        from portico_servers.db.engines.sqlite import SQLiteEngine

        return SQLiteEngine(Path(source.target))
    try:
        if source.engine == "duckdb":
            from portico_servers.db.engines.duckdb import DuckDBEngine

            return DuckDBEngine(Path(source.target))
        from portico_servers.db.engines.postgres import PostgresEngine

        return PostgresEngine(source.target, allow_powerful_role=source.allow_powerful_role)
    except ModuleNotFoundError as exc:
        raise DatabaseSourceError(f"{source.name}: {exc.name} is not installed: pip install 'portico-mcp[db]'") from None


def _open_writer(source: DatabaseSource) -> DatabaseEngine:
    if source.engine == "sqlite":
        from portico_servers.db.engines.sqlite_writer import SQLiteWriter

        return SQLiteWriter(Path(source.target))
    assert source.engine == "postgres"
    from portico_servers.db.engines.postgres_writer import PostgresWriter

    return PostgresWriter(source.target)


def handle_request(engine: DatabaseEngine, request: dict[str, Any]) -> Any:
    """One request's result, JSON-ready."""
    op = request["op"]
    if op == "schema":
        return {**to_json(engine.schema()), "warning": engine.warning}
    if op == "version":
        return engine.schema_version()
    limits, sql = StatementLimits(**request["limits"]), _checked_sql(request["sql"])
    if op == "run":
        return asdict(engine.run(sql, request["parameters"], limits))
    assert op == "explain"
    return engine.explain(sql, request["parameters"], limits)


def _checked_sql(sql: str) -> str:
    """The text, unless a C library would see another one than we do."""
    if "\0" in sql:
        raise StatementError("the statement holds a NUL character")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise StatementError("the statement holds half of a surrogate pair") from None
    return sql


def serve_requests(source: DatabaseSource, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the parent closes the pipe."""
    try:
        engine = open_engine(source)
    except DbError as exc:
        _write(answers, _failure(exc))
        return
    _write(answers, {"ok": "ready"})
    while (request := read_frame(requests)) is not None:
        try:
            reply = {"ok": handle_request(engine, request)}
        except DbError as exc:
            reply = _failure(exc)
        except MemoryError:
            reply = {"error": "LimitError", "message": "the statement needs more memory than it may have"}
        _write(answers, reply)
    engine.close()


def _write(stream: IO[bytes], value: Any) -> None:
    stream.write(encode_frame(value))
    stream.flush()


def _failure(exc: DbError) -> dict[str, str]:
    return {"error": type(exc).__name__, "message": str(exc)}


def confine(source: DatabaseSource) -> None:
    """Bounds that the operating system keeps: memory, no core files, no (SQLite: small, for a WAL's -shm) files written."""
    try:
        import resource
    except ImportError:  # not a POSIX system: the engine's own limits remain
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower_limit(resource.RLIMIT_AS, _MEMORY[source.engine])
    if not source.writable:
        _lower_limit(resource.RLIMIT_FSIZE, 1 << 20 if source.engine == "sqlite" else 0)


def _lower_limit(which: int, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError):
        pass  # macOS refuses some: the engine's own limits remain


def _exit_with_parent(parent: int) -> None:
    """End this process soon after its parent is gone, even in the middle of a statement."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Entry: the source arrives as the first frame, so that a DSN's password is in no process list."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not land among the answers
    requests = sys.stdin.buffer
    first = read_frame(requests)
    if first is None:
        return
    source = DatabaseSource(**first)
    confine(source)
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    serve_requests(source, requests, answers)


if __name__ == "__main__":
    main()
