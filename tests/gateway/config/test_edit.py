"""A server is added to a portico.toml and taken out again, and every other byte stays."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from portico_gateway.config.edit import with_server, without_server, write
from portico_gateway.errors import ConfigError, UnknownName

PATH = Path("portico.toml")
WRITTEN = """\
# mine
env_file = "secrets.env"  # kept

[servers.files]  # the notes
command = "npx"
args = [
  "-y",  # no questions
  "server",
]
[servers.files.env]
TOKEN = "x"

# about the policy
[policy]
deny = ["files__*"]
"""


def test_what_was_written_stays_and_the_server_is_added() -> None:
    entry = {"command": "npx", "args": ["-y", 'a "b" \\ c'], "env": {"A B": "1\n2", "K": "\x7f"}}
    added = with_server(WRITTEN, "notes", entry, PATH)
    assert added.startswith(WRITTEN)
    assert tomllib.loads(added)["servers"]["notes"] == entry


def test_the_first_server_of_a_new_file() -> None:
    assert with_server("", "web", {"url": "https://h/mcp", "headers": {}}, PATH) == '[servers.web]\nurl = "https://h/mcp"\n'


def test_adding_and_removing_gives_the_same_bytes() -> None:
    added = with_server(WRITTEN, "notes", {"command": "x"}, PATH)
    assert without_server(added, "notes", PATH).rstrip("\n") == WRITTEN.rstrip("\n")


def test_a_server_goes_with_the_tables_below_it_and_comments_of_others_stay() -> None:
    assert without_server(WRITTEN, "files", PATH) == (
        '# mine\nenv_file = "secrets.env"  # kept\n\n\n# about the policy\n[policy]\ndeny = ["files__*"]\n'
    )


@pytest.mark.parametrize("header", ["[servers.x]", '[servers."x"]', "[ servers . x ]  # c", "['servers'.x]"])
def test_every_way_to_write_its_table_is_known(header: str) -> None:
    assert without_server(f'{header}\nurl = "http://h"\n[log]\n', "x", PATH) == "[log]\n"


@pytest.mark.parametrize(
    "text",
    [
        '[servers]\nx = { url = "http://h" }\n',
        'servers.x.url = "http://h"\n',
        '[servers.x]\nurl = "http://h"\nnote = """\n[servers.y]\n"""\n',
    ],
)
def test_what_can_not_be_cut_out_cleanly_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"portico.toml.*by hand"):
        without_server(text, "x", PATH)


@pytest.mark.parametrize("name", ["", "a b", "a__b", "-x", "x" * 33, "a.b", 'a"'])
def test_names_that_tools_could_not_be_told_by_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="can't name a server"):
        with_server("", name, {"command": "x"}, PATH)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match="portico remove files"):
        with_server(WRITTEN, "files", {"command": "x"}, PATH)


def test_servers_that_are_closed_to_additions_are_refused() -> None:
    with pytest.raises(ConfigError):
        with_server('servers = { a = { url = "http://h" } }\n', "x", {"command": "x"}, PATH)


def test_a_server_that_is_not_there_can_not_be_removed() -> None:
    with pytest.raises(UnknownName, match="no server is named 'gone'"):
        without_server(WRITTEN, "gone", PATH)


def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_permissions_and_link(tmp_path: Path) -> None:
    write(tmp_path / "new" / "portico.toml", "a = 1\n")
    assert stat.S_IMODE((tmp_path / "new" / "portico.toml").stat().st_mode) == 0o600
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("")
    real.chmod(0o644)
    link.symlink_to(real)
    write(link, "a = 1\n")
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("a = 1\n", 0o644)
