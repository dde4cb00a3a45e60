"""Characters that are digits to Unicode and no number (`²`), and numbers longer than Python reads, wherever one is expected."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from portico_gateway.background.protocol import looks_of_this_terminal
from portico_gateway.guidance.question import read_question
from portico_servers.common.host_messages import Refusal, read_host_messages
from portico_servers.db.engines.sqlite_schema import read
from portico_servers.db.errors import ArgumentError
from portico_servers.db.tools.tables import _page
from portico_servers.docs.search.versions import version_key

pytestmark = pytest.mark.attack("15 values as they are")
ODD = ["²", "٣" * 5000, "9" * 5000, "-1", "", "1e3", "①"]


@pytest.mark.parametrize("cursor", ODD)
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(ArgumentError, match="cursor") as error:
        _page(cursor, 10)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("stat", [*ODD, "² 1", "3 1"])
def test_what_a_database_says_of_its_rows_is_a_number_or_nothing(tmp_path: Path, stat: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("create table t (a integer)")
        connection.execute("create index i on t (a)")
        connection.execute("insert into t values (1)")
        connection.execute("analyze")
        connection.execute("update sqlite_stat1 set stat = ?", [stat])
        connection.commit()
        (table,) = read(connection).tables
    assert table.row_estimate == 1


@pytest.mark.parametrize("digits", ["²", "9" * 5000, "٣"])
def test_a_question_and_a_version_may_hold_them(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (f"What came in March {digits}?", f"{digits} March 2024", f"March {digits}, 2024", f"in v1.{digits}?"):
        read_question(text)
    assert version_key(f"1.{digits}") >= version_key("1")
    monkeypatch.setenv("COLUMNS", digits)
    monkeypatch.setenv("LINES", digits)
    assert looks_of_this_terminal().width > 0


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        ('{"jsonrpc":"2.0","id":5,"method":[[]]}', 5),
        ('{"jsonrpc":"2.0","id":5,"method":{}}', 5),
        ('{"jsonrpc":"2.0","id":5,"method":"x","params":[1]}', 5),
        ('{"jsonrpc":"2.0","id":"a","method":{"id":9}}', "a"),
        ('{"jsonrpc":"2.0","id":true,"method":7}', None),
        ("[1]", None),
        ("1", None),
    ],
)
def test_a_request_that_is_none_is_answered_by_its_id(line: str, identity: object) -> None:
    (answer,) = read_host_messages(line.encode())
    assert isinstance(answer, Refusal)
    assert answer.error.id == identity
