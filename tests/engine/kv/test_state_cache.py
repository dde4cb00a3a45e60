"""Whole states as prefixes: what is found, what is kept, and that nobody goes on from another's."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fake_executor import next_token
from tests.engine.fakes import INFO, fake_engine, run, solitary, tokens_of
from tests.engine.whole_executor import WholeExecutor

from portico_engine import Engine, Request

PREFIX = tuple(range(3, 53))


def engine_of(executor: WholeExecutor) -> Engine:
    return fake_engine(executor, info=dataclasses.replace(INFO, name="whole"))  # type: ignore[arg-type]


def answer(engine: Engine, request: Request) -> tuple[list[int], int]:
    """Its tokens, and how many of its prompt were known."""
    deltas = run(engine, [request])[request.id]
    assert deltas[-1].usage is not None
    return tokens_of(deltas), deltas[-1].usage.cached_tokens


def test_a_conversation_goes_on_from_the_state_at_its_end() -> None:
    engine = engine_of(WholeExecutor())
    first = Request("a", PREFIX, max_tokens=20)
    tokens, known = answer(engine, first)
    assert (tokens, known) == (solitary(first), 0)
    second = Request("b", (*PREFIX, *tokens, 7, 8), max_tokens=5)
    assert answer(engine, second) == (solitary(second), len(PREFIX) + 19)  # its last token was sampled, and not computed


def test_a_prefix_that_is_to_be_kept_serves_other_questions() -> None:
    engine = engine_of(WholeExecutor())
    for i in range(6):
        request = Request(str(i), (*PREFIX, 100 + i, 9, 9), max_tokens=3, keep=len(PREFIX))
        assert answer(engine, request) == (solitary(request), len(PREFIX) if i else 0)


def test_the_same_prompt_again_computes_its_last_token() -> None:
    executor = WholeExecutor()
    engine = engine_of(executor)
    request = Request("a", PREFIX, max_tokens=1)
    answer(engine, request)
    before = executor.read
    assert answer(engine, request) == (solitary(request), len(PREFIX) - 1)
    assert executor.read == before + 1


def test_a_prefix_that_ends_elsewhere_is_not_reused() -> None:
    engine = engine_of(WholeExecutor())
    answer(engine, Request("a", PREFIX, max_tokens=8))
    other = Request("b", (*PREFIX[:40], 99, 98), max_tokens=4)
    assert answer(engine, other) == (solitary(other), 0)


def test_scores_go_on_from_one_state() -> None:
    engine = engine_of(WholeExecutor())
    texts = [(5, 6), (7,), (), (8, 9, 10)]
    one = engine.score(PREFIX, texts)
    assert [len(each) for each in one] == [2, 1, 0, 3]
    assert one == [engine.score(PREFIX, [text])[0] for text in texts]
    expected = -float((next_token([*PREFIX, 8], INFO.vocab_size) - 9) % 97)
    assert one[3][1] == expected


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_answers_are_those_of_a_machine_of_their_own(data: st.DataObject) -> None:
    executor = WholeExecutor(
        blocks=data.draw(st.integers(20, 60)), rows=data.draw(st.integers(1, 3)), states=data.draw(st.integers(1, 5))
    )
    engine = engine_of(executor)
    prompts: list[tuple[int, ...]] = [(3, 4), PREFIX]
    for step in range(data.draw(st.integers(1, 5))):
        requests = []
        for i in range(data.draw(st.integers(1, 4))):
            begin = data.draw(st.sampled_from(prompts))
            prompt = (*begin, *data.draw(st.lists(st.integers(3, 6), max_size=20)))[:100]
            keep = data.draw(st.integers(0, len(prompt)))
            requests.append(Request(f"{step}-{i}", prompt, max_tokens=data.draw(st.integers(1, 30)), keep=keep))
        found = run(engine, requests)
        for request in requests:
            tokens = tokens_of(found[request.id])
            assert tokens == solitary(request)[: len(tokens)]
            prompts.append((*request.prompt, *tokens)[:100])
