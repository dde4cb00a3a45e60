"""The grammar of tool calls: what llguidance lets through under it, family by family and choice by choice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.engine.grammar.oracle import MARK, accepts, forced, prefix_accepted

from portico_engine.errors import GrammarError, GrammarTooLarge
from portico_engine.grammar import compile_schema
from portico_engine.grammar.bounds import Limits
from portico_engine.grammar.calls import compile as calls_compile
from portico_engine.grammar.calls.compile import AnswerSchema, compile_tool_calls
from portico_engine.grammar.calls.formats import (
    CallFormat,
    NamedTool,
    ToolChoice,
    call_mark,
    control_tokens,
    detect_format,
    thinks_first,
)
from portico_engine.grammar.calls.parser import CallFinished, CallStarted, ContentText, ThinkingText, ToolCallParser
from portico_engine.grammar.calls.tool_rules import tool_rules
from portico_engine.tool import Tool

SEARCH = Tool(
    "code__search",
    "Search code.",
    {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 50}},
        "required": ["query"],
        "additionalProperties": False,
    },
)
TABLES = Tool("db__tables", "List tables.", {"type": "object", "properties": {}, "additionalProperties": False})
TOOLS = (SEARCH, TABLES)

ONE = {
    CallFormat.GENERIC: '{"name":"code__search","arguments":{"query":"kv","limit":5}}',
    CallFormat.HERMES: '<tool_call>\n{"name": "code__search", "arguments": {"query":"kv","limit":5}}\n</tool_call>',
    CallFormat.LLAMA3: '{"name": "code__search", "parameters": {"query":"kv","limit":5}}',
    CallFormat.MISTRAL: '[TOOL_CALLS][{"name": "code__search", "arguments": {"query":"kv","limit":5}}]',
    CallFormat.MISTRAL_ARGS: '[TOOL_CALLS]code__search[ARGS]{"query":"kv","limit":5}',
}
TWO = {
    CallFormat.GENERIC: '[{"name":"db__tables","arguments":{}},{"name":"code__search","arguments":{"query":"\\"<tool_call>"}}]',
    CallFormat.HERMES: '<tool_call>\n{"name": "db__tables", "arguments": {}}\n</tool_call>\n'
    '<tool_call>\n{"name": "code__search", "arguments": {"query":"\\"<tool_call>"}}\n</tool_call>',
    CallFormat.LLAMA3: '{"name": "db__tables", "parameters": {}}; '
    '{"name": "code__search", "parameters": {"query":"\\"<tool_call>"}}',
    CallFormat.MISTRAL: '[TOOL_CALLS][{"name": "db__tables", "arguments": {}}, '
    '{"name": "code__search", "arguments": {"query":"\\"<tool_call>"}}]',
    CallFormat.MISTRAL_ARGS: '[TOOL_CALLS]db__tables[ARGS]{}[TOOL_CALLS]code__search[ARGS]{"query":"\\"<tool_call>"}',
}
FORMATS = list(CallFormat)


@pytest.mark.parametrize("format", FORMATS)
def test_a_required_call_is_one_valid_call_and_nothing_else(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, format=format).text
    good = ONE[format]
    assert accepts(lark, good)
    for bad in (
        "Sure! " + good,
        good + " Done.",
        good[:-1],
        good.replace("code__search", "code__find"),
        good.replace('"limit":5', '"limit":51'),
        good.replace('{"query":"kv","limit":5}', "{}"),
        good.replace('"limit":5', '"limit":"5"'),
        good.replace("code__search", "db__tables"),
        good.replace('"query":"kv",', '"query": "kv",'),
        "",
    ):
        assert not accepts(lark, bad), bad


@pytest.mark.parametrize("format", FORMATS)
def test_what_leaves_no_choice_is_forced_up_to_the_tools_name(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, format=format).text
    start = ONE[format][: ONE[format].index("code__search")]
    assert forced(lark) == start
    assert forced(lark, start + "c") == ONE[format][len(start) + 1 : ONE[format].index("kv")]
    assert forced(lark, ONE[format][: ONE[format].index("5}") + 2]) == ONE[format][ONE[format].index("5}") + 2 :]


@pytest.mark.parametrize("format", FORMATS)
def test_the_bounds_on_parallel_calls_are_kept(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, format=format, parallel=(2, 3)).text
    assert accepts(lark, TWO[format])
    assert not accepts(lark, ONE[format])
    exactly_one = compile_tool_calls(TOOLS, format=format).text
    assert not accepts(exactly_one, TWO[format])
    one_or_two = compile_tool_calls(TOOLS, format=format, parallel=(1, 2)).text
    assert accepts(one_or_two, TWO[format])
    alone = f"[{ONE[format]}]" if format is CallFormat.GENERIC else ONE[format]
    assert accepts(one_or_two, alone)


def test_a_named_tool_is_the_only_one() -> None:
    lark = compile_tool_calls(TOOLS, choice=NamedTool("db__tables")).text
    assert forced(lark) == '{"name":"db__tables","arguments":{}}'
    assert not accepts(lark, ONE[CallFormat.GENERIC])


@pytest.mark.parametrize("format", FORMATS)
def test_auto_allows_prose_without_calls(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, choice="auto", format=format).text
    for text in ("", "The answer is 42.", "\n  Let x < y; <tool> and [1], {a}, </think>.\n", "日本語 🎉"):
        assert accepts(lark, text), text
        assert accepts(compile_tool_calls((), choice="none", format=format).text, text), text


@pytest.mark.parametrize("format", FORMATS)
def test_auto_constrains_a_call_once_it_begins(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, choice="auto", format=format).text
    assert accepts(lark, ONE[format])
    marked = format in (CallFormat.HERMES, CallFormat.MISTRAL, CallFormat.MISTRAL_ARGS)
    assert accepts(lark, "Let me look <tool that up.\n" + ONE[format]) is True
    bad = ONE[format].replace("code__search", "code__find")
    assert prefix_accepted(lark, bad) is None
    if marked:
        assert prefix_accepted(lark, "Let me look that up.\n" + bad) is None
        assert not accepts(lark, ONE[format] + " and so on")


@pytest.mark.parametrize("format", FORMATS)
def test_none_allows_no_call(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, choice="none", format=format).text
    assert prefix_accepted(lark, ONE[format]) is None


BODY = '{"name":"code__find","arguments":{}}'


@pytest.mark.parametrize("choice", ["auto", "none"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "text", [f"[{BODY}]", f"[{BODY},{BODY}]", f" [ {BODY}", f"<|python_tag|>{BODY}", f"\n<|python_tag|>[{BODY}"]
)
def test_free_text_is_never_read_as_a_call(text: str, format: CallFormat, choice: ToolChoice) -> None:
    """A call that the grammar didn't make would be of any tool, with any arguments, and several where one is allowed."""
    lark = compile_tool_calls(TOOLS, choice=choice, format=format).text
    parser = ToolCallParser(format, constrained=True)
    calls = [event for event in parser.feed(text) + parser.finish() if isinstance(event, CallStarted)]
    assert not (accepts(lark, text) and calls)


@pytest.mark.parametrize("choice", ["required", "auto", "none"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_thought_comes_first_within_its_budget(format: CallFormat, choice: ToolChoice) -> None:
    lark = compile_tool_calls(TOOLS, choice=choice, format=format, thinking=40).text
    answer = "No calls." if choice == "none" else ONE[format]
    for opening in ("<think>\n", ""):
        assert accepts(lark, f"{opening}Is it <this>, </thin> or {{that}}?</think>\n\n{answer}")
        assert not accepts(lark, f"{opening}{'x' * 60}</think>\n\n{answer}")
    assert not accepts(lark, answer)
    assert forced(lark, "y" * 48).startswith("</think>")


def test_a_marker_that_is_a_control_token_is_asked_for_by_its_id() -> None:
    ids = {"[TOOL_CALLS]": MARK}
    body = list(ONE[CallFormat.MISTRAL].removeprefix("[TOOL_CALLS]").encode())
    required = compile_tool_calls(TOOLS, format=CallFormat.MISTRAL, special_tokens=ids).text
    assert accepts(required, [MARK, *body])
    assert not accepts(required, body)
    auto = compile_tool_calls(TOOLS, choice="auto", format=CallFormat.MISTRAL, special_tokens=ids).text
    assert accepts(auto, [*b"I look.", MARK, *body])
    assert accepts(auto, [*b"I know."])
    assert not accepts(auto, [*b"I look.", MARK, *b"so"])


def test_marks_between_name_and_arguments_can_be_control_tokens_too() -> None:
    ids = {"[TOOL_CALLS]": MARK, "[ARGS]": MARK}
    lark = compile_tool_calls(TOOLS, choice="auto", format=CallFormat.MISTRAL_ARGS, parallel=(1, 2), special_tokens=ids).text
    tables, search = list(b"db__tables"), list(b"code__search")
    assert accepts(lark, [*b"So: ", MARK, *tables, MARK, *b"{}", MARK, *search, MARK, *b'{"query":"kv"}'])
    assert not accepts(lark, [MARK, *tables, *b"[ARGS]{}"])
    assert prefix_accepted(lark, [MARK, *b"code__find"]) is None


def test_a_vocabulary_says_which_marks_are_tokens_of_its_own() -> None:
    class Tokens:
        def token_id(self, token: str) -> int | None:
            return {"[TOOL_CALLS]": 9, "[ARGS]": 32}.get(token)

        def is_control(self, token: int) -> bool:
            return token == 9

    assert control_tokens(CallFormat.MISTRAL_ARGS, Tokens()) == {"[TOOL_CALLS]": 9}
    assert control_tokens(CallFormat.HERMES, Tokens()) == {}


def test_one_bad_tool_is_degraded_or_left_out_and_the_others_stay_exact() -> None:
    invalid = Tool("bad", "", {"type": "object", "properties": {"x": {"$id": "http://own/", "$ref": "#/nowhere"}}})
    impossible = Tool("never", "", {"type": "object", "properties": {"x": False}, "required": ["x"]})
    grammar = compile_tool_calls((SEARCH, invalid, impossible))
    assert accepts(grammar.text, ONE[CallFormat.GENERIC])
    assert not accepts(grammar.text, ONE[CallFormat.GENERIC].replace('"limit":5', '"limit":51'))
    assert accepts(grammar.text, '{"name":"bad","arguments":{"anything":[1]}}')
    assert prefix_accepted(grammar.text, '{"name":"n') is None
    assert {(entry.tool, entry.degraded) for entry in grammar.report.failed} == {("bad", True), ("never", False)}


@pytest.mark.parametrize(
    ("tools", "options", "message"),
    [
        ((), {"choice": "required"}, "at least one tool"),
        ((SEARCH, SEARCH), {}, "more than once: code__search"),
        ((SEARCH,), {"choice": NamedTool("x")}, "names 'x', which is not among the tools: code__search"),
        ((SEARCH,), {"parallel": (0, 1)}, "1 <= fewest <= most, not 0 and 1"),
        ((SEARCH,), {"parallel": (3, 2)}, "not 3 and 2"),
        ((SEARCH,), {"thinking": -1}, "0 or more"),
        ((Tool("never", "", {"type": "object", "properties": {"x": False}, "required": ["x"]}),), {}, "no tool is left"),
    ],
)
def test_bad_arguments_are_named(tools: tuple[Tool, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        compile_tool_calls(tools, **options)  # type: ignore[arg-type]


def test_names_that_are_no_rule_names_or_differ_in_case_alone_do_not_clash() -> None:
    tools = [Tool(name, "", {"type": "object", "properties": {name: {"const": 1}}, "required": [name]}) for name in NAMES]
    lark = compile_tool_calls(tools).text
    for name in NAMES:
        spelled = json.dumps(name, ensure_ascii=False)
        assert accepts(lark, f'{{"name":{spelled},"arguments":{{{spelled}:1}}}}'), name
        other = json.dumps(NAMES[NAMES.index(name) - 1], ensure_ascii=False)
        assert not accepts(lark, f'{{"name":{spelled},"arguments":{{{other}:1}}}}'), name


NAMES = ("a", "A", "a-b", "a_b", "root", "call", "", "7", 'say "hi"\\', "поиск", "a-", "start")


def test_the_digest_is_the_same_in_every_process_and_the_grammar_is_kept() -> None:
    grammar = compile_tool_calls(TOOLS, format=CallFormat.HERMES, choice="auto")
    assert grammar.digest == compile_tool_calls(TOOLS, format=CallFormat.HERMES, choice="auto").digest
    assert grammar.ir is not None
    assert grammar.report.exact


@pytest.mark.parametrize("format", FORMATS)
def test_what_the_grammar_allows_the_parser_understands(format: CallFormat) -> None:
    text = f"Hm, {{x}}?</think>\n\n{TWO[format]}"
    assert accepts(compile_tool_calls(TOOLS, format=format, parallel=(1, 2), thinking=100).text, text)
    parser = ToolCallParser(format, constrained=True, thinking=True)
    events = [event for c in text for event in parser.feed(c)] + parser.finish()
    finished = [event for event in events if isinstance(event, CallFinished)]
    assert [(event.name, json.loads(event.arguments_json)) for event in finished] == [
        ("db__tables", {}),
        ("code__search", {"query": '"<tool_call>'}),
    ]
    assert "".join(event.text for event in events if isinstance(event, ThinkingText)) == "Hm, {x}?"
    assert not "".join(event.text for event in events if isinstance(event, ContentText)).strip()


@pytest.mark.parametrize(
    ("template", "format"),
    [
        (None, CallFormat.GENERIC),
        ("", CallFormat.GENERIC),
        ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}", CallFormat.GENERIC),
        ("{{ '<tool_call>\\n{\"name\": ' }}", CallFormat.HERMES),
        ("<tool_call>\n<function={{ name }}>\n<parameter=", CallFormat.GENERIC),
        ("{{- '<|python_tag|>' }}", CallFormat.LLAMA3),
        ("{{ '<|start_header_id|>ipython<|end_header_id|>' }}{{ '\"parameters\": ' }}", CallFormat.LLAMA3),
        ("{{ '[AVAILABLE_TOOLS] ' }}{{ '[TOOL_CALLS] [' }}", CallFormat.MISTRAL),
        ("{{- '[TOOL_CALLS]' + call.function.name + '[ARGS]' + arguments }}", CallFormat.MISTRAL_ARGS),
    ],
)
def test_the_format_is_told_from_the_chat_template(template: str | None, format: CallFormat) -> None:
    assert detect_format(template) is format


@pytest.mark.parametrize("format", list(CallFormat))
def test_every_call_has_its_formats_mark(format: CallFormat) -> None:
    """By which an answer that waits for a tool's result is told from others."""
    assert call_mark(format) in ONE[format]
    assert call_mark(format) not in "It returns a list, see {name} in the file."


@pytest.mark.parametrize(
    ("template", "thinks"), [(None, False), ("{{ m.content }}", False), ("{{ m.content.split('</think>')[-1] }}", True)]
)
def test_a_model_thinks_first_whose_template_knows_thoughts(template: str | None, thinks: bool) -> None:
    assert thinks_first(template) is thinks


@pytest.mark.parametrize("format", list(CallFormat))
@pytest.mark.parametrize("choice", ["required", "auto"])
def test_a_large_catalog_compiles_in_every_format(format: CallFormat, choice: ToolChoice) -> None:
    properties = {f"field {i}": {"type": "string"} for i in range(6)} | {"free": True}
    tools = [Tool(f"tool_{i}", "", {"type": "object", "properties": properties}) for i in range(120)]
    grammar = compile_tool_calls(tools, choice=choice, format=format, thinking=100, parallel=(1, 3))
    assert not grammar.report.failed
    assert grammar.report.compile_seconds < 30  # it once grew with the square of the catalog


def test_a_multiple_that_must_be_counted_loosens_itself_in_a_catalog_too_large_to_search() -> None:
    every_15 = {"type": "object", "properties": {"minutes": {"type": "integer", "multipleOf": 15}}, "required": ["minutes"]}
    plain = {"type": "object", "properties": {f"field {i}": {"type": "string"} for i in range(30)}}
    alone = compile_tool_calls([Tool("timer", "", every_15)])
    assert not alone.report.loosened
    assert accepts(alone.text, '{"name":"timer","arguments":{"minutes":45}}')
    assert not accepts(alone.text, '{"name":"timer","arguments":{"minutes":46}}')
    many = compile_tool_calls([Tool("timer", "", every_15), *(Tool(f"tool_{i}", "", plain) for i in range(150))])
    assert [(entry.tool, entry.keyword) for entry in many.report.loosened] in ([], [("timer", "multipleOf")])
    assert accepts(many.text, '{"name":"timer","arguments":{"minutes":45}}')
    assert accepts(many.text, '{"name":"timer","arguments":{"minutes":46}}') is bool(many.report.loosened)
    assert not accepts(many.text, '{"name":"timer","arguments":{"minutes":"x"}}')


def test_of_tools_that_are_too_large_together_the_largest_is_degraded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calls_compile.enforced_or_looser

    def small(make: Any, limits: Limits) -> Any:
        if len(make(limits)[0].rules) > 40:
            raise GrammarTooLarge("too large for this test")
        return whole(make, limits)

    monkeypatch.setattr(calls_compile, "enforced_or_looser", small)
    wide = {"type": "object", "properties": {f"p{i}": {"type": "boolean"} for i in range(60)}}
    tools = [Tool("wide", "", wide), Tool("narrow", "", {"type": "object", "properties": {"a": {"const": 1}}})]
    grammar = compile_tool_calls(tools)
    assert [(failed.tool, failed.reason, failed.degraded) for failed in grammar.report.failed] == [
        ("wide", "too large for this test", True)
    ]
    assert accepts(grammar.text, '{"name":"wide","arguments":{"anything":[1]}}')
    assert accepts(grammar.text, '{"name":"narrow","arguments":{"a":1}}')
    assert not accepts(grammar.text, '{"name":"narrow","arguments":{"a":2}}')


def test_a_catalog_that_is_too_large_is_joined_a_few_times_however_many_tools_have_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for each of them took hours with thousands; the work is counted, not timed."""
    whole, joins = calls_compile.enforced_or_looser, 0

    def small(make: Any, limits: Limits) -> Any:
        nonlocal joins
        joins += 1
        joined = make(limits)
        if len(joined[1].failed) < 60:
            raise GrammarTooLarge("too large for this test")
        return whole(lambda _: joined, limits)

    monkeypatch.setattr(calls_compile, "enforced_or_looser", small)
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "string"}}}}
    tools = [Tool(f"tool_{i}", "", schema) for i in range(128)]
    grammar = compile_tool_calls(tools)
    assert joins <= 2 * 7 + 1, "a doubling and a halving of 128"
    failed = [entry.tool for entry in grammar.report.failed]
    assert 60 <= len(failed) <= 68
    assert failed == [f"tool_{i}" for i in range(len(failed))], "of tools of one size the first"


def test_digits_that_are_counted_in_many_tools_cost_the_counting_and_no_tool() -> None:
    schema = {"type": "object", "properties": {"minutes": {"type": "integer", "multipleOf": 15}}, "required": ["minutes"]}
    grammar = compile_tool_calls([Tool(f"timer_{i}", "", schema) for i in range(24)], limits=Limits(seconds=0.3))
    assert not grammar.report.failed
    assert len(grammar.report.loosened) == 24
    assert accepts(grammar.text, '{"name":"timer_3","arguments":{"minutes":45}}')
    assert not accepts(grammar.text, '{"name":"timer_3","arguments":{"minutes":"x"}}')


def test_names_of_one_prefix_are_told_apart_in_one_look_each() -> None:
    tools = [Tool("é" * (i + 1), "", {"type": "object"}) for i in range(300)]
    rules, bodies, _, _ = tool_rules(tools, None, Limits(), {})
    assert len({str(body) for body in bodies.values()}) == 300
    assert "tool--root" in rules or any(name.startswith("tool-300--") for name in rules)


def test_more_symbols_than_the_matcher_has_are_an_error_of_the_compiler() -> None:
    inner = [{f"q{i}_{j}": {"type": "boolean"} for j in range(8)} for i in range(1500)]
    schema = {"type": "object", "properties": {f"p{i}": {"type": "object", "properties": of} for i, of in enumerate(inner)}}
    with pytest.raises(
        GrammarTooLarge,
        match=r"more than 65,525 symbols; make the schema|characters of the matcher's language",
    ):
        compile_schema(schema, limits=Limits(seconds=60))


ANSWER = AnswerSchema({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})


@pytest.mark.parametrize("format", FORMATS)
def test_with_an_answers_schema_the_text_is_a_call_or_json_of_it_and_the_parser_tells_which(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, choice="auto", answer=ANSWER, format=format).text
    mark = "" if "<" in ONE[format] or "[TOOL" in ONE[format] else " "
    for said in ('{"name":"x"}', '{"name":"<tool_call>[TOOL_CALLS]"}'):
        assert accepts(lark, mark + said), said
        for size in (1, 3, 100):
            parser = ToolCallParser(format, constrained=True, structured=True)
            text = mark + said
            events = [event for at in range(0, len(text), size) for event in parser.feed(text[at : at + size])]
            events += parser.finish()
            assert "".join(event.text for event in events if isinstance(event, ContentText)) == said
            assert all(isinstance(event, ContentText) for event in events)
    assert accepts(lark, ONE[format])
    for bad in ("Sure!", "", mark + "{}", mark + '{"name":1}', ONE[format] + " done", "Sure! " + ONE[format]):
        assert not accepts(lark, bad), bad
    parser = ToolCallParser(format, constrained=True, structured=True)
    events = [event for c in ONE[format] for event in parser.feed(c)] + parser.finish()
    assert [event.name for event in events if isinstance(event, CallFinished)] == ["code__search"]
    assert not [event for event in events if isinstance(event, ContentText)]


@pytest.mark.parametrize("format", FORMATS)
def test_two_calls_go_with_an_answers_schema_too(format: CallFormat) -> None:
    lark = compile_tool_calls(TOOLS, choice="auto", answer=ANSWER, format=format, parallel=(1, 2)).text
    assert accepts(lark, TWO[format])
    parser = ToolCallParser(format, constrained=True, structured=True)
    events = [event for c in TWO[format] for event in parser.feed(c)] + parser.finish()
    assert [event.name for event in events if isinstance(event, CallFinished)] == ["db__tables", "code__search"]


def test_a_tool_named_answer_does_not_meet_the_answers_rules() -> None:
    tool = Tool("answer", "", {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]})
    lark = compile_tool_calls([tool], choice="auto", answer=ANSWER).text
    assert accepts(lark, '{"name":"answer","arguments":{"a":1}}')
    assert accepts(lark, ' {"name":"x"}')
    assert not accepts(lark, '{"name":"answer","arguments":{"name":"x"}}')


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}, True])
def test_an_answer_need_not_be_an_object(schema: Any) -> None:
    lark = compile_tool_calls(TOOLS, choice="auto", answer=AnswerSchema(schema)).text
    assert accepts(lark, {"string": ' "a{b"', "array": " [1,2]"}.get(schema["type"] if schema is not True else "", " null"))
    assert accepts(lark, ONE[CallFormat.GENERIC])
