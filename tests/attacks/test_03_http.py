"""Text that is no Unicode becomes U+FFFD at HTTP's edges, in both directions, at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.http_server import BODIES, CHAT, COUNT, MESSAGES, RESPONSES, running
from tests.gateway.http.fake_engine import FakeEngine

from portico_gateway.http.json_text import json_text
from portico_servers.common.unicode_text import plain_json, plain_value

pytestmark = pytest.mark.attack("3 text that is no Unicode")
ODD = "cut here \ufffd"


@pytest.mark.parametrize("sent", [rb'"cut here \ud83d"', b'"cut here \xff"', b'"cut here \xe9"', rb'"cut here \uDE00"'])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        (CHAT, b'"messages":[{"role":"user","content":%s}]'),
        (CHAT, b'"messages":[{"role":"user","content":[{"type":"text","text":%s}]}]'),
        (RESPONSES, b'"input":%s'),
        (RESPONSES, b'"input":[{"type":"function_call_output","call_id":"1","output":%s}]'),
        (MESSAGES, b'"messages":[{"role":"user","content":%s}]'),
        (MESSAGES, b'"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":%s}]}]'),
        (COUNT, b'"messages":[{"role":"user","content":%s}]'),
    ],
)
def test_the_model_reads_a_replacement_character(path: str, field: bytes, sent: bytes) -> None:
    engine = FakeEngine()
    rest = {key: value for key, value in BODIES[path].items() if key not in ("messages", "input")}
    with running(engine) as server:
        answer = server.post(path, json.dumps(rest).encode()[:-1] + b"," + field % sent + b"}")
    assert answer.status_code == 200, answer.text
    assert ODD in engine.rendered[0][-1]["content"]


def test_a_call_in_a_turn_holds_a_replacement_character_however_deep_it_was_escaped() -> None:
    engine = FakeEngine(chat_template="{{ tools }}{{ messages[0].tool_calls }}")
    call = {"function": {"name": "f", "arguments": '{"a":"\\ud83d"}'}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call], "content": "x"}]
    with running(engine) as server:
        assert server.post(CHAT, json.dumps({**BODIES[CHAT], "messages": messages}).encode()).status_code == 200
    arguments = engine.rendered[0][-1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"a": "\ufffd"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_model_that_says_half_a_pair_is_heard(path: str, stream: bool) -> None:
    class HalfAPair(FakeEngine):
        def step(self) -> Any:
            return [replace(delta, text=delta.text.replace("?", "\ud83d")) for delta in super().step()]

    with running(HalfAPair(script=lambda request: ["cut here ?"])) as server:
        answer = server.post(path, json.dumps({**BODIES[path], "stream": stream}).encode())
    assert answer.status_code == 200
    assert ODD in answer.content.decode()


def test_a_call_whose_arguments_have_half_a_pair_is_an_object_of_unicode() -> None:
    said = '{"name":"f","arguments":{"a":"\\ud83d"}}'
    body = {**BODIES[MESSAGES], "tools": [{"name": "f", "input_schema": {"properties": {"a": {"type": "string"}}}}]}
    with running(FakeEngine(script=lambda request: [said])) as server:
        answer = server.post(MESSAGES, json.dumps(body).encode())
    assert answer.status_code == 200
    assert answer.json()["content"][0]["input"] == {"a": "\ufffd"}


def test_an_error_that_quotes_half_a_pair_is_read() -> None:
    with running() as server:
        for change in ({"model": "\ud800"}, {"\ud800": 1}, {"tool_choice": "\ud800"}, {"messages": [{"role": "\ud800"}]}):
            answer = server.post(CHAT, json.dumps({**BODIES[CHAT], **change}).encode())
            assert answer.status_code in (400, 404)
            assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a\ud800": ["\udfff", 1]}, '{"a\ufffd":["\ufffd",1]}'),
        ([float("nan"), float("inf"), 1.5], "[null,null,1.5]"),
        ("\N{GRINNING FACE}", '"\N{GRINNING FACE}"'),
    ],
)
def test_what_is_sent_is_json_in_utf_8(value: Any, said: str) -> None:
    assert json_text(value) == said
    assert json.loads(json_text(value).encode()) is not None


def test_what_is_unicode_stays_as_it_was() -> None:
    whole = {"a": "\N{GRINNING FACE}", "b": [1, None, "\\ud800"]}
    assert plain_value(whole) == whole
    for text in ('{"a": "\\ud83d\\ude00"}', '{"a": "\\\\ud83d"}', "{oops", '{ "a" : 1 }'):
        assert plain_json(text) == text
