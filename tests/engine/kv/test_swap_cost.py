from __future__ import annotations

import pytest

from portico_engine.kv.swap_cost import SwapCost


def test_before_anything_was_computed_a_link_is_taken_to_be_faster() -> None:
    cost = SwapCost(10.0, 16)
    assert cost.pays
    assert cost.compute_seconds is None


def test_swapping_pays_where_a_blocks_way_takes_less_than_its_prefill() -> None:
    """2 MiB at 50 GB/s both ways beside 16 tokens at 10,000 a second: 84 us against 1.6 ms."""
    cost = SwapCost(2 * (2 << 20) / 50e9, 16)
    cost.note_step(1000, 0.1)
    assert cost.compute_seconds == pytest.approx(1.6e-3)
    assert cost.pays
    slow = SwapCost(2 * (2 << 20) / 1e9, 16)
    slow.note_step(1000, 0.1)
    assert not slow.pays, "a link of 1 GB/s takes 4.2 ms"


def test_decodes_say_nothing_about_the_prefill_rate() -> None:
    cost = SwapCost(1e-3, 16)
    cost.note_step(4, 10.0)
    assert cost.compute_seconds is None


def test_the_rate_follows_the_machine() -> None:
    cost = SwapCost(1e-3, 16)
    cost.note_step(100, 0.001)
    assert not cost.pays
    for _ in range(30):
        cost.note_step(100, 1.0)
    assert cost.pays
