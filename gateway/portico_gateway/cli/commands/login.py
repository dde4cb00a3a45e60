"""`portico login`: a person logs in at a server that wants OAuth; the gateway has its tokens from then on."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert


@click.command(
    epilog="The server needs a table [servers.NAME.oauth] in portico.toml, which may be empty. Exit codes: 0 done, 1 it "
    "failed, 2 wrong usage or configuration."
)
@click.argument("name")
@click.option("--forget", is_flag=True, help="Forget the tokens of NAME instead, and who it knows the gateway as.")
@click.option("--no-browser", is_flag=True, help="Print the page's address and open no browser.")
@click.option("--config", type=click.Path(path_type=Path), help="The portico.toml that has the server.")
def command(name: str, forget: bool, no_browser: bool, config: Path | None) -> int:
    """Log in at the MCP server NAME, or forget that."""
    import anyio

    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.errors import ConfigError, UnknownName
    from portico_gateway.upstreams.oauth.authorization import token_store
    from portico_gateway.upstreams.oauth.login import log_in

    loaded = load_config(config, ask=ask_trust)
    if name not in loaded.servers:
        raise UnknownName("server", name, loaded.servers)
    spec = loaded.servers[name].spec(name)
    if spec.problem:
        raise ConfigError(spec.problem, key=f"servers.{name}")
    if spec.oauth is None:
        raise ConfigError(f"the server {name!r} has no table [servers.{name}.oauth]; add it, it may be empty")
    if forget:
        gone = token_store(spec.url, spec.oauth).forget()
        click.echo(inert(f"{name}: {'forgotten' if gone else 'there was nothing to forget'}"), err=True)
        return exit_codes.OK if gone else exit_codes.FAILED

    async def show(page: str) -> None:
        click.echo(inert(f"Log in at {name}: {page}"), err=True)
        if not no_browser:
            click.launch(page)

    asked = anyio.run(log_in, spec, show)
    click.echo(inert(f"{name}: {'logged in' if asked else 'no log-in is needed now'}"), err=True)
    return exit_codes.OK
