"""A catalog that is too large to be told: the model finds tools, and calls what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt
import pytest
from tests.engine.grammar.oracle import accepts
from tests.gateway.agent.free.scripted import HERMES, PLAIN, Host, Model, ask, end_of, hermes, talk

from portico_gateway.agent.events import ToolCallStarted
from portico_gateway.agent.free.searched_tools import SearchedTools
from portico_gateway.agent.free.turns import WrittenCall
from portico_gateway.agent.tool_search import CatalogSearches


def no_meaning(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 2), np.float32)


def searches() -> CatalogSearches:
    return CatalogSearches(lambda: no_meaning)


def find(query: str) -> str:
    return f'<tool_call>\n{{"name": "find_tools", "arguments": {{"query":"{query}","limit":1}}}}\n</tool_call>'


def asked(model: Model, host: Host, **options: Any) -> list[Any]:
    return ask(model, host, searches=searches(), schema_tokens=options.pop("schema_tokens", 10), **options)


def test_what_was_found_is_called_by_name_and_the_prompt_only_grows() -> None:
    host = Host()
    model = Model([find("search docs"), hermes(("docs__search", "free")), "It is freed in docs."], HERMES)
    events = asked(model, host)
    assert host.called == ["docs__search(free)"]
    assert [each.tool for each in events if isinstance(each, ToolCallStarted)] == ["find_tools", "docs__search"]
    first, second, third = model.prompts
    assert "find_tools" in first
    assert "What docs__search does" not in first
    assert "There are 4 tools, of these servers: code (1), docs (1), db (1), files (1)." in first
    assert "docs__search(query: string)" in second
    assert second.startswith(first.removesuffix("<assistant>"))
    assert third.startswith(second.removesuffix("<assistant>"))
    assert end_of(events).answer == "It is freed in docs."


def test_what_one_question_has_found_is_known_to_the_next() -> None:
    host = Host()
    model = Model(
        [find("search docs"), "There is one.", find("search docs"), hermes(("docs__search", "free")), "In docs."], HERMES
    )
    talk(model, host, "Which tool?", "Where is it freed?", searches=searches(), schema_tokens=10)
    assert host.called == ["docs__search(free)"]
    assert model.prompts[2].startswith(model.prompts[1].removesuffix("<assistant>"))
    assert "docs__search, as above" in model.prompts[3]
    grammar = model.requests[2].grammar
    assert grammar is not None
    assert accepts(grammar.text, hermes(("docs__search", "free"))), "it may be called without being looked for again"


def test_the_grammar_holds_what_was_found_and_nothing_else() -> None:
    host = Host()
    model = Model([find("search docs"), "So."], HERMES)
    asked(model, host)
    before, after = (request.grammar for request in model.requests)
    assert before is not None
    assert after is not None
    assert not accepts(before.text, hermes(("docs__search", "x")))
    assert accepts(after.text, hermes(("docs__search", "x")))
    assert not accepts(after.text, hermes(("files__write", "x")))


@pytest.mark.parametrize("template", [PLAIN, HERMES])
def test_a_catalog_that_fits_is_told_whole(template: str) -> None:
    model = Model(["So."], template)
    asked(model, Host(), schema_tokens=100_000)
    assert "docs__search" in model.prompts[0]
    assert "find_tools" not in model.prompts[0]


def test_another_servers_model_calls_through_one_tool() -> None:
    tools = SearchedTools(Host(), searches(), by_name=False)  # type: ignore[arg-type]
    assert [tool.name for tool in tools.told()] == ["find_tools", "call_tool"]
    wrapped = WrittenCall("call_tool", {"name": "docs__search", "arguments": {"query": "x"}}, "id1")
    assert "was not found yet" in tools.unwrapped(wrapped).problem
    found = anyio.run(tools.call_tool, "find_tools", {"query": "search docs", "limit": 1})
    (shown,) = json.loads(found.content[0].text)
    assert (shown["name"], shown["inputSchema"]["required"]) == ("docs__search", ["query"])
    call = tools.unwrapped(wrapped)
    assert (call.name, call.arguments, call.id, call.problem) == ("docs__search", {"query": "x"}, "id1", "")
    for arguments, said in (({"name": 3}, "'name' must be"), ({"name": "x", "arguments": []}, "must be an object")):
        assert said in tools.unwrapped(WrittenCall("call_tool", arguments)).problem
    assert tools.unwrapped(WrittenCall("find_tools", {"query": "x"})).name == "find_tools"
