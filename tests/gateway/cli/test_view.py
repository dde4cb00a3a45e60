from __future__ import annotations

import io
import json

from rich.console import Console

from portico_gateway.agent.citations import ConfirmedCitation
from portico_gateway.agent.events import (
    AnswerText,
    ConversationTrimmed,
    Event,
    QuestionUnderstood,
    RunFinished,
    RunMetrics,
    ThoughtText,
    ToolCallFinished,
    ToolCallStarted,
)
from portico_gateway.agent.judgement import Coverage, Judgement, Place, Verdict
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.cli import exit_codes
from portico_gateway.cli.view import ProgressLine, TerminalView, as_json_object, figures_line

SOURCE = ConfirmedCitation("code", "a.py:3", "code://r/a.py")
ANSWERED = Judgement(Verdict.ANSWERED, Coverage(("free",)), 0.9)
UNSURE = Judgement(
    Verdict.NO_ANSWER,
    Coverage(("free",), ("[Oslo]",)),
    0.2,
    ("it is not sure to be the answer (20%)",),
    nearest=(Place("a.py:3", "def free(self):"),),
    incomplete=("code__search: 3 of 9 files",),
)
FIGURES = RunMetrics(0.42, 63.0, 0.58, 0.012, 2.1, 900, 512, 40, 17)
CALL = ToolCallFinished("code__search", {"query": "[free]"}, RenderedResult("a.py:3\ndef free(self):", True), 0.004)


def printed(*events: Event) -> str:
    out = io.StringIO()
    view = TerminalView(Console(file=out, width=200))
    for event in events:
        view.handle(event)
    return out.getvalue()


def test_a_call_its_result_the_answer_the_sources_and_the_figures_are_shown_in_order() -> None:
    end = RunFinished("q", "Here.", True, (CALL,), (SOURCE,), FIGURES, ANSWERED)
    lines = printed(
        ToolCallStarted("code__search", {"query": "[free]"}), CALL, AnswerText("He"), AnswerText("re."), end
    ).splitlines()
    assert lines == [
        '→ code__search(query="[free]")',
        "  a.py:3",
        "  def free(self):",
        "  4 ms",
        "",
        "Here.",
        "",
        "Sources",
        "  a.py:3 (code)",
        "",
        "first token 0.42 s · 63 tokens/s · 58% forced · tools 0.01 s · 2.1 s in all",
    ]


def test_nothing_found_says_what_was_searched() -> None:
    empty = ToolCallFinished("code__search", {"query": "x"}, RenderedResult("", False), 0.004)
    text = printed(empty, RunFinished("q", "", False, (empty,), (), FIGURES, Judgement(Verdict.NOT_FOUND)))
    assert "nothing found" in text
    assert 'Not found. Searched: code__search(query="x")' in text


def test_no_answer_shows_the_nearest_places_the_words_not_used_and_what_was_searched_in_part() -> None:
    text = printed(RunFinished("q", "", True, (CALL,), (), FIGURES, UNSURE))
    assert "No answer: it is not sure to be the answer (20%); these places are the nearest:" in text
    assert "a.py:3: def free(self):" in text
    assert "Words not used: [Oslo]" in text
    assert "Searched in part: code__search: 3 of 9 files" in text


def test_a_denied_call_reads_denied() -> None:
    denied = ToolCallFinished("files__write", {}, RenderedResult("", False), 0.1, "the policy forbids it", denied=True)
    text = printed(denied, RunFinished("q", "", False, (denied,), (), FIGURES, Judgement(Verdict.DENIED)))
    assert "denied" in text
    assert "failed" not in text


def test_the_exit_code_is_zero_for_an_answer_alone() -> None:
    ends = [RunFinished("q", "", True, (CALL,), (), FIGURES, judgement) for judgement in (ANSWERED, UNSURE)]
    assert [exit_codes.of_answer(end) for end in ends] == [exit_codes.OK, exit_codes.FAILED]


def test_a_failed_call_shows_why_without_interpreting_it_as_markup() -> None:
    failed = ToolCallFinished("db__query", {}, RenderedResult("", False), 0.1, "no such table: [bold]x[/bold]")
    assert "no such table: [bold]x[/bold]" in printed(failed)


def test_json_is_one_object_with_everything() -> None:
    end = RunFinished("q", "Here.", True, (CALL,), (SOURCE,), FIGURES, ANSWERED)
    found = json.loads(as_json_object(end, {"db": "ended"}, "small"))
    assert found["calls"][0]["arguments"] == {"query": "[free]"}
    assert found["sources"] == [{"server": "code", "label": "a.py:3", "uri": "code://r/a.py"}]
    assert (found["verdict"], found["confidence"]) == ("answered", 0.9)
    assert found["coverage"] == {"used": ["free"], "unused": []}
    assert (found["failed_servers"], found["model"], found["figures"]["sampled_steps"]) == ({"db": "ended"}, "small", 17)


def test_progress_is_plain_lines_without_percentages_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with ProgressLine(Console(file=out, width=200)) as progress:
        progress.update("model", "weights 50%")
        progress.update("model", "ready")
        progress.update("model", "ready")
    assert out.getvalue() == "model: ready\n"


def test_the_line_of_figures_reads_as_a_sentence() -> None:
    assert figures_line(FIGURES).startswith("first token 0.42 s")


def test_a_thought_what_is_said_before_a_call_and_the_answer_stand_apart() -> None:
    end = RunFinished("q", "Here.", True, (CALL,), (), FIGURES, ANSWERED)
    call = ToolCallStarted("code__search", {})
    lines = printed(
        ThoughtText("Hm"), ThoughtText("m."), AnswerText("I look."), call, CALL, AnswerText("Here."), end
    ).splitlines()
    assert lines[:6] == ["", "Hmm.", "", "I look.", "→ code__search()", "  a.py:3"]
    assert lines[8:10] == ["", "Here."]


def test_what_a_follow_up_was_understood_as_what_was_left_out_and_what_ended_it_is_said() -> None:
    trimmed = ConversationTrimmed(3, 0, 1, 7900, 3100)
    end = RunFinished("q", "Here.", True, (), (), FIGURES, ANSWERED, "steps")
    shown = printed(QuestionUnderstood("And in [Oslo]?", "How many in [Oslo]?"), trimmed, end)
    assert "understood as: How many in [Oslo]?" in shown
    assert "context full, 7900 to 3100 tokens: left out 3 results of tools, 1 ends of new results" in shown
    assert "Ended by a limit: steps" in shown


def test_json_has_the_question_as_it_was_written_and_as_it_was_understood() -> None:
    end = RunFinished("How many in Oslo?", "3", True, (), (), FIGURES, ANSWERED, "steps", "And in Oslo?")
    whole = json.loads(as_json_object(end, {}, "m"))
    assert (whole["question"], whole["asked"], whole["limit"]) == ("How many in Oslo?", "And in Oslo?", "steps")
