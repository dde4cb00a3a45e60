"""What is paid, sold, ranked and missing, in people's words: each must be read as it is meant, or not be answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.db.questions.clinic import Clinic, columns

from portico_servers.db.databases.databases import Databases
from portico_servers.db.questions.linking.value_index import build_value_index
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.sources import parse_sources

SCHEMA = """
CREATE TABLE employees (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, born DATE, hired DATE, city TEXT,
  reports_to INTEGER REFERENCES employees, phone TEXT);
CREATE TABLE suppliers (id INTEGER PRIMARY KEY, company_name TEXT NOT NULL, country TEXT NOT NULL);
CREATE TABLE customers (id INTEGER PRIMARY KEY, company_name TEXT NOT NULL, country TEXT NOT NULL, created DATE NOT NULL,
  support_rep_id INTEGER REFERENCES employees);
CREATE TABLE articles (id INTEGER PRIMARY KEY, name TEXT NOT NULL, supplier_id INTEGER NOT NULL REFERENCES suppliers,
  price NUMERIC NOT NULL, stock INTEGER NOT NULL, discontinued INTEGER NOT NULL, extras TEXT, replacement_cost NUMERIC NOT NULL,
  quantity_per_unit TEXT, rating TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, ordered DATE NOT NULL,
  ship_city TEXT, ship_country TEXT);
CREATE TABLE shippers (id INTEGER PRIMARY KEY, company_name TEXT NOT NULL);
CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders, article_id INTEGER NOT NULL REFERENCES articles,
  quantity INTEGER NOT NULL, PRIMARY KEY (order_id, article_id));
CREATE TABLE payments (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, amount NUMERIC NOT NULL,
  payment_date DATE NOT NULL);
CREATE TABLE fines (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, amount NUMERIC NOT NULL,
  paid_on DATE);
CREATE TABLE clubs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, fee INTEGER NOT NULL);
CREATE TABLE club_members (club_id INTEGER NOT NULL REFERENCES clubs, employee_id INTEGER NOT NULL REFERENCES employees,
  PRIMARY KEY (club_id, employee_id));
CREATE TABLE clips (id INTEGER PRIMARY KEY, title TEXT NOT NULL, milliseconds INTEGER NOT NULL);
INSERT INTO employees VALUES (1, 'Ada Quist', '1990-05-01', '2001-01-01', 'Recife', NULL, '555-1'),
  (2, 'Ben Moreau', '1960-01-01', '2020-01-01', 'Halle', 1, '555-2'), (3, 'Cid Weiss', '1970-01-01', NULL, 'Halle', 1, NULL);
INSERT INTO suppliers VALUES (1, 'Nordic Looms', 'Norway'), (2, 'Casa Lima', 'Peru');
INSERT INTO customers VALUES (1, 'Abel Stores', 'Peru', '2020-01-01', 1), (2, 'Boas Market', 'Chile', '2022-01-01', 1),
  (3, 'Cai Bistro', 'Chile', '2021-01-01', 2);
INSERT INTO articles VALUES (1, 'Ampel', 1, 90, 2, 0, 'Cable,Bulb', 50, '4 bags', 'A'),
  (2, 'Blink', 1, 20, 0, 1, 'Bulb', 70, '12 boxes', 'A'), (3, 'Corona', 2, 50, 40, 1, 'Cable,Dimmer', 10, '1 crate', 'B'),
  (4, 'Dim', 2, 10, 1, 0, 'Bulb,Cable', 20, '6 bags', NULL), (5, 'Ember', 2, 30, 1, 0, 'Bulb,Dimmer', 30, '8 bags', 'B'),
  (6, 'Flare', 2, 30, 1, 0, 'Dimmer', 30, '8 bags', 'B');
INSERT INTO orders VALUES (1, 1, '2024-01-05', 'Kyoto', 'Japan'), (2, 2, '2024-03-05', 'Osaka', 'Japan'),
  (3, 2, '2024-03-06', 'Lima', 'Peru');
INSERT INTO shippers VALUES (1, 'Swift'), (2, 'Parcel');
INSERT INTO order_lines VALUES (1, 1, 5), (2, 2, 6), (3, 1, 2);
INSERT INTO payments VALUES (1, 1, 300, '2024-02-01'), (2, 2, 20, '2024-02-02'), (3, 2, 30, '2025-02-03');
INSERT INTO fines VALUES (1, 1, 10, NULL), (2, 2, 5, '2024-05-05'), (3, 3, 4, '2024-06-06');
INSERT INTO clubs VALUES (1, 'Chess', 0), (2, 'Hiking', 5);
INSERT INTO club_members VALUES (1, 1), (1, 2), (2, 3);
INSERT INTO clips VALUES (1, 'Dawn', 4000), (2, 'Dusk', 2000);
"""

QUESTIONS = [
    ("Who was hired first?", "SELECT full_name FROM employees WHERE id = 1"),  # and not who was born first
    ("Which employee has been with us the longest?", "SELECT full_name FROM employees WHERE id = 1"),
    ("How many employees report to nobody?", "SELECT COUNT(*) FROM employees WHERE reports_to IS NULL"),
    ("What is the phone number of Ben Moreau?", "SELECT phone FROM employees WHERE id = 2"),  # no count
    ("Which customer has paid us the most money?", "SELECT company_name FROM customers WHERE id = 1"),  # and not most often
    ("Which article costs the most to replace?", "SELECT name FROM articles WHERE id = 2"),
    ("How many articles cost more than 40 dollars?", "SELECT 2"),
    ("How many articles come with a cable?", "SELECT COUNT(*) FROM articles WHERE extras LIKE '%Cable%'"),
    ("How many articles are discontinued but still in stock?", "SELECT 1"),
    ("How many articles were sold?", "SELECT SUM(quantity) FROM order_lines"),
    ("How many units of Ampel were sold in total?", "SELECT SUM(quantity) FROM order_lines WHERE article_id = 1"),
    ("What is the quantity per unit of Ampel?", "SELECT quantity_per_unit FROM articles WHERE id = 1"),
    ("In how many countries do we have customers?", "SELECT COUNT(DISTINCT country) FROM customers"),
    ("Which country do we ship to most often?", "SELECT ship_country FROM orders WHERE id = 1"),
    ("how many customers have ordered nothing so far", "SELECT 1"),
    ("When did the newest customer sign up?", "SELECT created FROM customers WHERE id = 2"),
    ("how much has been paid in fines", "SELECT SUM(amount) FROM fines WHERE paid_on IS NOT NULL"),
    ("how much did we earn in 2024?", "SELECT SUM(amount) FROM payments WHERE payment_date LIKE '2024%'"),
    ("how many members does the Chess club have", "SELECT COUNT(*) FROM club_members WHERE club_id = 1"),
    ("How many clubs cost money?", "SELECT COUNT(*) FROM clubs WHERE fee > 0"),
    ("Which club is the largest, by number of members?", "SELECT name FROM clubs WHERE id = 1"),
    ("What is the average length of a clip in milliseconds?", "SELECT AVG(milliseconds) FROM clips"),
    ("How many customers does Ada Quist support?", "SELECT 2"),
    ("How many fines did Abel Stores get, in all?", "SELECT 1"),
    ("We're going to send a card to the newest customer. Who is it?", "SELECT company_name FROM customers WHERE id = 2"),
    ("What kind of articles do we have, by name?", "SELECT name FROM articles"),
    ("What is the most common city among employees?", "SELECT city FROM employees WHERE id = 2"),
]


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    path = tmp_path_factory.mktemp("depot") / "depot.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    yield Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    databases.close()


@pytest.mark.parametrize(("question", "sql"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_wording_gives_what_its_sql_gives(depot: Clinic, question: str, sql: str) -> None:
    draft = depot.best(question)
    found, expected = columns(depot.rows(draft)), columns(depot.sql(sql))
    assert all(column in found for column in expected), draft.arguments()
    assert not draft.failed
    assert not draft.unused()


@pytest.mark.parametrize(
    "question",
    [
        "How many suppliers are from Japan?",  # what others had shipped there tells of no supplier
        "What is the average number of articles per supplier?",  # no query here gives a mean of counts
        "I'm cooking a soup with lentils. How much stock should I get for it?",  # "it" is no article here
        "Which warehouse keeps the Ampel?",  # how many there are is no place
        "In which countries does Nordic Looms have showrooms?",  # where it is from says nothing of what it has
        "How often was the dearest article inspected?",  # what is counted is said by the verb alone,
        "How many times has Ampel been photographed?",
        "Who inspected the Ampel?",  # and so is who is meant
        "Who repaired the Ampel?",
        "How heavy is the heaviest article?",  # no price tells a weight
        "Which article is the fastest?",
        "Which supplier is going to fold next?",  # nobody knows
        "Which customers plan to move?",  # what they mean to do, not the asker
        "What payment system do our customers use?",  # of whom it is asked is no answer
        "Which filing system does Nordic Looms use?",
    ],
)
def test_what_no_query_gives_is_not_answered_by_another(depot: Clinic, question: str) -> None:
    draft = depot.best(question)
    assert draft.failed or draft.unused(), draft.arguments()


@pytest.mark.parametrize(
    ("dates", "question", "sql"),
    [
        ("arrived DATE, left_on DATE", "How many stays are still open?", "SELECT COUNT(*) FROM stays WHERE left_on IS NULL"),
        ("arrived DATE, left_on DATE", "How many stays have ended?", "SELECT COUNT(*) FROM stays WHERE left_on IS NOT NULL"),
        ("begun DATE, arrived DATE", "How many stays are over?", "SELECT COUNT(*) FROM stays WHERE arrived IS NOT NULL"),
        ("closed_on DATE, left_on DATE", "How many stays have ended?", None),  # which of the two, nobody says
    ],
)
def test_what_has_ended_is_told_by_the_date_of_its_end(tmp_path: Path, dates: str, question: str, sql: str | None) -> None:
    path = tmp_path / "marina.db"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE stays (id INTEGER PRIMARY KEY, boat TEXT NOT NULL, {dates})")
    connection.execute("INSERT INTO stays VALUES (1, 'Gull', '2025-01-01', '2025-02-01'), (2, 'Elida', '2025-01-01', NULL)")
    connection.commit()
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    marina = Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    try:
        draft = marina.best(question)
        if sql is None:
            assert draft.failed or draft.unused()
        else:
            assert columns(marina.rows(draft)) == columns(marina.sql(sql)), draft.arguments()
            assert not draft.failed
            assert not draft.unused()
    finally:
        databases.close()
