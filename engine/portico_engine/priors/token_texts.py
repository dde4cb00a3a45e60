"""A vocabulary as priors see it: the texts of its tokens, and what is looked up in them. Made once a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property


class TokenTexts:
    """`texts` by token id; empty for control tokens."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    @cached_property
    def ids(self) -> Mapping[str, Sequence[int]]:
        """Token ids by text."""
        ids: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(self.texts):
            if text:
                ids[text].append(i)
        return dict(ids)

    @cached_property
    def opening(self) -> Sequence[int]:
        """Tokens that begin an object or an array."""
        return [i for i, text in enumerate(self.texts) if text.lstrip().startswith(("{", "["))]

    @cached_property
    def with_quote(self) -> Sequence[int]:
        """Tokens whose text has a quotation mark."""
        return [i for i, text in enumerate(self.texts) if '"' in text]
