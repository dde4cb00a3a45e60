from __future__ import annotations

import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, run, solitary, tokens_of

from portico_engine import Request, RequestError


def test_scores_share_the_prompt_and_leave_it_cached() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    prompt = tuple(range(3, 53))
    scores = engine.score(prompt, [[7, 8, 9], [], [10], [11, 12]])
    assert [len(s) for s in scores] == [3, 0, 1, 2]
    assert sum(len(row.tokens) for plan in executor.steps for row in plan.rows) == 49 + 3 + 1 + 2
    assert engine.score(prompt, [[10]]) == [scores[2]]
    deltas = run(engine, [Request("a", (*prompt, 5), max_tokens=2)])["a"]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.cached_tokens == 49
    engine._scheduler.check_integrity()


def test_scoring_takes_room_from_running_requests_which_then_finish_unchanged() -> None:
    engine = fake_engine(blocks=17)
    request = Request("a", tuple(range(3, 150)), max_tokens=40)
    engine.submit(request)
    events = [*engine.step(), *engine.step(), *engine.step()]
    engine.score(tuple(range(40, 160)), [[t, t + 1] for t in range(3, 13)])
    events += run(engine)["a"]
    assert tokens_of(events) == solitary(request)
    engine._scheduler.check_integrity()


@pytest.mark.parametrize(
    ("prompt", "continuation", "message"), [((), [5], "empty"), ((5,), [999], "token 999"), ((5,) * 250, [6] * 9, "259")]
)
def test_a_score_that_makes_no_sense_is_refused(prompt: tuple[int, ...], continuation: list[int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fake_engine().score(prompt, [continuation])


def test_what_is_scored_under_a_salt_is_found_under_it_alone() -> None:
    engine = fake_engine()
    prompt = tuple(range(40, 90))
    engine.score(prompt, [[7]], b"somebody")
    found = {
        salt: run(engine, [Request(str(salt), prompt, max_tokens=1, salt=salt)])[str(salt)][-1].usage
        for salt in (b"", b"else", b"somebody")
    }
    assert {salt: usage.cached_tokens for salt, usage in found.items() if usage} == {b"": 0, b"else": 0, b"somebody": 49}
