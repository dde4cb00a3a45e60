"""`portico tools`: what the servers of a workspace offer, and which calls ask first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import workspace_options
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

if TYPE_CHECKING:
    from portico_gateway.config.portico_config import PorticoConfig
    from portico_gateway.config.server_spec import UpstreamSpec

WAIT = 10.0  # seconds for servers to start
_HOW = {"allow": "runs", "ask": "asks", "deny": "denied"}


@click.command(epilog="Exit codes: 0 listed, 2 wrong usage or configuration, 4 a server could not be started.")
@click.argument("name", required=False)
@workspace_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def command(
    name: str | None, root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, as_json: bool
) -> int:
    """List the tools of all servers, or of the server or tool NAME: what they do, and whether a call asks first."""
    import anyio

    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.errors import UnknownName
    from portico_gateway.upstreams.names import SEPARATOR

    loaded = load_config(config, folder=root, ask=ask_trust)
    every = workspace_specs(loaded, root, docs, db)
    specs = [spec for spec in every if name is None or name == spec.name or name.startswith(f"{spec.name}{SEPARATOR}")]
    if not specs and name is None:
        click.echo("portico tools: no server is configured, so there are no tools", err=True)
        click.echo("[]" if as_json else "", nl=as_json)
        return exit_codes.OK
    if not specs:
        raise UnknownName("server", name or "", [spec.name for spec in every])
    set_up_logging("tools", loaded.log)
    tool = None if name is None or any(name == spec.name for spec in specs) else name
    return anyio.run(_list, loaded, specs, tool, as_json)


async def _list(config: PorticoConfig, specs: Sequence[UpstreamSpec], tool: str | None, as_json: bool) -> int:
    """The tools of `specs`, or that one of them."""
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.errors import UnknownName
    from portico_gateway.policy.terminal_consent import terminal_caller

    caller = terminal_caller("portico tools")
    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            statuses = await upstreams.ready(WAIT)
            rows = [
                {
                    "tool": entry.name,
                    "read_only": tool_calls.is_read_only(entry, caller),
                    "call": _HOW[tool_calls.ruling(entry, caller).verdict],
                    "description": next(iter((entry.tool.description or entry.tool.title or "").strip().splitlines()), ""),
                }
                for entry in upstreams.catalog.tools
                if tool in (None, entry.name)
            ]
            there = [entry.name for entry in upstreams.catalog.tools]
    if tool is not None and there and not rows:
        raise UnknownName("tool", tool, there)
    _print(rows, as_json)
    missing = {status.name: status.error or f"it is still {status.state}" for status in statuses if not status.tools}
    for server, why in missing.items():
        click.echo(inert(f"portico: server {server} is not available: {why}"), err=True)
    return exit_codes.UNREACHABLE if missing else exit_codes.OK


def _print(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    if as_json:
        click.echo(inert_json(rows, indent=2))
        return
    width = max((len(str(row["tool"])) for row in rows), default=0)
    for row in rows:
        kind = "read-only" if row["read_only"] else "writes"
        click.echo(inert_line(f"{row['tool']:<{width}}  {kind:<9}  {row['call']:<6}  {row['description']}"))
