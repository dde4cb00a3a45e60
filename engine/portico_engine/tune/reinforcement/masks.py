"""What a grammar allowed at each token of an answer: the policy that is trained is the one that was sampled, masked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import MatcherFactory


def allowed_tokens(grammar: CompiledGrammar, tokens: Sequence[int], factory: MatcherFactory, vocab_size: int) -> Tensor:
    """bool [tokens, vocab_size]. The token that was taken is always among them."""
    matcher = factory.matcher(grammar)
    words = -(-vocab_size // 32)
    bits = np.full((len(tokens), words), -1, np.int32)
    for at, token in enumerate(tokens):
        matcher.fill_bitmask(bits, at)
        if not matcher.accept_token(token):
            break
    allowed = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, :vocab_size].astype(np.bool_)
    allowed[np.arange(len(tokens)), np.array(tokens, np.int64)] = True
    return torch.from_numpy(allowed)
