"""What `portico serve` listens on: an address, or a Unix socket that is one process's alone."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portico_gateway.config.sections import ServeConfig
from portico_gateway.errors import ConfigError
from portico_servers.common.transport import bind

_MAX_PATH = 103  # bytes of a socket's path that every system takes


@contextmanager
def listening(config: ServeConfig) -> Iterator[socket.socket]:
    """A listening socket, closed at the end of the block. Raises ConfigError where a Unix socket can't be had, another
    gateway's among them; exits with 1 on a port in use."""
    if config.socket is None:
        with bind(config.host, config.port) as sock:
            yield sock
        return
    with _unix_socket(config.socket.expanduser()) as sock:
        yield sock


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Whose lock lies beside it holds it: what a process that died left there is replaced."""
    if len(os.fsencode(path)) > _MAX_PATH:
        raise ConfigError(
            f"{path} is too long for a Unix socket: it has {len(os.fsencode(path))} bytes, {_MAX_PATH} are possible",
            key="serve.socket",
        )
    lock = _locked(path)
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise ConfigError(f"{path} is there and is no socket; name another path", key="serve.socket")
            path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            before = os.umask(0o177)
            try:
                sock.bind(os.fspath(path))
            finally:
                os.umask(before)
            try:
                sock.listen()
                yield sock
            finally:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"can't listen on {path}: {error.strerror or error}", key="serve.socket") from None
    finally:
        os.close(lock)


def _locked(path: Path) -> int:
    """An open descriptor that holds the lock. Raises ConfigError naming who holds it."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"can't listen on {path}: {error.strerror or error}", key="serve.socket") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise ConfigError(
            f"another portico serve (process {holder}) listens on {path}; stop it, or give this one another socket",
            key="serve.socket",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def check_tls(config: ServeConfig) -> None:
    """Raises ConfigError where certificate and key can't be used together."""
    if config.tls_cert is None or config.tls_key is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except FileNotFoundError:
        missing = config.tls_cert if not config.tls_cert.exists() else config.tls_key
        raise ConfigError(f"there is no file {missing}", key="serve.tls_cert") from None
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(
            f"{config.tls_cert} and {config.tls_key} are no certificate with its key, in PEM: {reason}", key="serve.tls_cert"
        ) from None
