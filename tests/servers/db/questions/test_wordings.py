"""Questions in other wordings: terse, roundabout, of several parts. And which words may be passed over, and which never."""

from __future__ import annotations

import pytest
from tests.servers.db.questions.clinic import Clinic, columns

QUESTIONS = [
    ("Visits with the outcome cured: total number?", "SELECT COUNT(*) FROM visits WHERE outcome = 'cured'"),
    ("patients in Brazil, count", "SELECT COUNT(*) FROM patients WHERE town_id = 1"),
    (
        "We're planning a mailing to our Brazilian patients. How many of them do we have on file?",
        "SELECT COUNT(*) FROM patients WHERE town_id = 1",
    ),
    (
        "How many visits had the outcome cured, and how many missed?",
        "SELECT outcome, COUNT(*) FROM visits WHERE outcome IN ('cured', 'missed') GROUP BY 1",
    ),
    ("Who earns more, Ada Quist or Ben Moreau?", "SELECT first_name FROM doctors WHERE id = 1"),
    ("How many visits were held after the due date?", "SELECT COUNT(*) FROM visits WHERE held > due"),
    ("How many visits took 20 to 30 minutes?", "SELECT COUNT(*) FROM visits WHERE minutes BETWEEN 20 AND 30"),
    ("How many visits were held between 1 January and 1 March 2024?", "SELECT 2"),
    ("how many patients dont have an email", "SELECT COUNT(*) FROM patients WHERE email IS NULL"),
    ("How many patients left the email field blank?", "SELECT COUNT(*) FROM patients WHERE email IS NULL"),
    ("Which doctor dealt with the most visits?", "SELECT first_name FROM doctors WHERE id = 1"),
    ("In what year was Ada Quist hired?", "SELECT hired FROM doctors WHERE id = 1"),
    ("What is the hiring year of Ada Quist?", "SELECT hired FROM doctors WHERE id = 1"),
    ("Is there any doctor that has never held a visit? Which?", "SELECT first_name FROM doctors WHERE id = 3"),
    ("Where was Elin registered at?", "SELECT 'Recife'"),  # and not when
    ("Cheapest antibiotic?", "SELECT name FROM drugs WHERE id = 2"),
    ("Which outcome has the largest number of visits?", "SELECT outcome FROM visits WHERE id = 1"),
    ("What do we charge for Zolin, by the way?", "SELECT price FROM drugs WHERE id = 2"),
    ("How long did visit number 2 take?", "SELECT minutes FROM visits WHERE id = 2"),
]


@pytest.mark.parametrize(("question", "sql"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_wording_gives_what_its_sql_gives(clinic: Clinic, question: str, sql: str) -> None:
    draft = clinic.best(question)
    found, expected = columns(clinic.rows(draft)), columns(clinic.sql(sql))
    assert all(column in found for column in expected), draft.arguments()
    assert not draft.failed
    assert not draft.unused()


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("How many visits were cancelled by Ada Quist?", "cancelled"),  # a verb that tells of a state
        ("How many award-winning drugs are there?", "award"),
        ("Which manufacturer makes Zolin?", "manufacturer"),
        ("What is the price year of Zolin?", "year"),  # behind what is no time
        ("How many seats does M-999 have?", "999"),  # a code that is not there is no other one's beginning
        ("We sell antibiotics. How many syringes are there?", "syringes"),  # of the clause that asks
        ("How many drugs are there? Only generic ones.", "generic"),  # a clause that narrows is no mere remark
    ],
)
def test_words_that_change_the_answer_are_never_passed_over(clinic: Clinic, question: str, left: str) -> None:
    drafts = clinic.reader.read(question, clinic.index)
    assert not drafts or left in {word.text for word in drafts[0].unused()}
