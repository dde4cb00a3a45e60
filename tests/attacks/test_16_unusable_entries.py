"""Entries of servers that no process can be started from and no request be sent with: each is named by its key, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portico_gateway.config.portico_config import load_config
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.attack("16 configuration")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def spec_of(tmp_path: Path, entry: dict[str, Any]) -> list[UpstreamSpec]:
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"a": entry}}))
    return list(load_config(path).specs())


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"command": "x", "args": ["y", "s3cret\0"]}, "servers.a.args[1]: a NUL"),
        ({"command": "x\0"}, "servers.a.command: a NUL"),
        ({"command": "x", "cwd": "/tmp\0"}, "servers.a.cwd: a NUL"),
        ({"command": "x", "env": {"A": "s3cret\0"}}, "servers.a.env.A: a NUL"),
        ({"command": "x", "env": {"A": "\ud83d"}}, "servers.a.env.A: half of a surrogate pair"),
        ({"command": "x", "args": ["\ud83d"]}, "servers.a.args[0]: half of a surrogate pair"),
        ({"command": "x", "env": {"A=B": "s3cret"}}, "'A=B' is no name of a variable"),
        ({"command": "x", "env": {"": "s3cret"}}, "'' is no name of a variable"),
        ({"url": "http://h/", "headers": {"A": "s3cret\r\nB: c"}}, "servers.a.headers.A: a line break"),
        ({"url": "http://h/", "headers": {"A": "s3cret\n"}}, "servers.a.headers.A: a line break"),
        ({"url": "http://h/", "headers": {"A B": "s3cret"}}, "'A B' is no name of a header"),
        ({"url": "http://h/", "headers": {"A": "s3cret é"}}, "servers.a.headers.A: a character beyond ASCII"),
        ({"url": "http://h:99999/mcp"}, "servers.a.url: it can't be read"),
        ({"url": "http://h:x/mcp"}, "servers.a.url: it can't be read"),
        ({"url": "http://[::1/mcp"}, "servers.a.url: it can't be read"),
        ({"url": "http:///mcp"}, "servers.a.url: it names no host"),
        ({"command": "x", "disabled": "perhaps"}, "'disabled' as 'perhaps', which is neither true nor false"),
        ({"command": "x", "enabled": 3}, "'enabled' as '3', which is neither true nor false"),
    ],
)
def test_it_is_named_before_anything_is_tried(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    (spec,) = spec_of(tmp_path, entry)
    assert says in (spec.problem or "")
    assert "s3cret" not in (spec.problem or "")


@pytest.mark.parametrize("entry", [{"disabled": "true"}, {"enabled": "False"}, {"disabled": True}, {"enabled": False}])
def test_what_is_switched_off_by_a_text_is_off(tmp_path: Path, entry: dict[str, Any]) -> None:
    assert not spec_of(tmp_path, {"command": "x", **entry})


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "x", "args": ["é", "a\tb", "a\nb", ""], "env": {"A": "", "B_1": "a=b\n"}},
        {"url": "https://bücher.example:8443/mcp?k=v", "headers": {"X-A": "", "Authorization": "Bearer a\tb"}},
        {"url": "http://[::1]:80/mcp"},
        {"command": "x", "disabled": "false", "enabled": "true"},
    ],
)
def test_what_can_be_used_is(tmp_path: Path, entry: dict[str, Any]) -> None:
    (spec,) = spec_of(tmp_path, entry)
    assert not spec.problem


@pytest.mark.anyio
async def test_a_whole_command_line_as_the_command_is_told_where_the_words_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    async with Upstreams(spec_of(tmp_path, {"command": "npx -y some-server"})) as upstreams:
        await upstreams.ready(20)
        assert "goes into args" in (upstreams.status()[0].error or "")
