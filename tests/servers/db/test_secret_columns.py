"""Which columns keep secrets, by their names."""

from __future__ import annotations

import pytest

from portico_servers.db.schema import Column, ForeignKey, Table
from portico_servers.db.secret_columns import is_secret


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("user_password", True), ("PasswordHash", True), ("api_key", True), ("apiKey", True),
        ("access_tokens", True), ("pin", True), ("salt", True), ("passport", False), ("keyboard", False), ("tokenizer", False),
        ("shipping", False), ("hashtag", False), ("name", False),
    ],
)  # fmt: skip
def test_a_word_of_the_name_tells(name: str, secret: bool) -> None:
    column = Column(name, "TEXT", "text")
    assert is_secret(column, Table("t", None, "t", False, (column,))) is secret


def test_keys_of_tables_are_no_secrets_and_the_patterns_are_the_owners() -> None:
    key, other = Column("token", "TEXT", "text", primary_key=1), Column("diagnosis", "TEXT", "text")
    table = Table("t", None, "t", False, (key, other), (ForeignKey(("diagnosis",), "d", ("id",)),))
    assert not is_secret(key, table)
    free = Table("t", None, "t", False, (key, other))
    assert is_secret(other, free, ["diagnosis"])
    assert not is_secret(other, free, [])
