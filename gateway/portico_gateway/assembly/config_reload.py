"""Follows the configuration file: servers and policy change while the gateway runs, and hosts hear of new lists.

It owns noticing a change and what is applied without a restart (servers, policy, keys); everything else in the file counts from
the next start on. A file that can't be used is a warning, and what ran goes on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from portico_gateway.config.sections import KeyConfig
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls

log = logging.getLogger(__name__)


async def follow_config(
    source: ConfigSource,
    tool_calls: ToolCalls,
    *,
    keys: MutableMapping[str, KeyConfig] | None = None,
    changes: AsyncIterator[Any] | None = None,
) -> None:
    """Apply the file anew whenever it changes, until cancelled. `keys` are those that the HTTP side takes; one that is gone
    from the file opens nothing from then on. `changes` replaces the watch, for tests."""
    async for _ in changes if changes is not None else _watch(source.path):
        try:
            config, specs = source.read()
            if keys is not None:
                take_keys(keys, config.keys)
            await tool_calls.upstreams.replace(specs)
        except ConfigError as error:
            log.warning("%s; the configuration stays as it was", error)
            continue
        tool_calls.use_policy(Policy(config.policy))
        log.info("%s was read again: %d servers", source.path, len(specs))


def take_keys(keys: MutableMapping[str, KeyConfig], new: Mapping[str, KeyConfig]) -> None:
    """Make `keys` the new ones, in place. Where there were none, requests are asked for none, so that new ones wait."""
    if new and not keys:
        log.warning("keys count from the next start on: this process was started without any")
        return
    gone = keys.keys() - new.keys()
    for name in gone:
        del keys[name]
    keys.update(new)
    if gone:
        log.warning("these keys open nothing any more: %s", ", ".join(sorted(gone)))


def _watch(path: Path) -> AsyncIterator[Any]:
    """Changes of the file. Its folder is watched, because editors replace files."""
    from watchfiles import awatch

    whole = path.absolute()
    return awatch(whole.parent, recursive=False, watch_filter=lambda _, changed: Path(changed).name == whole.name)
