"""`portico-docs`: the documentation server from a command line, and the libraries that it keeps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from portico_servers.common.inert_text import inert
from portico_servers.common.search_path import search_absolute_folders_only
from portico_servers.common.standard_streams import open_standard_streams
from portico_servers.docs import commands


class _Default(click.Group):
    """What isn't a command's name is `serve`'s: `portico-docs DIR...` starts the server (`./add` for a directory `add`)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Default, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Documentation for MCP hosts: search it, read it, list it.

    `portico-docs DIR...` serves directories (Markdown, reST, HTML, PDF, notebooks, manual pages, text);
    `portico-docs` alone serves the libraries that were added.
    """
    open_standard_streams()
    search_absolute_folders_only()


@main.command()
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--http", type=click.IntRange(1, 65535), metavar="PORT", help="Serve Streamable HTTP instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on with --http.")
@commands.cache_option
def serve(roots: tuple[Path, ...], http: int | None, host: str, cache_dir: Path | None) -> None:
    """Serve documentation over stdio or Streamable HTTP (what `portico-docs DIR...` does)."""
    # Before numpy is imported: one thread multiplies as fast here, and a second one takes the core that reads the index.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from portico_servers.common.collector import collector_paused
    from portico_servers.docs.errors import SourceError

    try:
        with collector_paused():
            from portico_servers.common import transport
            from portico_servers.docs.config import DocsConfig
            from portico_servers.docs.server import build_server

            server = build_server(DocsConfig(roots, cache_dir))
    except SourceError as error:
        click.echo(inert(f"portico-docs: {error}"), err=True)
        sys.exit(2)
    transport.serve(server, http=http, host=host)


for command in (commands.add, commands.list_, commands.refresh, commands.remove):
    main.add_command(command)

if __name__ == "__main__":
    main()
