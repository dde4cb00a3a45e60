"""Labels for docs_search.py that share few words with their answer: the first sentence of a section, taken out of it.

An author's opening sentence says what the section is about, often in words that the rest does not use. It is removed from
the page before indexing; the question is the sentence, right is the section it stood in. Made by rule, with a fixed seed:
sections with an anchor whose own text begins with a sentence of 8 words or more that stands nowhere else, and goes on for
at least REST characters after it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from portico_servers.docs.ingest.pages import Page

REST = 200
TUNED_ON = ("python", 250)  # of this documentation, so many served to choose the ranking's constants
_SENTENCE = re.compile(r"^[A-Z][^.!?]{40,220}[.!?](?=\s|$)")
_MARKUP = re.compile(r"[`*|]+")


class Paraphrase(NamedTuple):
    text: str
    path: str
    section: int  # index in the page's sections


def made(pages: Sequence[tuple[str, Page]], count: int) -> tuple[list[tuple[str, Page]], list[Paraphrase]]:
    """The pages without the sentences that were taken out, and what was taken: `count` at most, at most 3 a page."""
    found = [item for path, page in pages for item in _openings(path, page)]
    times = Counter(text for text, _, _, _ in found)
    found = sorted(item for item in found if times[item[0]] == 1)
    random.Random(11).shuffle(found)
    taken: list[tuple[str, str, int, int]] = []
    per_page: Counter[str] = Counter()
    for item in found:
        if len(taken) < count and per_page[item[1]] < 3:
            per_page[item[1]] += 1
            taken.append(item)
    by_path: dict[str, list[tuple[str, int]]] = {}
    for text, path, _, line in taken:
        by_path.setdefault(path, []).append((text, line))
    edited = [(path, _without(page, by_path.get(path, ()))) for path, page in pages]
    return edited, [Paraphrase(_MARKUP.sub("", text), path, section) for text, path, section, _ in taken]


def chosen(name: str, taken: Sequence[Paraphrase], count: int) -> list[Paraphrase]:
    """The first `count` that had no part in choosing constants."""
    skip = TUNED_ON[1] if name == TUNED_ON[0] else 0
    return list(taken[skip : skip + count])


def digest(taken: Sequence[Paraphrase]) -> str:
    return hashlib.sha256("\n".join(f"{p.text}\t{p.path}\t{p.section}" for p in taken).encode()).hexdigest()[:16]


def _openings(path: str, page: Page) -> list[tuple[str, str, int, int]]:
    """(sentence, path, section, line)"""
    lines = page.text.split("\n")
    found = []
    for index, section in enumerate(page.sections):
        following = page.sections[index + 1].line if index + 1 < len(page.sections) else len(lines) + 1
        own = [n for n in range(section.line + 1, min(section.end + 1, following)) if lines[n - 1].strip()]
        if not section.anchor or not own:
            continue
        line = lines[own[0] - 1]
        sentence = _SENTENCE.match(line.strip())
        rest = sum(len(lines[n - 1]) for n in own) - (sentence.end() if sentence else 0)
        if sentence and len(sentence[0].split()) >= 8 and rest >= REST:
            found.append((sentence[0], path, index, own[0]))
    return found


def _without(page: Page, taken: Sequence[tuple[str, int]]) -> Page:
    lines = page.text.split("\n")
    for text, line in taken:
        lines[line - 1] = lines[line - 1].replace(text, "", 1)
    return replace(page, text="\n".join(lines))
