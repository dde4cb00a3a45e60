"""Configurations that are valid TOML or JSON and mean nothing: one line each, with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_gateway.cli.main import run
from portico_gateway.cli.trust_prompt import what_it_does
from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.portico_config import load_config
from portico_gateway.config.sections import LogConfig
from portico_gateway.config.trust import WorkspaceConfig
from portico_gateway.errors import ConfigError

pytestmark = pytest.mark.attack("16 configuration")
DEEP = ".".join(["a"] * 5000)
LONG = "9" * 5000


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.toml", f"{DEEP} = 1\n", "nests too deeply"),
        ("c.toml", f"[{DEEP}]\n", "nests too deeply"),
        ("c.toml", f"a = {LONG}\n", "can't be read"),
        ("c.json", f'{{"mcpServers": {{}}, "a": {LONG}}}', "can't be read"),
        ("c.toml", "[policy]\napproval_seconds = inf\n", "policy.approval_seconds"),
        ("c.toml", "[servers.a]\ncommand = 'x'\nstart_timeout = inf\n", "servers.a.start_timeout"),
        ("c.toml", "[audit]\nmax_days = 1e12\n", "audit.max_days"),
        ("c.toml", f"[audit]\nmax_rows = {'9' * 30}\n", "audit.max_rows"),
        (
            "c.toml",
            "[oauth]\nissuer = 'http://[x'\nresource = 'http://[y'\nintrospection_url = 'http://a/'\n",
            "is no URL",
        ),
    ],
)
def test_it_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 2000
    assert run(["audit", "--config", str(path)]) == 2


def test_a_deep_one_of_a_workspace_is_left_out_before_anybody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nests too deeply"):
        list(what_it_does(WorkspaceConfig(tmp_path / "portico.toml", f"{DEEP} = 1\n".encode())))


@pytest.mark.usefixtures("root_logger")
def test_a_folder_for_logs_that_no_folder_can_be_costs_the_log(tmp_path: Path) -> None:
    assert set_up_logging("test", LogConfig(dir=Path("a\0b"))) is None
