"""Chat completions over a scripted engine: what goes to the engine, and what comes back, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.engine.grammar.oracle import accepts

from portico_engine import FinishReason, Request

pytestmark = pytest.mark.anyio

USER = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city. And more.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}
CALL = '{"name":"get_weather","arguments":{"city":"Paris"}}'


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


async def ask(client: httpx2.AsyncClient, **body: Any) -> Any:
    response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, **body})
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx2.AsyncClient, **body: Any) -> list[Any]:
    sent = {"model": "fake", "messages": USER, "stream": True, **body}
    response = await client.post("/v1/chat/completions", json=sent)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def test_a_plain_answer_has_openais_shape(serve: Any) -> None:
    async with serve() as client:
        answer = await ask(client)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "fake"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello there", "refusal": None}
    assert (choice["finish_reason"], choice["logprobs"]) == ("stop", None)
    assert answer["usage"]["total_tokens"] == 12
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    assert answer["usage"]["completion_tokens_details"] == {"forced_tokens": 2}


async def test_a_stream_has_a_role_then_text_then_the_reason_and_usage_where_asked(serve: Any) -> None:
    async with serve() as client:
        chunks = await stream(client, stream_options={"include_usage": True})
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " there"}, {}]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 12


async def test_everything_about_sampling_and_ending_reaches_the_engine(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        await ask(
            client,
            temperature=0.4,
            top_p=0.8,
            top_k=7,
            min_p=0.1,
            seed=11,
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            repetition_penalty=1.2,
            logit_bias={"65": -100},
            max_completion_tokens=33,
            stop=["END", "\n"],
        )
    (request,) = engine.requests
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p, sampling.seed) == (0.4, 0.8, 7, 0.1, 11)
    assert (sampling.frequency_penalty, sampling.presence_penalty, sampling.repetition_penalty) == (0.5, -0.5, 1.2)
    assert sampling.logit_bias == ((65, -100.0),)
    assert (request.max_tokens, request.stop) == (33, ("END", "\n"))


async def test_defaults_are_a_preset_that_a_temperature_switches_off(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        await ask(client)
        await ask(client, temperature=1)
        await ask(client, response_format={"type": "json_object"})
    conversation, plain, structured = (request.sampling for request in engine.requests)
    assert (conversation.temperature, conversation.top_p, conversation.min_p) == (0.7, 0.9, 0.05)
    assert (plain.temperature, plain.top_p, plain.min_p) == (1, 1.0, 0.0)
    assert (structured.temperature, structured.top_p, structured.min_p) == (0.1, 0.95, 0.01)
    room = engine.context_length - len(engine.requests[0].prompt)
    assert engine.requests[0].max_tokens == room, "without a limit the answer may fill the context"


async def test_a_tool_call_comes_back_whole_and_streamed_in_pieces(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL[:20], CALL[20:44], CALL[44:]])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required")
        chunks = await stream(client, tools=[WEATHER], tool_choice="required")
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert call["id"].startswith("call_")
    pieces = [delta["tool_calls"][0] for chunk in chunks if "tool_calls" in (delta := chunk["choices"][0]["delta"])]
    assert pieces[0]["function"] == {"name": "get_weather", "arguments": ""}
    assert "id" in pieces[0]
    assert all("id" not in piece and piece["index"] == 0 for piece in pieces[1:])
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"city":"Paris"}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"get_weather", "get_time"}),
        ({"type": "function", "function": {"name": "get_time"}}, {"get_time"}),
        ("none", set()),
        (allowed("required", "get_time"), {"get_time"}),
        (allowed("auto", "get_time"), {"get_time"}),
    ],
)
async def test_tool_choice_decides_what_the_grammar_allows(serve: Any, fakes: Any, choice: Any, names: set[str]) -> None:
    said = "No." if choice == "none" else '{"name":"get_time","arguments":{}}'
    engine = fakes.FakeEngine(script=lambda request: [said])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER, TIME], tool_choice=choice)
    grammar = engine.requests[0].grammar
    assert {name for name in ("get_weather", "get_time") if name in grammar.text} == names
    assert bool(answer["choices"][0]["message"].get("tool_calls")) is bool(names)
    assert all(name in engine.rendered[0][0]["content"] for name in ("get_weather", "get_time"))


async def test_without_calls_the_prompt_is_the_same_and_no_text_of_a_call_is_allowed(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        await ask(client, tools=[WEATHER])
        await ask(client, tools=[WEATHER], tool_choice="none")
    free, forbidden = engine.requests
    assert free.prompt == forbidden.prompt
    assert accepts(free.grammar.text, CALL)
    assert not accepts(forbidden.grammar.text, CALL)
    assert accepts(forbidden.grammar.text, "It is sunny.")


DATE_FORMAT = {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: /[0-9]{4}/ "-\\n" /[0-9]{2}/'}}
DATE = {"type": "custom", "custom": {"name": "date", "description": "A month.", "format": DATE_FORMAT}}
DATE_CALL = '{"name":"date","arguments":{"input":"2026-\\n11"}}'


async def test_a_custom_tool_takes_a_text_under_its_grammar_whole_and_streamed(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: list(DATE_CALL))
    said = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "date", "input": "2025-\n01"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "no"},
    ]
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER, DATE], messages=said)
        chunks = await stream(client, tools=[DATE], tool_choice={"type": "custom", "custom": {"name": "date"}})
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert (call["type"], call["custom"]) == ("custom", {"name": "date", "input": "2026-\n11"})
    parts = [part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert parts[0]["custom"] == {"name": "date", "input": ""}
    assert "".join(part["custom"]["input"] for part in parts) == "2026-\n11"
    assert len(parts) > 5
    grammar = engine.requests[0].grammar.text
    assert accepts(grammar, DATE_CALL)
    assert not accepts(grammar, DATE_CALL.replace("2026", "26"))
    assert '{"name":"date","arguments":{"input":"2025-\\n01"}}' in str([turn["content"] for turn in engine.rendered[0]][2])


async def test_a_grammar_that_does_not_compile_leaves_its_tool_free_and_is_named(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ['{"name":"bad","arguments":{"input":"any text"}}'])
    bad_format = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: nothing"}}
    bad = {"type": "custom", "custom": {"name": "bad", "format": bad_format}}
    async with serve(engine) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, "tools": [bad, DATE]})
    (warning,) = response.json()["warnings"]
    assert warning.startswith("bad: /format/definition is not enforced: Lark grammar, line 1: 'nothing' is not defined")
    assert response.headers["x-portico-warnings"] == warning
    assert response.json()["choices"][0]["message"]["tool_calls"][0]["custom"]["input"] == "any text"
    assert not accepts(engine.requests[0].grammar.text, DATE_CALL.replace("2026", "26"))


async def test_several_answers_share_their_prompt_and_each_is_a_choice(serve: Any, fakes: Any) -> None:
    said = iter(["one", "two", "three", "four", "five", "six"])
    engine = fakes.FakeEngine(script=lambda request: [next(said), "!"])
    async with serve(engine) as client:
        answer = await ask(client, n=3, seed=7, temperature=1)
        chunks = await stream(client, n=3, stream_options={"include_usage": True})
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["one!", "two!", "three!"]
    assert answer["usage"]["completion_tokens"] == 15
    assert answer["usage"]["prompt_tokens"] == 7
    first = engine.requests[:3]
    assert [request.sampling.seed for request in first] == [7, 8, 9]
    assert len({request.id for request in first}) == 3
    assert len({request.prompt for request in first}) == 1
    texts = ["", "", ""]
    reasons = [None, None, None]
    for chunk in chunks[:-1]:
        assert chunk["usage"] is None
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content") or ""
        reasons[choice["index"]] = choice["finish_reason"]
    assert texts == ["four!", "five!", "six!"]
    assert reasons == ["stop"] * 3
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 15)


async def test_the_others_begin_when_the_first_has_its_prompt(serve: Any, fakes: Any) -> None:
    left: list[int] = []  # pieces of the first answer that were not made yet when another began

    def script(request: Any) -> list[str]:
        begun = {**engine._live, **engine._paused}  # the first may be ahead of its reader
        left.extend(len(pieces) for name, pieces in begun.items() if "choice" not in name)
        return ["a"] * 2000

    engine = fakes.FakeEngine(script=script)
    async with serve(engine) as client:
        await ask(client, n=3)
    assert len(left) == 2
    assert all(pieces < 2000 for pieces in left)


async def test_one_of_several_that_fails_fails_the_request_and_ends_the_others(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ["a"] * 50 if "choice-1" not in request.id else ["b", RuntimeError("bad")])
    async with serve(engine) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, "n": 3})
    assert response.status_code == 500


async def test_all_fields_that_are_not_known_are_named_at_once(serve: Any) -> None:
    async with serve() as client:
        said = []
        for more in ({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}, {f"f{number}": 1 for number in range(20)}):
            response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, **more})
            assert response.status_code == 400
            said.append(response.json()["error"]["message"])
    unknown = "a: this field is not known here; leave it out"
    assert said[:3] == [unknown, f"{unknown}; nor is b", f"{unknown}; nor are b, c"]
    assert said[3].endswith("; nor are f1, f2, f3, f4, f5, f6, f7, f8, 11 more")


async def test_what_changes_no_answer_is_passed_over_and_named(serve: Any) -> None:
    quiet = {"user": "me", "store": False, "service_tier": "auto", "reasoning_effort": "none"}
    async with serve() as client:
        response = await client.post(
            "/v1/chat/completions",
            json={
                "model": "fake", "messages": USER, "verbosity": "low", "prompt_cache_key": "k", "client_trace\r\nx": 1,
                **quiet, "client_tag": {"a": 1}, "tools": [{"type": "web_search"}], "tool_choice": "auto",
            },
        )  # fmt: skip
        assert response.status_code == 400
        assert "is not known here; leave it out" in response.json()["error"]["message"]
        sent = {"model": "fake", "messages": USER, "verbosity": "low", "client_tag": {"a": 1}, "store": False}
        response = await client.post(
            "/v1/chat/completions", json={**sent, "tools": [{"type": "web_search"}], "tool_choice": "auto"}
        )
    assert response.json()["warnings"] == [
        "verbosity has no effect here",
        "client_tag has no effect here",
        "the tool of type 'web_search' is left out: it can't be run here",
    ]
    assert response.headers["x-portico-warnings"] == "; ".join(response.json()["warnings"])


async def test_with_auto_prose_stays_prose(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ["Paris is", " lovely."])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER])
    assert engine.requests[0].grammar is not None
    assert answer["choices"][0]["message"]["content"] == "Paris is lovely."
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_marks_that_are_control_tokens_are_written_as_such_and_read_back(serve: Any, fakes: Any) -> None:
    template = "{% if tools %}[TOOL_CALLS]{{ name }}[ARGS]{% endif %}{{ message.tool_calls }}"
    text = '[TOOL_CALLS]get_weather[ARGS]{"city":"Paris"}'
    tokenizer = fakes.FakeTokenizer(control={"[TOOL_CALLS]": 9, "[ARGS]": 32, "<s>": 1})
    engine = fakes.FakeEngine(script=lambda request: [text], chat_template=template, tokenizer=tokenizer)
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required")
        await ask(client)
    called, plain = engine.requests
    assert called.shown_tokens == {9, 32}
    assert "<[9]>" in called.grammar.text
    assert plain.shown_tokens == set()
    (made,) = answer["choices"][0]["message"]["tool_calls"]
    assert made["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}


async def test_a_conversation_that_may_call_a_tool_is_pinned_for_its_result(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ["Hello."])
    async with serve(engine) as client:
        await ask(client, tools=[WEATHER])
        await ask(client, tools=[WEATHER], tool_choice="none")
        await ask(client)
    assert [request.pin > 0 for request in engine.requests] == [True, False, False]
    assert [request.pin_where for request in engine.requests] == ['{"name":', "", ""], (
        "an answer without a call waits for nothing"
    )


async def test_parallel_calls_are_an_array_only_where_asked_for(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [f"[{CALL},{CALL}]"])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required", parallel_tool_calls=True)
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather"] * 2
    assert calls[0]["id"] != calls[1]["id"]


async def test_a_call_cut_by_length_is_not_reported_as_a_call(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL[:40]], finish=FinishReason.LENGTH)
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert "tool_calls" not in answer["choices"][0]["message"]


async def test_tools_go_into_the_system_message_where_the_template_has_no_place_for_them(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL])
    turns = [{"role": "developer", "content": "Be brief."}, *USER]
    async with serve(engine) as client:
        await ask(client, tools=[WEATHER], messages=turns)
    system, user = engine.rendered[0]
    assert system["role"] == "system"
    assert "get_weather(city: string) - The weather of a city." in system["content"]
    assert system["content"].endswith("Be brief.")
    assert user == {"role": "user", "content": "Hi"}
    assert engine.rendered_tools == [None]


async def test_a_template_that_knows_tools_gets_them_and_its_own_call_format(serve: Any, fakes: Any) -> None:
    template = "{% if tools %}<tool_call>{% endif %}{{ message.tool_calls }}"
    text = '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Paris"}}\n</tool_call>'
    engine = fakes.FakeEngine(script=lambda request: [text], chat_template=template)
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required")
    assert [tool.name for tool in engine.rendered_tools[0]] == ["get_weather"]
    assert engine.rendered[0] == USER
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"city":"Paris"}'


async def test_earlier_calls_and_results_are_shown_as_text_to_a_model_without_them(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    turns = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
    ]
    async with serve(engine) as client:
        await ask(client, messages=turns)
    assert engine.rendered[0][1] == {"role": "assistant", "content": CALL}
    assert engine.rendered[0][2] == {"role": "user", "content": "Result of get_weather:\nsunny"}


async def test_a_json_schema_becomes_the_grammar(serve: Any, fakes: Any) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}
    engine = fakes.FakeEngine(script=lambda request: ['{"age":3}'])
    async with serve(engine) as client:
        answer = await ask(
            client, response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
        )
    assert "age" in engine.requests[0].grammar.text
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"age": 3}


async def test_an_answer_that_a_loosened_grammar_let_through_is_tried_once_more(serve: Any, fakes: Any) -> None:
    schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    answers = iter(['["a","a"]', '["a","b"]'])
    engine = fakes.FakeEngine(script=lambda request: [next(answers)])
    async with serve(engine) as client:
        answer = await ask(client, **asked, seed=5)
        if engine.requests[0].grammar.report.exact:
            pytest.skip("uniqueItems is enforced exactly by now: nothing is loosened here")
        assert answer["choices"][0]["message"]["content"] == '["a","b"]'
        assert [request.sampling.seed for request in engine.requests] == [5, 6]
        engine.script = lambda request: ['["a","a"]']
        failed = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, **asked})
        assert failed.status_code == 500
        assert failed.json()["error"]["code"] == "invalid_answer"


async def test_a_stream_of_a_loosened_grammar_has_only_the_valid_try_and_the_model_is_told_of_the_other(
    serve: Any, fakes: Any
) -> None:
    schema = {"type": "string", "pattern": r"^(a+)\1$"}  # not regular: nothing enforces it
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    answers = iter(['"aaa"', '"aaaa"'])
    engine = fakes.FakeEngine(script=lambda request: list(next(answers)))
    async with serve(engine) as client:
        chunks = await stream(client, **asked, seed=5, logprobs=True)
        assert not engine.requests[0].grammar.report.exact
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == '"aaaa"'
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert [request.sampling.seed for request in engine.requests] == [5, 6]
        wrote, told = engine.rendered[1][-2:]
        assert wrote == {"role": "assistant", "content": '"aaa"'}
        assert told["role"] == "user"
        assert "the answer breaks its schema" in told["content"]
        engine.script = lambda request: ['"aaa"']
        chunks = await stream(client, **asked)
    assert chunks[-1]["error"]["code"] == "invalid_answer"
    assert all("choices" not in chunk or not chunk["choices"][0]["delta"].get("content") for chunk in chunks)


async def test_a_call_that_breaks_a_loosened_keyword_is_told_and_made_again(serve: Any, fakes: Any) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"^(a+)\1$"}}, "required": ["a"]}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    for streamed in (False, True):
        answers = iter(['{"name":"f","arguments":{"a":"aaa"}}', '{"name":"f","arguments":{"a":"aa"}}'])
        engine = fakes.FakeEngine(script=lambda request, answers=answers: [next(answers)])
        async with serve(engine) as client:
            if streamed:
                chunks = await stream(client, tools=tools, tool_choice="required")
                made = [c for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", [])]
                arguments = "".join(c["function"]["arguments"] for c in made)
            else:
                (call,) = (await ask(client, tools=tools, tool_choice="required"))["choices"][0]["message"]["tool_calls"]
                arguments = call["function"]["arguments"]
        assert json.loads(arguments) == {"a": "aa"}
        assert "the call of f breaks its schema at /a" in engine.rendered[1][-1]["content"]


async def test_an_answer_that_was_cut_inside_its_grammar_says_so(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ['{"a":'], finish=FinishReason.LENGTH, unfinished=True)
    async with serve(engine) as client:
        answer = await ask(client)
        assert answer["choices"][0]["finish_reason"] == "length"
        assert "cut at its length" in answer["warnings"][0]
        assert (await stream(client))[-1]["warnings"] == answer["warnings"]
        for path, body in (("/v1/responses", {"input": "x"}), ("/v1/messages", {"messages": USER, "max_tokens": 5})):
            response = await client.post(path, json={"model": "fake", **body})
            assert response.json()["warnings"] == answer["warnings"]


async def test_a_seed_that_an_executor_may_not_repeat_is_said(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(numerics_id="llama.cpp-1-gpu-33-")) as client:
        assert "a CPU repeats it" in (await ask(client, seed=5))["warnings"][0]
        assert "warnings" not in await ask(client, seed=5, temperature=0)
        assert "warnings" not in await ask(client)
    async with serve(fakes.FakeEngine(executor="llama_cpp", numerics_id="llama.cpp-1-cpu")) as client:
        assert "warnings" not in await ask(client, seed=5)


async def test_log_probabilities_come_with_each_token_and_the_end_token_is_left_out(serve: Any) -> None:
    async with serve() as client:
        answer = await ask(client, logprobs=True, top_logprobs=2)
        chunks = await stream(client, logprobs=True)
    content = answer["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "Hello there"
    assert content[0]["logprob"] == -0.5
    assert content[0]["bytes"] == [ord("H")]
    assert [each["token"] for each in content[0]["top_logprobs"]] == ["H", "\x00"]
    streamed = [entry["token"] for chunk in chunks for entry in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert "".join(streamed) == "Hello there"


async def test_an_engine_that_fails_is_an_error_whole_and_in_the_stream(serve: Any, fakes: Any) -> None:
    def script(request: Request) -> list[str | Exception]:
        return ["Hel", RuntimeError("boom")]

    async with serve(fakes.FakeEngine(script=script)) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
        assert response.status_code == 500
        assert response.json()["error"]["type"] == "server_error"
        assert "Traceback" not in response.text
        chunks = await stream(client)
    assert chunks[1]["choices"][0]["delta"] == {"content": "Hel"}
    assert chunks[-1]["error"]["type"] == "server_error"


async def test_two_requests_are_answered_side_by_side(serve: Any, fakes: Any) -> None:
    import anyio

    engine = fakes.FakeEngine(script=lambda request: [f"{len(request.prompt)}"])
    async with serve(engine) as client:
        answers: dict[int, str] = {}

        async def one(length: int) -> None:
            answer = await ask(client, messages=[{"role": "user", "content": "x" * length}])
            answers[length] = answer["choices"][0]["message"]["content"]

        async with anyio.create_task_group() as tasks:
            for length in (1, 2, 3):
                tasks.start_soon(one, length)
    overhead = len("<user>")
    assert answers == {length: str(length + overhead) for length in (1, 2, 3)}
