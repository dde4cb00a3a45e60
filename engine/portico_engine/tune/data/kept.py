"""Turns on which an adapter shall leave the model as it was: answers drawn from a result, and talk without tools.

Nobody wrote these answers to be learned: the loss there is the distance from what the base says.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence

_LONGEST = 900  # characters of a passage


def kept_rows(texts: Sequence[str], questions: Sequence[str], system: str, rng: random.Random, count: int) -> Iterator[str]:
    """JSON lines. Passages come from `texts` (Markdown), questions to answer from `questions`."""
    passages = [passage for text in texts for passage in _passages(text)]
    for at in range(count):
        question, passage = rng.choice(questions), rng.choice(passages)
        if at % 3 == 2:
            prompt = [{"role": "user", "content": question}]
        else:
            asked = f"Answer in one or two sentences, from this result alone: {question}"
            prompt = [
                {"role": "system", "content": system},
                {"role": "user", "content": f"Result of docs__search:\n{passage}\n\n{asked}"},
            ]
        said = rng.choice(re.split(r"(?<=[.!?])\s+", passage))
        row = {"prompt": prompt, "completion": [{"role": "assistant", "content": said}], "kept": True}
        yield json.dumps(row | {"origin": "portico", "licence": "Apache-2.0"}, ensure_ascii=False)


def _passages(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text):
        flat = part.strip()
        if 120 <= len(flat) <= _LONGEST and not flat.startswith(("|", "```", "<")):
            yield flat
