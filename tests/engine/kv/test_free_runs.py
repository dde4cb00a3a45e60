from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portico_engine.kv.free_runs import FreeRuns

N = 24


def test_numbers_come_from_the_longest_run_and_go_on_with_their_neighbours() -> None:
    free = FreeRuns(6)
    first = free.take()
    second = free.take_after(first)
    assert (first, second) == (0, 1)
    assert free.take() == 2
    assert free.take_after(1) is None
    free.give(1)
    assert free.take() == 3, "of 1 and 3..5"


def test_neighbours_that_come_back_are_one_run_again() -> None:
    free = FreeRuns(4)
    for _ in range(4):
        free.take()
    for number in (0, 2, 1):
        free.give(number)
    assert list(free) == [0, 1, 2]
    assert free.take() == 0


@pytest.mark.parametrize("n", [0, 1])
def test_few_or_none(n: int) -> None:
    free = FreeRuns(n)
    assert len(free) == n
    assert bool(free) == (n > 0)


class Runs(RuleBasedStateMachine):
    """FreeRuns beside a set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = FreeRuns(N)
        self.expected = set(range(N))

    @precondition(lambda self: self.expected)
    @rule()
    def take(self) -> None:
        runs = self._runs()
        longest = max(runs, key=lambda run: (len(run), -run[0]))
        assert self.free.take() == longest[0]
        self.expected.remove(longest[0])

    @rule(number=st.integers(0, N - 1))
    def take_after(self, number: int) -> None:
        if number not in self.expected:
            got = self.free.take_after(number)
            assert got == (number + 1 if number + 1 in self.expected else None)
            self.expected.discard(number + 1)

    @rule(number=st.integers(0, N - 1))
    def give(self, number: int) -> None:
        if number not in self.expected:
            self.free.give(number)
            self.expected.add(number)

    @invariant()
    def agrees(self) -> None:
        self.free.check_integrity()
        assert list(self.free) == sorted(self.expected)

    def _runs(self) -> list[list[int]]:
        runs: list[list[int]] = []
        for number in sorted(self.expected):
            if runs and runs[-1][-1] == number - 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        return runs


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
