"""`portico audit`: which tool calls were made, by whom, and how they ended."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

if TYPE_CHECKING:
    from portico_gateway.config.sections import AuditConfig

_PIPE_WIDTH = 400  # a line a call, for grep
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if span := re.fullmatch(r"(\d{1,6})([mhd])", value):
        moment = datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    else:
        try:
            moment = datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            raise click.BadParameter("give a span such as 30m, 12h or 7d, or a date such as 2026-11-25") from None
    return moment.isoformat(timespec="milliseconds")


@click.command(epilog="Exit codes: 0 shown, 1 the log can't be read, 2 wrong usage or configuration.")
@click.option("--config", type=click.Path(path_type=Path), help="portico.toml or an mcpServers JSON.")
@click.option("--tool", metavar="PATTERN", help='Only tools like this, e.g. "db__*".')
@click.option("--server", help="Only this server's tools.")
@click.option("--caller", help="Only calls of this key's holder, or of this client.")
@click.option("--outcome", help='Only calls that ended so: "ok", "tool_error" or an error\'s name.')
@click.option("--since", callback=_since, metavar="SPAN|DATE", help="Only calls since then: 30m, 12h, 7d, or a date.")
@click.option("--up", type=int, metavar="ID", help="Say of a call that it was right; portico tune learns of it.")
@click.option("--down", type=int, metavar="ID", help="Say of a call that it was wrong.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The latest calls, at most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, and nothing else.")
def command(
    config: Path | None,
    tool: str | None,
    server: str | None,
    caller: str | None,
    outcome: str | None,
    since: str | None,
    up: int | None,
    down: int | None,
    limit: int,
    as_json: bool,
) -> int:
    """Show the log of tool calls."""
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.policy.audit import audit_file, open_read_only

    audit = load_config(config, ask=ask_trust).audit
    path = audit_file(audit)
    if up is not None or down is not None:
        return _rate(audit, path, up, down)
    filters = {
        "tool glob ?": tool,
        "server = ?": server,
        "? in (caller, client)": caller,
        "outcome = ?": outcome,
        "time >= ?": since,
    }
    given = {clause: value for clause, value in filters.items() if value is not None}
    where = f"where {' and '.join(given)}" if given else ""
    if not path.exists():
        click.echo(inert(f"portico: no calls are logged yet in {path}"), err=True)
        return exit_codes.OK
    try:
        with open_read_only(path) as connection:
            found = connection.execute(f"select * from calls {where} order by id desc limit ?", [*given.values(), limit])
            rows = [dict(row) for row in reversed(found.fetchall())]
    except sqlite3.Error as error:
        click.echo(inert(f"portico: the audit log {path} can't be read: {error}"), err=True)
        return exit_codes.FAILED
    if as_json:
        for row in rows:
            click.echo(inert_json(row))
    else:
        _print_table(rows)
    return exit_codes.OK


def _rate(audit: AuditConfig, path: Path, up: int | None, down: int | None) -> int:
    """Keep what a person says of calls; the last word about one counts."""
    from portico_gateway.policy.audit import AuditLog, AuditRecord, open_read_only

    said = {of: outcome for of, outcome in ((up, "up"), (down, "down")) if of is not None}
    try:
        with open_read_only(path) as connection:
            found = {
                of: connection.execute("select server, tool from calls where id = ? and kind = 'tool'", [of]).fetchone()
                for of in said
            }
    except sqlite3.Error as error:
        click.echo(inert(f"portico: the audit log {path} can't be read: {error}"), err=True)
        return exit_codes.FAILED
    if unknown := [str(of) for of, row in found.items() if row is None]:
        raise click.UsageError(f"no tool call has the id {' or '.join(unknown)}; portico audit lists them")
    log = AuditLog(audit)
    for of, outcome in said.items():
        log.put(
            AuditRecord(
                started=time.time(),
                caller="",
                client="",
                server=found[of]["server"],
                tool=found[of]["tool"],
                arguments={},
                decision="rated",
                approval=str(of),
                seconds=0.0,
                result=None,
                failure=None,
                kind="rating",
                outcome=outcome,
            )
        )
    log.close()
    return exit_codes.OK


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("id", "time (UTC)", "caller", "tool", "decision", "outcome", "seconds", "bytes"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for row in rows:
        who = f"{row['caller']} ({row['client']})" if row["client"] else row["caller"]
        outcome = f"{row['outcome']}: {row['error']}" if row["error"] else row["outcome"]
        figures = f"{row['seconds']:.3f}", str(row["bytes"])
        cells = (str(row["id"]), row["time"][:19].replace("T", " "), who, row["tool"], row["decision"], outcome, *figures)
        table.add_row(*(Text(inert_line(cell)) for cell in cells))
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
