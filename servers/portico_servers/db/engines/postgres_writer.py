"""PostgreSQL for the tool `write`: INSERT, UPDATE, DELETE and MERGE of one statement in one transaction, and nothing else."""

from __future__ import annotations

import time

import psycopg

from portico_servers.db.engines.base import Parameters, StatementResult
from portico_servers.db.engines.postgres import PostgresEngine, translated
from portico_servers.db.errors import ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits

_CHANGING = ("INSERT", "UPDATE", "DELETE", "MERGE")


class PostgresWriter(PostgresEngine):
    """One connection that may change rows, as far as its role may."""

    def run(self, sql: str, parameters: Parameters, limits: StatementLimits) -> StatementResult:
        """Run it whole or not at all; the one row that comes back is the number of rows it changed."""
        start = time.monotonic()
        connection = self._connected()
        try:
            connection.execute("BEGIN TRANSACTION READ WRITE")
            connection.execute(f"SET LOCAL statement_timeout = {max(int(limits.seconds * 1000), 1)}")
            with psycopg.RawCursor(connection) as cursor:
                # A prepared statement is a single one: what follows a semicolon is refused.
                cursor.execute(sql.encode(connection.info.encoding), parameters or None, prepare=True)
                if not (cursor.statusmessage or "").startswith(_CHANGING):
                    raise ReadOnlyError("refused: only INSERT, UPDATE, DELETE and MERGE are run here")
                changed = cursor.rowcount
            connection.execute("COMMIT")
        except psycopg.Error as exc:
            raise translated(exc, limits.seconds) from None
        except (ValueError, OverflowError) as exc:
            raise StatementError(str(exc)) from None
        finally:
            self._leave()
        return StatementResult(["changed_rows"], [[changed]], False, time.monotonic() - start)
