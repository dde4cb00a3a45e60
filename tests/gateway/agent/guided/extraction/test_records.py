"""Several records of one result taken together."""

from __future__ import annotations

import json

import pytest

from portico_engine import Tool
from portico_gateway.agent.guided.extraction.records import told_together
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.question import read_question

LOG = Tool("repo__log", "Shows the commit logs.", {"type": "object"})
READ = Tool("files__read", "Read a file.", {"type": "object"})
WORK = Tool("files__read_several", "Read several files, when you work with more than one.", {"type": "object"})
FIND = Tool("club__find_member", "Search members by name.", {"type": "object"})
COMMITS = "\n".join(
    f"Commit: {n}{n}{n}a\nAuthor: {who}\nDate: {day}\nMessage: {what}\n"
    for n, (who, day, what) in enumerate(
        [
            ("Ada Quist", "2025-02-03", "Round totals"),
            ("Ben Moreau", "2025-02-14", "Command line"),
            ("Ada Quist", "2025-03-01", "Fix"),
        ]
    )
)
BOOKINGS = "#1 10:00 Ada\n#2 12:00 Ben\n#3 14:00 Cid"


def told(question: str, text: str, tool: Tool) -> str | None:
    return told_together(read_question(question), RenderedResult(text, True), tool)


@pytest.mark.parametrize(
    ("question", "text", "tool", "first"),
    [
        ("How many commits are there?", COMMITS, LOG, "3:"),
        ("How many commits did Ada Quist make?", COMMITS, LOG, "2 of 3:"),
        ("Count the commits made in February 2025", COMMITS, LOG, "2 of 3:"),
        ("How many people booked Granite?", BOOKINGS, Tool("club__list_bookings", "Bookings of a hall.", {}), "3:"),
        (
            "How many members are called Ada?",
            json.dumps({"matches": [{"name": "Ada", "id": 1}, {"name": "Ada", "id": 2}]}),
            FIND,
            "2:",
        ),
    ],
)
def test_records_of_the_kind_that_is_counted_are_counted(question: str, text: str, tool: Tool, first: str) -> None:
    assert (told(question, text, tool) or "").splitlines()[0] == first


@pytest.mark.parametrize(
    ("question", "text", "tool"),
    [
        ("How many eggs do I need?", "200 g flour\n3 eggs\n400 ml milk", READ),  # lines of something else
        ("how many people are in work/a.csv", "work/a.csv:\nname,city\nAda,Lima\nBen,Oslo", WORK),  # "work" is no people
        ("How many commits are there?", "# Heading\n\nSome prose that says that there are many commits.", LOG),
        ("How many commits are there?", "Commit: 1", LOG),
        ("Who made the first commit?", COMMITS, LOG),
        ("Which file exists only there?", BOOKINGS, LOG),  # one is asked for, of something else
        ("What is Ada's shoe size?", json.dumps({"nodes": [{"name": "Ada", "likes": "tea"}]}), READ),
        ("List all csv files", "notes.txt\nhome\nplan.md", Tool("disk__list", "List the files of a folder.", {})),
    ],
)
def test_what_is_no_record_of_the_kind_is_not_counted(question: str, text: str, tool: Tool) -> None:
    assert told(question, text, tool) is None


def test_several_records_are_told_by_the_fields_that_are_asked_for() -> None:
    assert told("List the messages of what Ada Quist has done", COMMITS, LOG) == "- message: Round totals\n- message: Fix"


def test_a_kind_that_is_asked_for_picks_the_records_that_have_it() -> None:
    files = Tool("disk__list", "List the files of a folder.", {})
    assert told("List all csv files", "a.csv\nnotes.txt\nb.csv", files) == "- a.csv\n- b.csv"
    assert told("Which files are there?", "a.csv\nnotes.txt", files) == "- a.csv\n- notes.txt"


def test_one_record_is_told_whole() -> None:
    text = json.dumps({"matches": [{"name": "Ada", "validUntil": "2026-02-28", "paid": True}]})
    assert told("When does Ada's membership end?", text, FIND) == "name: Ada; valid until: 2026-02-28; paid: true"
    wrapped = RenderedResult(text, True, data={"result": text})
    assert told_together(read_question("Until when?"), wrapped, FIND) == "name: Ada; valid until: 2026-02-28; paid: true"
