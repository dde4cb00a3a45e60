from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest
from tests.engine.text.chat_templates import HEADERS, INSTRUCTIONS, XML
from tests.engine.text.chat_templates import THINKING as QWEN
from tests.gateway.agent.free.scripted import HERMES, PLAIN, Model

from portico_engine.grammar import CallFormat
from portico_engine.text.chat_template import ChatTemplate
from portico_gateway.agent.free.local.tool_form import ToolForm, tool_form, usable_form
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, UserTurn, WrittenCall

CALL = WrittenCall("code__search", {"query": "é"}, "abcdefghi")
OTHER = WrittenCall("db__rows", {"query": "b"}, "another-long-id")
TURNS = (UserTurn("Where?"), ModelTurn("Look:", "Hm.", (CALL, OTHER)), ResultTurn(CALL, "A", "Note."), ResultTurn(OTHER, "B"))
STRICT = "{% if tools %}{% endif %}[TOOL_CALLS]{{ message.tool_calls }}{% if tool_call.id|length != 9 %}{% endif %}tool_call_id"


def form_of(template: str) -> ToolForm:
    return tool_form(Model([], template=template))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "format", "own", "several", "thinks"),
    [
        (PLAIN, CallFormat.GENERIC, False, True, False),
        (HERMES, CallFormat.HERMES, True, True, False),
        (QWEN.replace("tool_calls or []", "tool_calls"), CallFormat.HERMES, True, True, True),
        (INSTRUCTIONS, CallFormat.MISTRAL_ARGS, True, True, False),
        (HEADERS + "{# <|python_tag|> #}", CallFormat.LLAMA3, True, False, False),
        (XML, CallFormat.GENERIC, False, True, False),
    ],
)
def test_a_template_s_own_way_is_taken_where_its_calls_can_be_held(
    template: str, format: CallFormat, own: bool, several: bool, thinks: bool
) -> None:
    form = form_of(template)
    assert (form.format, form.own, form.several, form.thinks) == (format, own, several, thinks)


def test_marks_that_are_tokens_of_the_vocabulary_are_known_by_their_ids() -> None:
    vocabulary = SimpleNamespace(token_id=lambda token: 7 if token == "[TOOL_CALLS]" else None, is_control=lambda token: True)
    form = tool_form(SimpleNamespace(chat_template=STRICT, tokens=vocabulary))  # type: ignore[arg-type]
    assert (form.format, form.control) == (CallFormat.MISTRAL, {"[TOOL_CALLS]": 7})


def test_calls_and_results_go_where_the_template_has_a_place_for_them() -> None:
    messages = form_of(HERMES).messages("Be brief.", TURNS)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert messages[2]["tool_calls"][0] == {
        "type": "function",
        "function": {"name": "code__search", "arguments": {"query": "é"}},
    }
    assert messages[3] == {"role": "tool", "name": "code__search", "content": "A\n\nNote."}
    assert "reasoning_content" not in messages[2]


def test_ids_tie_results_to_calls_where_the_template_wants_them_and_are_as_the_strictest_take_them() -> None:
    messages = form_of(STRICT).messages("", TURNS)
    ids = [call["id"] for call in messages[2]["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in messages[3:]]
    assert ids[0] == "abcdefghi"
    assert len(ids[1]) == 9
    assert ids[1].isalnum()


def test_without_a_place_calls_are_text_and_results_are_one_turn_of_the_user() -> None:
    messages = form_of(PLAIN).messages("", TURNS)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == (
        'Look:\n[{"name":"code__search","arguments":{"query":"é"}},{"name":"db__rows","arguments":{"query":"b"}}]'
    )
    assert messages[3]["content"] == "Result of code__search:\nA\n\nNote.\n\nResult of db__rows:\nB"


ONE_CALL = HERMES.replace(
    "{% for call in",
    "{% if m.tool_calls and m.tool_calls | length != 1 %}{{ raise_exception('one call') }}{% endif %}{% for call in",
    1,
)
NO_TOOL_ROLE = HERMES.replace(
    "<{{ m.role }}>", "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}<{{ m.role }}>"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN


@pytest.mark.parametrize(
    ("template", "own", "several", "merges_system"),
    [
        (HERMES, True, True, False),
        (ONE_CALL, True, False, False),
        (NO_TOOL_ROLE, False, True, False),
        (NO_SYSTEM, False, True, True),
    ],
)
def test_what_a_template_refuses_is_done_without(template: str, own: bool, several: bool, merges_system: bool) -> None:
    model = Model([], template=template)
    form = anyio.run(usable_form, model, tool_form(model))  # type: ignore[arg-type]
    assert (form.own, form.several, form.merges_system) == (own, several, merges_system)
    turns = TURNS if several else (TURNS[0], ModelTurn("", "", (CALL,)), TURNS[2])
    assert "Be brief." in ChatTemplate(template).render(form.messages("Be brief.", turns))


@pytest.mark.parametrize("template", [HERMES, PLAIN, QWEN, HEADERS, INSTRUCTIONS, XML])
def test_templates_of_every_family_render_a_conversation_with_calls(template: str) -> None:
    form = form_of(template)
    turns = TURNS if form.several else (TURNS[0], ModelTurn("", "", (CALL,)), TURNS[2])
    text = ChatTemplate(template).render(form.messages("Be brief.", turns))
    assert text.index("Where?") < text.index("code__search") < text.index("Note.")
