"""Questions on a database with odd names and cells, and on what no single condition tells: shares, averages, superiors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.db.questions.clinic import Clinic, columns
from tests.servers.db.questions.helpdesk import SCHEMA

from portico_servers.db.databases.databases import Databases
from portico_servers.db.questions.linking.value_index import build_value_index
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.sources import parse_sources

QUESTIONS = [
    # points in time that are seconds since 1970
    ("When was Ben Moreau hired?", "SELECT '2015-01-01 00:00:00'"),
    ("How many tickets were created in March 2024?", "SELECT 1"),
    ("How many tickets are still open?", "SELECT COUNT(*) FROM tbl_ticket WHERE closedTs IS NULL"),
    ("How many people have left the company?", "SELECT 1"),
    ("On what day was ticket 7001 closed?", "SELECT '2024-03-03 00:00:00'"),
    ("How many tickets were created in the first half of 2024?", "SELECT 2"),
    ("How many tickets were created in the 2nd quarter of 2024?", "SELECT 1"),
    ("How many people were hired in the 2010s?", "SELECT 2"),
    # words for yes and no, abbreviations, another language
    ("How many people work remotely?", "SELECT COUNT(*) FROM tbl_person WHERE isRemote = 'Y'"),
    ("Number of escalated tickets?", "SELECT 1"),
    ("How many tickets say that the sync has stopped?", "SELECT 1"),
    ("How many tickets say that it crashes, the app?", "SELECT 2"),  # a subject's words in another order
    ("How many invoices are not paid?", "SELECT COUNT(*) FROM rechnung WHERE bezahlt = 'N'"),
    ("What is the total amount of all unpaid invoices?", "SELECT 3400"),
    ("Average satisfaction score of urgent tickets (two decimals)", "SELECT 3.0"),
    ("How many developers are in the Mobile department?", "SELECT 2"),
    ("Which people earn more than 4800 euros?", "SELECT firstName FROM tbl_person WHERE persId IN (1, 2)"),
    ("How many people are older than 50?", "SELECT COUNT(*) FROM tbl_person WHERE geburtsdatum < date('now', '-50 years')"),
    # rows that belong to others of their table
    ("Who is the manager of Ben Moreau?", "SELECT firstName FROM tbl_person WHERE persId = 1"),
    ("Who reports to Ada Quist?", "SELECT firstName FROM tbl_person WHERE persId IN (2, 3)"),
    ("How many people report to Ada Quist?", "SELECT 2"),
    ("Which departments are under Support?", "SELECT deptName FROM tbl_dept WHERE deptId = 4"),
    # what there is of something else, and what there isn't
    ("Which clients have at least two tickets?", "SELECT clientName FROM tbl_client WHERE clientId = 1"),
    ("How many tickets have more than one tag?", "SELECT 1"),
    ("Is there a tag that is on no ticket at all?", "SELECT tagName FROM tbl_tag WHERE tagId = 3"),
    ("clients that never opened a ticket", "SELECT clientName FROM tbl_client WHERE clientId = 3"),
    ("Which clients have never created a ticket?", "SELECT clientName FROM tbl_client WHERE clientId = 3"),  # all are created
    # shares, and averages of each
    ("What percentage of tickets is escalated?", "SELECT 25.0, 1, 4"),
    ("Of the urgent tickets, what share was escalated?", "SELECT 50.0, 1, 2"),
    ("Which department has the highest average salary?", "SELECT deptName FROM tbl_dept WHERE deptId = 2"),
    ("average salary by department: which one is the lowest?", "SELECT deptName FROM tbl_dept WHERE deptId = 3"),
    ("In which year were the most tickets created?", "SELECT 2024"),
    ("My boss wants the total amount of all invoices", "SELECT 15900"),
]  # fmt: skip


@pytest.fixture(scope="module")
def helpdesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    path: Path = tmp_path_factory.mktemp("helpdesk") / "helpdesk.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    yield Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    databases.close()


@pytest.mark.parametrize(("question", "sql"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_on_odd_names_gives_what_its_sql_gives(helpdesk: Clinic, question: str, sql: str) -> None:
    draft = helpdesk.best(question)
    found, expected = columns(helpdesk.rows(draft)), columns(helpdesk.sql(sql))
    assert all(column in found for column in expected), (draft.arguments(), found)
    assert not draft.failed
    assert not draft.unused()


def test_names_that_are_nobodys_together_are_bound_to_no_other_person(helpdesk: Clinic) -> None:
    assert helpdesk.rows(helpdesk.best("When was Ben Quist hired?")) == []


def test_a_percentage_names_what_it_is_of(helpdesk: Clinic) -> None:
    asked = helpdesk.best("What percentage of the urgent tickets was escalated?").arguments()
    assert asked["aggregate"] == "percent"
    assert [(one["column"], one["value"]) for one in asked["filters"]] == [("isEscalated", 1)]
    assert [(one["column"], one["value"]) for one in asked["of"]] == [("priority", "urgent")]


@pytest.mark.parametrize(
    ("question", "empty"),
    [
        ("Which tickets have more than five tags?", True),
        ("clients that never opened a ticket", True),
        ("Which tickets of Vogel Hotels were created in 2019?", True),
        ("Which tickets belong to Vogel Hotels?", False),  # there being none would be a misunderstanding
        ("How many tickets are urgent?", False),  # a count is never empty
    ],
)
def test_no_rows_are_an_answer_where_more_than_a_name_is_asked_for(helpdesk: Clinic, question: str, empty: bool) -> None:
    assert helpdesk.best(question).may_be_empty is empty


def test_what_belongs_to_nobody_is_not_the_most_of_anybody(helpdesk: Clinic) -> None:
    asked = helpdesk.best("Which person was assigned the most tickets?").arguments()
    assert [(one["op"], one["value"]) for one in asked["filters"]] == [("!=", None)]
