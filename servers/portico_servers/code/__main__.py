"""`portico-code DIR...`: the code server over stdio, or over Streamable HTTP with --http."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from portico_servers.common.inert_text import inert
from portico_servers.common.search_path import search_absolute_folders_only
from portico_servers.common.standard_streams import open_standard_streams


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--http", "port", type=click.IntRange(1, 65535), metavar="PORT", help="Serve Streamable HTTP on this port, path /mcp."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on with --http.")
@click.option(
    "--cache-dir", type=click.Path(path_type=Path), help="Where the index is kept between runs (default: the user's cache)."
)
def main(directories: tuple[Path, ...], port: int | None, host: str, cache_dir: Path | None) -> None:
    """Search, symbols, references and history of the source code under DIR..., as an MCP server (stdio by default)."""
    open_standard_streams()
    search_absolute_folders_only()
    for directory in directories:
        if not directory.is_dir():
            state = "is not a directory" if directory.exists() else "does not exist"
            click.echo(inert(f"portico-code: {directory} {state}; give directories of source code"), err=True)
            sys.exit(2)
    # Imported here, so that a mistake above is answered at once.
    from portico_servers.common.collector import collector_paused

    with collector_paused():
        from portico_servers.code.config import CodeConfig
        from portico_servers.code.server import build_server
        from portico_servers.common.transport import serve

        # How far a first indexing is: worth a line on stderr even where nothing else is.
        if "PORTICO_LOG_LEVEL" not in os.environ:
            logging.getLogger("portico_servers.code.index.root_index").setLevel(logging.INFO)
        server = build_server(CodeConfig(directories, cache_dir))
    serve(server, http=port, host=host)


if __name__ == "__main__":
    main()
