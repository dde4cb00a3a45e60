from __future__ import annotations

import json
from pathlib import Path

import pytest

from portico_gateway.config.key_lines import json_line, toml_line, without_comments
from portico_gateway.config.portico_config import load_config
from portico_gateway.errors import ConfigError


def test_claudes_and_cursors_file_gives_specs(tmp_path: Path) -> None:
    path = tmp_path / "claude_desktop_config.json"
    entries = {
        "files": {"command": "npx", "args": ["-y", "server", "${HOME}"], "env": {"KEY": "${KEY:-none}"}, "alwaysAllow": ["x"]},
        "web": {"type": "streamable-http", "url": "https://example.org/mcp", "headers": {"X": "1"}, "protocolEra": "modern"},
        "off": {"command": "x", "disabled": True},
    }
    path.write_text(json.dumps({"mcpServers": entries, "globalShortcut": ""}))
    files, web = load_config(path, environ={"HOME": "/home/me"}).specs()
    assert (files.name, files.command, files.args) == ("files", "npx", ("-y", "server", "/home/me"))
    assert files.env == {"KEY": "none"}
    assert (web.transport, web.url, web.era) == ("http", "https://example.org/mcp", "modern")


def test_vs_codes_file_has_servers_comments_and_trailing_commas(tmp_path: Path) -> None:
    path = tmp_path / ".vscode" / "mcp.json"
    path.parent.mkdir()
    path.write_text("""{
      // what we use
      "inputs": [{"id": "key", "type": "promptString"},],
      "servers": {
        "local": {"type": "stdio", "command": "${workspaceFolder}/run", "args": ["http://a//b", "${input:api-key}"],},
        /* remote */ "far": {"type": "sse", "url": "https://example.org/sse"},
      },
    }""")
    local, far = load_config(path, environ={"PORTICO_INPUT_API_KEY": "k"}).specs()
    assert local.command == str(tmp_path / "run")
    assert local.args == ("http://a//b", "k")
    assert far.transport == "sse"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{\n "mcpServers": {\n  "a": {"command": "x"},\n  "b": {"command": 3}\n }\n}', 4, "servers.b.command"),
        ('{\n "mcpServers": {\n  "a": 3\n }\n}', 3, "mcpServers.a must be an object"),
        ('{\n "servers": {\n  "a": {"command": "${NOPE}"}\n }\n}', 3, "the environment variable NOPE is not set"),
        ('{\n "servers": {\n  "a": {"command": "${input:k}"}\n }\n}', 3, "PORTICO_INPUT_K"),
        ('{\n "servers": {\n  "a": {"type": "carrier-pigeon", "url": "x"}\n }\n}', 3, "carrier-pigeon"),
    ],
)
def test_what_is_wrong_with_an_entry_names_its_line_and_costs_that_entry(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    *good, bad = load_config(path, environ={}).specs()
    assert not any(spec.problem for spec in good)
    assert said in bad.problem
    assert bad.problem.startswith(f"{path}:{line}: ")


def test_a_file_that_is_no_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{\n "servers": {\n')
    with pytest.raises(ConfigError, match=f"{path}:3: this is not valid JSON"):
        load_config(path, environ={})


def test_a_json_without_servers_says_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="expected an object with 'mcpServers'"):
        load_config(path, environ={})


def test_comments_in_strings_stay_and_lines_keep_their_place() -> None:
    text = '{\n /* two\n lines */ "a": "// not one", // gone\n "b": [1, 2,],\n}'
    plain = without_comments(text)
    assert json.loads(plain) == {"a": "// not one", "b": [1, 2]}
    assert plain.count("\n") == text.count("\n")


def test_lines_of_nested_keys_are_found_and_missing_ones_fall_back_to_their_parent() -> None:
    text = '{\n "a": [\n  {"b": 1},\n  {\n   "c": 2\n  }\n ]\n}'
    assert json_line(text, ("a", 1, "c")) == 5
    assert json_line(text, ("a", 1, "nope")) == 2
    toml = '[a]\nx = 1\n[[b]]\ny = 1\n[[b]]\n"q r" = { z = 1 }\n'
    assert toml_line(toml, ("b", 1, "q r", "z")) == 6
    assert toml_line(toml, ("a", "nope")) == 1
    assert toml_line(toml, ("nowhere",)) is None
