"""Ordinary turns: different, whole, and none of those that an adapter is judged by."""

from __future__ import annotations

import random

from portico_engine.tune.data.overlap import Overlap
from portico_engine.tune.data.talk import talk
from portico_gateway.tuning.judging import CONVERSATIONS


def test_turns_are_different_whole_and_the_same_for_a_seed() -> None:
    turns = list(talk(random.Random(1), 800))
    assert len(set(turns)) == 800
    assert not any(set(turn) & set("{}") for turn in turns)
    assert turns == list(talk(random.Random(1), 800))


def test_none_is_a_turn_that_an_adapter_is_judged_by() -> None:
    turns = {turn.lower() for turn in talk(random.Random(20261130), 5000)}
    assert not turns & {said.lower() for said in CONVERSATIONS}
    overlap = Overlap(CONVERSATIONS)
    assert [turn for turn in turns if overlap.found(turn) is not None] == []


def test_more_than_there_are_are_fewer() -> None:
    assert 2000 < len(list(talk(random.Random(2), 100_000))) < 100_000
