"""What can't be a database is told at the command line, with what would be one."""

from __future__ import annotations

import pytest

from portico_servers.db.errors import DatabaseSourceError
from portico_servers.db.sources import parse_sources


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("postgresql://[x", "IPv6"),
        ("postgresql://u:secret@[x", "IPv6"),
        ("postgresql://u:secret%zz@h/d", "percent-encoded"),
        ("postgres://u:secret@h/d?nope=1", "query parameter"),
    ],
)
def test_a_dsn_that_is_none_is_told_without_its_secrets(dsn: str, why: str) -> None:
    with pytest.raises(DatabaseSourceError, match=r"not a DSN: .*expected postgresql://USER@HOST:PORT/DATABASE") as error:
        parse_sources([dsn])
    assert why in str(error.value)
    assert "secret" not in str(error.value)


def test_a_dsn_is_named_by_its_database() -> None:
    found = parse_sources(["postgresql://h/shop", "postgresql://", "postgres://u@h/shop?connect_timeout=1"])
    assert [source.name for source in found] == ["shop", "postgres", "shop_2"]
