"""`portico-docs DIR...`: the documentation server from a command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--http", type=click.IntRange(1, 65535), metavar="PORT", help="Serve Streamable HTTP on this port instead of stdio."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on with --http.")
@click.option("--cache-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the index is kept.")
def main(roots: tuple[Path, ...], http: int | None, host: str, cache_dir: Path | None) -> None:
    """Serve documentation (Markdown, reST, HTML, text) to MCP hosts: search, read, list."""
    from portico_servers.docs.errors import SourceError

    try:
        from portico_servers.common.transport import serve
        from portico_servers.docs.server import build_server

        server = build_server(roots, cache_dir=cache_dir)
    except SourceError as error:
        click.echo(f"portico-docs: {error}", err=True)
        sys.exit(2)
    serve(server, http=http, host=host)


if __name__ == "__main__":
    main()
