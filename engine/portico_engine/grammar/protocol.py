"""The seam between grammars and the engine: what a matcher does, whoever implements it.

Names follow the field (xgrammar, llguidance). A matcher is one request's state; a factory compiles and caches for a vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.work_slice import WorkSlice

if TYPE_CHECKING:
    from portico_engine.grammar.compiled import CompiledGrammar

Prepared = Literal["run", "mask"]
Bitmask = npt.NDArray[np.int32]  # [rows, ceil(vocab_size / 32)], bit i of word w allows token 32 * w + i


class Matcher(Protocol):
    """Where one request stands in its grammar."""

    def accept_token(self, token: int) -> bool:
        """Advance by a token; False, and no change, where the grammar refuses it."""
        ...

    def accept_tokens(self, tokens: list[int]) -> int:
        """As `accept_token`, one after the other; how many were accepted before one was refused."""
        ...

    def prepare(self, what: Prepared, remaining: int, slice: WorkSlice) -> bool:
        """Find out what `forced_tokens(remaining)` or a mask with `remaining` asks next, as far as the slice allows; False: not
        yet all, ask again. Without it they find it out themselves, however long that takes. Another token makes it void.
        """
        ...

    def fill_bitmask(self, bitmask: Bitmask, row: int, remaining: int | None = None) -> None:
        """Write the tokens allowed next into `bitmask[row]`.

        With `remaining` (tokens left in the request's budget, this one included) only tokens are allowed after which the
        grammar can still be closed within what is left, end token included.
        """
        ...

    def forced_tokens(self, limit: int | None = None) -> list[int]:
        """The run that the grammar leaves no choice about, tokenized as the model itself would write it. May be empty."""
        ...

    def closing_tokens(self, limit: int) -> list[int] | None:
        """A shortest known way to end, in tokens, at most `limit` long; None where none is found within it."""
        ...

    def is_accepting(self) -> bool:
        """Could the text end here?"""
        ...

    def is_terminated(self) -> bool:
        """Is the end token accepted, or nothing but the end possible?"""
        ...

    def error(self) -> str | None:
        """Why the text can't go on, though the grammar has not ended; None where it can."""
        ...

    def rollback(self, n_tokens: int) -> None:
        """Undo the last `n_tokens` accepted tokens."""
        ...

    def clone(self) -> Matcher:
        """An independent matcher in the same state."""
        ...


class Vocabulary(Protocol):
    """What a matcher factory needs of a tokenizer."""

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes of every token id; for special (control) tokens b"\\xff" + their text."""
        ...

    @property
    def eos_token_id(self) -> int: ...

    def encode_bytes(self, data: bytes) -> list[int]:
        """The model's own (canonical) tokenization of plain text, without special tokens or a prefix space."""
        ...


class MatcherFactory(Protocol):
    """Compiles grammars for one vocabulary, and caches them by digest under a bound on bytes."""

    def matcher(self, grammar: CompiledGrammar) -> Matcher: ...

    def prepared(self, grammar: CompiledGrammar) -> bool:
        """Is all there that `matcher` needs to make for it? Any thread may ask."""
        ...

    def prepare(self, grammar: CompiledGrammar) -> None:
        """Make that, on any thread. Raises GrammarError."""
        ...

    def fill_bitmasks(
        self, bitmask: Bitmask, rows: Sequence[tuple[int, Matcher, int | None]], *, threads: int | None = None
    ) -> None:
        """`fill_bitmask(bitmask, row, remaining)` for many (row, matcher, remaining), on threads without the GIL."""
        ...
