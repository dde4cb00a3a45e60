from __future__ import annotations

import hashlib
import json

from portico_engine import Tool
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.prompts import CALL_FORM, PROMPT_VERSION, finished_call, refused_call, stable_system, with_system
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.agent.tool_signatures import CatalogText, signature

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


def test_another_text_is_another_version() -> None:
    """Adapters are trained on these texts. Where this fails, count PROMPT_VERSION up and put the new digest here."""
    schema = {"properties": {"q": {"type": "string"}, "n": {"enum": [1, "a"]}, "l": {"type": "array"}}, "required": ["q"]}
    catalog = CatalogText(signature(Tool("t", "Does it. And more.", schema)), "", (), abridged=False)
    turns = [*refused_call("t", {"q": 1}, "/q: is no string", "Why?")]
    for result in (RenderedResult("found", True), RenderedResult("", False)):
        turns += finished_call(ToolCallFinished("t", {"q": "x"}, result, 0.0), "Why?")
    turns += finished_call(ToolCallFinished("t", {}, RenderedResult("", False), 0.0, "it broke"), "Why?")
    said = json.dumps(with_system(catalog, turns))
    assert (PROMPT_VERSION, hashlib.sha256(said.encode()).hexdigest()[:16]) == (1, "d9305b13fc42df13")
