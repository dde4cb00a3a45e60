from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.engine.fakes import Clock

from portico_engine.kv.eviction import LRU, CostAware, EvictionPolicy


def popped(policy: EvictionPolicy) -> list[int]:
    return [policy.pop() for _ in range(len(policy))]


def test_lru_lets_go_in_the_order_of_use() -> None:
    policy = LRU()
    for block in (3, 1, 2):
        policy.add([block])
    policy.remove([3])
    policy.add([3])
    assert popped(policy) == [1, 2, 3]


def test_what_costs_the_same_goes_in_the_order_of_use() -> None:
    policy = CostAware()
    for block in (3, 1, 2):
        policy.add([block], 5.0)
    policy.remove([3])
    policy.add([3], 5.0)
    assert popped(policy) == [1, 2, 3]


def test_the_cheapest_loss_goes_first() -> None:
    policy = CostAware()
    for block, cost in ((1, 20.0), (2, 1.0), (3, 40.0)):
        policy.add([block], cost)
    assert popped(policy) == [2, 1, 3]


def test_what_was_dear_once_goes_when_enough_went_after_its_last_use() -> None:
    policy = CostAware()
    policy.add([0], 30.0)
    victims = []
    for block in range(1, 100):
        policy.add([block], 10.0)
        victims.append(policy.pop())
    assert victims.index(0) in range(1, 5)


def test_pinned_blocks_go_last_those_that_end_first_before_the_others() -> None:
    clock = Clock()
    policy = CostAware(clock)
    policy.add([1], 1.0, pinned_until=9.0)
    policy.add([2], 1.0, pinned_until=5.0)
    policy.add([3], 100.0)
    assert policy.unpinned == 1
    assert popped(policy) == [3, 2, 1]


def test_a_pin_ends_by_itself() -> None:
    clock = Clock()
    policy = CostAware(clock)
    policy.add([1], 1.0, pinned_until=5.0)
    policy.add([2], 2.0)
    clock.now = 5.0
    assert policy.unpinned == 2
    assert popped(policy) == [1, 2]


class Policy(RuleBasedStateMachine):
    """CostAware beside a list of what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.policy = CostAware(self.clock)
        self.age = 0.0
        self.held: dict[int, tuple[float, float, int]] = {}  # block -> (pinned until, priority, order)
        self.n = 0

    @rule(
        blocks=st.lists(st.integers(0, 9), unique=True),
        cost=st.sampled_from([1.0, 2.0, 20.0]),
        pin=st.none() | st.integers(1, 5),
    )
    def add(self, blocks: list[int], cost: float, pin: int | None) -> None:
        new = [block for block in blocks if block not in self.held]
        until = 0.0 if pin is None else self.clock.now + pin
        if new:
            self.policy.add(new, cost, None if pin is None else until)
        for block in new:
            self.held[block] = (until, self.age + cost, self.n)
            self.n += 1

    @rule(block=st.integers(0, 9))
    def remove(self, block: int) -> None:
        if self.held.pop(block, None) is not None:
            self.policy.remove([block])

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.held)
    @rule()
    def pop(self) -> None:
        unpinned = {b: (priority, n) for b, (until, priority, n) in self.held.items() if until <= self.clock.now}
        if unpinned:
            expected = min(unpinned, key=lambda b: unpinned[b])
            self.age = unpinned[expected][0]
        else:
            expected = min(self.held, key=lambda b: self.held[b])
        assert self.policy.pop() == expected
        del self.held[expected]

    @invariant()
    def sizes_agree(self) -> None:
        assert len(self.policy) == len(self.held)
        assert self.policy.unpinned == sum(until <= self.clock.now for until, _, _ in self.held.values())
        assert {b for b in range(10) if b in self.policy} == set(self.held)
        pinned = {block for block, (until, _, _) in self.held.items() if until > self.clock.now}
        assert sorted(self.policy.pinned_blocks()) == sorted(pinned)
        lots = self.policy._lots.values()
        assert sorted(block for lot in lots for block in lot.blocks.tolist()) == sorted(self.held)
        assert all(lot.blocks.size for lot in lots), "lots of which nothing is left don't pile up"
        assert len(self.policy._heap) <= 2 * 10 + 64 + 1, "nor do they in the heap"


Policy.TestCase.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
TestPolicy = Policy.TestCase
