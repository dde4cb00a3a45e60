"""Secrets of URLs, settings, headers and servers' last words are in no error, log line, status or log row."""

from __future__ import annotations

import io
import logging
import os
import stat
import sys
import time
from pathlib import Path

import anyio
import pytest

from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.sections import LogConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError, UpstreamDied
from portico_gateway.safe_output import redaction
from portico_gateway.safe_output.redaction import know_secrets, redacted
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.attack("8 secrets stay")]
PATIENCE = 30.0
SECRET = "hunter2hunter2"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(redaction, "_values", {})


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{SECRET}@host/path", f"https://{SECRET}@host", f"postgres://u:{SECRET}@@host:5432/db",
        f"postgresql://u:a/{SECRET}@host/db", f"https://host/mcp?token={SECRET}&x=1", f"https://host/?api_key={SECRET}",
        f"https://host/#access_token={SECRET}", f"https://host/?X-Amz-Signature={SECRET}", f"https://host/?key={SECRET}",
        f"Authorization: Bearer {SECRET}", f"authorization=Basic {SECRET}=", f"password={SECRET}", f"PGPASSWORD: {SECRET}",
        f'{{"client_secret": "{SECRET}"}}', f"--token {SECRET}", f"--api-key={SECRET}", f"MY_TOKEN='{SECRET}'",
        f"Set-Cookie: sid={SECRET}", f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END", f"sk-ant-{SECRET}{SECRET}",
        f"ghp_{SECRET}{SECRET}", f"connection string: {SECRET}", f"DSN={SECRET}",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert SECRET not in redacted(f"can't connect: {text} (refused)")


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 1024 is too many", "exited with code 2: no such file",
        "https://registry.npmjs.org/@scope/pkg is not there",
        "http://127.0.0.1:8080/@me/x", "the token is not valid", "author: Jane Doe", "cached_tokens=55",
        "server 's' can't be started: there is no 'npx'", "portico.toml:3: keys.alice.scopes: unknown scope",
        "basic authentication is not offered", "tokenizer: none",
    ],
)  # fmt: skip
def test_what_is_none_stays(text: str) -> None:
    assert redacted(text) == text


def test_values_that_a_server_was_given_are_known() -> None:
    know_secrets(
        env={"SERVICE_KEY": "abcdefgh", "PLAIN": "tok3n-of-16-chars-and-more", "HOME": "/home/jane", "DEBUG": "1"},
        headers={"X-Custom": "Whatever value9", "Accept": "text/plain"},
        args=["--password", "pass-word", "--mode", "fast-mode"],
        url="https://u:p4ssw0rd@host/",
    )
    said = redacted("abcdefgh tok3n-of-16-chars-and-more value9 pass-word p4ssw0rd /home/jane text/plain fast-mode")
    assert said == "[redacted] [redacted] [redacted] [redacted] [redacted] /home/jane text/plain fast-mode"


def test_every_error_is_without_secrets() -> None:
    for error in (ConfigError(f"bad url https://u:{SECRET}@h"), UpstreamDied("s", f"exited: password={SECRET}")):
        assert SECRET not in str(error)


@pytest.mark.parametrize("shift", [1, 7, 30, 60])
def test_a_secret_on_the_cut_of_a_long_text_is_taken_out_whole(shift: int) -> None:
    """It was cut first, so that what stood before the cut was no known value any more, and no token's form."""
    known, token = "v4lue" * 13, "ghp_" + "aB3" * 20
    know_secrets(env={"MAIL_PASSWORD": known})
    for secret in (known, token):
        text = redacted("x " * ((redaction._MAX_TEXT - shift) // 2) + secret + " and more" * 1000)
        assert secret[0] not in text
        assert len(text) < redaction._MAX_TEXT + 10


def test_redaction_of_anything_takes_no_time() -> None:
    for text in (
        "://" + "a@" * 50_000,
        "token=" * 20_000,
        "password" * 20_000,
        "--token " * 20_000,
        "?key" * 30_000,
        "a-" * 60_000,
    ):
        began = time.thread_time()
        redacted(text)
        assert time.thread_time() - began < 10


LAST_WORDS = f"import sys; sys.stderr.write('connecting to db://u:{SECRET}@h with KEY-{SECRET}\\n'); sys.exit(3)"


async def test_a_servers_last_words_are_without_secrets_wherever_they_are_told(caplog: pytest.LogCaptureFixture) -> None:
    spec = UpstreamSpec("s", command=sys.executable, args=("-c", LAST_WORDS), env={"API_KEY": f"KEY-{SECRET}"})
    async with Upstreams([spec]) as upstreams:
        await upstreams.ready(PATIENCE)
        (status,) = upstreams.status()
    assert status.error is not None
    assert "connecting to db://[redacted]@h" in status.error
    assert SECRET not in status.error + caplog.text


async def test_an_address_is_told_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    spec = UpstreamSpec("s", transport="http", url=f"http://u:{SECRET}@127.0.0.1:1/mcp?token={SECRET}")
    async with Upstreams([spec]) as upstreams:
        await upstreams.ready(PATIENCE)
        (status,) = upstreams.status()
    assert status.error is not None
    assert "127.0.0.1:1/mcp" in status.error
    assert SECRET not in status.error + caplog.text


def test_log_files_are_private_and_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o000)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        path = set_up_logging("test", LogConfig())
        logging.getLogger("x").warning("token=%s", SECRET)
        try:
            raise ValueError(f"password={SECRET}")
        except ValueError:
            logging.getLogger("x").exception("failed")
    finally:
        os.umask(before)
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    assert path is not None
    assert "failed" in path.read_text()
    assert SECRET not in path.read_text() + stderr.getvalue()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


CHATTY = "import sys\nwhile True: sys.stderr.write('x' * 1000 + '\\n')"


@pytest.mark.usefixtures("root_logger")
def test_folders_that_were_made_for_everybody_are_narrowed_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another umask, or an earlier version; links and folders that the configuration names keep what they have."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("PORTICO_LOG_DIR", raising=False)
    outside = tmp_path / "outside.txt"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    wide = [
        tmp_path / "state" / "portico" / "conversations",
        tmp_path / "cache" / "portico" / "kv",
        tmp_path / "data" / "portico",
    ]
    for folder in wide:
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    outside.write_text("x")
    (wide[0] / "link").symlink_to(outside)
    for path in (outside, elsewhere, *wide, *(folder / "file" for folder in wide)):
        path.chmod(0o777 if path.is_dir() else 0o666)
    set_up_logging("test", LogConfig(dir=elsewhere))
    for folder in wide:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o777


async def test_what_a_server_writes_to_stderr_is_bounded_while_it_runs_and_private(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        spec = UpstreamSpec("s", command=sys.executable, args=("-c", CHATTY), start_timeout=3.0)
        async with Upstreams([spec]) as upstreams:
            await upstreams.ready(PATIENCE)
            await anyio.sleep(0.1)
            files = list((tmp_path / "logs").iterdir())
            assert sum(file.stat().st_size for file in files) <= 3 << 20
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
    finally:
        os.umask(before)


async def test_a_folder_that_takes_no_logs_costs_the_log_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "file" / "logs"))
    spec = UpstreamSpec("s", command=sys.executable, args=("-c", "import sys; sys.exit('why it ended')"))
    async with Upstreams([spec]) as upstreams:
        await upstreams.ready(PATIENCE)
        assert "why it ended" in (upstreams.status()[0].error or "")
