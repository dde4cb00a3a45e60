"""The prompts: a question that a person picks from a menu, with the schemas that it needs beside it."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import ArgumentError
from portico_servers.db.tools.tables import table_text


def add_prompts(server: MCPServer[None], databases: Databases) -> None:
    """Register the three."""

    @server.prompt(title="Explore a table", description="Get to know one table: what is in it, what is odd.")
    def explore_table(table: str) -> str:
        """Schema, then three questions worth asking."""
        try:
            _, qualified = databases.snapshot().table(table)
        except ArgumentError as exc:
            return f"{exc}. List the tables with the `tables` tool and ask which one is meant."
        return (
            "Explore this table with the `rows` tool (no SQL needed) and report what it holds, in five sentences.\n\n"
            f"{table_text(qualified)}\n\nCount its rows, group them by the most telling column, and look at the newest or "
            "largest ones. Say what looks wrong."
        )

    @server.prompt(title="Answer a question", description="Answer a question from the data, with the SQL that shows it.")
    def answer_question(question: str, table: str = "") -> str:
        """The question beside the schema that it needs."""
        snapshot = databases.snapshot()
        chosen = [qualified for name, qualified in snapshot.tables.items() if not table or name == table] or list(
            snapshot.tables.values()
        )
        schemas = "\n\n".join(table_text(qualified) for qualified in chosen[:12])
        return (
            f"Answer from the data, not from memory: {question}\n\n{schemas}\n\n"
            "Use `rows` where one table and its parents suffice, else `query`. Quote the figures, and the SQL that made them."
        )

    @server.prompt(title="Profile a column", description="Values, gaps and outliers of one column.")
    def profile_column(table: str, column: str) -> str:
        """What to run about one column."""
        return (
            f"Profile the column {column} of the table {table}: how many rows, how many NULL, how many different values, "
            "the ten most frequent ones, smallest and largest. Use `rows`, and say what looks like a mistake."
        )
