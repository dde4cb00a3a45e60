"""What `portico doctor` looks at outside of itself: hosts' files, the port of `portico serve`, and who may read what is
private.

Nothing is started or changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from portico_gateway.cli.doctor_check import Check
from portico_gateway.config.config_file import ConfigFile, is_there, user_file
from portico_gateway.config.hosts.installed import installed_entry
from portico_gateway.config.hosts.registry import HOSTS, Host, Scope
from portico_gateway.config.logs import log_folder
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.trust import trust_file
from portico_gateway.errors import ConfigError
from portico_gateway.policy.audit import audit_file

_TIMEOUT = 2.0  # seconds
_SHOWN = 200  # characters of a name in a file of somebody else's


def host_checks(folder: Path) -> Iterator[Check]:
    """One line a host's file that names Portico, or can't be read."""
    named = 0
    for host in HOSTS.values():
        for scope in host.scopes:
            file = host.file(scope, folder)
            if not is_there(file):
                continue
            try:
                entry = installed_entry(host, file)
            except ConfigError as error:
                yield Check(f"host {host.name}", "warn", str(error), "mend it, or move it away: the host reads it at its start")
                continue
            if entry is not None:
                named += 1
                yield _host_check(host, file, scope, entry)
    if not named:
        yield Check("hosts", "ok", "none has Portico in its file", "portico config HOST --install adds it")


def _host_check(host: Host, file: Path, scope: Scope, entry: dict[str, Any]) -> Check:
    what, again = f"host {host.name}", f"portico config {host.name} --install --scope {scope}"
    if host.url_key is not None and isinstance(url := entry.get(host.url_key), str):
        return Check(what, "ok", f"{file} names {url}")
    program = entry.get("command")
    if not isinstance(program, str) or not program:
        return Check(what, "warn", f"{file} names Portico without a command", again)
    if not _can_be_started(program):
        return Check(what, "warn", f"{file} names {_short(program)}, which can't be started", again)
    return Check(what, "ok", f"{file} starts {program}")


def _can_be_started(program: str) -> bool:
    try:
        return os.path.isabs(program) and os.path.isfile(program) and os.access(program, os.X_OK)
    except ValueError:  # a NUL, or what is no text
        return False


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def port_check(config: PorticoConfig) -> Check:
    """Whether `portico serve` could listen, or does."""
    serve = config.serve
    url = f"http://{serve.host}:{serve.port}"
    if not serve.port:
        return Check("port", "ok", "portico serve takes a free one")
    try:
        answer = httpx2.get(f"{url}/healthz", timeout=_TIMEOUT)
        status = answer.json()["status"]
    except httpx2.ConnectError:
        return Check("port", "ok", f"{serve.port} is free for portico serve")
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return Check("port", "warn", f"something else listens on {url}", "portico serve --port N, or port under [serve]")
    return Check("port", "ok", f"portico serve listens on {url}: {status}")


def permission_checks(file: ConfigFile | None, config: PorticoConfig) -> Iterator[Check]:
    """Whether others of this machine may change what Portico obeys, or read what it keeps."""
    wrong = 0
    for path, what in _obeyed(file):
        if _mode(path) & 0o022:
            wrong += 1
            yield Check("permissions", "fail", f"others may change {path}, {what}", f"chmod go-w {path}")
    for path, what in _private(file, config):
        if _mode(path) & 0o077:
            wrong += 1
            yield Check("permissions", "warn", f"others may read {path}, {what}", f"chmod go-rwx {path}")
    if not wrong:
        yield Check("permissions", "ok", "nobody else may change the configuration, or read logs and calls")


def _obeyed(file: ConfigFile | None) -> Iterator[tuple[Path, str]]:
    yield user_file().parent, "in which the configuration is"
    yield trust_file(), "which says what is trusted"
    if file is not None:
        yield file.path, "which says what is started"


def _private(file: ConfigFile | None, config: PorticoConfig) -> Iterator[tuple[Path, str]]:
    yield log_folder(config.log), "in which logs are"
    yield audit_file(config.audit), "the log of tool calls"
    if file is not None and "${" not in file.text and _has_secrets(config):
        yield file.path, "which holds secrets"


def _has_secrets(config: PorticoConfig) -> bool:
    from portico_gateway.safe_output.redaction import is_secret_name

    given = [name for server in config.servers.values() for name in (*server.env, *server.headers)]
    return bool(config.engine.key or config.oauth.client_secret) or any(map(is_secret_name, given))


def _mode(path: Path) -> int:
    """Its permissions, that of a link's goal; none where it isn't there, or belongs to another user, whose affair it is."""
    try:
        about = path.stat()
    except OSError:
        return 0
    if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
        return 0
    return stat.S_IMODE(about.st_mode)
