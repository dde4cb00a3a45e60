"""Questions in words, read as queries: each must give what its SQL gives, and say which words it could not use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.servers.db.questions.clinic import Clinic, columns

from portico_servers.db.databases.databases import Databases
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.linking.value_index import build_value_index
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.sources import parse_sources
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.rows import answer_rows

QUESTIONS = [
    ("How many patients are there?", "SELECT COUNT(*) FROM patients"),
    ("How many patients live in brazil?", "SELECT COUNT(*) FROM patients WHERE town_id = 1"),
    ("How many patients come from Cote d'Ivoire?", "SELECT COUNT(*) FROM patients WHERE town_id = 2"),
    ("How many visits did Ada Quist have?", "SELECT COUNT(*) FROM visits WHERE doctor_id = 1"),
    ("What is Elin's email?", "SELECT email FROM patients WHERE id = 1"),
    ("Which patients took AC/DC Forte?", "SELECT 'Elin'"),
    ("How many antibiotics are there?", "SELECT COUNT(*) FROM drugs WHERE kind = 'antibiotic'"),
    ("How many pain-killers do we have?", "SELECT COUNT(*) FROM drugs WHERE kind = 'pain-killer'"),
    ("How many visits were held in May 2024?", "SELECT COUNT(*) FROM visits WHERE held LIKE '2024-05%'"),
    ("How many visits were held in the first quarter of 2024?", "SELECT 2"),
    ("How many visits were held before 2025?", "SELECT COUNT(*) FROM visits WHERE held < '2025-01-01'"),
    ("How many visits were held since 2025?", "SELECT COUNT(*) FROM visits WHERE held >= '2025-01-01'"),
    ("How many visits were held between 2024-02-01 and 2024-05-01?", "SELECT 2"),
    ("How many patients registered in 2024?", "SELECT COUNT(*) FROM patients WHERE registered_at >= 1704067200"),
    ("How many visits took more than 25 minutes?", "SELECT COUNT(*) FROM visits WHERE minutes > 25"),
    ("How many visits took 30 minutes or more?", "SELECT COUNT(*) FROM visits WHERE minutes >= 30"),
    ("How many drugs cost less than 10?", "SELECT COUNT(*) FROM drugs WHERE price < 10"),
    ("How many drugs cost more than the average?", "SELECT COUNT(*) FROM drugs WHERE price > (SELECT AVG(price) FROM drugs)"),
    ("How many patients have no email?", "SELECT COUNT(*) FROM patients WHERE email IS NULL"),
    ("How many patients have an email?", "SELECT COUNT(*) FROM patients WHERE email IS NOT NULL"),
    ("How many smokers are there among the patients?", "SELECT COUNT(*) FROM patients WHERE smoker"),
    ("How many visits have no doctor?", "SELECT COUNT(*) FROM visits WHERE doctor_id IS NULL"),
    ("Which patients have no visits?", "SELECT name FROM patients WHERE id = 3"),
    ("Which patients have more than 1 visit?", "SELECT name FROM patients WHERE id IN (1, 2)"),
    ("What is the average fee?", "SELECT AVG(fee) FROM visits"),
    ("What is the total of all fees?", "SELECT SUM(fee) FROM visits"),
    ("What was the highest fee?", "SELECT MAX(fee) FROM visits"),
    ("Total fees per outcome", "SELECT outcome, SUM(fee) FROM visits GROUP BY 1"),
    (
        "How many visits did each doctor have?",
        "SELECT last_name, COUNT(*) FROM visits LEFT JOIN doctors ON doctors.id = doctor_id GROUP BY doctor_id",
    ),
    ("Number of visits per year", "SELECT substr(held, 1, 4), COUNT(*) FROM visits GROUP BY 1"),
    ("What are the 2 cheapest drugs?", "SELECT name FROM drugs ORDER BY price LIMIT 2"),
    ("Who is the oldest patient?", "SELECT name FROM patients ORDER BY born LIMIT 1"),
    ("Which doctor was hired first?", "SELECT first_name FROM doctors ORDER BY hired LIMIT 1"),
    ("Which doctor earns the most?", "SELECT last_name FROM doctors ORDER BY salary DESC LIMIT 1"),
    ("Which doctor has the most visits?", "SELECT first_name FROM doctors WHERE id = 1"),
    ("Who mentors Ben Moreau?", "SELECT first_name FROM doctors WHERE id = 1"),
    ("Which patient paid the most in fees?", "SELECT name FROM patients WHERE id = 1"),
    ("In how many different towns do patients live?", "SELECT COUNT(DISTINCT town_id) FROM patients"),
    ("How many patients are from Brazil or Côte d'Ivoire?", "SELECT COUNT(*) FROM patients WHERE town_id IN (1, 2)"),
    ("How many seats does M-103 have?", "SELECT seats FROM rooms"),
    ("How much does Zolin cost?", "SELECT price FROM drugs WHERE name = 'Zolin'"),
    ("What is the outcome of visit 2?", "SELECT outcome FROM visits WHERE id = 2"),
    ("List the names of the drugs", "SELECT name FROM drugs"),
    ("When was the visit 3 held?", "SELECT held FROM visits WHERE id = 3"),
]


@pytest.mark.parametrize(("question", "sql"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_gives_what_its_sql_gives(clinic: Clinic, question: str, sql: str) -> None:
    draft = clinic.best(question)
    found, expected = columns(clinic.rows(draft)), columns(clinic.sql(sql))
    assert all(column in found for column in expected), draft.arguments()
    assert not draft.failed


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("How many ventilators does M-103 have?", "ventilators"),
        ("Which insurer pays for Elin?", "insurer"),
        ("How many visits did Zorro have?", "Zorro"),
        ("What is the blood group of Elin?", "blood"),
    ],
)
def test_words_that_nothing_accounts_for_are_known(clinic: Clinic, question: str, left: str) -> None:
    drafts = clinic.reader.read(question, clinic.index)
    assert not drafts or left in {word.text for word in drafts[0].unused()}


def test_a_value_of_a_secret_column_is_not_known(clinic: Clinic) -> None:
    assert all(value.column != "access_token" for values in clinic.index.values.values() for value in values)
    assert clinic.best("How many patients live in Recife?").arguments()["filters"][0]["column"] == "towns.name"


@pytest.mark.parametrize("text", ["'; DROP TABLE visits; --", '" OR 1=1 --', "x') UNION SELECT access_token FROM doctors --"])
def test_sql_in_a_question_is_words_and_no_sql(clinic: Clinic, text: str) -> None:
    for draft in clinic.reader.read(f"How many visits had the outcome {text}", clinic.index)[:5]:
        clinic.rows(draft)
    assert clinic.sql("SELECT COUNT(*) FROM visits") == [(4,)]


def test_odd_questions_are_read_without_harm(clinic: Clinic) -> None:
    for question in (
        "",
        "?",
        "how many",
        "the most",
        "\x00",
        "1 2 3",
        "per",
        "no",
        "between 3 and",
        "ÄÖ ß 標高",
        "top",
        "x " * 500,
    ):
        for draft in clinic.reader.read(question, clinic.index)[:3]:
            assert draft.arguments()["table"]


def test_tables_without_rows_are_asked_without_harm(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "empty.db")
    connection.execute("CREATE TABLE parcels (id INTEGER PRIMARY KEY, weight REAL, sent DATE, note TEXT)")
    connection.close()
    databases = Databases(parse_sources([str(tmp_path / "empty.db")]))
    databases.snapshot()
    database = databases.all[0]
    reader, index = QuestionReader(database.schema), build_value_index(database, database.schema)
    for question, table in (("How many parcels are there?", "parcels"), ("What is the heaviest parcel?", "parcels")):
        draft = reader.read(question, index)[0]
        assert draft.arguments()["table"] == table
        answer_rows(databases, {"ask": draft.arguments()}, StatementLimits(), Cancellation())
    databases.close()


@pytest.mark.parametrize("tables", [100, 500])
def test_any_number_of_tables_is_read(tmp_path: Path, tables: int) -> None:
    connection = sqlite3.connect(tmp_path / "many.db")
    for n in range(tables):
        parent = f", part{n - 1}_id INTEGER REFERENCES part{n - 1}" if n % 7 else ""
        connection.execute(f"CREATE TABLE part{n} (id INTEGER PRIMARY KEY, label TEXT, amount REAL{parent})")
    connection.execute("CREATE TABLE films (id INTEGER PRIMARY KEY, title TEXT, rating TEXT)")
    connection.executemany("INSERT INTO films VALUES (?, ?, ?)", [(1, "Dawn", "PG-13"), (2, "Dusk", "R"), (3, "Noon", "PG-13")])
    connection.commit()
    connection.close()
    databases = Databases(parse_sources([str(tmp_path / "many.db")]))
    databases.snapshot()
    database = databases.all[0]
    draft = QuestionReader(database.schema).read(
        "How many films are rated PG-13?", build_value_index(database, database.schema)
    )[0]
    answer = answer_rows(databases, {"ask": draft.arguments()}, StatementLimits(), Cancellation())
    assert answer.structured["rows"] == [[2]]
    assert answer.text == "films where rating = PG-13: count = 2"
    databases.close()
