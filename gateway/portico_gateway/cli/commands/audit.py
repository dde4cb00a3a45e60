"""`portico audit`: which tool calls were made, by whom, and how they ended."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

if TYPE_CHECKING:
    from portico_gateway.config.portico_config import PorticoConfig

_PIPE_WIDTH = 400  # a line a call, for grep
_PAUSE = 0.5  # seconds between two looks at the log
_MOST_AT_ONCE = 1000  # rows
# Of calls, and of the feedback itself: the last word on it.
_RATED = (
    "call is not null and (select f.outcome from calls f where f.kind = 'feedback' and f.call = calls.call "
    "order by f.id desc limit 1) = ?"
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        if span := re.fullmatch(r"([0-9]{1,6})([mhd])", value):
            moment = datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        else:
            moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter("give a span such as 30m, 12h or 7d, or a date such as 2026-11-25") from None
    return moment.isoformat(timespec="milliseconds")


@click.command(
    epilog="Exit codes: 0 shown, or made again with the same result; 1 the log can't be read, or another result; 2 wrong "
    "usage or configuration."
)
@click.option("--config", type=click.Path(path_type=Path), help="portico.toml or an mcpServers JSON.")
@click.option("--tool", metavar="PATTERN", help='Only tools like this, e.g. "db__*".')
@click.option("--server", help="Only this server's tools.")
@click.option("--caller", help="Only calls of this key's holder, or of this client.")
@click.option("--outcome", help='Only calls that ended so: "ok", "tool_error" or an error\'s name.')
@click.option("--since", callback=_since, metavar="SPAN|DATE", help="Only calls since then: 30m, 12h, 7d, or a date.")
@click.option("--good", "rating", flag_value="good", help="Only calls that a person called good, with what they said.")
@click.option("--bad", "rating", flag_value="bad", help="Only calls that a person called bad.")
@click.option("--follow", is_flag=True, help="Go on showing calls as they are made, until interrupted.")
@click.option("--replay", type=click.IntRange(1, 2**63 - 1), metavar="ID", help="Make the call of this row again, and compare.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="The latest calls, at most so many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, and nothing else.")
def command(
    config: Path | None,
    tool: str | None,
    server: str | None,
    caller: str | None,
    outcome: str | None,
    since: str | None,
    rating: str | None,
    follow: bool,
    replay: int | None,
    limit: int,
    as_json: bool,
) -> int:
    """Show the log of tool calls, follow it, or make a call of it again."""
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.policy.audit import audit_file

    loaded = load_config(config, ask=ask_trust)
    path = audit_file(loaded.audit)
    filters = {
        "tool glob ?": tool,
        "server = ?": server,
        "? in (caller, client)": caller,
        "outcome = ?": outcome,
        "time >= ?": since,
        _RATED: rating,
        "id = ?": replay,
    }
    given = {clause: value for clause, value in filters.items() if value is not None}
    if not (path.exists() or follow):
        click.echo(inert(f"portico: no calls are logged yet in {path}"), err=True)
        return exit_codes.OK
    try:
        rows = _rows(path, given, limit)
        if replay is not None:
            return _replay(rows, replay, loaded)
        _print(rows, as_json)
        if follow:
            _follow(path, given, rows[-1]["id"] if rows else 0, as_json)
    except sqlite3.Error as error:
        click.echo(inert(f"portico: the audit log {path} can't be read: {error}"), err=True)
        return exit_codes.FAILED
    return exit_codes.OK


def _rows(path: Path, given: Mapping[str, Any], limit: int, after: int = 0) -> list[dict[str, Any]]:
    """The latest rows that all of these clauses hold for, oldest first. Raises sqlite3.Error."""
    from portico_gateway.policy.audit_database import open_read_only

    if not path.exists():
        return []
    with open_read_only(path) as connection:
        if _RATED in given and "call" not in {row["name"] for row in connection.execute("pragma table_info(calls)")}:
            return []  # a log from before there was feedback
        where = " and ".join(["id > ?", *given])
        found = connection.execute(
            f"select * from calls where {where} order by id desc limit ?", [after, *given.values(), limit]
        )
        return [dict(row) for row in reversed(found.fetchall())]


def _follow(path: Path, given: Mapping[str, Any], last: int, as_json: bool) -> None:
    """Until interrupted. Raises sqlite3.Error."""
    from portico_gateway.cli.interrupt import interruptible

    interruptible()
    while True:
        time.sleep(_PAUSE)
        rows = _rows(path, given, _MOST_AT_ONCE, last)
        if rows:
            last = rows[-1]["id"]
            _print(rows, as_json, headed=False)
            sys.stdout.flush()


def _replay(rows: Sequence[dict[str, Any]], identity: int, config: PorticoConfig) -> int:
    """Raises GatewayError."""
    import anyio
    import mcp_types

    from portico_gateway.cli.audit_replay import replay
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.errors import UnknownName

    if not rows:
        raise UnknownName("row of the log", str(identity))
    (row,) = rows
    made = anyio.run(replay, row, config, workspace_specs(config))
    click.echo(inert(f"{row['tool']}({inert_json(made.arguments)}), first made at {row['time']}"), err=True)
    for block in made.result.content:
        click.echo(inert(block.text if isinstance(block, mcp_types.TextContent) else f"[{block.type}]"))
    told = {True: "the same result as then", False: "another result than then", None: "the log does not say what it was then"}
    click.echo(told[made.same], err=True)
    return exit_codes.FAILED if made.same is False or made.result.is_error else exit_codes.OK


def _print(rows: list[dict[str, Any]], as_json: bool, *, headed: bool = True) -> None:
    if as_json:
        for row in rows:
            click.echo(inert_json(row))
    else:
        _print_table(rows, headed=headed)


def _print_table(rows: list[dict[str, Any]], *, headed: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=headed)
    for title in ("id", "time (UTC)", "caller", "tool", "decision", "outcome", "seconds", "bytes"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for row in rows:
        who = f"{row['caller']} ({row['client']})" if row["client"] else row["caller"]
        outcome = f"{row['outcome']}: {row['error']}" if row["error"] else row["outcome"]
        figures = f"{row['seconds']:.3f}", str(row["bytes"])
        what = row["tool"] or row.get("call") or ""
        cells = (str(row["id"]), row["time"][:19].replace("T", " "), who, what, row["decision"], outcome, *figures)
        table.add_row(*(Text(inert_line(cell)) for cell in cells))
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
