"""`portico top`: what a running `portico serve` is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import Seconds

if TYPE_CHECKING:
    from portico_gateway.cli.top_snapshot import ServeReader

DEFAULT_URL = "http://127.0.0.1:8630"


@click.command(epilog="Exit codes: 0 shown, 2 wrong usage, 4 no server answers there, or not to this key, 130 interrupted.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where it listens.")
@click.option("--key", envvar="PORTICO_KEY", help="A key with the scope metrics, where it has keys; or PORTICO_KEY.")
@click.option("--interval", type=Seconds(min=0.2), default=1.0, show_default=True, help="Seconds between readings.")
@click.option("--once", is_flag=True, help="Show what one interval brought, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout: one object with --once, else one a line.")
def command(url: str, key: str | None, interval: float, once: bool, as_json: bool) -> int:
    """Watch a running `portico serve`: requests, speed, KV blocks, where the time of steps goes.

    Rates and shares are of what happened between two readings; where nothing did, shares and times are since the engine was
    loaded.
    """
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.cli.top_snapshot import ServeReader, ServeUnreachable
    from portico_gateway.safe_output.inert import inert

    interruptible()
    reader = None
    try:
        reader = ServeReader(url, key)
        _watch(reader, url, interval, once=once, as_json=as_json)
    except ServeUnreachable as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.UNREACHABLE
    finally:
        if reader is not None:
            reader.close()
    return exit_codes.OK


def _watch(reader: ServeReader, url: str, interval: float, *, once: bool, as_json: bool) -> None:
    """Until interrupted. Raises ServeUnreachable."""
    import time
    from contextlib import ExitStack

    from rich.console import Console
    from rich.live import Live

    from portico_gateway.cli.top_view import top_view
    from portico_gateway.safe_output.inert import inert_json

    console = Console(highlight=False)
    with ExitStack() as stack:
        live = None
        if not (once or as_json):
            live = stack.enter_context(Live(console=console, auto_refresh=False, screen=console.is_terminal))
        if once:
            reader.read()
            time.sleep(interval)
        while True:
            snapshot = reader.read()
            if as_json:
                click.echo(inert_json(snapshot.as_json(), indent=2 if once else None))
            elif live is None:
                console.print(top_view(snapshot, url))
            else:
                live.update(top_view(snapshot, url), refresh=True)
            if once:
                return
            time.sleep(interval)
