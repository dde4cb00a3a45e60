"""`portico-db FILE...`: the command. Exit codes: 0 the host hung up, 2 a bad file, DSN, config or option."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from portico_servers.common.inert_text import inert
from portico_servers.common.search_path import search_absolute_folders_only
from portico_servers.common.standard_streams import open_standard_streams
from portico_servers.db.errors import DatabaseConfigError, DatabaseSourceError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("databases", nargs=-1, required=True, metavar="FILE|DSN...")
@click.option("--http", type=click.IntRange(1, 65535), metavar="PORT", help="Streamable HTTP on this port instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on, with --http.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with limits, canned queries and lookup columns.")
@click.option("--allow-powerful-role", is_flag=True, help="PostgreSQL: connect even as a role that READ ONLY does not hold.")
def main(databases: tuple[str, ...], http: int | None, host: str, config: Path | None, allow_powerful_role: bool) -> None:
    """Serve SQLite and DuckDB files and PostgreSQL databases, read-only, to an MCP host."""
    open_standard_streams()
    search_absolute_folders_only()
    from portico_servers.common.collector import collector_paused

    try:
        with collector_paused():
            from portico_servers.common.transport import serve
            from portico_servers.db.server import build_server

            server = build_server(databases, config=config, allow_powerful_role=allow_powerful_role)
    except (DatabaseSourceError, DatabaseConfigError) as exc:
        click.echo(inert(f"portico-db: {exc}"), err=True)
        sys.exit(2)
    serve(server, http=http, host=host)


if __name__ == "__main__":
    main()
