"""Which processes answer questions on this user's sockets, and how one is described in a line."""

from __future__ import annotations

import click

from portico_gateway.background.client import request
from portico_gateway.background.protocol import BackgroundStatus
from portico_gateway.background.socket_place import SocketPlace, socket_places
from portico_gateway.errors import GatewayError
from portico_gateway.safe_output.inert import inert


def running() -> list[tuple[SocketPlace, BackgroundStatus]]:
    """Every process that answers, and what it says of itself."""
    found = []
    for place in socket_places():
        try:
            status = request(place, "status")
        except GatewayError as error:
            click.echo(inert(f"portico: {place.path}: {error}"), err=True)
            continue
        if status is not None:
            found.append((place, status))
    return found


def describe(status: BackgroundStatus) -> str:
    """One line."""
    memory = "" if status.memory is None else f", {status.memory / 2**20:.0f} MiB"
    return (
        f"{status.kind} {status.pid}: {status.folder}, {status.questions} questions, for {_span(status.age)}, "
        f"idle {_span(status.idle)}{memory}"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
