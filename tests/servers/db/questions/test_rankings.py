"""What sold best, what most of them are, what was earned: each must rank by what is said, or be said not to be understood."""

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
CREATE TABLE Categories (CategoryID INTEGER PRIMARY KEY, CategoryName TEXT NOT NULL);
CREATE TABLE Lamps (LampID INTEGER PRIMARY KEY, LampName TEXT NOT NULL, CategoryID INTEGER NOT NULL REFERENCES Categories,
  UnitPrice NUMERIC NOT NULL, UnitsInStock INTEGER NOT NULL, UnitsOnOrder INTEGER NOT NULL,
  Shade TEXT CHECK (Shade IN ('red', 'green')));
CREATE TABLE LampWarehouses (LampID INTEGER NOT NULL REFERENCES Lamps, Warehouse INTEGER NOT NULL,
  PRIMARY KEY (LampID, Warehouse));
CREATE TABLE Customers (CustomerID INTEGER PRIMARY KEY, CompanyName TEXT NOT NULL, Country TEXT);
CREATE TABLE Employees (EmployeeID INTEGER PRIMARY KEY, FullName TEXT NOT NULL, Country TEXT);
CREATE TABLE Orders (OrderID INTEGER PRIMARY KEY, CustomerID INTEGER NOT NULL REFERENCES Customers,
  EmployeeID INTEGER NOT NULL REFERENCES Employees, OrderDate DATE NOT NULL);
CREATE TABLE Districts (DistrictID INTEGER PRIMARY KEY, DistrictName TEXT NOT NULL);
CREATE TABLE EmployeeDistricts (EmployeeID INTEGER NOT NULL REFERENCES Employees,
  DistrictID INTEGER NOT NULL REFERENCES Districts, PRIMARY KEY (EmployeeID, DistrictID));
CREATE TABLE OrderDetails (OrderID INTEGER NOT NULL REFERENCES Orders, LampID INTEGER NOT NULL REFERENCES Lamps,
  Quantity INTEGER NOT NULL, PRIMARY KEY (OrderID, LampID));
CREATE TABLE Repairs (RepairID INTEGER PRIMARY KEY, LampID INTEGER NOT NULL REFERENCES Lamps, Done DATE NOT NULL);
INSERT INTO Categories VALUES (1, 'Desk'), (2, 'Floor');
INSERT INTO Lamps VALUES (1, 'Ampel', 1, 90, 2, 80, 'red'), (2, 'Blink', 2, 20, 9, 0, 'green'),
  (3, 'Corona', 1, 50, 40, 5, 'red'),
  (4, 'Dim', 2, 10, 1, 1, NULL);
INSERT INTO LampWarehouses VALUES (1, 1), (1, 2), (2, 1);
INSERT INTO Customers VALUES (1, 'Abel', 'Peru'), (2, 'Boas', 'Peru'), (3, 'Cai', 'Chile'), (4, 'Dov', NULL);
INSERT INTO Employees VALUES (1, 'Ada Quist', 'Chile'), (2, 'Ben Moreau', 'Peru');
INSERT INTO Orders VALUES (1, 1, 2, '2024-01-05'), (2, 2, 2, '2024-03-05'), (3, 3, 1, '2024-03-06'), (4, 3, 2, '2024-03-07');
INSERT INTO Districts VALUES (1, 'North'), (2, 'South');
INSERT INTO EmployeeDistricts VALUES (1, 1), (1, 2), (2, 1);
INSERT INTO OrderDetails VALUES (1, 2, 70), (2, 2, 5), (2, 1, 3), (3, 1, 3), (4, 1, 2);
INSERT INTO Repairs VALUES (1, 1, '2024-02-01'), (2, 2, '2024-02-02'), (3, 3, '2024-02-03');
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    yield Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    databases.close()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which lamp sold the most units?", "Blink"),  # 75 of them, and not the dearest, nor what is on order
        ("What's our best-selling lamp?", "Blink"),
        ("Which lamp sells best?", "Blink"),
        ("Which employee sold the most?", "Ben Moreau"),  # by orders, and not by districts
        ("What country do most of our customers come from?", "Peru"),  # theirs, and not that of who served them
        ("What's the most common shade?", "red"),  # among listed values, some of which are missing
        ("Which month had the most orders?", "2024-03"),
        ("Which shade of lamp had the most repairs?", "2"),  # all lamps of a shade together
    ],
)
def test_what_is_ranked_is_what_is_said(shop: Clinic, question: str, expected: str) -> None:
    draft = shop.best(question)
    assert not draft.failed
    assert not draft.unused()
    assert [expected] in columns(shop.rows(draft)), draft.arguments()


def test_what_was_earned_is_no_list_price(shop: Clinic) -> None:
    draft = shop.best("Which category earns the most?")
    assert draft.failed or draft.unused(), draft.arguments()


@pytest.mark.parametrize(
    ("question", "root", "entity"),
    [
        ("Best-seller by units, over all orders?", "OrderDetails", "Orders"),  # what is on order is said of lamps
        ("Which customer has placed the most orders per employee?", "Orders", "Customers"),
    ],
)
def test_what_would_take_apart_the_rows_that_are_counted_together_fails(
    shop: Clinic, question: str, root: str, entity: str
) -> None:
    drafts = [draft for draft in shop.reader.read(question, shop.index) if draft.reach.root.name == root]
    assert all(draft.failed for draft in drafts if draft.entity is not None and draft.entity.table == entity)


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("Are there customers without a country? If so, what's their number?", "SELECT 1"),
        ("Are there customers without a country? I need the number.", "SELECT 1"),
        ("Lamps in red? Just give me the count.", "SELECT 2"),
        ("red lamps = ?", "SELECT 2"),
        ("red lamps = ?, green lamps = ?", "SELECT Shade, COUNT(*) FROM Lamps WHERE Shade IS NOT NULL GROUP BY 1"),
        ("How many lamps have no shade?", "SELECT 1"),
    ],
)
def test_a_count_is_a_number_however_it_is_asked_for(shop: Clinic, question: str, sql: str) -> None:
    draft = shop.best(question)
    assert not draft.failed
    assert not draft.unused()
    assert columns(shop.rows(draft)) == columns(shop.sql(sql)), draft.arguments()


def test_who_are_counted_must_be_what_an_earlier_sentence_says(shop: Clinic) -> None:
    draft = shop.best("Are there categories nobody has ordered? How many of them?")
    assert {word.text for word in draft.unused()} or draft.arguments()["table"] == "Categories"
