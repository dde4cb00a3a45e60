"""What `portico serve` listens on: a Unix socket that is one process's alone, TLS that is checked before anything runs."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portico_gateway.assembly.listening import check_tls, listening
from portico_gateway.config.sections import ServeConfig
from portico_gateway.errors import ConfigError
from portico_gateway.http.server.server import HttpServer
from portico_servers.common.transport import bind

pytestmark = pytest.mark.anyio


def test_a_second_gateway_on_one_socket_is_refused_by_name(tmp_path: Path) -> None:
    config = ServeConfig(socket=tmp_path / "portico.sock")
    with listening(config):
        assert config.socket is not None
        assert stat.S_IMODE(config.socket.stat().st_mode) == 0o600
        with (
            pytest.raises(ConfigError, match=rf"another portico serve \(process {os.getpid()}\) listens on {config.socket}"),
            listening(config),
        ):
            pass
        assert config.socket.exists(), "the first one's is still there"
    assert not config.socket.exists()


def test_what_a_dead_gateway_left_is_replaced_and_what_is_no_socket_is_not(tmp_path: Path) -> None:
    path = tmp_path / "portico.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    with listening(ServeConfig(socket=path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(path))
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there and is no socket"), listening(ServeConfig(socket=path)):
        pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize("place", ["x" * 120, "nowhere/portico.sock"])
def test_a_path_that_can_not_be_had_is_named(tmp_path: Path, place: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"too long for a Unix socket|can't listen on"),
        listening(ServeConfig(socket=tmp_path / place)),
    ):
        pass


def test_a_certificate_is_taken_with_its_own_key_alone(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, "one")
    _, other = _certificate(tmp_path, "two")
    check_tls(ServeConfig(tls_cert=cert, tls_key=key))
    with pytest.raises(ConfigError, match="are no certificate with its key"):
        check_tls(ServeConfig(tls_cert=cert, tls_key=other))
    with pytest.raises(ConfigError, match="there is no file"):
        check_tls(ServeConfig(tls_cert=cert, tls_key=tmp_path / "no.pem"))
    with pytest.raises(ValueError, match="go together"):
        ServeConfig(tls_cert=cert)


async def test_over_tls_answers_come_at_once_and_whole(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, "one")
    body = b"x" * 300_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"300000")]})
        await send({"type": "http.response.body", "body": body})

    with bind("127.0.0.1", 0) as sock:
        server = HttpServer(app, tls=(cert, key))
        running = asyncio.create_task(server.serve(sockets=[sock]))
        trusted = ssl.create_default_context(cafile=cert)
        async with httpx2.AsyncClient(verify=trusted, timeout=10) as client:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            for _ in range(3):
                answer = await client.get(f"https://127.0.0.1:{sock.getsockname()[1]}/")
                assert answer.content == body
        server.should_exit = True
        await running


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(*pem))
    return paths
