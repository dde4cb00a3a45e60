from __future__ import annotations

import torch
from tests.engine.parallel.rank_threads import on_ranks

from portico_engine.parallel.rank_group import RankGroup


def test_a_sum_is_the_same_on_all_ranks_and_in_place() -> None:
    def run(group: RankGroup) -> torch.Tensor:
        values = torch.full((2, 3), 2.0**group.rank, dtype=torch.bfloat16)
        assert group.sum(values) is values
        return values

    for values in on_ranks(3, run):
        assert values.tolist() == [[7.0] * 3] * 2


def test_what_is_gathered_is_in_the_order_of_ranks() -> None:
    found = on_ranks(3, lambda group: group.gather(torch.full((2, 1), float(group.rank))))
    for values in found:
        assert values.flatten(1).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_an_exchange_brings_each_rank_what_the_others_have_for_it() -> None:
    sent = [[1, 2, 0], [0, 1, 3], [2, 0, 0]]  # rows from each to each

    def run(group: RankGroup) -> list[float]:
        own = sent[group.rank]
        values = torch.cat([torch.full((count, 2), 10.0 * group.rank + to) for to, count in enumerate(own)])
        return group.exchange(values, own, [row[group.rank] for row in sent])[:, 0].tolist()

    assert on_ranks(3, run) == [[0, 20, 20], [1, 1, 11], [12, 12, 12]]


def test_numbers_and_bytes_of_this_machine_come_together() -> None:
    def run(group: RankGroup) -> tuple[list[int], bytes, bytes]:
        own = bytes([group.rank] * 2)
        return group.largest(group.rank, -group.rank), group.gather_bytes(own), group.broadcast_bytes(own)

    assert on_ranks(2, run) == [([1, 0], b"\0\0\1\1", b"\0\0")] * 2
