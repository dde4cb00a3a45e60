"""A pattern of the policy for a server that isn't there is told; one that may name something of a server is not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from portico_gateway.assembly.gateway import open_tool_calls
from portico_gateway.cli.doctor_checks import configuration_checks
from portico_gateway.config.portico_config import PorticoConfig, load_config
from portico_gateway.policy.idle_patterns import idle_patterns


def config(text: str, folder: Path) -> PorticoConfig:
    file = folder / "portico.toml"
    file.write_text(f'[servers.files]\ncommand = "nothing"\nenabled = false\n{text}', encoding="utf-8")
    return load_config(file, environ={})


@pytest.mark.parametrize(
    "pattern",
    ["files__*", "files__write_file", "f*", "*", "*__delete_*", "file?__x", "fil[ae]s__x", "code__read", "db*", "ask", "call_*",
     "portico://files/*", "portico://*"],
)  # fmt: skip
def test_a_pattern_that_may_name_something_is_not_told(pattern: str, tmp_path: Path) -> None:
    assert idle_patterns(config(f'[policy]\ndeny = ["{pattern}"]\n', tmp_path), ()) == []


@pytest.mark.parametrize("pattern", ["file__write_*", "filesx__*", "files_x*", "g*", "fil[!e]s__x", "portico://file/*", "asks"])
def test_a_pattern_for_no_server_is_told_with_the_servers_that_there_are(pattern: str, tmp_path: Path) -> None:
    for key in ("allow", "ask", "deny", "read_only", "writes", "trusted", "egress"):
        [said] = idle_patterns(config(f'[policy]\n{key} = ["files__*", "{pattern}"]\n', tmp_path), ())
        assert said == f'policy.{key} has "{pattern}", which names no server; there are: files, code, docs, db'


def test_patterns_of_callers_are_told_too(tmp_path: Path) -> None:
    [said] = idle_patterns(config('[policy.callers."work*"]\ndeny = ["mail__send"]\n', tmp_path), ())
    assert said.startswith('policy.callers.work*.deny has "mail__send"')


def test_nothing_is_told_where_requests_may_bring_servers(tmp_path: Path) -> None:
    text = '[policy]\ndeny = ["mail__send"]\nrequest_servers = ["https://mcp.example.com/*"]\n'
    assert idle_patterns(config(text, tmp_path), ()) == []


def test_a_start_and_doctor_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    loaded = config('[audit]\nenabled = false\n[policy]\ndeny = ["file__*"]\n', tmp_path)
    with caplog.at_level(logging.WARNING), open_tool_calls(loaded, ()):
        pass
    assert 'policy.deny has "file__*", which names no server' in caplog.text
    monkeypatch.setenv("PORTICO_CONFIG", str(tmp_path / "portico.toml"))
    told = [check for check in configuration_checks() if check.what == "policy"]
    assert [(check.state, check.found.split(",")[0]) for check in told] == [("warn", 'policy.deny has "file__*"')]
