from __future__ import annotations

from dataclasses import replace

from tests.gateway.agent.fakes import EVER_SO_UNSURE, nothing

from portico_engine import Tool
from portico_gateway.agent.citations import Citation
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.judging.verdict import combined, judge, judge_free, must_be_used, surroundings
from portico_gateway.agent.guided.part_run import PartRun
from portico_gateway.agent.judgement import Coverage, Judgement, Verdict
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.question_readings import QuestionReading

ORDER = {"type": "string", "enum": ["asc", "desc"], "description": 'desc: "the highest", "the most"'}
ROWS = Tool("db__rows", "Rows.", {"type": "object", "properties": {"table": {"type": "string"}, "order": ORDER}})


def run_of(question: str, text: str, **arguments: str) -> tuple[QuestionRun, QuotedAnswer]:
    run = QuestionRun(question)
    call = ToolCallFinished("db__rows", arguments, RenderedResult(text, True), 0.1)
    run.tool_calls.append(call)
    return run, QuotedAnswer(text, None, (call,))


def test_a_filter_a_table_and_a_phrase_of_an_option_account_for_words() -> None:
    run, answer = run_of("Which of the sites is the highest?", "Pine Hollow", table="sites", order="desc")
    assert judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE).coverage.unused == ()
    run, answer = run_of("Which of the sites is the highest?", "Pine Hollow", table="sites", order="asc")
    assert judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE).coverage.unused == ("highest",)


def of_code(question: str, text: str, fit: float, symbol: str = "", **words: int) -> Judgement:
    """The judgement of a place in source code, as if it were sure, where a search says how many pieces hold its words."""
    data = {"hits": [], "words": words}
    call = ToolCallFinished("code__search", {"query": question}, RenderedResult(text, True, data=data), 0.1)
    run = QuestionRun(question)
    run.tool_calls.append(call)
    candidate = AnswerCandidate(text, Citation({"path": "pool.py", "symbol": symbol}, "pool.py:1", 1, text), found=1.0, fit=fit)
    return judge(run, QuotedAnswer(text, candidate, (call,)), nothing, {}, EVER_SO_UNSURE)


def test_a_place_of_the_kind_that_is_asked_for_accounts_for_the_words_that_ask_for_it() -> None:
    question, text = "Which arguments does the constructor of Pool take?", "def __init__(self, pool: int)"
    assert not {"arguments", "constructor"} & set(of_code(question, text, 1.0).coverage.unused)
    assert {"arguments", "constructor"} <= set(of_code(question, text, 0.2).coverage.unused)


def of_documents(question: str, text: str, **words: int) -> Judgement:
    """The judgement of a passage, as if it were sure, where a search says how many passages hold its words."""
    data = {"hits": [], "words": words}
    call = ToolCallFinished("docs__search", {"query": question}, RenderedResult(text, True, data=data), 0.1)
    run = QuestionRun(question)
    run.tool_calls.append(call)
    candidate = AnswerCandidate(text, Citation({"path": "trip.md"}, "trip.md:1", 1, text))
    return judge(run, QuotedAnswer(text, candidate, (call,)), nothing, {}, EVER_SO_UNSURE)


def test_an_attribute_that_is_asked_for_must_be_somewhere_in_what_was_searched() -> None:
    text = "Flight 12 leaves at 07:25."
    absent = of_documents("What's my seat on flight 12?", text, seat=0, flight=1)
    assert (absent.verdict, absent.reasons) == (Verdict.NO_ANSWER, ("nothing that was found is about seat",))
    assert of_documents("What's my seat on flight 12?", text, seat=1, flight=1).verdict is Verdict.ANSWERED
    assert of_documents("What's my seat on flight 12?", text, flight=1).verdict is Verdict.ANSWERED  # nobody counted it
    assert of_documents("Which gate has flight 12?", text, gate=0, flight=1).verdict is Verdict.ANSWERED  # "B7" says it all
    assert of_documents("When does my flight 12 depart?", text, depart=0, flight=1).verdict is Verdict.ANSWERED


def test_an_acronym_that_code_does_not_spell_out_is_no_value_that_must_be_there() -> None:
    text = "def is_moved(self): return self.status_code in (301, 308)"
    assert of_code("what HTTP status codes does is_moved look at?", text, 1.0).verdict is Verdict.ANSWERED
    assert of_code("what status codes does is_gone look at?", text, 1.0).verdict is Verdict.NO_ANSWER


def test_a_place_in_code_need_not_hold_what_the_asker_brings_along() -> None:
    text = "def is_moved(self): raise RangeError(self.status_code)"
    assert of_code("is_moved(1200): which error?", text, 1.0).verdict is Verdict.ANSWERED
    assert of_code("My Debian box calls is_moved. Which error?", text, 1.0).verdict is Verdict.ANSWERED
    assert of_code("is_moved(1200) and is_gone: which error?", text, 1.0).verdict is Verdict.NO_ANSWER
    assert of_code("Which error does Debian get?", text, 1.0).verdict is Verdict.NO_ANSWER


def test_what_an_asker_only_describes_need_not_stand_in_code() -> None:
    text = "def item(value, flag=True): raise ConvertError(value)"
    assert of_code("Which error comes of a Decimal-like item?", text, 1.0).verdict is Verdict.ANSWERED
    assert of_code("Which on/off arguments does item take?", text, 1.0).verdict is Verdict.ANSWERED
    assert of_code("Which error comes of a Decimal_like item?", text, 1.0).verdict is Verdict.NO_ANSWER  # a name


def test_a_dotted_name_is_accounted_for_by_the_definition_of_its_last_part() -> None:
    question, text = "Which setting lets res.json escape?", "escape = app.get('escape')"
    assert "res.json" in of_code(question, text, 1.0, "json").coverage.used
    assert "res.json" not in of_code(question, text, 1.0, "text").coverage.used


def test_a_value_that_plays_no_part_means_no_answer_however_sure_the_rest_is() -> None:
    run, answer = run_of("Which sites are in Oslo?", "Pine Hollow", table="sites")
    judged = judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE)
    assert (judged.verdict, judged.reasons) == (Verdict.NO_ANSWER, ("nothing that was found is about Oslo",))


def test_a_value_that_an_earlier_part_put_in_need_not_be_used() -> None:
    run, answer = run_of("When was the site Pine Hollow opened?", "opened in 1999", table="sites")
    assert judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE).verdict is Verdict.NO_ANSWER
    run.said = "When was it opened?"
    assert judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE).verdict is Verdict.ANSWERED


def test_where_no_word_of_the_question_is_used_there_is_no_answer() -> None:
    run, answer = run_of("Wie viele Bücher fehlen?", "Pine Hollow", table="sites")
    judged = judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE)
    assert (judged.verdict, judged.coverage.used) == (Verdict.NO_ANSWER, ())


def test_of_a_long_text_what_stands_around_the_passage_accounts_for_words() -> None:
    text = "Rooms of the school\n" + "\n".join(f"room R-{n}: {n} seats" for n in range(40))
    near = surroundings(text, "room R-20: 20 seats")
    assert near.splitlines() == ["Rooms of the school", *(f"room R-{n}: {n} seats" for n in range(17, 24))]
    assert surroundings("short\ntext", "text") == "short\ntext"


def test_a_larger_models_words_are_judged_by_what_was_found() -> None:
    run, _ = run_of("Which sites are in Oslo?", "Pine Hollow, Oslo", table="sites")
    judged = judge_free(run, "It is Pine Hollow.", nothing, {})
    assert (judged.verdict, judged.confidence) == (Verdict.ANSWERED, None)


def test_a_question_of_parts_is_as_sure_as_its_least_sure_part() -> None:
    first, second = PartRun("Who leads the team"), PartRun("when was the person Ada hired?")
    sure = Judgement(Verdict.ANSWERED, Coverage(("leads", "team")), 0.9, draft="Ada")
    first.judgement, second.judgement = sure, replace(sure, coverage=Coverage(("hired", "Ada")), confidence=0.6, draft="2019")
    text, judged = combined("Who leads the team and when was that person hired?", [first, second])
    assert (text, judged.confidence) == ("Ada\n2019", 0.6)
    assert judged.coverage == Coverage(("leads", "team", "hired"))


def test_of_a_question_of_parts_what_leads_to_the_last_one_is_told_in_short() -> None:
    def part(question: str, lines: int) -> PartRun:
        found = PartRun(question)
        texts = [f"{question} {n}\n" + "\n".join(f"line {i}" for i in range(lines)) for n in range(2)]
        places = tuple(AnswerCandidate(text, found=1.0, fit=1.0, short=text.splitlines()[0]) for text in texts)
        found.answer = QuotedAnswer("\n".join(texts), places[0], (), parts=places)
        found.judgement = Judgement(Verdict.ANSWERED, confidence=0.9, draft=found.answer.text)
        return found

    text, _ = combined("?", [part("first", 6), part("last", 8)])
    assert text.splitlines()[0] == "first 0"
    assert text.splitlines()[1] == "last 0"
    assert "last 1" not in text
    short, _ = combined("?", [part("first", 1), part("last", 1)])
    assert "first 1" in short
    assert "last 1" in short


def test_a_question_of_parts_has_no_answer_where_one_of_them_has_none() -> None:
    first, second = PartRun("Who leads the team"), PartRun("when was the person Ada hired?")
    first.judgement = Judgement(Verdict.ANSWERED, confidence=0.9, draft="Ada")
    second.judgement = Judgement(Verdict.NO_ANSWER, Coverage((), ("hired",)), 0.1, draft="a list")
    text, judged = combined("Who leads the team and when was that person hired?", [first, second])
    assert (text, judged.verdict, judged.coverage.unused) == ("", Verdict.NO_ANSWER, ("hired",))


def test_a_servers_own_reading_of_the_question_says_which_words_are_used() -> None:
    run, answer = run_of("What is the thickest book?", "The Quiet Canyon", table="books")
    run.readings["db__rows"] = QuestionReading({"table": "books"}, {}, ("thickest", "book"), ())
    judged = judge(run, answer, nothing, {"db__rows": ROWS})
    assert (judged.verdict, judged.coverage.unused) == (Verdict.ANSWERED, ())
    run.readings["db__rows"] = QuestionReading({"table": "books"}, {}, ("book",), ("audio",))
    judged = judge(run, answer, nothing, {"db__rows": ROWS})
    assert (judged.verdict, judged.reasons) == (Verdict.NO_ANSWER, ("nothing that was found is about audio",))


def test_a_reading_says_nothing_of_another_call() -> None:
    run, answer = run_of("Which sites are in Oslo?", "Pine Hollow", table="sites")
    run.readings["db__rows"] = QuestionReading({"table": "books"}, {}, ("Oslo", "sites"), ())
    assert judge(run, answer, nothing, {"db__rows": ROWS}, EVER_SO_UNSURE).verdict is Verdict.NO_ANSWER


def test_an_askers_own_example_is_nothing_that_a_documentation_must_have() -> None:
    question = read_question("Why does `sort my dogs` fail with `BadColumn` in 3.1.0?")
    left = Coverage((), ("sort my dogs", "BadColumn", "3.1.0"))
    assert must_be_used(question, left) == ["sort my dogs", "BadColumn", "3.1.0"]
    assert must_be_used(question, left, in_documents=True) == ["BadColumn", "3.1.0"]


def test_who_asks_when_is_not_answered_by_a_place_without_a_date() -> None:
    question = "When was the pump added?"
    assert not of_documents(question, "The pump is added to the trip.").answered
    assert of_documents(question, "The pump was added on 3 July.").answered
    assert of_documents(question, "The pump was added in version 2.3.").answered


def test_that_it_is_a_default_is_seen_in_code_and_need_not_be_said() -> None:
    text = "def __init__(self, patience: float = 2.5) -> None:"
    assert of_code("What is the default patience of a courier?", text, 0.6, "Courier", default=0, patience=1).answered
    assert not of_code("What is the default colour of a courier?", text, 0.6, "Courier", default=0, colour=0).answered


def test_who_asks_how_many_is_not_answered_by_a_place_without_a_number() -> None:
    question = "How many attempts does the login allow?"
    told = of_documents(question, "The login allows attempts of any kind.")
    assert (told.verdict, told.reasons) == (Verdict.NO_ANSWER, ("what was found says no number",))
    assert of_documents(question, "The login allows three attempts.").verdict is Verdict.ANSWERED
    assert of_documents(question, "The login allows attempts: call 555-0161.").verdict is Verdict.NO_ANSWER
    assert of_documents("Count the attempts of the login", "attempts of the login: first, last").verdict is Verdict.NO_ANSWER
    assert of_documents("Which attempts does the login allow?", "The login allows attempts: all.").verdict is Verdict.ANSWERED


def test_records_that_were_counted_are_a_number() -> None:
    run, answer = run_of("How many routes does Granite have?", "3:\n- routes of Granite: a\n- b\n- c")
    assert judge(run, answer, nothing, {}, EVER_SO_UNSURE).reasons == ("what was found says no number",)
    assert judge(run, replace(answer, several=True), nothing, {}, EVER_SO_UNSURE).verdict is Verdict.ANSWERED


def test_who_did_something_is_not_answered_by_whom_another_field_names() -> None:
    question = "Who leads the project that Quist pays for?"
    run, answer = run_of(question, "Quist pays for: Project Heron")
    told = judge(run, answer, nothing, {}, EVER_SO_UNSURE)
    assert (told.verdict, told.reasons) == (Verdict.NO_ANSWER, ("nothing that was found is about leads",))
    run, answer = run_of(question, "Ada leads the project, Quist pays for it")
    assert judge(run, answer, nothing, {}, EVER_SO_UNSURE).verdict is Verdict.ANSWERED
    run, answer = run_of("Who wrote the project?", "project, author: Ada")
    assert judge(run, answer, nothing, {}, EVER_SO_UNSURE).verdict is Verdict.ANSWERED
