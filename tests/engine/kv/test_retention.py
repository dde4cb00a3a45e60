from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.fakes import Clock

from portico_engine.kv.retention import RetainedPrefixes


def test_a_block_in_two_pins_is_pinned_until_both_are_over() -> None:
    clock = Clock()
    pins = RetainedPrefixes(clock)
    pins.pin([1, 2], 2, (7,), 10)
    pins.pin([1, 3], 3, (), 20)
    assert pins.resolve(3, [5, 6]) == {1, 3}
    assert (pins.until(1), pins.until(2), pins.until(3)) == (10, 10, None)
    clock.now = 10.0
    assert pins.pinned() == []


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.integers(0, 9)), max_size=120))
def test_a_block_is_pinned_as_long_as_the_longest_of_its_pins_that_were_not_ended(made: list[tuple[int, bool, int]]) -> None:
    clock = Clock()
    pins, ends = RetainedPrefixes(clock), dict[int, float]()
    for number, (seconds, ended, passes) in enumerate(made):
        pins.pin([1, number + 2], number + 2, (), seconds)
        ends[number] = clock.now + seconds
        if ended:
            pins.resolve(number + 2, [])
            del ends[number]
        clock.now += passes
        holding = [end for end in ends.values() if end > clock.now]
        assert pins.until(1) == max(holding, default=None)
        pins.check_integrity()


def test_another_question_behind_the_same_block_is_nobodys_return() -> None:
    pins = RetainedPrefixes(Clock())
    pins.pin([1, 2], 1, (7, 8), 10)
    pins.pin([1, 3], 1, (7, 9), 10)
    assert pins.resolve(1, [7, 5]) == set()
    assert pins.resolve(1, [7]) == set()
    assert pins.resolve(1, [7, 9, 5]) == {1, 3}
    assert sorted(pins.pinned()) == [1, 2]
    pins.check_integrity()


class _Sliced(tuple[int, ...]):
    """Counts how often a part of it is looked at."""

    parts = 0

    def __getitem__(self, at: Any) -> Any:
        self.parts += 1
        return super().__getitem__(at)


def test_a_prompt_is_compared_with_one_beginning_a_length_however_many_wait() -> None:
    pins = RetainedPrefixes(Clock())
    for number in range(300):
        pins.pin([1, number + 2], 1, (7, number)[: 1 + number % 2], 10)
    following = _Sliced((7, 33, 5))
    assert pins.resolve(1, following) == {1, *range(2, 302, 2), 35}
    assert following.parts <= 2
    pins.check_integrity()


def test_a_block_that_is_gone_is_pinned_no_more_and_the_rest_of_its_conversation_is() -> None:
    pins = RetainedPrefixes(Clock())
    pins.pin([1, 2], 2, (7,), 10)
    pins.pin([1, 3], 3, (), 10)
    pins.forget(1)
    assert sorted(pins.pinned()) == [2, 3]
    pins.forget(2)
    assert pins.pinned() == [3]
    pins.check_integrity()


def test_a_new_block_under_the_number_of_a_lost_one_is_nobodys_return() -> None:
    pins = RetainedPrefixes(Clock())
    pins.pin([1, 2], 2, (7,), 10)
    pins.forget(2)
    assert pins.resolve(2, [7]) == set()
    assert pins.pinned() == [1]


def test_pins_that_are_over_do_not_pile_up() -> None:
    clock = Clock()
    pins = RetainedPrefixes(clock)
    for last in range(2, 100):
        pins.pin([1, last], last, (), 10)
        clock.now += 5
    assert len(pins._pins) <= 3
    pins.check_integrity()
