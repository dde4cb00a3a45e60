from __future__ import annotations

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.prose import SHORT, prose


def read(text: str, *trail: str) -> list[AnswerCandidate]:
    return list(prose(text, Citation({"path": "a.md", "title_trail": list(trail)}, "a.md", None, "")))


def by_focus(found: list[AnswerCandidate], focus: str) -> AnswerCandidate:
    return next(candidate for candidate in found if candidate.focus == focus)


def test_a_sentence_is_printed_with_what_follows_it_while_that_is_short() -> None:
    found = read("One is here. Two follows.\n\nThree too. " + "Long words go on. " * 40)
    assert by_focus(found, "One is here.").text.startswith("One is here. Two follows. Three too.")
    assert all(len(candidate.text) <= SHORT for candidate in found)


def test_a_default_is_printed_with_the_entry_that_it_belongs_to() -> None:
    found = read(
        ".. data:: MAX\n\n    The most bytes.\n\n    Default: ``500``\n\n.. data:: MIN\n\n    Default: ``1``\n", "Config"
    )
    default = by_focus(found, "Default: `500`")
    assert default.text == "MAX: The most bytes. Default: `500`"
    assert default.topic == ("MAX",)
    assert default.context.startswith("Config MAX")


def test_a_list_is_printed_whole_behind_the_sentence_that_introduces_it() -> None:
    found = read("Before it. These are there:\n\n- bash\n- zsh\n\nAfter it.")
    assert by_focus(found, "These are there:").text == "Before it. These are there:\n- bash\n- zsh"
    item = by_focus(found, "zsh")
    assert item.text == "These are there:\n- zsh"
    assert "These are there:" in item.context


def test_an_example_is_printed_under_its_lead() -> None:
    found = read("To stop it, pass a flag:\n\n```\nrun --stop\n```\n")
    assert by_focus(found, "run --stop").text == "To stop it, pass a flag:\nrun --stop"
