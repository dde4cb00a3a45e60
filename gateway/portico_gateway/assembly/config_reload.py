"""Follows the configuration file: servers, policy and keys change while the gateway runs, and hosts hear of new lists.

It owns noticing a change and what is applied without a restart; everything else in the file counts from the next start on. A
file that can't be used is a warning, and what ran goes on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls

log = logging.getLogger(__name__)


async def follow_config(
    source: ConfigSource,
    tool_calls: ToolCalls,
    *,
    on_config: Callable[[PorticoConfig], None] = lambda config: None,
    changes: AsyncIterator[Any] | None = None,
) -> None:
    """Apply the file anew whenever it changes, until cancelled; `on_config` applies what isn't servers and policy. `changes`
    replaces the watch, for tests."""
    async for _ in changes if changes is not None else _watch(source.path):
        try:
            config, specs = source.read()
            on_config(config)  # first: a key that was taken out waits for no server's end
            await tool_calls.upstreams.replace(specs)
        except ConfigError as error:
            log.warning("%s; the configuration stays as it was", error)
            continue
        tool_calls.use_policy(Policy(config.policy))
        log.info("%s was read again: %d servers", source.path, len(specs))


def _watch(path: Path) -> AsyncIterator[Any]:
    """Changes of the file. Its folder is watched, because editors replace files."""
    from watchfiles import awatch

    whole = path.absolute()
    return awatch(whole.parent, recursive=False, watch_filter=lambda _, changed: Path(changed).name == whole.name)
