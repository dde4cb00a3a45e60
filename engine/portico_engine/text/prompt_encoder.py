"""A rendered chat to tokens: control tokens where the template wrote them, plain text where the text came from outside.

It owns which tokens of a vocabulary nobody but the template may make. How text is cut and merged is the tokenizer's.
"""

from __future__ import annotations

import re

from portico_engine.text.tokenizer import USER_DEFINED, Tokenizer
from portico_engine.text.untrusted import Disguise

# What a marker looks like. Vocabularies also define white space and HTML tags, which are words like others.
_MARKER = re.compile(r"<\S+>|\[\S+\]")


class PromptEncoder:
    """For one vocabulary and the template that is used with it."""

    def __init__(self, tokenizer: Tokenizer, template: str = "") -> None:
        """Tokens that the vocabulary doesn't call control tokens are the template's alone where it writes them."""
        self._tokenizer = tokenizer
        written = {
            i
            for i, (token, kind) in enumerate(zip(tokenizer.tokens, tokenizer.types, strict=True))
            if kind == USER_DEFINED and token in template and _MARKER.fullmatch(token)
        }
        self.own_tokens = tokenizer.marker_ids | written
        own = {tokenizer.tokens[i] for i in self.own_tokens}
        self.disguise = Disguise(own)
        found = {token: re.escape(token) if token in own else self.disguise.pattern(token) for token in tokenizer.added_tokens}
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(found[token] for token in longest_first)) if found else None

    def encode(self, rendered: str) -> list[int]:
        """Token ids of a text in which what came from outside is in `disguise`, behind the model's start token."""
        return self._tokenizer.encode_rendered(rendered, self._pattern, self.disguise.show)
