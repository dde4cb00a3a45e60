"""What a process that serves has its collector of garbage do."""

from __future__ import annotations

import gc

from portico_servers.common.collector import calm_collector


def test_what_is_there_is_left_alone_and_new_objects_are_looked_through_less_often() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        calm_collector()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold() == (10_000, *before[1:])
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
