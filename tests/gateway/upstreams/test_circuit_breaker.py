from __future__ import annotations

from portico_gateway.upstreams.circuit_breaker import CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_and_lets_one_call_try_later() -> None:
    clock = Clock()
    breaker = CircuitBreaker(threshold=3, cooldown=10, clock=clock)
    for _ in range(3):
        assert breaker.allow()
        breaker.failure()
    assert breaker.is_open
    assert not breaker.allow()
    assert breaker.retry_after == 10
    clock.now = 10
    assert breaker.allow()
    assert not breaker.allow(), "only one call tries"
    breaker.success()
    assert breaker.allow()


def test_a_failed_try_opens_it_again_at_once() -> None:
    clock = Clock()
    breaker = CircuitBreaker(threshold=3, cooldown=10, clock=clock)
    for _ in range(3):
        breaker.failure()
    clock.now = 11
    assert breaker.allow()
    breaker.failure()
    assert not breaker.allow()
    assert breaker.retry_after == 10


def test_a_success_between_failures_starts_the_count_afresh() -> None:
    breaker = CircuitBreaker(threshold=2)
    for _ in range(5):
        breaker.failure()
        breaker.success()
    assert breaker.allow()


def test_a_try_that_its_caller_gave_up_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker = CircuitBreaker(threshold=1, cooldown=1, clock=clock)
    breaker.failure()
    clock.now = 1
    assert breaker.allow()
    breaker.forget_try()
    assert breaker.allow()
