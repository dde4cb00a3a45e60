"""Follows the configuration file: servers, policy and keys change while the gateway runs, and hosts hear of new lists.

It owns noticing a change and what is applied without a restart; everything else in the file counts from the next start on. A
file that can't be used is a warning, and what ran goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError
from portico_gateway.policy.idle_patterns import idle_patterns
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls

log = logging.getLogger(__name__)

_LOOK_EVERY = 5000  # milliseconds; also where no change is reported, as on some network file systems
_MAX_LINKS = 40  # as many as Linux follows


async def follow_config(
    source: ConfigSource,
    tool_calls: ToolCalls,
    *,
    on_config: Callable[[PorticoConfig], None] = lambda config: None,
    changes: AsyncIterator[Any] | None = None,
) -> None:
    """Apply the file anew whenever it changes, until cancelled; `on_config` applies what isn't servers and policy. `changes`
    replaces the watch, for tests."""
    async for _ in changes if changes is not None else _watch((source.path, *source.beside)):
        try:
            config, specs = source.read()
            on_config(config)  # first: a key that was taken out waits for no server's end
            await tool_calls.upstreams.replace(specs)
        except ConfigError as error:
            log.warning("%s; the configuration stays as it was", error)
            continue
        tool_calls.use_policy(Policy(config.policy))
        for said in idle_patterns(config, specs):
            log.warning("%s", said)
        log.info("%s was read again: %d servers", source.path, len(specs))


async def _watch(files: Sequence[Path]) -> AsyncIterator[None]:
    """Changes of any of the files. Folders are watched, because editors replace files; those that links lead through, too."""
    from watchfiles import awatch

    seen = _signature(files)
    while True:
        folders = _folders(files)
        async for _ in awatch(*folders, recursive=False, yield_on_timeout=True, rust_timeout=_LOOK_EVERY):
            now = _signature(files)
            if now != seen:
                seen = now
                yield
            if _folders(files) != folders:
                break


def _folders(files: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for file in files:
        path = file.absolute()
        for _ in range(_MAX_LINKS):
            if path.parent.is_dir():
                found[path.parent] = None
            if not path.is_symlink():
                break
            path = path.parent / os.readlink(path)
    return list(found)


def _signature(files: Sequence[Path]) -> list[tuple[str, int, int, int] | None]:
    """What differs when one of them was written, replaced or linked elsewhere."""
    return [_state(file) for file in files]


def _state(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return os.path.realpath(file), found.st_mtime_ns, found.st_size, found.st_ino
