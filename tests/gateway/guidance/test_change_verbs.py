"""Does a question ask for a change, does a tool make one?"""

from __future__ import annotations

import pytest

from portico_engine import Tool
from portico_gateway.guidance.change_verbs import change_asked, change_fit, change_made


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("Delete the branch old", {"delete"}),
        ("Can you please rename a.txt to b.txt?", {"change"}),
        ("Read todo.txt and then remove it", {"delete"}),
        ("Open notes.md and tell me what was decided", set()),
        ("How do I delete a branch?", set()),
        ("Which file was changed last?", set()),
        ("show me what the commit changed", set()),
        ("What is the update interval?", set()),
    ],
)
def test_only_a_request_asks_for_a_change(question: str, kinds: set[str]) -> None:
    assert change_asked(question) == kinds


@pytest.mark.parametrize(
    ("name", "description", "kind"),
    [
        ("git__delete_branch", "", "delete"),
        ("write_file", "Create a file.", "change"),
        ("git_add", "Adds file contents to the staging area", "create"),
        ("list_created_files", "", None),
        ("read_file", "Read a file. Never writes.", None),
        ("calculate", "Calculates an expression.", None),
    ],
)
def test_a_tool_makes_the_change_that_its_first_verb_names(name: str, description: str, kind: str | None) -> None:
    assert change_made(Tool(name, description, {"type": "object"})) == kind


def test_a_change_is_asked_for_not_asked_for_or_none() -> None:
    delete, read = Tool("delete_file", "", {}), Tool("read_file", "", {})
    assert change_fit(delete, change_asked("delete a.txt")) == "asked"
    assert change_fit(delete, change_asked("what is in a.txt?")) == "not asked"
    assert change_fit(read, change_asked("delete a.txt")) == "neutral"
