"""Byte-pair merging of plain text by the `tokenizers` library: how the two kinds of vocabulary are set up in it.

It owns the mergers, and the merges that SentencePiece scores stand for. It knows neither files nor special tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tokenizers
from tokenizers import Regex
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from portico_engine.errors import ModelError

Merges = Sequence[tuple[str, str]]


def byte_level_merger(
    ids: Mapping[str, int], merges: Merges, patterns: Sequence[str], *, ignore_merges: bool = False
) -> tokenizers.Tokenizer:
    """GPT-2's kind: the text is cut by each pattern in turn, and every byte is a character of `tokenizer.byte_alphabet`.

    Raises ModelError where vocabulary and merges contradict each other.
    """
    out = _merger(ids, merges, ignore_merges=ignore_merges)
    out.pre_tokenizer = split_pre_tokenizer(patterns)
    return out


def split_pre_tokenizer(patterns: Sequence[str]) -> PreTokenizers:
    """What cuts a text by each pattern in turn, and writes bytes as characters."""
    return PreTokenizers([*_splits(patterns), ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece_merger(ids: Mapping[str, int], merges: Merges, patterns: Sequence[str] = ()) -> tokenizers.Tokenizer:
    """SentencePiece's kind: characters are merged as they are; one without a token falls back to its bytes' (`<0x0A>`).

    Raises ModelError where vocabulary and merges contradict each other.
    """
    unknown = "<unk>" if "<unk>" in ids else None
    out = _merger(ids, merges, byte_fallback=True, fuse_unk=True, unk_token=unknown)
    if patterns:
        out.pre_tokenizer = PreTokenizers(_splits(patterns))
    return out


def merges_from_scores(ids: Mapping[str, int], scores: Sequence[float]) -> list[tuple[str, str]]:
    """SentencePiece merges whatever makes the best-scored piece: every split of a piece into two, by the piece's score.

    `ids` holds the pieces that may be merged; `scores` is by id.
    """
    ranked: list[tuple[float, int, int, str, str]] = []
    for piece, i in ids.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                ranked.append((-scores[i], i, ids[left], left, right))
    ranked.sort()
    return [(left, right) for *_, left, right in ranked]


def merger_from_spec(spec: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """From the object in a tokenizer.json. Raises ModelError where the library can't take it."""
    return _guarded(lambda: tokenizers.Tokenizer.from_str(json.dumps(spec)))


def _merger(ids: Mapping[str, int], merges: Merges, **options: object) -> tokenizers.Tokenizer:
    known = [(left, right) for left, right in merges if left in ids and right in ids and left + right in ids]
    return _guarded(lambda: tokenizers.Tokenizer(BPE(dict(ids), known, **options)))


def _guarded(make: Callable[[], tokenizers.Tokenizer]) -> tokenizers.Tokenizer:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception for a vocabulary that contradicts itself
        raise ModelError(f"the vocabulary contradicts itself: {error}") from None


def _splits(patterns: Sequence[str]) -> list[Split]:
    return [Split(Regex(pattern), behavior="isolated") for pattern in patterns]
