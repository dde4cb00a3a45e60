"""Two keys to one table, what was sold of one thing, who heads what: each must be read as it is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from tests.servers.db.questions.clinic import Clinic, columns

from portico_servers.db.databases.databases import Databases
from portico_servers.db.questions.linking.value_index import build_value_index
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.sources import parse_sources

SCHEMA = """
CREATE TABLE harbour (code TEXT PRIMARY KEY, city TEXT NOT NULL);
CREATE TABLE office (office_id INTEGER PRIMARY KEY, name TEXT NOT NULL, head TEXT NOT NULL);
CREATE TABLE clerk (clerk_id INTEGER PRIMARY KEY, name TEXT NOT NULL, office_id INTEGER NOT NULL REFERENCES office);
CREATE TABLE ferry (ferry_id INTEGER PRIMARY KEY, number TEXT NOT NULL, origin TEXT NOT NULL REFERENCES harbour,
  destination TEXT NOT NULL REFERENCES harbour);
CREATE TABLE snack (snack_id INTEGER PRIMARY KEY, name TEXT NOT NULL, price NUMERIC NOT NULL);
CREATE TABLE buyer (buyer_id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE purchase (purchase_id INTEGER PRIMARY KEY, buyer_id INTEGER NOT NULL REFERENCES buyer, channel TEXT NOT NULL);
CREATE TABLE purchase_line (purchase_id INTEGER NOT NULL REFERENCES purchase, snack_id INTEGER NOT NULL REFERENCES snack,
  quantity INTEGER NOT NULL);
INSERT INTO harbour VALUES ('BGO', 'Bergen'), ('ABZ', 'Aberdeen'), ('RKV', 'Reykjavik');
INSERT INTO office VALUES (1, 'Lost property', 'Runa Dahl'), (2, 'Freight', 'Olav Berg');
INSERT INTO clerk VALUES (1, 'Siri Vik', 1), (2, 'Nils Moe', 2);
INSERT INTO ferry VALUES (1, 'F10', 'BGO', 'ABZ'), (2, 'F11', 'ABZ', 'BGO'), (3, 'F12', 'RKV', 'BGO'), (4, 'F13', 'BGO', 'RKV'),
  (5, 'F14', 'ABZ', 'RKV');
INSERT INTO snack VALUES (1, 'Waffle', 4), (2, 'Herring', 7);
INSERT INTO buyer VALUES (1, 'Ada Quist'), (2, 'Ben Moreau'), (3, 'Cid Lund');
INSERT INTO purchase VALUES (1, 1, 'bar'), (2, 2, 'bar'), (3, 2, 'cart'), (4, 3, 'cart'), (5, 3, 'bar'), (6, 3, 'bar');
INSERT INTO purchase_line VALUES (1, 1, 9), (2, 1, 2), (3, 2, 5), (4, 1, 1), (5, 2, 1), (6, 2, 1);
"""
QUESTIONS = [
    ("How many ferries go to Aberdeen?", "SELECT 1"),
    ("How many ferries leave from Aberdeen?", "SELECT 2"),
    ("ferries from Bergen to Reykjavik", "SELECT 'F13'"),
    ("Which ferries sail to Bergen or Aberdeen?", "SELECT number FROM ferry WHERE destination IN ('BGO', 'ABZ')"),
    ("Where does ferry F12 go?", "SELECT 'Bergen'"),
    ("total number of Waffles sold", "SELECT 12"),
    ("How many Herrings were sold?", "SELECT 7"),
    ("who is the head of the Lost property office?", "SELECT 'Runa Dahl'"),
    ("top 2 buyers by number of purchases", "SELECT 'Cid Lund' UNION SELECT 'Ben Moreau'"),
    ("bottom 1 buyers by number of purchases", "SELECT 'Ada Quist'"),
]


@pytest.fixture(scope="module")
def quay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    path = tmp_path_factory.mktemp("quay") / "quay.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    yield Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    databases.close()


@pytest.mark.parametrize(("question", "sql"), QUESTIONS)
def test_a_question_gives_what_its_sql_gives(quay: Clinic, question: str, sql: str) -> None:
    with sqlite3.connect(quay.path) as connection:
        wanted = connection.execute(sql).fetchall()
    draft = quay.best(question)
    told = columns(quay.rows(draft))
    assert all(column in told for column in columns(wanted)), draft.arguments()
    assert not draft.failed
