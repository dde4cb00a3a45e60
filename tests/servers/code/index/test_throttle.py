"""Work that is asked for often and takes no more than its share."""

from __future__ import annotations

from portico_servers.code.index.throttle import Throttle


def test_throttled_work_is_done_at_once_and_then_rests_four_times_as_long_as_it_took() -> None:
    now = [100.0]
    work = Throttle(lambda: now[0])
    assert not work.due()
    work.request()
    assert work.due()
    with work:
        now[0] += 2
    assert not work.due()
    work.request()
    assert not work.due()
    now[0] += 7.9
    assert not work.due()
    now[0] += 0.2
    assert work.due()
