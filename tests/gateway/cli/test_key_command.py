"""`portico key`: keys are made, listed, rotated and revoked, and the rest of the file stays as it was."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from portico_gateway.cli.main import cli
from portico_gateway.http.middleware.keys import key_hash

TEXT = f"""# mine
[keys.ada]  # Ada's
sha256 = "{key_hash("k-ada")}"
scopes = ["chat"]
requests_per_day = 5

[keys.old]
sha256 = "{key_hash("k-old")}"
expires = 2020-01-01T00:00:00Z

[serve]
port = 1  # stays
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "portico.toml"
    path.write_text(TEXT)
    return path


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["key", *args])


def test_keys_are_listed_with_what_they_may_and_never_themselves(file: Path) -> None:
    found = run("list", "--config", str(file))
    assert found.stdout.splitlines() == [
        "ada  chat  5 requests a day",
        "old  chat, mcp  expired 2020-01-01T00:00:00+00:00",
    ]
    assert key_hash("k-ada") not in found.output


def test_a_key_is_revoked_and_all_else_stays(file: Path) -> None:
    assert run("revoke", "old", "--config", str(file)).exit_code == 0
    assert file.read_text().split() == TEXT.replace(TEXT[TEXT.index("[keys.old]") : TEXT.index("[serve]")], "").split()
    again = run("revoke", "old", "--config", str(file))
    assert again.exit_code != 0
    assert "no key is named 'old'" in str(again.output) + str(again.exception)


def test_a_rotated_key_is_another_under_the_same_name(file: Path) -> None:
    found = run("rotate", "ada", "--config", str(file))
    assert found.exit_code == 0
    fresh = found.stdout.strip()
    changed = tomllib.loads(file.read_text())["keys"]["ada"]
    assert changed == {"sha256": key_hash(fresh), "scopes": ["chat"], "requests_per_day": 5}
    assert "# Ada's" in file.read_text()
    assert "port = 1  # stays" in file.read_text()


def test_a_new_key_may_end(file: Path) -> None:
    found = run("new", "eve", "--expires", "30d")
    ends = datetime.fromisoformat(re.search(r"expires = (\S+)", found.stderr)[1])  # type: ignore[index]
    assert timedelta(days=29) < ends - datetime.now(UTC) <= timedelta(days=30)
    assert tomllib.loads(found.stderr.partition("\n\n")[2])["keys"]["eve"]["expires"] == ends
    wrong = run("new", "eve", "--expires", "soon")
    assert wrong.exit_code == 2
    assert "as 12h, 30d or 4w" in wrong.stderr
