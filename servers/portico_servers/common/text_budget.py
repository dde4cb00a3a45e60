"""Cutting text to a budget, always said and never inside a character. It knows nothing of what the text is."""

from __future__ import annotations

from collections.abc import Iterable

ELLIPSIS = "…"


def one_line(text: str, limit: int) -> str:
    """`text` on one line, runs of white space as one space, at most `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def dedent(lines: list[str]) -> list[str]:
    """Without the indentation that all non-blank lines share (tabs and spaces are not mixed up)."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return lines
    first = filled[0]
    shared = len(first) - len(first.lstrip())
    for line in filled[1:]:
        while shared and line[:shared] != first[:shared]:
            shared -= 1
    return [line[shared:] for line in lines]


def within(parts: Iterable[str], budget: int, separator: str = "\n") -> tuple[str, int]:
    """As many whole parts as fit `budget` characters, at least one (itself cut if it must be).

    Returns the text and how many parts it holds.
    """
    taken: list[str] = []
    used = 0
    for part in parts:
        cost = len(part) + (len(separator) if taken else 0)
        if used + cost > budget:
            if not taken:
                taken.append(part[: max(budget - 1, 0)] + ELLIPSIS)
            break
        taken.append(part)
        used += cost
    return separator.join(taken), len(taken)
