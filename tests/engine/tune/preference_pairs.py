"""Pairs of answers for the tests of training by preference."""

from __future__ import annotations

import random

from portico_engine.tune.preference.answers import TokenPair
from portico_engine.tune.rendering import TokenRow


def pairs(count: int = 24) -> list[TokenPair]:
    """Always the same two answers to eight tokens of noise."""
    rng = random.Random(1)
    prompts = [tuple(rng.randrange(10, 200) for _ in range(8)) for _ in range(count)]
    return [TokenPair(TokenRow((*p, 30, 31, 2), 8), TokenRow((*p, 40, 41, 42, 2), 8)) for p in prompts]
