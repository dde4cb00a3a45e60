"""`portico stdio`: the gateway as an MCP server on stdin and stdout, for hosts that start it themselves."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli.options import log_level_option, workspace_options


@click.command(epilog="Exit codes: 0 the host hung up, 2 wrong usage or configuration, 130 interrupted.")
@workspace_options
@log_level_option
def command(root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, log_level: str | None) -> None:
    """Be an MCP server on stdin and stdout, with all tools of all servers."""
    from functools import partial

    import anyio

    from portico_gateway.assembly.stdio import serve_stdio_gateway
    from portico_gateway.cli.asking import AskOptions
    from portico_gateway.cli.background_process import listen_beside
    from portico_gateway.cli.trust_prompt import left_out
    from portico_gateway.config.config_file import find_config
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import config_source, workspace_specs

    flags = {"log.level": log_level}
    file = find_config(config, folder=root, ask=left_out)
    loaded = parse_config(file, flags=flags)
    specs = workspace_specs(loaded, root, docs, db)
    set_up_logging("stdio", loaded.log)
    source = config_source(config, flags, root, docs, db)
    about = AskOptions(file, root, docs, db, None)
    listen = partial(listen_beside, about, "stdio", guidance=loaded.model.guidance)
    beside = listen if loaded.background.enabled else None
    anyio.run(serve_stdio_gateway, loaded, specs, source, beside)
