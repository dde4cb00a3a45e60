"""A vocabulary's tokens as characters in a matrix, so that thousands can be followed through an automaton at once."""

from __future__ import annotations

import numpy as np

from portico_engine.grammar.closing.derivatives import OTHER
from portico_engine.grammar.protocol import Vocabulary

MAX_TOKEN = 20  # characters: longer tokens are left out where the budget is tight

_IS_PLAIN = np.array([code >= 0x20 and chr(code) not in '"\\' for code in range(OTHER)] + [True])  # columns, by JSON's strings
PLAIN_COLUMNS = np.flatnonzero(_IS_PLAIN)


class TokenTable:
    """A vocabulary's tokens as one matrix of characters, shared by all its grammars."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        tokens = vocabulary.token_bytes
        self.special = np.array([data[:1] == b"\xff" and len(data) > 1 for data in tokens], dtype=np.bool_)
        self.control = {tokens[i][1:].decode(errors="replace"): i for i in np.flatnonzero(self.special).tolist()}
        texts = [text if (text := _text(data)) and len(text) <= MAX_TOKEN else "" for data in tokens]
        self.lengths = np.fromiter(map(len, texts), np.int32, len(texts))  # 0: not text of its own, or too long
        self.codes = np.zeros((len(tokens), MAX_TOKEN), dtype=np.int32)
        self.codes[np.arange(MAX_TOKEN) < self.lengths[:, None]] = np.frombuffer("".join(texts).encode("utf-32-le"), np.int32)
        self.columns = np.minimum(self.codes, OTHER).astype(np.uint8)
        self.plain = (self.lengths > 0) & (_IS_PLAIN[self.columns] | (np.arange(MAX_TOKEN) >= self.lengths[:, None])).all(
            axis=1
        )
        continuing = [i for i, data in enumerate(tokens) if 0 < len(data) <= 3 and all(0x80 <= byte <= 0xBF for byte in data)]
        self.trailing = [(token, tokens[token]) for token in continuing]  # tokens that may end a begun character


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
