from __future__ import annotations

import threading

import pytest

from portico_engine.errors import DeviceLost
from portico_engine.executors.ranks import rank_watch
from portico_engine.executors.ranks.rank_watch import RankWatch

SOON = 10.0


class Heard:
    """What a watch did."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.ended = threading.Event()

    def watch(self, patience: float = 60.0) -> RankWatch:
        return RankWatch(4, self.let_go.set, patience=patience, end_process=self.ended.set)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_watch, "GRACE", 0.05)
    monkeypatch.setattr(rank_watch, "_TICK", 0.02)


def test_a_rank_that_ends_is_said_once_and_the_process_ends_with_it_where_nobody_closes() -> None:
    heard = Heard()
    watch = heard.watch()
    watch.begin()
    watch.ended(2, "was ended by SIGKILL")
    watch.ended(3, "was ended by SIGKILL")  # as the others are then
    assert heard.let_go.wait(SOON)
    assert heard.ended.wait(SOON)
    with pytest.raises(DeviceLost, match=r"rank 2 of 4 was ended by SIGKILL$"):
        watch.begin()


def test_a_process_that_closes_its_executor_goes_on() -> None:
    heard = Heard()
    watch = heard.watch()
    watch.close()
    watch.ended(1, "ended with exit code 0")
    assert not watch.is_lost()
    watch.lose("for the test")
    assert heard.let_go.wait(SOON)
    assert not heard.ended.wait(0.2)


def test_a_step_that_does_not_end_is_a_loss_and_one_that_ends_is_none() -> None:
    heard = Heard()
    watch = heard.watch(patience=0.1)
    watch.begin()
    watch.end()
    assert not watch.is_lost(0.3)
    watch.begin()
    assert heard.let_go.wait(SOON)
    with pytest.raises(DeviceLost, match="didn't finish a step"):
        watch.begin()
