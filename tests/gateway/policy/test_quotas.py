"""How many calls a caller may make."""

from __future__ import annotations

import pytest

from portico_gateway.errors import QuotaExceeded
from portico_gateway.policy.quotas import Quota, Quotas


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_calls_of_a_minute_are_counted_over_a_window_that_slides() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    for moment in (0.0, 20.0):
        clock.now = moment
        quotas.count("key", Quota(a_minute=2))
    clock.now = 30.0
    with pytest.raises(QuotaExceeded, match="'key' may make 2 calls a minute, and has; the next in 30 s") as caught:
        quotas.count("key", Quota(a_minute=2))
    assert caught.value.retry_after == 30.0
    quotas.count("other", Quota(a_minute=2))
    clock.now = 60.0
    quotas.count("key", Quota(a_minute=2))


def test_a_day_and_a_minute_count_together_and_what_was_refused_does_not_count() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    for number in range(3):
        clock.now = number * 61.0
        quotas.count("key", Quota(a_minute=1, a_day=3))
    clock.now = 300.0
    for _ in range(5):
        with pytest.raises(QuotaExceeded, match="3 calls a day"):
            quotas.count("key", Quota(a_minute=1, a_day=3))
    clock.now = 86401.0
    quotas.count("key", Quota(a_minute=1, a_day=3))


def test_a_quota_of_zero_is_no_call_at_all_and_none_is_no_limit() -> None:
    quotas = Quotas()
    with pytest.raises(QuotaExceeded, match=r"'key' may make 0 calls a day, and has$") as caught:
        quotas.count("key", Quota(a_day=0))
    assert caught.value.retry_after is None
    for _ in range(1000):
        quotas.count("key", Quota())
