"""Does a text follow a grammar? Byte by byte through the matcher, for texts that somebody else's decoder wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from portico_engine.grammar.backend import matcher_factory

if TYPE_CHECKING:
    from portico_engine.grammar.compiled import CompiledGrammar
    from portico_engine.grammar.protocol import MatcherFactory

_END = 256


class _Bytes:
    """Implements `Vocabulary`: a token a byte, and one that ends."""

    token_bytes: Sequence[bytes] = (*(bytes([value]) for value in range(256)), b"\xff<end>")
    eos_token_id = _END

    def encode_bytes(self, data: bytes) -> list[int]:
        return list(data)


@lru_cache(maxsize=1)
def _factory() -> MatcherFactory:
    return matcher_factory(_Bytes())


def accepts(grammar: CompiledGrammar, text: str) -> bool:
    """Is the text one of the grammar's, as a whole? Raises GrammarError where the matcher can't take the grammar."""
    matcher = _factory().matcher(grammar)
    return all(map(matcher.accept_token, text.encode("utf-8", "surrogatepass"))) and matcher.is_accepting()
