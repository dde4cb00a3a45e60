"""Generated text in every family's way of writing calls, fed in one piece and a character at a time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_engine.grammar.calls.formats import CallFormat
from portico_engine.grammar.calls.parser import (
    AnswerEvent,
    ArgumentsText,
    CallCut,
    CallFinished,
    CallStarted,
    ContentText,
    ThinkingText,
    ToolCallParser,
)

TWO = {
    CallFormat.GENERIC: '[{"name":"a","arguments":{"x":1}},{"name":"b","arguments":{}}]',
    CallFormat.HERMES: '<tool_call>\n{"name": "a", "arguments": {"x":1}}\n</tool_call>\n'
    '<tool_call>\n{"name": "b", "arguments": {}}\n</tool_call>',
    CallFormat.LLAMA3: '{"name": "a", "parameters": {"x":1}}; {"name": "b", "parameters": {}}',
    CallFormat.MISTRAL: '[TOOL_CALLS][{"name": "a", "arguments": {"x":1}}, {"name": "b", "arguments": {}}]',
    CallFormat.MISTRAL_ARGS: '[TOOL_CALLS]a[ARGS]{"x":1}[TOOL_CALLS]b[ARGS]{}',
}


def parse(
    text: str, format: CallFormat, *, size: int | None = None, constrained: bool = True, thinking: bool = False
) -> list[AnswerEvent]:
    """All events, with adjacent text joined whatever the pieces were."""
    parser = ToolCallParser(format, constrained=constrained, thinking=thinking)
    size = size or max(1, len(text))
    events: list[AnswerEvent] = []
    for at in range(0, len(text), size):
        events += parser.feed(text[at : at + size])
    events += parser.finish()
    out: list[AnswerEvent] = []
    for event in events:
        match out[-1] if out else None, event:
            case ContentText(a), ContentText(b):
                out[-1] = ContentText(a + b)
            case ThinkingText(a), ThinkingText(b):
                out[-1] = ThinkingText(a + b)
            case ArgumentsText(i, a), ArgumentsText(_, b):
                out[-1] = ArgumentsText(i, a + b)
            case _:
                out.append(event)
    return out


def call(index: int, name: str, arguments: str) -> list[AnswerEvent]:
    return [CallStarted(index, name), ArgumentsText(index, arguments), CallFinished(index, name, arguments)]


@pytest.mark.parametrize("size", [None, 1, 3])
@pytest.mark.parametrize("format", list(CallFormat))
def test_two_calls_come_out_whole_however_the_text_is_cut(format: CallFormat, size: int | None) -> None:
    assert parse(TWO[format], format, size=size) == [*call(0, "a", '{"x":1}'), *call(1, "b", "{}")]


def test_arguments_are_handed_on_as_they_grow() -> None:
    parser = ToolCallParser(CallFormat.GENERIC, constrained=True)
    assert parser.feed('{"name":"search","argum') == [CallStarted(0, "search")]
    assert parser.feed('ents":{"q":"le') == [ArgumentsText(0, '{"q":"le')]
    assert parser.feed('ft"}}') == [ArgumentsText(0, 'ft"}'), CallFinished(0, "search", '{"q":"left"}')]
    assert parser.finish() == []


@pytest.mark.parametrize(
    ("format", "call_text"),
    [
        (CallFormat.HERMES, TWO[CallFormat.HERMES]),
        (CallFormat.MISTRAL, TWO[CallFormat.MISTRAL]),
        (CallFormat.MISTRAL_ARGS, TWO[CallFormat.MISTRAL_ARGS]),
    ],
)
@pytest.mark.parametrize("size", [None, 1])
def test_text_before_the_marker_is_content_and_a_partial_marker_is_held_back(
    format: CallFormat, call_text: str, size: int | None
) -> None:
    events = parse("I'll look <tool at [TOOL it. " + call_text, format, size=size)
    assert events[0] == ContentText("I'll look <tool at [TOOL it. ")
    assert events[1:] == [*call(0, "a", '{"x":1}'), *call(1, "b", "{}")]


def test_a_partial_marker_is_not_shown_until_it_is_known_to_be_none() -> None:
    parser = ToolCallParser(CallFormat.HERMES, constrained=True)
    assert parser.feed("see <tool_c") == [ContentText("see ")]
    assert parser.feed("hest>") == [ContentText("<tool_chest>")]


@pytest.mark.parametrize("format", list(CallFormat))
@pytest.mark.parametrize("size", [None, 1])
def test_prose_stays_prose(format: CallFormat, size: int | None) -> None:
    text = 'The set is {"a"} and <b> [1] holds.\n\n  Done.'
    assert parse(text, format, size=size, constrained=False) == [ContentText(text)]


@pytest.mark.parametrize("size", [None, 1, 2])
@pytest.mark.parametrize(
    "text",
    [
        '{"answer": 42}',
        '[{"answer": 42}, 3]',
        "[1] says so",
        '{"name": 3, "arguments": {}}',
        '{"name": "a", "name',
        "{}",
        '  {"a"',
    ],
)
def test_a_free_models_json_that_is_no_call_is_content_unchanged(text: str, size: int | None) -> None:
    events = parse(text, CallFormat.GENERIC, size=size, constrained=False)
    if text.startswith('{"name": "a"'):
        assert events[-1] == CallCut(0, "a", "the text ended in the middle of the call")
    else:
        assert events == [ContentText(text)]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"arguments": {"x": [1, "}"]}, "name": "a"}', '{"x": [1, "}"]}'),
        ('{ "id" : 7 ,\n "name" : "a" , "arguments" : { } }', "{ }"),
        ('{"name":"a","arguments":"{\\"x\\":1}"}', '{"x":1}'),
        ('{"name":"a","arguments":null}', "{}"),
        ('{"name":"a"}', "{}"),
        ('{"name":"a","parameters":{"s":"\\"\\\\"}}', '{"s":"\\"\\\\"}'),
        ('<|python_tag|>{"name":"a","parameters":{}}', "{}"),
    ],
)
@pytest.mark.parametrize("size", [None, 1])
def test_a_free_models_own_spelling_of_a_call_is_understood(text: str, arguments: str, size: int | None) -> None:
    assert parse(text, CallFormat.LLAMA3, size=size, constrained=False) == call(0, "a", arguments)


@pytest.mark.parametrize("cut", range(1, len(TWO[CallFormat.HERMES])))
def test_a_call_that_the_text_breaks_off_is_never_finished(cut: int) -> None:
    text = TWO[CallFormat.HERMES]
    ends = [text.index("}}") + 2, text.rindex("}}") + 2]
    finished = [event for event in parse(text[:cut], CallFormat.HERMES, size=1) if isinstance(event, CallFinished)]
    assert len(finished) == sum(cut >= end for end in ends)


def test_a_malformed_call_is_cut_with_its_reason_and_the_rest_is_content() -> None:
    events = parse('{"name": "a", "arguments": {"x": ]}} so', CallFormat.GENERIC, constrained=False)
    assert events[0] == CallStarted(0, "a")
    assert isinstance(events[2], CallCut)
    assert "can't go on" in events[2].reason
    assert events[3] == ContentText("}} so")


@pytest.mark.parametrize("opening", ["", "<think>", "\n<think>\n"])
@pytest.mark.parametrize("size", [None, 1, 5])
def test_a_thought_comes_first_whether_or_not_the_prompt_opened_it(opening: str, size: int | None) -> None:
    text = f"{opening}I need {{a}} <call>.</think>\n\n" + TWO[CallFormat.LLAMA3]
    events = parse(text, CallFormat.LLAMA3, size=size, thinking=True)
    assert isinstance(events[0], ThinkingText)
    assert events[0].text.strip() == "I need {a} <call>."
    assert events[1:] == [*call(0, "a", '{"x":1}'), *call(1, "b", "{}")]


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3), min_size=1, max_size=3), st.data())
def test_any_arguments_survive_any_cutting(arguments: list[dict[str, str]], data: st.DataObject) -> None:
    bodies = [json.dumps(each) for each in arguments]
    text = ", ".join(f'{{"name": "t", "arguments": {body}}}' for body in bodies)
    size = data.draw(st.integers(1, max(1, len(text))))
    events = parse(f"[TOOL_CALLS] [{text}]", CallFormat.MISTRAL, size=size)
    assert [event.arguments_json for event in events if isinstance(event, CallFinished)] == bodies


@pytest.mark.parametrize("size", [None, 1, 4])
def test_an_id_between_name_and_arguments_is_skipped_and_text_after_a_call_is_content(size: int | None) -> None:
    text = '[TOOL_CALLS]a[CALL_ID]Ab1Cd2Ef3[ARGS]{"x":1} Done.'
    events = parse(text, CallFormat.MISTRAL_ARGS, size=size, constrained=False)
    assert events[:-1] == call(0, "a", '{"x":1}')
    assert events[-1] in (ContentText(" Done."), ContentText("Done."))


@pytest.mark.parametrize("text", ["[TOOL_CALLS]no call at all", "[TOOL_CALLS][1]", "[TOOL_CALLS]a[ARGS]"])
def test_a_name_without_arguments_is_no_call(text: str) -> None:
    events = parse(text, CallFormat.MISTRAL_ARGS, constrained=False)
    assert not any(isinstance(event, CallFinished) for event in events)
    if "[ARGS]" not in text:
        assert "".join(event.text for event in events if isinstance(event, ContentText)) == text
    else:
        assert any(isinstance(event, CallCut) for event in events)


@pytest.mark.parametrize("size", [None, 1])
def test_arguments_that_are_no_object_cut_the_call(size: int | None) -> None:
    events = parse("[TOOL_CALLS]a[ARGS]3", CallFormat.MISTRAL_ARGS, size=size)
    assert any(isinstance(event, CallCut) for event in events)
