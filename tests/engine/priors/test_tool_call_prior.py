from __future__ import annotations

import numpy as np
import pytest

from portico_engine import CallPrior, ToolCallPrior
from portico_engine.priors.call_prior import ITEM
from portico_engine.priors.token_texts import TokenTexts
from portico_engine.priors.tool_call_prior import EMPTY_STRING, MORE, OPEN_STRING

PIECES = [
    "code__",
    "docs__",
    "search",
    "read",
    '"',
    '",',
    '"}',
    '"}}',
    "kind",
    "limit",
    "[",
    "]",
    ",",
    "{",
    '":',
    "blue",
    "red",
]
FREE = [f"w{i}" for i in range(OPEN_STRING)]
TEXTS = [*PIECES, '","', "}", *FREE]
NAMES = {"code__search": 0.0, "code__read": -3.0, "docs__search": -5.0}
CALL = CallPrior(
    keys={"": {"query": 0.0, "kind": 6.0, "limit": -9.0}, "colours": {}},
    values={"kind": {"blue": 7.0, "red": 1.0}, "colours": {"blue": 7.0, "red": 1.0}, "query": {"w1 w2": 7.0}},
)
OPEN = '{"name":"code__search","arguments":{'


def bias(text: str, *pieces: str) -> list[float]:
    prior = ToolCallPrior(NAMES, {"code__search": CALL}).bind(TokenTexts(TEXTS))
    found = prior.bias(text, np.array([TEXTS.index(p) for p in pieces]))
    assert found is not None
    return [float(x) for x in found]


def test_a_name_gets_the_best_weight_that_it_still_leads_to() -> None:
    assert bias('{"name":"', "code__", "docs__") == [0.0, -5.0]


def test_the_additions_along_a_name_sum_up_to_its_weight() -> None:
    first, rest, end = bias('{"name":"', "code__"), bias('{"name":"code__', "read"), bias('{"name":"code__read', '",')
    assert first[0] + rest[0] + end[0] == -3.0


def test_an_optional_key_that_nothing_speaks_for_costs_its_weight() -> None:
    to_kind, to_limit = bias(OPEN + '"query":"x","', "kind", "limit")
    assert to_kind - to_limit == 15.0


def test_a_comma_costs_nothing_where_a_key_worth_writing_may_still_come() -> None:
    assert bias(OPEN + '"query":"x"', ",", "}") == [0.0, -6.0], "closing forfeits what is worth writing"
    assert bias(OPEN + '"query":"x","kind":"red"', ",", "}") == [-9.0, 0.0]


def test_a_token_that_opens_a_key_counts_only_keys_that_may_still_come() -> None:
    assert bias(OPEN + '"query":"w1 w2', '","', '"}') == [0.0, -6.0]
    assert bias(OPEN + '"query":"w1 w2","kind":"red', '","')[0] == -9.0


def test_a_value_that_the_caller_believes_in_is_preferred() -> None:
    blue, red = bias(OPEN + '"kind":"', "blue", "red")
    assert (blue, red) == (0.0, -6.0)


def test_an_array_does_not_repeat_itself_nor_stay_empty() -> None:
    assert bias(OPEN + '"colours":[', "]")[0] == pytest.approx(MORE)
    assert bias(OPEN + '"colours":["blue"', ",", "]")[1] == 0.0
    assert bias(OPEN + '"colours":["blue"', ",", "]") == [pytest.approx(MORE + 1.0), 0.0]


def test_another_call_is_no_other_item_of_an_array_of_values() -> None:
    done = f'[{OPEN}"query":"x"}}}}'
    more, end = bias(done, ",", "]")
    assert more == end


def test_a_token_that_opens_another_item_counts_only_items_that_are_not_there_yet() -> None:
    assert bias(OPEN + '"colours":["blue', '","', '"') == [pytest.approx(MORE + 1.0), 0.0]


def test_a_free_string_follows_what_the_question_spells_out_and_is_not_left_empty() -> None:
    prior = ToolCallPrior(NAMES, {"code__search": CALL}).bind(TokenTexts(TEXTS))
    allowed = np.arange(len(TEXTS))
    found = prior.bias(OPEN + '"query":"', allowed)
    assert found is not None
    assert found[TEXTS.index("w1")] == 0.0
    assert found[TEXTS.index("w7")] == -7.0
    assert found[TEXTS.index('"}}')] < EMPTY_STRING


def test_strength_scales_every_opinion() -> None:
    weak = ToolCallPrior(NAMES, {}).bind(TokenTexts(TEXTS)).bias('{"name":"', np.array([1]))
    strong = ToolCallPrior(NAMES, {}, strength=3.0).bind(TokenTexts(TEXTS)).bias('{"name":"', np.array([1]))
    assert weak is not None
    assert strong is not None
    assert strong[0] == 3 * weak[0]


def test_escaped_quotes_do_not_end_a_string() -> None:
    escaped = r'{"name":"code__search","arguments":{"query":"say \"hi\" ","'
    assert bias(escaped, "kind")[0] - bias(escaped, "limit")[0] == 15.0


PAIRS = ["{", "}", "[", "]", ",", '"', ":", "7", "75", "8", "null", "w", "c", "k", "low", "high", '"}', '"},{"', "},", "},{"]
DEEP = CallPrior(
    keys={"": {"kind": 0.0, "where": -9.0}},
    values={"kind": {"low": 1.0, "high": 2.0}},
    then={
        "kind": {
            "low": CallPrior(
                keys={"": {"kind": 0.0, "where": 10.0}},
                items={
                    "where": [
                        CallPrior(values={"where.c": {"low": 4.0, "high": 1.0}}, bare={"where.k": {"75": 5.0}}),
                        CallPrior(values={"where.c": {"high": 4.0}}, bare={"where.k": {"null": 5.0}}),
                    ]
                },
            )
        }
    },
)
START = '{"name":"t","arguments":{"kind":"'


def deep(text: str, *pieces: str) -> list[float]:
    found = (
        ToolCallPrior({}, {"t": DEEP}).bind(TokenTexts(PAIRS)).bias(START + text, np.array([PAIRS.index(p) for p in pieces]))
    )
    assert found is not None
    return [round(float(x), 4) for x in found]


def test_a_choice_weighs_what_it_makes_worth_writing_afterwards() -> None:
    assert deep("", "low", "high") == [0.0, -9.0], "1 and a key worth 10, against 2"


def test_after_a_choice_its_own_beliefs_hold() -> None:
    assert deep('low","', "w", '"')[0] == 0.0
    assert deep('low"', ",", "}") == [0.0, -10.0]
    assert deep('high"', ",", "}") == [-9.0, 0.0]


def test_an_array_is_worth_as_many_items_as_are_believed_in_each_with_its_own_beliefs() -> None:
    assert deep('low","where":[{"c":"', "low", "high") == [0.0, -3.0]
    first = 'low","where":[{"c":"low","k":75'
    assert deep(first, "},", "}") == [0.0, 0.0]
    assert deep(first + "}", ",", "]") == [0.0, -ITEM]
    assert deep(first + '},{"c":"', "low", "high") == [-4.0, 0.0]
    assert deep(first + '},{"c":"high","k":null}', ",", "]") == [pytest.approx(MORE), 0.0]


def test_numbers_and_null_are_weighed_as_they_are_written() -> None:
    assert deep('low","where":[{"c":"low","k":', "7", "75", "8", "null") == [0.0, 0.0, -5.0, -5.0]
    assert deep('low","where":[{"c":"low","k":7', "}", "8") == [-5.0, -5.0]
    assert deep('low","where":[{"c":"low","k":75', "}", "8") == [0.0, -5.0]


def test_a_key_is_chosen_for_its_own_weight_whatever_its_values_weigh() -> None:
    call = CallPrior(keys={"": {"c": 1.0, "k": 2.0}}, values={"c": {"low": 50.0, "high": 0.0}})
    prior = ToolCallPrior({}, {"t": call}).bind(TokenTexts(PAIRS))
    found = prior.bias('{"name":"t","arguments":{"', np.array([PAIRS.index(p) for p in "ck"]))
    assert found is not None
    assert found[0] == 0.0, "k may still come"
    assert found[1] == -1.0


@pytest.mark.parametrize("written", ['{"name": "code__search", "arguments": {"', '{"name": "code__search", "parameters": {"'])
def test_calls_are_read_as_every_family_writes_them(written: str) -> None:
    prior = ToolCallPrior({"code__search": 0.0}, {"code__search": CALL}).bind(TokenTexts(["query", "limit"]))
    added = prior.bias(written, np.asarray([0, 1]))
    assert added is not None
    assert added[0] > added[1]


ANY = [*TEXTS, "None", '{"', " [", "["]


def opening(prior: ToolCallPrior, text: str = "") -> dict[str, float] | None:
    found = prior.bind(TokenTexts(ANY)).bias(text, np.arange(len(ANY)))
    return None if found is None else dict(zip(ANY, map(float, found), strict=True))


def test_whether_to_call_at_all_is_weighed_where_the_answer_may_be_a_text() -> None:
    weighed = opening(ToolCallPrior(NAMES, {}, strength=3.0, call=-2.0))
    assert weighed is not None
    assert {text for text, weight in weighed.items() if weight == -2.0} == {"{", '{"', "[", " ["}
    assert set(weighed.values()) == {-2.0, 0.0}
    assert opening(ToolCallPrior(NAMES, {}, call=-2.0), "None of") is None, "at its beginning alone"


def test_values_of_a_model_that_has_learned_them_are_its_own() -> None:
    inside = '{"name":"code__search","arguments":{"colours":["blue"'
    for own, more in ((True, 0.0), (False, MORE)):
        prior = ToolCallPrior(NAMES, {}, own_values=own).bind(TokenTexts(TEXTS))
        found = prior.bias(inside, np.array([TEXTS.index(","), TEXTS.index("]")]))
        assert found is not None
        assert found[0] - found[1] == more
        free = prior.bias('{"name":"code__search","arguments":{"query":"', np.arange(len(TEXTS)))
        assert (free is None) == own


def test_of_a_tool_that_something_is_believed_of_values_are_not_the_model_s_own() -> None:
    inside = '{"name":"code__search","arguments":{"query":"'
    believed = ToolCallPrior(NAMES, {"code__search": CallPrior()}, own_values=True).bind(TokenTexts(TEXTS))
    other = ToolCallPrior(NAMES, {"db__rows": CallPrior()}, own_values=True).bind(TokenTexts(TEXTS))
    assert believed.bias(inside, np.arange(len(TEXTS))) is not None
    assert other.bias(inside, np.arange(len(TEXTS))) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"name":"code__search","arguments":{"query":"w1 \\"w2\\" \\\\","kind":"blue","limit":12}}',
        '[{"name":"code__read","arguments":{"colours":["blue","r\\u0065d"]}}, {"name": "docs__search"}]',
    ],
)
def test_a_text_weighs_the_same_however_its_tokens_cut_it(text: str) -> None:
    prior = ToolCallPrior(NAMES, {"code__search": CALL, "code__read": CALL})
    allowed = np.arange(len(TEXTS) - len(FREE))
    vocabulary = TokenTexts(TEXTS)
    slowly = prior.bind(vocabulary)
    for end in range(len(text) + 1):
        at_once, step = prior.bind(vocabulary).bias(text[:end], allowed), slowly.bias(text[:end], allowed)
        assert at_once is not None
        assert step is not None
        np.testing.assert_array_equal(at_once, step, text[:end])
