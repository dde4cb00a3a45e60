"""What real clients send on their first request, and in the turns after it, is answered; what of it has no effect is named.

`first_requests/` holds the requests as those programs sent them, their prompts shortened.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.engine.grammar.oracle import accepts

from portico_engine import ChatTemplateError

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent / "first_requests"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
LEFT_OUT = "is left out: it can't be run here"
WARNINGS = {
    "codex": [
        "prompt_cache_key has no effect here",
        "client_metadata has no effect here",
        "include: there is no 'reasoning.encrypted_content' here",
        f"the tool of type 'web_search' {LEFT_OUT}",
    ],
    "codex-additional-tools": [
        "reasoning has no effect here",
        "prompt_cache_key has no effect here",
        "client_metadata has no effect here",
        "text.verbosity has no effect here",
        "include: there is no 'reasoning.encrypted_content' here",
    ],
    "codex-history": [
        "prompt_cache_key has no effect here",
        "reasoning has no effect here",
        "client_metadata has no effect here",
        "text.verbosity has no effect here",
        "include: there is no 'reasoning.encrypted_content' here",
        "input: items of type 'web_search_call' are left out: they are of a tool that isn't run here",
        f"the tool of type 'local_shell' {LEFT_OUT}",
        f"the tool of type 'web_search' {LEFT_OUT}",
    ],
    "codex-tools": ["client_metadata has no effect here", f"the tool of type 'web_search' {LEFT_OUT}"],
    "claude-code": [
        "metadata has no effect here",
        "thinking has no effect here",
        "context_management has no effect here",
        "output_config.effort has no effect here",
        "system: the block x-anthropic-billing-header has no effect here",
        f"the tool of type 'web_search_20250305' {LEFT_OUT}",
    ],
    "claude-code-tool-search": [
        "metadata has no effect here",
        "thinking has no effect here",
        "context_management has no effect here",
        "output_config.effort has no effect here",
        "system: the block x-anthropic-billing-header has no effect here",
    ],
    "claude-code-turns": ["thinking has no effect here"],
    "claude-code-count-tokens": ["thinking has no effect here"],
}


def request_of(name: str) -> tuple[str, dict[str, Any]]:
    sent = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return sent["path"], sent["body"]


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_answered_and_what_has_no_effect_is_named(serve: Any, fakes: Any, name: str) -> None:
    path, body = request_of(name)
    async with serve(fakes.FakeEngine(context_length=50_000)) as client:
        response = await client.post(path, json=body, headers={"anthropic-beta": "context-management-2025-06-27"})
    assert response.status_code == 200, response.text
    expected = WARNINGS.get(name, [])
    assert response.headers.get("x-portico-warnings", "") == "; ".join(expected)
    if expected and "count_tokens" not in path:
        assert json.dumps(expected[0]) in response.text


async def test_codexs_history_is_a_conversation_of_calls_and_results(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(context_length=50_000, chat_template="{{ tools }}{{ message.tool_calls }}")
    path, body = request_of("codex-history")
    async with serve(engine) as client:
        await client.post(path, json=body)
    told = [
        (
            turn["role"],
            turn["content"],
            [(c["function"]["name"], c["function"]["arguments"]) for c in turn.get("tool_calls", ())],
        )
        for turn in engine.rendered[0]
    ]
    patch = {"input": '*** Begin Patch\n*** Add File: b.py\n+x = "1"\n*** End Patch'}
    assert told == [
        ("system", "You edit files.", []),
        ("system", "Ask before you delete.", []),
        ("user", "Fix the build.", []),
        ("assistant", "", [("shell", '{"command":["make"]}')]),
        ("tool", "error in a.py", []),
        ("assistant", "", [("mcp__docs__find", '{"q":"build"}')]),
        ("tool", "Run make.", []),
        ("assistant", "", [("local_shell", '{"type":"exec","command":["ls"]}')]),
        ("tool", "a.py", []),
        ("assistant", "", [("apply_patch", json.dumps(patch, separators=(",", ":")))]),
        ("tool", "Done", []),
        ("assistant", "I added b.py.", []),
        ("user", "And now?", []),
    ]
    assert [tool.name for tool in engine.rendered_tools[0]] == ["shell", "apply_patch", "mcp__docs__find"]
    assert "*** Begin Patch" in engine.rendered_tools[0][1].description


async def test_codexs_patch_tool_is_called_under_its_grammar(serve: Any, fakes: Any) -> None:
    patch = '*** Begin Patch\n*** Add File: a.py\n+print("hi")\n*** End Patch'
    call = json.dumps({"name": "apply_patch", "arguments": {"input": patch}}, separators=(",", ":"))
    engine = fakes.FakeEngine(context_length=50_000, script=lambda request: [call[:50], call[50:]])
    path, body = request_of("codex-history")
    async with serve(engine) as client:
        whole = (await client.post(path, json={**body, "stream": False})).json()
        streamed = await client.post(path, json=body)
    (item,) = whole["output"]
    assert item.pop("id").startswith("ctc_")
    assert item.pop("call_id").startswith("call_")
    assert item == {"type": "custom_tool_call", "name": "apply_patch", "input": patch, "status": "completed"}
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.splitlines() if line.startswith("data: ")]
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    (done,) = [event["input"] for event in events if event["type"] == "response.custom_tool_call_input.done"]
    assert "".join(deltas) == done == patch
    assert len(deltas) == 2
    grammar = engine.requests[0].grammar.text
    assert accepts(grammar, call)
    assert not accepts(grammar, call.replace("*** Add File: a.py", "a.py"))


async def test_a_tool_of_a_namespace_is_named_by_both_in_its_call(serve: Any, fakes: Any) -> None:
    call = '{"name":"mcp__docs__find","arguments":{"q":"x"}}'
    engine = fakes.FakeEngine(context_length=50_000, script=lambda request: [call])
    path, body = request_of("codex-history")
    chosen = {"type": "function", "namespace": "mcp__docs__", "name": "find"}
    async with serve(engine) as client:
        answer = (await client.post(path, json={**body, "stream": False, "tool_choice": chosen})).json()
    (item,) = answer["output"]
    assert (item["type"], item["namespace"], item["name"], item["arguments"]) == (
        "function_call",
        "mcp__docs__",
        "find",
        '{"q":"x"}',
    )


async def test_tools_that_the_input_adds_are_called_like_the_bodys_own(serve: Any, fakes: Any) -> None:
    source = "// @exec: x\nawait tools.shell()"
    call = json.dumps({"name": "functions__exec", "arguments": {"input": source}}, separators=(",", ":"))
    engine = fakes.FakeEngine(context_length=50_000, script=lambda request: [call])
    path, body = request_of("codex-additional-tools")
    async with serve(engine) as client:
        response = await client.post(path, json={**body, "stream": False})
    assert "not enforced" not in response.headers["x-portico-warnings"]
    (item,) = response.json()["output"]
    assert (item["type"], item["namespace"], item["name"], item["input"]) == ("custom_tool_call", "functions", "exec", source)
    assert accepts(engine.requests[0].grammar.text, call)
    assert not accepts(engine.requests[0].grammar.text, call.replace(json.dumps(source), '""'))


async def test_a_tool_that_claude_codes_search_found_is_told_of_there_and_can_be_called(serve: Any, fakes: Any) -> None:
    """What was told before stays as it was: the found tool's definition is the search's result."""
    call = '{"name":"NotebookEdit","arguments":{"notebook_path":"a.ipynb"}}'
    unfound = call.replace("NotebookEdit", "DeferredToolPlaceholder").replace("notebook_path", "x")
    engine = fakes.FakeEngine(context_length=50_000, script=lambda request: [call], chat_template="{{ tools }}{{ tool_calls }}")
    path, body = request_of("claude-code-tool-search")
    async with serve(engine) as client:
        await client.post(path, json={**body, "messages": body["messages"][:1]})
        answer = (await client.post(path, json={**body, "stream": False})).json()
        unknown = {**body, "tool_choice": {"type": "tool", "name": "DeferredToolPlaceholder"}}
        refused = await client.post(path, json=unknown)
    assert [each.name for each in engine.rendered_tools[0]] == ["Bash", "ToolSearch"]
    assert engine.rendered_tools[1] == engine.rendered_tools[0]
    assert engine.rendered[1][: len(engine.rendered[0])] == engine.rendered[0]
    told = engine.rendered[1][-1]
    assert (told["role"], told["name"]) == ("tool", "ToolSearch")
    assert told["content"].startswith('<functions>\n<function>{"description":"Edits a cell.","name":"NotebookEdit",')
    assert (answer["stop_reason"], answer["content"][0]["name"]) == ("tool_use", "NotebookEdit")
    before, after = (request.grammar.text for request in engine.requests)
    assert accepts(after, call)
    assert not accepts(before, call)
    assert not accepts(after, unfound)
    assert "which is not among the tools (Bash, NotebookEdit, ToolSearch)" in refused.json()["error"]["message"]


@pytest.mark.parametrize("why", ["all are deferred", "the server would search"])
async def test_deferred_tools_that_nothing_could_find_are_there_from_the_start(serve: Any, fakes: Any, why: str) -> None:
    engine = fakes.FakeEngine(context_length=50_000, chat_template="{{ tools }}{{ tool_calls }}")
    path, body = request_of("claude-code-tool-search")
    tools = [{**tool, "defer_loading": True} for tool in body["tools"]] if why.startswith("all") else body["tools"]
    more = [] if why.startswith("all") else [{"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}]
    async with serve(engine) as client:
        response = await client.post(path, json={**body, "tools": [*tools, *more], "messages": body["messages"][:1]})
    assert ("'tool_search_tool_regex_20251119' is left out" in response.headers["x-portico-warnings"]) == bool(more)
    assert [each.name for each in engine.rendered_tools[0]] == [tool["name"] for tool in tools]


IMAGE = "data:image/png;base64,iVBORw0KGgo="
SEEN = {
    "codex-history": ("input", {"type": "input_image", "image_url": IMAGE, "detail": "high"}),
    "claude-code": (
        "messages",
        {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo=", "media_type": "image/png"}},
    ),
}


@pytest.mark.parametrize("name", SEEN)
async def test_an_image_that_a_tool_read_ends_no_conversation(serve: Any, fakes: Any, name: str) -> None:
    """Both sides are told that it can't be seen. An image of the user's own is refused: the answer would not be about it."""
    engine = fakes.FakeEngine(context_length=50_000, chat_template="{{ tools }}{{ message.tool_calls }}")
    path, body = request_of(name)
    field, image = SEEN[name]
    if field == "input":
        results: list[Any] = [{"type": "function_call_output", "call_id": "call_1", "output": [image]}]
    else:
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
        results = [{"role": "user", "content": [result]}]
    async with serve(engine) as client:
        taken = await client.post(path, json={**body, field: [*body[field], *results]})
        refused = await client.post(path, json={**body, field: [*body[field], {"role": "user", "content": [image]}]})
    assert taken.status_code == 200
    assert engine.rendered[0][-1]["role"] == "tool"
    assert engine.rendered[0][-1]["content"] == f"[{image['type']}: left out, you read text only; say so if it matters]"
    told = f"the {image['type']} in a tool's result is left out: this model reads text only"
    assert told in taken.headers["x-portico-warnings"]
    assert refused.status_code == 400
    assert image["type"] in refused.json()["error"]["message"]


async def test_two_conversations_of_claude_code_begin_alike(serve: Any, fakes: Any) -> None:
    """Its label of a conversation would make every prompt another one from the first words on."""
    engine = fakes.FakeEngine(context_length=50_000)
    path, body = request_of("claude-code")
    other = json.loads(json.dumps(body).replace("2.1.332.407", "2.1.332.9ae"))
    async with serve(engine) as client:
        for each in (body, other):
            await client.post(path, json=each)
    assert other != body
    assert engine.rendered[0] == engine.rendered[1]
    assert engine.rendered[0][0]["content"].endswith("You edit files.")


async def test_a_template_without_late_system_turns_gets_them_as_the_users(serve: Any, fakes: Any) -> None:
    class Strict(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def render_chat(self, messages: Any, tools: Any = None, variables: Any = None) -> Any:
            if any(message["role"] == "system" for message in messages[1:]):
                raise ChatTemplateError("System message must be at the beginning")
            return super().render_chat(messages, tools)

    for name, expected in (
        ("claude-code-turns", [("user", "hi"), ("assistant", "hello"), ("user", "go on\n\nTokens left: 5")]),
        ("codex", [("system", "Be brief.\n\nBe brief.Be brief."), ("user", "Be brief.\n\nWrite hello into hello.txt")]),
    ):
        engine = Strict(context_length=50_000)
        path, body = request_of(name)
        async with serve(engine) as client:
            assert (await client.post(path, json=body)).status_code == 200
        turns = [(turn["role"], turn["content"]) for turn in engine.rendered[-1]]
        assert turns[-len(expected) + 1 :] == expected[1:]
        assert turns[0][1].endswith(expected[0][1])


@pytest.mark.parametrize(
    "name", ["tools-and-response-format", "openai-agents-chat", "openai-agents-responses", "pydantic-ai-responses"]
)
async def test_with_tools_and_a_format_the_answer_is_a_call_or_fits_the_schema(serve: Any, fakes: Any, name: str) -> None:
    path, body = request_of(name)
    tool = body["tools"][0].get("function", body["tools"][0])["name"]
    fits = ' {"a":1}' if name.startswith("tools") else ' {"city":"Rome","degrees":20}'
    call = json.dumps({"name": tool, "arguments": {"city": "Rome"}}, separators=(",", ":"))
    said = iter([call, fits])
    engine = fakes.FakeEngine(context_length=50_000, script=lambda request: list(next(said)))
    async with serve(engine) as client:
        called = (await client.post(path, json={**body, "stream": False})).json()
        answered = (await client.post(path, json={**body, "stream": False})).json()
    if "choices" in called:
        assert called["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == tool
        text = answered["choices"][0]["message"]["content"]
        assert "tool_calls" not in answered["choices"][0]["message"]
    else:
        assert [item["type"] for item in called["output"]] == ["function_call"]
        text = answered["output"][0]["content"][0]["text"]
    assert text == fits[1:]
    grammar = engine.requests[0].grammar.text
    assert accepts(grammar, call)
    assert accepts(grammar, fits)
    assert not accepts(grammar, "It is sunny.")
    assert not accepts(grammar, ' {"x":1}')
