"""Each part of an answer's making can still be left out: what an ablation replaces has to be there."""

from __future__ import annotations

import pytest

import answers_parts


@pytest.mark.parametrize("part", answers_parts.PARTS)
def test_a_part_can_be_left_out(part: str) -> None:
    with answers_parts.left_out([part]):
        pass
