"""`portico login`: what it needs, and forgetting."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from mcp.shared.auth import OAuthToken

from portico_gateway.cli.main import run
from portico_gateway.config.server_spec import OAuthClient
from portico_gateway.upstreams.oauth.authorization import token_store

URL = "https://mcp.example/mcp"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "portico.toml"
    file.write_text(f'[servers.far]\nurl = "{URL}"\n[servers.far.oauth]\n[servers.open]\nurl = "{URL}"\n')
    return str(file)


@pytest.mark.parametrize(
    ("name", "said"), [("near", "'near'"), ("open", "[servers.open.oauth]")], ids=["no such server", "no table for it"]
)
def test_what_it_needs_is_said(config: str, name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["login", name, "--config", config]) != 0
    assert said in capsys.readouterr().err


def test_forgetting_deletes_what_is_kept(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = token_store(URL, OAuthClient())
    anyio.run(store.set_tokens, OAuthToken(access_token="t", token_type="Bearer"))
    assert run(["login", "far", "--forget", "--config", config]) == 0
    assert run(["login", "far", "--forget", "--config", config]) == 1
    assert "there was nothing to forget" in capsys.readouterr().err
    assert anyio.run(store.get_tokens) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('command = "x"\n[servers.far.oauth]', "with a url"),
        (f'url = "{URL}"\ntype = "sse"\n[servers.far.oauth]', "Streamable HTTP"),
        (f'url = "{URL}"\n[servers.far.oauth]\nclient_secret = "s"', "needs client_id"),
        (f'url = "{URL}"\n[servers.far.oauth]\nclient_metadata_url = "http://x/y"', "https:// URL with a path"),
        (f'url = "{URL}"\n[servers.far.oauth]\nport = 1', "redirect_port"),
    ],
)
def test_a_table_that_can_not_be_is_told(tmp_path: Path, entry: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "portico.toml"
    file.write_text(f"[servers.far]\n{entry}\n")
    assert run(["login", "far", "--config", str(file)]) == 2
    assert said in capsys.readouterr().err
