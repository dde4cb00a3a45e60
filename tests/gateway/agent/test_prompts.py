from __future__ import annotations

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.prompts import CALL_FORM, finished_call, refused_call, stable_system, with_system
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.agent.tool_signatures import CatalogText

WHOLE = CatalogText("search() - Search.", "search() - Search.", (), abridged=False)
ABRIDGED = CatalogText("search\n\nMost useful here:\nsearch()", "search", (), abridged=True)


def test_the_stable_part_is_the_whole_system_message_unless_the_catalog_depends_on_the_question() -> None:
    assert with_system(WHOLE, [])[0]["content"] == stable_system(WHOLE)
    system = with_system(ABRIDGED, [])[0]["content"]
    assert system.startswith(stable_system(ABRIDGED))
    assert system.endswith(CALL_FORM)
    assert "Most useful" not in stable_system(ABRIDGED)


def test_a_call_is_told_as_the_model_wrote_it_and_its_result_with_what_to_do_next() -> None:
    def last(result: RenderedResult, error: str | None = None) -> str:
        turns = finished_call(ToolCallFinished("t", {"q": "é"}, result, 0.1, error), "Why?")
        assert turns[0] == {"role": "assistant", "content": '{"name":"t","arguments":{"q":"é"}}'}
        return turns[1]["content"]

    assert last(RenderedResult("a.py:3", True)) == (
        "Result of t:\na.py:3\n\nAnswer in one or two sentences, from this result alone: Why?"
    )
    assert last(RenderedResult("", False)) == "t found nothing.\n\nTry another tool for: Why?"
    assert last(RenderedResult("", False), "it broke") == "t failed: it broke\n\nTry another tool for: Why?"


def test_a_refused_call_is_told_with_what_is_wrong() -> None:
    turns = refused_call("t", {}, "/q: is missing", "Why?")
    assert turns[1]["content"] == "That call is not valid, /q: is missing. Call again: Why?"
