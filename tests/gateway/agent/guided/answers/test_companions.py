from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import SEARCH_CALL, FakeEngine, FakeHost, hits, run

from portico_gateway.agent.events import RunFinished
from portico_gateway.agent.guided.answers.companions import (
    LINES,
    MOST,
    MOST_MIXED,
    NUMBERS,
    OF_CODE,
    OF_DOCUMENTS,
    companions,
    mixed,
    share,
    together,
)
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, PassageFeatures

MEASURED = PassageFeatures(*[0.5] * 12)


def passage(text: str, weight: float, rank: int = 0) -> AnswerCandidate:
    return AnswerCandidate(text, focus=text, rank=rank, weight=weight, features=MEASURED)


BEST = passage("The pump is blue.", 8.0)


def texts(*others: AnswerCandidate, chosen: AnswerCandidate = BEST) -> list[str]:
    return [one.text for one in companions(chosen, [chosen, *others])]


def test_the_next_best_passages_stand_behind_the_chosen_one() -> None:
    assert texts(passage("Tea is at four.", 6.0), passage("The valve is red.", 7.0)) == ["The valve is red.", "Tea is at four."]


def test_what_the_same_section_says_comes_before_another_that_is_as_near() -> None:
    assert texts(passage("Elsewhere.", 7.5, rank=1), passage("Further on.", 7.0)) == ["Further on.", "Elsewhere."]


def test_what_is_told_apart_clearly_is_not_printed() -> None:
    assert texts(passage("Tea is at four.", 8.0 - OF_DOCUMENTS.near - 0.1)) == []


def test_nothing_is_said_twice() -> None:
    longer = AnswerCandidate("The pump is blue. It hums.", focus="It hums.", weight=7.9, features=MEASURED)
    assert texts(longer) == []


def test_all_of_it_stays_short() -> None:
    many = [passage(f"Line {n}.", 7.0 + n / 10) for n in range(9)]
    assert len(texts(*many)) == MOST - 1
    assert texts(passage("x" * OF_DOCUMENTS.characters, 7.0), passage("Short.", 6.0)) == ["Short."]
    assert texts(passage("a\n" * LINES + "b", 7.0)) == []
    assert texts(passage(" ".join(map(str, range(NUMBERS + 1))), 7.0)) == []


def place(line: int, code: str, weight: float, *, short: str = "") -> AnswerCandidate:
    return AnswerCandidate(f"pump.py:{line}: Pump {code}", weight=weight, found=0.5, fit=1.0, short=short)


OPENS = place(3, "pressure = 5", 8.0)


def test_the_next_best_places_in_code_stand_behind_the_chosen_one_printed_short() -> None:
    other = place(9, "valve = 'red'\nhum()", 7.0, short="pump.py:9: Pump valve = 'red'")
    far = place(20, "tea = 4", 8.0 - OF_CODE.near - 0.1)
    assert [one.text for one in companions(OPENS, [OPENS, far, other])] == ["pump.py:9: Pump valve = 'red'"]


def test_lines_that_are_told_already_are_no_other_place() -> None:
    assert companions(OPENS, [OPENS, place(4, "pressure = 5", 7.9)]) == []


def test_line_numbers_are_no_numbers_of_the_answer() -> None:
    whole = place(1, " ".join(f"a.py:{n}" for n in range(NUMBERS)), 8.0)
    assert companions(whole, [whole, OPENS]) == [OPENS]


def test_passages_and_places_do_not_stand_behind_each_other_in_one_result() -> None:
    assert companions(OPENS, [OPENS, BEST]) == []


def test_of_two_tools_the_best_of_each_comes_first() -> None:
    valve, tea = place(9, "valve = 'red'", 7.0), passage("Tea is at four.", 7.0)
    assert mixed([OPENS, valve], [BEST, tea], rivals=True) == [OPENS, BEST, valve, tea][:MOST_MIXED]
    assert mixed([BEST], [OPENS], rivals=True) == [BEST, OPENS]


def test_the_first_is_printed_short_where_it_would_take_all_the_room() -> None:
    long = place(1, "hum()\n" * LINES, 8.0, short="pump.py:1: Pump hum()")
    assert [one.text for one in mixed([long], [BEST], rivals=True)] == ["pump.py:1: Pump hum()", BEST.text]


def test_the_first_of_another_tool_is_printed_whole_where_there_is_room_for_it() -> None:
    whole = place(1, "hum()\nwait()", 8.0, short="pump.py:1: Pump hum()")
    assert mixed([BEST], [whole], rivals=True) == [BEST, whole]


def test_what_is_clearly_less_sure_takes_no_room_from_what_is_surer() -> None:
    valve, tea = place(9, "valve = 'red'", 7.0), passage("Tea is at four.", 7.0)
    assert mixed([OPENS, valve], [BEST, tea], rivals=False) == [OPENS, valve, BEST]
    assert mixed([OPENS, valve], [passage("x" * OF_CODE.characters, 7.0)], rivals=False) == []


def test_two_of_one_kind_and_what_has_no_room_are_not_told_together() -> None:
    assert mixed([OPENS], [place(9, "valve = 'red'", 7.0)], rivals=True) == []
    assert mixed([], [BEST], rivals=True) == []
    assert mixed([OPENS], [passage("x" * OF_CODE.characters, 7.0)], rivals=True) == []


def test_what_is_neither_passage_nor_place_stands_alone() -> None:
    line = AnswerCandidate("exit_code = 2", weight=8.0)
    assert companions(line, [line, BEST]) == []
    assert together(line, []) is line


@pytest.mark.parametrize(("other", "expected"), [(8.0, 0.5), (-90.0, 1.0)])
def test_the_share_of_the_odds_says_how_clearly_it_is_told_apart(other: float, expected: float) -> None:
    assert share([BEST], [BEST, passage("Tea is at four.", other)]) == pytest.approx(expected)


def test_an_answer_from_documents_has_the_next_best_passages_beside_it() -> None:
    pages = [
        {"path": f"{name}.md", "anchor": name, "line": 1, "title_trail": ["Pump"], "text": text}
        for name, text in (("a", "The valve of the pump opens at 5 bar."), ("b", "A valve opens in 2 seconds."))
    ]
    engine = FakeEngine(SEARCH_CALL, "The valve of the pump opens at 5 bar.")
    end = run(engine, FakeHost(hits(*pages)), "At which pressure does the valve of the pump open?")[-1]
    assert isinstance(end, RunFinished)
    assert end.judgement.draft == "The valve of the pump opens at 5 bar.\n\nA valve opens in 2 seconds."
