"""Whatever a body says, the answer is JSON in its API's shape and no 5xx; a call that was cut is never delivered whole."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.attacks.http_server import BODIES, CHAT, COUNT, MESSAGES, RESPONSES, USER, Running, running
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import FinishReason, Request

pytestmark = pytest.mark.attack("13 no 500 from valid JSON, no call that was cut")

SECONDS = 8.0  # for one answer, on a machine that does other things too: the bound is the attack's, answers take milliseconds


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as found:
        yield found


def check(path: str, answer: Any) -> Any:
    """The answer as JSON, which every parser takes, in the API's shape."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    said = json.loads(answer.content.decode(), parse_constant=refuse)
    assert answer.status_code < 500, said
    if answer.status_code >= 400:
        assert isinstance(said["error"]["message"], str)
        assert len(answer.content) < 5000
        if path in (MESSAGES, COUNT):
            assert (said["type"], set(said["error"])) == ("error", {"type", "message"})
        else:
            assert set(said["error"]) == {"message", "type", "param", "code"}
    return said


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CUSTOM = {"name": "f", "input_schema": {"type": "object"}}
FORMAT = '"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":%s}}'
DEEP = '{"a":' * 90 + "1" + "}" * 90
RAW = {
    "infinity in a schema": (CHAT, FORMAT % '{"const":Infinity}'),
    "infinity in a tool": (MESSAGES, '"tools":[{"name":"f","input_schema":{"maximum":-Infinity}}]'),
    "NaN in metadata": (CHAT, '"metadata":{"a":NaN}'),
    "NaN in metadata that is sent back": (RESPONSES, '"metadata":{"a":NaN}'),
    "1e999 in metadata that is sent back": (RESPONSES, '"metadata":{"a":1e999}'),
    "1e999 as a temperature": (CHAT, '"temperature":1e999'),
    "1e999 in a schema": (CHAT, FORMAT % '{"const":1e999}'),
    "a bias of 1e308": (CHAT, '"logit_bias":{"65":1e308}'),
    "a bias of -1e308": (CHAT, '"logit_bias":{"65":-1e308}'),
    "a bias for a token of 30 digits": (CHAT, '"logit_bias":{"' + "9" * 30 + '":1}'),
    "top_k of 30 digits": (CHAT, '"top_k":' + "9" * 30),
    "max_tokens of 300 digits": (CHAT, '"max_tokens":' + "9" * 300),
    "max_tokens of 5,000 digits": (CHAT, '"max_tokens":' + "9" * 5000),
    "a seed of 30 digits": (CHAT, '"seed":' + "9" * 30),
    "n of 30 digits": (CHAT, '"n":' + "9" * 30),
    "max_tool_calls of 300 digits": (RESPONSES, '"max_tool_calls":' + "9" * 300),
    "a lone surrogate in a message": (CHAT, r'"messages":[{"role":"user","content":"cut here \ud83d"}]'),
    "a lone surrogate in an input": (RESPONSES, r'"input":"cut here \ud83d"'),
    "a lone surrogate in a system text": (MESSAGES, r'"system":"\udfff"'),
    "a lone surrogate as a role": (CHAT, r'"messages":[{"role":"\ud800","content":"x"}]'),
    "a lone surrogate as a model": (CHAT, r'"model":"\ud800"'),
    "a lone surrogate as a field": (CHAT, r'"\ud800":1'),
    "a lone surrogate in metadata that is sent back": (RESPONSES, r'"metadata":{"\udc00":"\ud800"}'),
    "a lone surrogate as a tool's name": (MESSAGES, r'"tools":[{"name":"\ud800","input_schema":{}}]'),
    "a lone surrogate in a tool's description": (MESSAGES, r'"tools":[{"name":"f","description":"\ud800","input_schema":{}}]'),
    "a lone surrogate in a schema": (CHAT, FORMAT % r'{"const":"\ud800"}'),
    "a lone surrogate in a stop": (CHAT, r'"stop":"\ud800"'),
    "a lone surrogate in a grammar": (CHAT, r'"grammar":"root ::= \"\ud800\""'),
    "a lone surrogate in a call's arguments": (
        CHAT,
        r'"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"\\ud800\"}"}}]},'
        r'{"role":"tool","content":"\ud800"}]',
    ),
    "a call's arguments that are no JSON": (
        CHAT,
        r'"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{oops \\ud800"}}]}]',
    ),
    "a lone surrogate as a previous response": (RESPONSES, r'"previous_response_id":"\ud800"'),
    "a null character everywhere": (CHAT, r'"user":"\u0000","messages":[{"role":"user","content":"\u0000","name":"\u0000"}]'),
    "a null character as a model": (RESPONSES, r'"model":"\u0000"'),
    "a field twice": (CHAT, '"messages":1,"messages":[{"role":"user","content":"x"}]'),
    "a schema 90 deep": (CHAT, FORMAT % DEEP),
    "a tool 90 deep": (MESSAGES, '"tools":[{"name":"f","input_schema":' + DEEP + "}]"),
    "metadata 90 deep": (RESPONSES, '"metadata":' + DEEP),
    "a type that is a list": (MESSAGES, '"tools":[{"name":"f","type":[],"input_schema":{}}]'),
    "a content of a kind of 100,000 characters": (
        CHAT,
        '"messages":[{"role":"user","content":[{"type":"' + "x" * 100_000 + '"}]}]',
    ),
    "an item of a kind that is an object": (RESPONSES, '"input":[{"type":{}}]'),
    "a tool choice of 100,000 characters": (CHAT, '"tool_choice":"' + "x" * 100_000 + '"'),
    "a name of 100,000 characters": (CHAT, '"' + "x" * 100_000 + '":1'),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_valid_and_nearly_valid_json_is_an_answer_or_names_what_is_wrong(server: Running, name: str) -> None:
    path, change = RAW[name]
    rest = {key: value for key, value in BODIES[path].items() if f'"{key}":' not in change}
    content = f"{json.dumps(rest)[:-1]},{change}}}"
    begun = time.monotonic()
    said = check(path, server.post(path, content.encode()))
    assert time.monotonic() - begun < SECONDS
    if "surrogate" in name:
        assert "\\ud8" not in json.dumps(said, ensure_ascii=False)
    streamed = server.post(path, f"{content[:-1]},{json.dumps('stream')}:true}}".encode())
    assert streamed.status_code < 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"model":"fake"', "not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "not valid JSON"),
        (b"NaN", "NaN is no number in JSON"),
        (b"1e999", "too large"),
        (b"[]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"", "the body is missing"),
        (b'\xef\xbb\xbf{"model":"fake"}', "required"),
    ],
)
@pytest.mark.parametrize("path", BODIES)
def test_a_body_that_is_no_json_object_is_a_400_that_says_so(server: Running, path: str, content: bytes, said: str) -> None:
    answer = server.post(path, content)
    assert answer.status_code == 400
    assert said in check(path, answer)["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\xff/json"])
def test_a_body_of_another_kind_is_a_400_that_says_so(server: Running, kind: str) -> None:
    headers = [(b"content-type", kind.encode("latin-1"))]
    answer = server.client.post(CHAT, content=b"{}", headers=headers)
    assert (answer.status_code, "application/json" in check(CHAT, answer)["error"]["message"]) == (400, True)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/responses/%ED%A0%80", "/v1/responses/%FF"])
@pytest.mark.parametrize("header", ["x-api-key", "authorization", "user-agent", "mcp-session-id", "last-event-id"])
def test_headers_that_are_no_unicode_do_no_harm(server: Running, path: str, header: str) -> None:
    answer = server.client.get(path, headers=[(header.encode(), b"\xff\xfe\xed\xa0\x80")])
    assert answer.status_code in (404, 405)
    check(path if path in BODIES else CHAT, answer)


odd_text = st.one_of(
    st.text(st.characters(), max_size=20),  # surrogates among them
    st.sampled_from(["NaN", "-inf", "1e999", "\x00", "<|im_end|>", "\ud83d", "x" * 5000, "messages", "role"]),
)
odd_number = st.one_of(
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([10**400, -(10**30), 2**63, 1e308, -0.0, 5e-324]),
)
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_number, odd_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(odd_text, inner, max_size=4)),
    max_leaves=12,
)
WHOLE: dict[str, dict[str, Any]] = {
    CHAT: {
        **BODIES[CHAT],
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ],
        "tools": [FUNCTION],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "logit_bias": {"65": 1},
        "stop": ["x"],
        "metadata": {"a": 1},
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 2,
        **dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "n", "frequency_penalty"), 1),
    },
    RESPONSES: {
        **BODIES[RESPONSES],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
            {"type": "reasoning", "id": "x", "summary": []},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "text": {"format": {"type": "text"}},
        "metadata": {"a": 1},
        "include": ["message.output_text.logprobs"],
        "reasoning": {},
        "max_output_tokens": 5,
    },
    MESSAGES: {
        **BODIES[MESSAGES],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]},
        ],
        "system": [{"type": "text", "text": "x"}],
        "tools": [CUSTOM],
        "tool_choice": {"type": "any"},
        "stop_sequences": ["x"],
        "metadata": {"user_id": "x"},
        "thinking": {"type": "disabled"},
    },
    COUNT: {**BODIES[COUNT], "tools": [CUSTOM], "output_config": {"format": {"type": "json_schema", "schema": {}}}},
}  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within a value."""
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*here, key))


@st.composite
def mutated(draw: Any) -> tuple[str, bytes]:
    path = draw(st.sampled_from(sorted(WHOLE)))
    value = copy.deepcopy(draw(st.sampled_from([BODIES[path], WHOLE[path]])))
    for _ in range(draw(st.integers(1, 4))):
        *parents, last = draw(st.sampled_from(list(places(value))[1:]))
        target = value
        for key in parents:
            target = target[key]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                target[last] = draw(odd)
            case "remove":
                del target[last]
            case _ if isinstance(target, dict):
                target[draw(odd_text)] = draw(odd)
            case _:
                target.append(draw(odd))
        if not value:
            break
    return path, json.dumps(value).encode()


@given(sent=mutated())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_mutated_body_is_answered_in_its_apis_shape(server: Running, sent: tuple[str, bytes]) -> None:
    path, content = sent
    begun = time.monotonic()
    answer = server.post(path, content)
    assert time.monotonic() - begun < SECONDS
    if not answer.headers["content-type"].startswith("text/event-stream"):
        check(path, answer)


# -- calls that were cut

CALL = '{"name":"get_weather","arguments":{"city":"Paris"}}'
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


class Cut(FakeEngine):
    """Ends where a stop string comes up in the arguments."""

    def __init__(self, text: str) -> None:
        super().__init__(script=lambda request: [text], finish=FinishReason.STOP, stop="Par")


def with_tool(path: str) -> dict[str, Any]:
    if path == CHAT:
        tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    elif path == RESPONSES:
        tool = {"type": "function", "name": "get_weather", "parameters": PARAMETERS}
    else:
        tool = {"name": "get_weather", "input_schema": PARAMETERS}
    stop = {CHAT: {"stop": "Par"}, MESSAGES: {"stop_sequences": ["Par"]}}.get(path, {})
    return {**BODIES[path], "tools": [tool], **stop}


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stop_string_within_arguments_ends_in_no_call(path: str) -> None:
    with running(Cut(CALL[:35])) as server:
        said = check(path, server.post(path, json.dumps(with_tool(path)).encode()))
        streamed = server.post(path, json.dumps({**with_tool(path), "stream": True}).encode()).text
    if path == CHAT:
        (choice,) = said["choices"]
        assert choice["finish_reason"] == "stop"
        assert "tool_calls" not in choice["message"]
        assert '"finish_reason":"tool_calls"' not in streamed
        assert '"finish_reason":"stop"' in streamed
    elif path == RESPONSES:
        assert [item["type"] for item in said["output"]] == ["message"] or said["output"] == []
        assert "function_call_arguments.done" not in streamed
    else:
        assert said["stop_reason"] == "stop_sequence"
        assert [block["type"] for block in said["content"]] == ["text"]
        assert '"stop_reason":"tool_use"' not in streamed


def test_of_two_calls_whose_second_was_cut_nobody_is_told_to_make_the_second() -> None:
    two = "\n".join(f"<tool_call>\n{CALL}\n</tool_call>" for _ in range(2))

    class Hermes(Cut):
        chat_template = "{% if tools %}<tool_call>{% endif %}{{ messages[0].tool_calls }}"

    with running(Hermes(two[:-30])) as server:
        said = server.post(CHAT, json.dumps({**with_tool(CHAT), "parallel_tool_calls": True}).encode()).json()
        body = {**with_tool(CHAT), "parallel_tool_calls": True, "stream": True}
        streamed = server.post(CHAT, json.dumps(body).encode()).text
    assert said["choices"][0]["finish_reason"] == "stop"
    assert '"finish_reason":"tool_calls"' not in streamed


def test_log_probabilities_of_what_cannot_be_are_numbers() -> None:
    class Sure(FakeEngine):
        def step(self) -> Any:
            odd = (float("-inf"), float("nan"))
            return [
                type(delta)(delta.request_id, delta.text, delta.tokens, odd[:1] * len(delta.tokens),
                            (((1, odd[0]), (2, odd[1])),) * len(delta.tokens), delta.finish_reason, delta.stop, delta.usage)
                for delta in super().step()
            ]  # fmt: skip

    with running(Sure()) as server:
        body = {**BODIES[CHAT], "logprobs": True, "top_logprobs": 2}
        first = check(CHAT, server.post(CHAT, json.dumps(body).encode()))["choices"][0]["logprobs"]["content"][0]
        assert (first["logprob"], [each["logprob"] for each in first["top_logprobs"]]) == (-9999.0, [-9999.0, -9999.0])
        streamed = server.post(CHAT, json.dumps({**body, "stream": True}).encode()).text
        assert "Infinity" not in streamed
        assert "NaN" not in streamed


def test_the_engine_gets_numbers_that_it_can_hold() -> None:
    seen: list[Request] = []

    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["x"]

    with running(FakeEngine(script=script)) as server:
        server.post(CHAT, json.dumps({"model": "fake", "messages": USER, "top_k": 10**30, "max_tokens": 10**30}).encode())
    assert (seen[0].sampling.top_k <= 256, seen[0].max_tokens <= 2000) == (True, True)
