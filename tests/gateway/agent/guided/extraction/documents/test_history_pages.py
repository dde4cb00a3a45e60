from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import nothing

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.documents.history_pages import asks_for_history, is_history
from portico_gateway.agent.guided.extraction.documents.passage_features import weighed_passages


def stands_in(path: str, *trail: str, rank: int = 0, text: str = "") -> AnswerCandidate:
    place = Citation({"path": path, "title_trail": list(trail), "text": text}, path, 1, text)
    return AnswerCandidate(text, place, focus=text, rank=rank)


@pytest.mark.parametrize(
    "path", ["HISTORY.md", "CHANGES.rst", "docs/changelog.md", "docs/release-notes.md", "doc/whatsnew/3.2.rst", "NEWS"]
)
def test_a_page_that_lists_changes_is_known_by_its_name(path: str) -> None:
    assert is_history(stands_in(path).citation)


def test_a_section_that_lists_changes_is_known_by_its_heading() -> None:
    assert is_history(stands_in("README.md", "Pump", "Release notes").citation)


@pytest.mark.parametrize("path", ["docs/history-of-pumps.md", "shell_history.md", "newsletter.md", "docs/exchanges.rst"])
def test_a_page_that_merely_has_such_a_word_is_none(path: str) -> None:
    assert not is_history(stands_in(path, "The shell's history").citation)


def test_what_cites_nothing_is_none() -> None:
    assert not is_history(None)


@pytest.mark.parametrize(
    "question",
    ["In which version was it added?", "What changed in 2.0?", "Since when is it deprecated?", "When was the pump dropped?"],
)
def test_a_question_about_versions_asks_for_history(question: str) -> None:
    assert asks_for_history(question)


@pytest.mark.parametrize("question", ["What is raised when the valve is stuck?", "How many pumps are there at most?"])
def test_a_question_about_how_it_is_does_not(question: str) -> None:
    assert not asks_for_history(question)


def test_the_page_that_says_how_it_is_goes_before_the_change_log_that_has_the_same_words() -> None:
    log = stands_in("CHANGES.md", text="The pump follows at most 10 pipes now.")
    guide = stands_in("guide.md", rank=1, text="The pump follows at most 30 pipes.")
    asked = "How many pipes does the pump follow at most?"
    assert weighed_passages(asked, [log, guide], nothing)[0].text == guide.text
    assert (
        weighed_passages("Since which version does the pump follow at most 10 pipes?", [log, guide], nothing)[0].text
        == log.text
    )
