"""Anchors as the places write them where the page will be opened: GitHub for Markdown, Sphinx for reST.

Knows nothing of pages. Sources: GitHub's heading ids as its html-pipeline makes them; docutils' `nodes.make_id`; Sphinx's
`sphinx.util.nodes.make_id`.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = ("L", "M")
_WORD_EXACT = {"Nd", "Nl", "Pc"}


def github_slug(title: str) -> str:
    """`What's new?` -> `whats-new`: lower case, only word characters, hyphens and spaces stay, each space a hyphen."""
    kept = (c for c in title.strip().lower() if c in "- \u200d" or _is_word(c))
    return "".join(kept).replace(" ", "-")


def _is_word(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in _WORD or category in _WORD_EXACT


class GithubSlugs:
    """The slugs of one page: a second `setup` is `setup-1`."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def make(self, title: str) -> str:
        slug = base = github_slug(title)
        while slug in self._seen:
            self._seen[base] += 1
            slug = f"{base}-{self._seen[base]}"
        self._seen[slug] = 0
        return slug


_SPHINX_OTHER = re.compile(r"[^a-zA-Z0-9._]+")
_SPHINX_ENDS = re.compile(r"^[-0-9._]+|-+$")


def sphinx_id(prefix: str, term: str) -> str:
    """The id of a glossary term, option or other domain object: `term` + `CPU bound` -> `term-CPU-bound`."""
    ascii_ = unicodedata.normalize("NFKD", f"{prefix}-{term}" if prefix else term).encode("ascii", "ignore").decode()
    return _SPHINX_ENDS.sub("", _SPHINX_OTHER.sub("-", " ".join(ascii_.split())))
