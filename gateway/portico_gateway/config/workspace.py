"""Which servers a command works with: Portico's own over the folders and databases given, and those of the configuration.

It owns which of them there are, the errors for folders and files that aren't there, and where to read the choice anew when
the file changes. It starts nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico_gateway.config.config_file import find_config, named_file, user_file, workspace_file
from portico_gateway.config.places import check_places
from portico_gateway.config.portico_config import PorticoConfig, parse_config
from portico_gateway.config.server_spec import UpstreamSpec, default_specs
from portico_gateway.config.trust import WorkspaceConfig, trust_file
from portico_gateway.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """Where a configuration came from. `read` reads it and its servers anew, with the same flags; it may raise ConfigError.

    `beside`: files whose change may make another one count.
    """

    path: Path
    read: Callable[[], tuple[PorticoConfig, Sequence[UpstreamSpec]]]
    beside: tuple[Path, ...] = ()


def workspace_specs(
    config: PorticoConfig, root: Path | None = None, docs: Sequence[Path] = (), db: Sequence[str] = ()
) -> tuple[UpstreamSpec, ...]:
    """Ours, over the folders and databases given or the working directory, then those of the configuration.

    One of the configuration takes the place of ours of the same name. Ours that are switched off are there again where folders
    or databases are given. Raises ConfigError for a folder or file that isn't there.
    """
    check_places(root, docs, db)
    given = root is not None or bool(docs) or bool(db)
    for name, server in config.servers.items():
        if not server.enabled:
            log.info("server %r is not started: it is disabled", name)
    ours = default_specs(root, list(docs) or None, list(db) or None) if given or config.gateway.own_servers else ()
    own = [spec for spec in ours if spec.name not in config.servers and (given or spec.name in config.gateway.own_servers)]
    return (*own, *config.specs())


def config_source(
    config: Path | None, flags: Mapping[str, Any], root: Path | None, docs: Sequence[Path], db: Sequence[str]
) -> ConfigSource | None:
    """The configuration file that a command with these options reads; None where there is no file.

    A workspace's file that counted, and says something else now, is refused until that is trusted.
    """
    root = None if root is None else root.absolute()
    named, found, own = named_file(config, os.environ), workspace_file(root), user_file()
    path = named or found or (own if own.is_file() else None)
    if path is None:
        return None
    counts = find_config(config, folder=root, ask=lambda _: False)
    in_use = [None if counts is None else counts.path]

    def changed(candidate: WorkspaceConfig) -> bool:
        if candidate.path == in_use[0]:
            raise ConfigError(f"{candidate.path} has changed; look at it, then: portico trust {candidate.path.parent}")
        return False

    def read() -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        file = find_config(config, folder=root, ask=changed)
        loaded = parse_config(file, flags=flags)
        specs = workspace_specs(loaded, root, docs, db)
        in_use[0] = None if file is None else file.path
        return loaded, specs

    return ConfigSource(path, read, () if named else (trust_file(), own))
