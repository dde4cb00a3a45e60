"""Questions as hurried people type them. What a call copies from the question stays as it was."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BEFORE = (
    "Hi! ", "hey, ", "Hello there. ", "ok so ", "Quick question: ", "Hi, I need some help. ", "Good morning! ", "um, ",
    "I'm in a hurry. ", "As discussed yesterday: ", "My boss wants to know: ", "Sorry to bother you. ", "Be a good assistant. ",
)  # fmt: skip
_AFTER = (
    " Thanks!", " thx", " Thank you.", " please", " asap", " I'd appreciate it.", " Let me know.", " :)", " That's all.",
    " Don't make anything up.", " I'm waiting.", "??", "!",
)  # fmt: skip


def noisy(question: str, arguments: Sequence[Mapping[str, Any]], rng: random.Random) -> str:
    """The question with something before or after it, in lower case, without its end, or with a slip of the keyboard."""
    copied = [text for one in arguments for text in _texts(one.values())]
    if rng.random() < 0.10:
        question = rng.choice(_BEFORE) + question
    if rng.random() < 0.10:
        question = question + rng.choice(_AFTER)
    if rng.random() < 0.12 and all(text == text.lower() or text not in question for text in copied):
        question = question.lower()
    if rng.random() < 0.08:
        question = question.rstrip(".?!")
    if rng.random() < 0.06:
        question = _slip(question, copied, rng)
    return question


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list):
            yield from _texts(value)


def _slip(question: str, copied: Sequence[str], rng: random.Random) -> str:
    """Two letters of a word that no call copies change places, or one is missing."""
    kept = " ".join(copied)
    words = [match for match in re.finditer(r"[a-z]{5,}", question) if match[0] not in kept]
    if not words:
        return question
    word = rng.choice(words)
    at = word.start() + rng.randrange(1, len(word[0]) - 2)
    if rng.random() < 0.5:
        return question[:at] + question[at + 1] + question[at] + question[at + 2 :]
    return question[:at] + question[at + 1 :]
