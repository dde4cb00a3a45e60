"""How to reach one MCP server, and the specs of Portico's own three. It knows neither config files nor connections."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portico_gateway.config.isolated_python import SAFE_FOLDER, SAFE_PATH, python_module
from portico_servers.common.sqlite_header import SQLITE_MAGIC

Transport = Literal["stdio", "http", "sse"]
Era = Literal["auto", "legacy", "modern"]
OwnServer = Literal["code", "docs", "db"]

_DATABASE_SUFFIXES = {".db", ".sqlite", ".sqlite3", ".db3"}
_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv", "site-packages"}
_MAX_DEPTH = 3
_MAX_DATABASES = 8
# What our own servers need beside the SDK's minimal environment: where caches and temporary files go, and the text encoding.
_OWN_ENVIRONMENT = (
    "LANG",
    "LC_ALL",
    "NO_COLOR",
    "PORTICO_LOG_LEVEL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who the gateway is at a server that wants OAuth. Without an id it registers itself, or is who `client_metadata_url` says
    (a client ID metadata document)."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    client_metadata_url: str = ""
    redirect_port: int = 8639  # of this machine, where a browser comes back to after a log-in


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """One MCP server: a command to start and talk to over stdio, or a URL. Times are seconds."""

    name: str
    transport: Transport = "stdio"
    # stdio
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    own: OwnServer | None = None  # it is that one of ours, which can also be forked; `own_args` are its arguments
    own_args: tuple[str, ...] = ()
    # http, sse
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuthClient | None = None  # http: a person logs in, and requests carry a token
    # both
    era: Era = "auto"
    start_timeout: float = 30.0
    call_timeout: float = 60.0
    pin_definitions: bool = True  # what its tools say of themselves is known again after a restart
    problem: str = ""  # why it can't be used: it is shown as failed, and never started


def default_specs(
    root: Path | None = None,
    docs: Sequence[Path] | Path | None = None,
    db: Sequence[Path | str] | Path | str | None = None,
) -> tuple[UpstreamSpec, ...]:
    """Portico's own servers as subprocesses of this very interpreter, with absolute paths.

    `root` (default: the working directory) is the code. `docs` defaults to `root`, `db` to the SQLite files found in it;
    without any database there is no db server. An entry of `db` may also be a DSN such as `postgresql://...`, kept as it is.
    """
    code_root = (root or Path.cwd()).absolute()
    doc_roots = [code_root] if docs is None else [path.absolute() for path in ([docs] if isinstance(docs, Path) else docs)]
    databases = list(find_databases(code_root)) if db is None else [db] if isinstance(db, Path | str) else list(db)
    specs = [own_spec("code", [str(code_root)]), own_spec("docs", [str(path) for path in doc_roots])]
    if databases:
        specs.append(own_spec("db", [_absolute(item) for item in databases]))
    return tuple(specs)


def own_spec(kind: OwnServer, args: Sequence[str]) -> UpstreamSpec:
    """One of our servers, started as `python -P -m portico_servers.KIND ARGS...` outside the workspace: `args` are absolute."""
    env = {name: os.environ[name] for name in _OWN_ENVIRONMENT if name in os.environ}
    program, *rest = python_module(f"portico_servers.{kind}", *args)
    environment = {**env, **SAFE_PATH}
    # Their definitions name what they find (tables of a database), and are as trusted as the gateway that they come with.
    return UpstreamSpec(
        kind,
        command=program,
        args=tuple(rest),
        env=environment,
        cwd=SAFE_FOLDER,
        own=kind,
        own_args=tuple(args),
        pin_definitions=False,
    )


def find_databases(root: Path) -> Iterator[Path]:
    """SQLite files at most three folders below `root`, by suffix and header, in a stable order; hidden folders are skipped.

    A link that leads out of `root` is left out: what a workspace points to elsewhere has to be named by the user.
    """
    found = 0
    real_root = Path(os.path.realpath(root))
    for folder, subfolders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = sorted(
            name for name in subfolders if depth < _MAX_DEPTH and not name.startswith(".") and name not in _SKIPPED_FOLDERS
        )
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix.lower() in _DATABASE_SUFFIXES and _is_within(path, real_root) and _is_sqlite(path):
                yield path
                found += 1
                if found == _MAX_DATABASES:
                    return


def _is_within(path: Path, real_root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(real_root)


def _is_sqlite(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError:
        return False


def _absolute(item: Path | str) -> str:
    if isinstance(item, str) and "://" in item:
        return item
    return str(Path(item).absolute())
