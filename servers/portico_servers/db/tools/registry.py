"""Every tool that there is, in the order that hosts show them. A new built-in tool is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from portico_servers.db.config import QueryConfig
from portico_servers.db.limits import StatementLimits
from portico_servers.db.statements.worker_pool import WorkerPool
from portico_servers.db.tools import write
from portico_servers.db.tools.canned_queries import canned_query_tools
from portico_servers.db.tools.definition import ToolDefinition
from portico_servers.db.tools.explain import EXPLAIN
from portico_servers.db.tools.query import QUERY
from portico_servers.db.tools.rows import ROWS
from portico_servers.db.tools.tables import DESCRIBE, TABLES

BUILT_IN: tuple[ToolDefinition, ...] = (ROWS, TABLES, DESCRIBE, QUERY, EXPLAIN)
RESERVED_NAMES = frozenset((*(tool.name for tool in BUILT_IN), write.NAME))  # no canned query may have one of them


def all_tools(
    queries: Sequence[QueryConfig], connections: Sequence[str], writers: Mapping[str, WorkerPool], limits: StatementLimits
) -> tuple[ToolDefinition, ...]:
    """Built-in tools, one tool a canned query, and `write` where a connection may be written. DatabaseConfigError."""
    canned = canned_query_tools(queries, connections)
    return (*BUILT_IN, *canned, write.write_tool(writers, limits)) if writers else (*BUILT_IN, *canned)
