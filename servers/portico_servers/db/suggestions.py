"""The nearest of several names or values to one that was not found. It knows nothing of databases."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_COMPARED = 400  # candidates that get the exact comparison, after a cheap one


def nearest(word: str, options: Iterable[str], n: int = 3) -> list[str]:
    """At most `n` options by likeness, the likest first: containment, then shared pairs of letters, then difflib's ratio."""
    folded = word.casefold().strip()
    if not folded:
        return []
    pairs = _pairs(folded)
    ranked = sorted(((_cheap(folded, pairs, option), option) for option in dict.fromkeys(options)), reverse=True)
    matcher = difflib.SequenceMatcher(b=folded, autojunk=False)
    scored: list[tuple[float, str]] = []
    for cheap, option in ranked[:_COMPARED]:
        matcher.set_seq1(option.casefold())
        score = matcher.ratio() + (0.5 if cheap >= 1 else 0)
        if score >= 0.4:
            scored.append((score, option))
    scored.sort(key=lambda item: (-item[0], item[1]))
    return [option for _, option in scored[:n]]


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`; did you mean a, b?`, or nothing."""
    found = nearest(word, options)
    return f"; did you mean {', '.join(found)}?" if found else ""


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)} or {text}


def _cheap(folded: str, pairs: set[str], option: str) -> float:
    other = option.casefold()
    if folded in other or (len(other) > 2 and other in folded):
        return 1.0
    return len(pairs & _pairs(other)) / (len(pairs) + 1)
