"""The free loop from the question to its end, with a scripted model under the real grammar."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import anyio
import mcp_types as types
import pytest
from tests.gateway.agent.fakes import HIT, hits, kinds
from tests.gateway.agent.free.scripted import HERMES, PLAIN, THINKING, Host, Model, ask, end_of, hermes, talk, text

import portico_gateway.agent.free as free
from portico_engine import ContextOverflow, FinishReason
from portico_gateway.agent.conversation import Exchange
from portico_gateway.agent.events import (
    AnswerText,
    ConversationTrimmed,
    RunFinished,
    ThoughtText,
    ToolCallFinished,
    ToolCallStarted,
)
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.local.local_model import LocalModel
from portico_gateway.agent.free.loop import FreeAgent
from portico_gateway.agent.judgement import Verdict
from portico_gateway.errors import ConsentRefused, ToolDenied, UpstreamDied

ONE = hermes(("code__search", "free"))
TWO = hermes(("code__search", "free"), ("docs__search", "free"))


def test_several_calls_of_one_turn_run_beside_each_other_and_their_results_come_in_order() -> None:
    host, model = Host(), Model([TWO, "In a.py."])
    events = ask(model, host)
    assert kinds(events) == [*[ToolCallStarted] * 2, *[ToolCallFinished] * 2, AnswerText, AnswerText, RunFinished]
    assert host.most_running == 2
    assert "<tool>code__search found free\n<tool>docs__search found free\n<assistant>" in model.prompts[1]
    end = end_of(events)
    assert (end.answer, end.judgement.verdict, end.limit) == ("In a.py.", Verdict.ANSWERED, None)


def test_calls_that_write_run_alone_and_in_their_place() -> None:
    host = Host()
    ask(Model([hermes(("code__search", "a"), ("files__write", "b"), ("files__write", "c"), ("docs__search", "d")), "ok"]), host)
    assert host.most_running == 1
    assert host.called == ["code__search(a)", "files__write(b)", "files__write(c)", "docs__search(d)"]


def test_equal_calls_of_one_turn_are_made_once_and_both_are_answered() -> None:
    host, model = Host(), Model([hermes(("code__search", "x"), ("code__search", "x")), "ok"])
    ask(model, host)
    assert host.called == ["code__search(x)"]
    assert model.prompts[1].count("<tool>code__search found x") == 2


def test_a_model_may_answer_without_a_call() -> None:
    end = end_of(ask(Model(["Hello!"]), question="Hi"))
    assert (end.answer, end.judgement.verdict, end.tool_calls) == ("Hello!", Verdict.ANSWERED, ())


def test_each_prompt_begins_with_the_one_before_it() -> None:
    model = Model([ONE, TWO, "Done."])
    ask(model)
    for earlier, later in zip(model.prompts, model.prompts[1:], strict=False):
        assert later.startswith(earlier.removesuffix("<assistant>"))
    assert model.requests[0].keep > 300, "instructions and tools are kept for the next question"


def test_thinking_comes_before_the_call_is_told_as_thought_and_has_a_budget() -> None:
    model = Model([f"<think>\nLet me look.\n</think>\n\n{ONE}", "<think>So.</think>It is a.py."], template=THINKING)
    events = ask(model, limits=FreeLimits(thought_characters=100))
    assert "".join(e.text for e in events if isinstance(e, ThoughtText)) == "\nLet me look.\nSo."
    assert end_of(events).answer == "It is a.py."
    assert "Let me look.</think><tool_call>" in model.prompts[1], "a template that keeps thoughts is given them"
    with pytest.raises(AssertionError, match="not in the grammar"):
        ask(Model([f"<think>{'x' * 200}</think>{ONE}"], template=THINKING), limits=FreeLimits(thought_characters=100))


def test_a_template_without_tools_is_told_of_them_in_our_form_and_calls_in_it() -> None:
    model = Model(
        ['[{"name":"code__search","arguments":{"query":"a"}},{"name":"db__rows","arguments":{"query":"b"}}]', "Both."],
        template=PLAIN,
    )
    ask(model)
    assert "code__search(query: string) - What code__search does." in model.prompts[0]
    assert "<user>Result of code__search:\ncode__search found a\n\nResult of db__rows:\ndb__rows found b" in model.prompts[1]


def test_a_template_without_system_messages_has_the_instructions_in_the_question() -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN
    model = Model(["Fine."], template=template)
    assert end_of(ask(model)).answer == "Fine."
    assert model.prompts[0].startswith("<user>You answer questions")
    assert model.requests[0].keep > 300


def test_errors_are_given_back_and_the_model_goes_on() -> None:
    answers = iter([UpstreamDied("code", "ended (exit code 1)"), text("found")])

    def answer(name: str, arguments: object) -> types.CallToolResult:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    model = Model([ONE, hermes(("docs__search", "free")), "Found."])
    end = end_of(ask(model, Host(answer)))
    assert "The call failed: server 'code' ended (exit code 1)" in model.prompts[1]
    assert end.judgement.verdict is Verdict.ANSWERED


def test_what_found_nothing_is_no_answer_whatever_the_model_says_of_it() -> None:
    end = end_of(ask(Model([ONE, "It is in b.py, surely."]), Host(lambda name, arguments: hits())))
    assert (end.answer, end.judgement.verdict) == ("", Verdict.NOT_FOUND)
    assert "It is in b.py, surely." in end.judgement.reasons[0]


def test_citations_are_opened_again_before_they_are_told() -> None:
    gone = {**HIT, "path": "gone.py", "text": "def other(self):"}
    end = end_of(ask(Model([ONE, "There."]), Host(lambda name, arguments: hits(HIT, gone))))
    assert [source.label for source in end.citations] == ["a.py:3"]


def test_the_same_call_with_the_same_result_is_told_once_and_then_ends_with_what_is_there() -> None:
    model = Model([ONE, ONE, ONE, ONE, "a.py it is."])
    end = end_of(ask(model, limits=FreeLimits(same_results=3)))
    said = [prompt.count("its result was the same each time") for prompt in model.prompts]
    assert said == [0, 0, 0, 1, 2]
    assert (end.limit, end.answer, end.judgement.verdict) == ("repeats", "a.py it is.", Verdict.ANSWERED)
    assert "No further calls can be made" in model.prompts[-1]


def test_the_same_call_with_another_result_is_no_loop() -> None:
    count = iter(range(100))
    model = Model([*[ONE] * 5, "Done."])
    assert end_of(ask(model, Host(lambda name, arguments: text(f"{next(count)} done")))).limit is None


def test_a_limit_on_steps_ends_in_an_answer_without_calls_and_is_named() -> None:
    model = Model([ONE, hermes(("code__search", "b")), "So far."])
    end = end_of(ask(model, max_steps=2))
    assert (end.limit, end.answer) == ("steps", "So far.")
    grammar = model.requests[-1].grammar
    assert grammar is not None
    assert "code__search" not in grammar.text


def test_a_limit_on_tokens_keeps_enough_for_the_answer() -> None:
    model = Model([ONE, "So far."])
    end = end_of(ask(model, limits=FreeLimits(tokens=len(ONE) + 51, answer_tokens=50)))
    assert (end.limit, end.answer) == ("tokens", "So far.")
    assert [request.max_tokens for request in model.requests] == [len(ONE) + 1, 51]


def test_a_limit_on_time_is_looked_at_between_turns() -> None:
    now = 0.0

    def slow(name: str, arguments: object) -> types.CallToolResult:
        nonlocal now
        now = 95.0
        return text("found")

    model = Model([ONE, "So far."])
    end = end_of(ask(model, Host(slow), limits=FreeLimits(seconds=100, answer_seconds=10), clock=lambda: now))
    assert (end.limit, end.answer) == ("seconds", "So far.")


def test_a_model_that_hangs_is_given_up_when_the_time_is_over() -> None:
    model = Model(["So far so", "never said"], hangs=True)
    end = end_of(ask(model, limits=FreeLimits(seconds=0.05, answer_seconds=0)))
    assert (end.limit, end.answer, end.judgement.verdict) == ("seconds", "", Verdict.NOT_FOUND)
    assert "So far so" in end.judgement.reasons[1]


def test_an_answer_that_is_cut_by_its_length_is_none() -> None:
    end = end_of(ask(Model([ONE, ("It is in a", FinishReason.LENGTH)])))
    assert (end.limit, end.answer, end.judgement.verdict) == ("tokens", "", Verdict.NO_ANSWER)


def test_a_turn_that_filled_its_budget_is_cut_though_the_grammar_closed_it() -> None:
    end = end_of(ask(Model([TWO, "It is in a."]), limits=FreeLimits(turn_tokens=len(TWO))))
    assert [call.tool for call in end.tool_calls] == ["code__search"], "the last call may say less than it was to say"
    end = end_of(ask(Model([ONE, "Word " * 40]), limits=FreeLimits(turn_tokens=200)))
    assert (end.limit, end.answer, end.judgement.verdict) == ("tokens", "", Verdict.NO_ANSWER)


def test_a_person_s_no_is_told_to_the_model_and_not_asked_for_again() -> None:
    def answer(name: str, arguments: object) -> types.CallToolResult:
        raise ConsentRefused(name)

    write = hermes(("files__write", "x"))
    host, model = Host(answer), Model([write, write, "It was not allowed."])
    end = end_of(ask(model, host))
    assert host.called == ["files__write(x)"], "the same call is not put to a person twice"
    assert "Denied, and the call was not made: the user did not allow this call of files__write" in model.prompts[1]
    assert (end.limit, end.judgement.verdict) == ("denied", Verdict.DENIED)
    assert [call.denied for call in end.tool_calls] == [True, True]


def test_a_tool_that_the_policy_forbids_is_not_offered_again_and_the_prompt_stays() -> None:
    def answer(name: str, arguments: object) -> types.CallToolResult:
        if name == "code__search":
            raise ToolDenied(name, "policy.deny names it")
        return text("found")

    model = Model([ONE, hermes(("docs__search", "free")), "Found."])
    assert end_of(ask(model, Host(answer))).judgement.verdict is Verdict.ANSWERED
    second = model.requests[1].grammar
    assert second is not None
    assert "code__search" not in second.text
    assert '"code__search"' in model.prompts[1], "the tools that are told of stay, for the prefix's sake"


def test_a_full_context_loses_its_oldest_results_and_the_question_goes_on() -> None:
    long = Host(lambda name, arguments: text(f"{arguments['query']} " + "word " * 80))
    model = Model([hermes(("code__search", f"q{i}")) for i in range(11)] + ["Done."], context=8000)  # type: ignore[arg-type]
    events = ask(model, long)
    trims = [event for event in events if isinstance(event, ConversationTrimmed)]
    assert len(trims) == 1, "it is deep, so that it is rare"
    assert trims[0].results >= 2
    assert trims[0].tokens_after <= 4400 < 6000 <= trims[0].tokens_before
    assert "was left out to save room" in model.prompts[-1]
    assert "Where is it freed?" in model.prompts[-1]
    assert "q0 word" not in model.prompts[-1]
    assert end_of(events).answer == "Done."


def test_a_question_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextOverflow, match="3000"):
        ask(Model(["never"], context=3000), question="why " * 1000)


def test_results_that_fill_the_context_end_the_question_with_what_is_there() -> None:
    many = [("code__search", f"q{i}") for i in range(8)]
    model = Model([hermes(*many), "never"], template=PLAIN, context=1700)
    model.texts[0] = json.dumps(
        [{"name": name, "arguments": {"query": query * 20}} for name, query in many], separators=(",", ":")
    )
    end = end_of(ask(model, Host(lambda name, arguments: text("word " * 300))))
    assert (end.limit, end.found, end.judgement.verdict) == ("context", True, Verdict.NO_ANSWER)


def test_an_earlier_conversation_is_read_as_it_is() -> None:
    model = Model(["In b.py."])
    ask(model, question="And there?", history=[Exchange("Where is it?", "In a.py.")])
    assert "<user>Where is it?\n<assistant>In a.py.\n<user>And there?\n" in model.prompts[0]


def test_a_conversation_goes_on_turn_by_turn_so_that_its_prompt_stays_known() -> None:
    model = Model([ONE, "In a.py.", TWO, "In b.py."])
    assert [each.answer for each in talk(model, None, "Where is it freed?", "And held?")] == ["In a.py.", "In b.py."]
    for earlier, later in zip(model.prompts, model.prompts[1:], strict=False):
        assert later.startswith(earlier.removesuffix("<assistant>"))
    assert "<tool>code__search found free\n<assistant>In a.py.\n<user>And held?" in model.prompts[2]


def test_a_conversation_that_was_changed_elsewhere_is_read_as_its_questions_and_answers() -> None:
    model = Model([ONE, "In a.py.", "In b.py."])

    async def changed() -> None:
        agent = FreeAgent(LocalModel(model), Host())  # type: ignore[arg-type]
        async for _ in agent.ask("Where is it freed?"):
            pass
        async for _ in agent.ask("And held?", history=[Exchange("Where is it freed?", "In c.py.")]):
            pass

    anyio.run(changed)
    assert "<user>Where is it freed?\n<assistant>In c.py.\n<user>And held?\n" in model.prompts[2]


def test_what_is_left_out_of_a_long_conversation_is_whole_questions_with_their_calls() -> None:
    model = Model([hermes(("code__search", "x" * 400)), "Yes.", *["No."] * 8], context=4200)
    talk(model, None, *(f"question {number} " + "why " * 60 for number in range(9)))
    assert "question 0" not in model.prompts[-1]
    assert "<tool>" not in model.prompts[-1].rpartition("</tools>")[2]


@pytest.mark.parametrize("template", [HERMES, THINKING])
def test_tools_that_need_too_much_of_the_context_are_told_of_in_fewer_words(template: str) -> None:
    said = "Fine." if template == HERMES else "<think></think>Fine."
    model = Model([said], template=template, context=2600)
    ask(model)
    assert "<tools>" not in model.prompts[0]
    assert "code__search(query: string)" in model.prompts[0]


def test_limits_have_room_for_each_other() -> None:
    limits = FreeLimits()
    assert limits.answer_tokens < limits.turn_tokens < limits.tokens
    assert limits.answer_seconds < limits.seconds
    assert replace(limits, steps=5) == limits.with_steps(5)


def test_the_free_loop_sees_nothing_of_guidance() -> None:
    for file in Path(next(iter(free.__path__))).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert "guidance" not in node.module, file.name
                assert "guided" not in node.module, file.name
