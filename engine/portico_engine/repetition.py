"""DRY: a penalty on tokens that would go on with a repetition, growing with its length (p-e-w 2024, "Don't Repeat Yourself").

It owns the search for what repeats. The penalties are added to logits before everything else; whose they are is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
import numpy.typing as npt

from portico_engine.request import SamplingParams

DEFAULT_BREAKERS = ("\n", ":", '"', "*")
_LONGEST = 128  # tokens of a repetition that are counted: base 1.75 is beyond any logit by then
_MOST = 1e4  # that one logit loses


def dry_penalties(
    tokens: Sequence[int], params: SamplingParams, breakers: Set[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None:
    """(tokens, what is added to their logits); None where nothing repeats. `tokens` are prompt and answer so far; a repetition
    doesn't go past one of `breakers`.
    """
    if not params.dry_multiplier or len(tokens) < 2:
        return None
    window = tokens if params.dry_penalty_last_n < 0 else tokens[-params.dry_penalty_last_n :]
    if len(window) < 2 or window[-1] in breakers:
        return None
    text = np.asarray(window, dtype=np.int64)
    lengths = _lengths_of_repetitions(text, breakers)
    ends = np.flatnonzero(lengths >= max(1, params.dry_allowed_length))
    if not ends.size:
        return None
    longest: dict[int, int] = {}
    for end in ends.tolist():
        following = int(text[end + 1])
        longest[following] = max(longest.get(following, 0), int(lengths[end]))
    grown = np.array([length - params.dry_allowed_length for length in longest.values()], np.float64)
    penalties = np.minimum(params.dry_multiplier * params.dry_base**grown, _MOST)
    return np.array(list(longest), np.int64), (-penalties).astype(np.float32)


def _lengths_of_repetitions(text: npt.NDArray[np.int64], breakers: Set[int]) -> npt.NDArray[np.int64]:
    """For each place but the last: how many tokens up to it are those at the end of the text."""
    lengths = np.zeros(text.size - 1, np.int64)
    alive = np.flatnonzero(text[:-1] == text[-1])
    for back in range(min(_LONGEST, text.size - 1)):
        lengths[alive] += 1
        token = text[-2 - back] if back + 2 <= text.size else None
        if token is None or int(token) in breakers:
            break
        alive = alive[alive > back]
        alive = alive[text[alive - back - 1] == token]
        if not alive.size:
            break
    return lengths
