"""What of a plan goes to the device. The device may be a CPU here: nothing is computed."""

from __future__ import annotations

import numpy as np
import torch

from portico_engine.executors.torch.cuda_batch import BlockTables, addresses, place_followed
from portico_engine.plan import Row


def test_addresses_are_tokens_positions_slots_and_adapters_row_by_row_then_padding() -> None:
    out = np.full((4, 8), 99, np.int32)
    addresses((Row(2, (7, 8, 9), 4, (0,)), Row(5, (3,), 0, (1,), adapter=1), Row(0, (1, 2), 30, (2, 3))), out)
    assert out.tolist() == [
        [7, 8, 9, 3, 1, 2, 0, 0],
        [4, 5, 6, 0, 30, 31, -1, -1],
        [2, 2, 2, 5, 0, 0, 0, 0],
        [-1, -1, -1, 1, -1, -1, -1, -1],
    ]


def test_addresses_of_decodes_are_a_row_each() -> None:
    out = np.full((4, 4), 99, np.int32)
    addresses((Row(2, (7,), 4, (0,)), Row(5, (3,), 40, (1,), adapter=1), Row(0, (1,), 30, (2, 3))), out)
    assert out.tolist() == [[7, 3, 1, 0], [4, 40, 30, -1], [2, 5, 0, 0], [-1, 1, -1, -1]]


def test_a_row_that_follows_gets_the_token_that_its_slot_sampled() -> None:
    tokens = torch.tensor([7, 8, 0, 1, 0, 99], dtype=torch.int32)
    rows = (
        Row(2, (7, 8), 4, (0,)),
        Row(1, (0,), 9, (1,), follows=True),
        Row(0, (1,), 3, (2,)),
        Row(3, (0,), 5, (3,), follows=True),
    )
    place_followed(rows, tokens, torch.tensor([50, 51, 52, 53], dtype=torch.int32))
    assert tokens.tolist() == [7, 8, 51, 1, 53, 99]
    place_followed(rows[:1], tokens, torch.zeros(4, dtype=torch.int32))
    assert tokens.tolist() == [7, 8, 51, 1, 53, 99], "nobody follows"


def test_a_slot_has_its_rows_table() -> None:
    tables = BlockTables(4, 3, "cpu")
    tables.update((Row(1, (0,), 0, (5, 6)), Row(3, (0,), 0, (9,))))
    assert tables.tensor.tolist() == [[0, 0, 0], [5, 6, 0], [0, 0, 0], [9, 0, 0]]
    tables.update((Row(1, (0,), 0, (5, 6, 7)),))
    assert tables.tensor[1].tolist() == [5, 6, 7]
    tables.update((Row(1, (0,), 0, (2,)),))
    assert tables.tensor[1].tolist() == [2, 0, 0], "another sequence has the slot"


def test_a_table_that_is_as_it_was_is_not_sent_again() -> None:
    tables = BlockTables(2, 3, "cpu")
    same = (4, 5)
    tables.update((Row(0, (0,), 0, same),))
    tables.tensor.zero_()  # as if somebody else had written there
    tables.update((Row(0, (0,), 1, same),))
    assert tables.tensor[0].tolist() == [0, 0, 0]
