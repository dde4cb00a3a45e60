"""A vocabulary from a GGUF file's metadata.

It owns the keys `tokenizer.ggml.*`: their types, what they are where a file doesn't say (as llama.cpp has it), and the refusal
of what contradicts itself. What a vocabulary does is `tokenizer`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tokenizers

from portico_engine.errors import ModelError
from portico_engine.text.bpe import byte_level_merger, merges_from_scores, sentencepiece_merger
from portico_engine.text.pretokenize import adds_bos, ignores_merges, split_patterns
from portico_engine.text.tokenizer import CONTROL, NORMAL, TURN_ENDS, UNKNOWN, UNUSED, USER_DEFINED, SpacePrefix, Tokenizer
from portico_engine.text.unigram import unigram_merger, word_piece_merger

_AT = "tokenizer.ggml."
_TYPES = range(0, 7)


class _Kind(NamedTuple):
    """What llama.cpp takes for granted of a kind of vocabulary. Ids are of tokens."""

    words: str
    bos: int | None = None
    eos: int | None = None
    unknown: int | None = None
    separator: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    space_prefix: bool = False


_KINDS = {
    "gpt2": _Kind("byte-level BPE"),
    "llama": _Kind("SentencePiece BPE", bos=1, eos=2, unknown=0, add_bos=True, space_prefix=True),
    "gemma4": _Kind("SentencePiece BPE with merges"),
    "t5": _Kind("SentencePiece Unigram", eos=1, unknown=2, add_eos=True),
    "bert": _Kind("WordPiece", bos=101, unknown=100, separator=102, add_bos=True, add_eos=True),
}


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """Raises ModelError naming the key that is missing, of an odd type or not supported."""
    keys = _Keys(metadata)
    name = metadata.get(f"{_AT}model")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        supported = ", ".join(f"{each!r} ({about.words})" for each, about in _KINDS.items())
        raise ModelError(f"{_AT}model is {_shown(name)}; supported are {supported}")
    tokens = keys.tokens()
    types = keys.types(len(tokens))
    pre = keys.text("pre", "default")
    bos, unknown = keys.token_id("bos_token_id", kind.bos), keys.token_id("unknown_token_id", kind.unknown)
    if unknown is not None and name in ("t5", "bert"):
        types[unknown] = UNKNOWN  # BERT's is a control token by its file: then it would be left out of a text
    separator = keys.token_id("seperator_token_id", kind.separator)  # spelt so in GGUF
    eos = _eos(keys, kind, tokens, types, separator)
    prefix: SpacePrefix | None = "always" if keys.flag("add_space_prefix", kind.space_prefix) and name != "gpt2" else None
    return Tokenizer(
        tokens,
        types,
        _merger(keys, str(name), pre, types, unknown, add_space_prefix=prefix is not None),
        byte_level=name == "gpt2",
        bos_token_id=bos,
        eos_token_id=eos,
        end_token_ids=[i for key in ("eot_token_id", "eom_token_id") if (i := keys.token_id(key)) is not None],
        add_bos=keys.flag("add_bos_token", kind.add_bos or adds_bos(pre)),
        add_eos=keys.flag("add_sep_token" if name == "bert" else "add_eos_token", kind.add_eos),
        separator_id=separator if name == "bert" else None,
        prepared=name in ("t5", "bert"),
        strips_right=_phi3_strips(metadata, tokens, types),
        space_prefix="always" if name == "bert" else prefix,
    )


class _Keys:
    """Metadata under `tokenizer.ggml.`, of the types that they must have."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self.size = 0

    def tokens(self) -> list[str]:
        found = self._metadata.get(f"{_AT}tokens")
        if not isinstance(found, list) or not found:
            raise ModelError(f"the metadata key {_AT}tokens is missing or no list: this file carries no vocabulary")
        self.size = len(found)
        return found

    def types(self, size: int) -> list[int]:
        found = self.numbers("token_type", "integers")
        if found is None:
            return [NORMAL] * size
        if len(found) != size:
            raise ModelError(f"{_AT}token_type has {len(found)} entries for {size} tokens")
        types: list[int] = found.tolist()
        if wrong := next((each for each in types if each not in _TYPES), None):
            raise ModelError(f"{_AT}token_type holds {wrong}; types are from {_TYPES[0]} to {_TYPES[-1]}")
        return types

    def scores(self, size: int) -> list[float]:
        found = self.numbers("scores", "floats")
        if found is None or len(found) != size or not np.isfinite(found).all():
            raise ModelError(f"{_AT}scores is missing, not as long as {_AT}tokens, or holds what is no number")
        scores: list[float] = found.tolist()
        return scores

    def numbers(self, key: str, kind: Literal["integers", "floats"]) -> np.ndarray | None:
        found = self._metadata.get(f"{_AT}{key}")
        if found is None:
            return None
        array = np.asarray(found) if isinstance(found, list) else found
        wanted = np.floating if kind == "floats" else np.integer
        if not isinstance(array, np.ndarray) or array.ndim != 1 or not np.issubdtype(array.dtype, wanted):
            raise ModelError(f"{_AT}{key} is {_shown(found)}, not an array of {kind}")
        return array

    def texts(self, key: str) -> list[str]:
        found = self._metadata.get(f"{_AT}{key}")
        if not isinstance(found, list):
            raise ModelError(f"the metadata key {_AT}{key} is missing or no list of texts")
        return found

    def text(self, key: str, default: str) -> str:
        found = self._metadata.get(f"{_AT}{key}", default)
        if not isinstance(found, str):
            raise ModelError(f"{_AT}{key} is {_shown(found)}, not a text")
        return found

    def flag(self, key: str, default: bool) -> bool:
        found = self._metadata.get(f"{_AT}{key}", default)
        if not isinstance(found, bool | int):
            raise ModelError(f"{_AT}{key} is {_shown(found)}, not true or false")
        return bool(found)

    def token_id(self, key: str, default: int | None = None) -> int | None:
        """None where it is neither said nor in the vocabulary by default."""
        found = self._metadata.get(f"{_AT}{key}")
        if found is None:
            return default if default is not None and default < self.size else None
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < self.size:
            raise ModelError(f"{_AT}{key} is {_shown(found)}, outside of the vocabulary of {self.size} tokens")
        return found


def _eos(keys: _Keys, kind: _Kind, tokens: Sequence[str], types: Sequence[int], separator: int | None) -> int:
    """Where the file doesn't say, one that the vocabulary has by a known name."""
    found = keys.token_id("eos_token_id")
    if found is not None:
        return found
    if separator is not None:
        return separator
    if kind.eos is not None and kind.eos < len(tokens) and types[kind.eos] == CONTROL:
        return kind.eos
    named = next((i for i, token in enumerate(tokens) if token in TURN_ENDS and types[i] in (CONTROL, USER_DEFINED)), None)
    if named is None:
        raise ModelError(
            f"no end-of-sequence token: {_AT}eos_token_id is missing, and the vocabulary has none by a usual name "
            f"({', '.join(sorted(TURN_ENDS)[:4])}, ...); answers would never end"
        )
    return named


def _merger(
    keys: _Keys, name: str, pre: str, types: Sequence[int], unknown: int | None, *, add_space_prefix: bool
) -> tokenizers.Tokenizer:
    tokens = keys.tokens()
    ids = {token: i for i, token in enumerate(tokens)}
    if name == "llama":
        usable = {t: i for i, t in enumerate(tokens) if types[i] in (NORMAL, USER_DEFINED, UNUSED)}
        return sentencepiece_merger(ids, merges_from_scores(usable, keys.scores(len(tokens))))
    if name == "t5":
        if unknown is None:
            raise ModelError(f"{_AT}unknown_token_id is missing: a Unigram vocabulary needs one")
        charsmap = keys.numbers("precompiled_charsmap", "integers")
        return unigram_merger(
            tokens,
            keys.scores(len(tokens)),
            unknown=unknown,
            charsmap=b"" if charsmap is None else charsmap.astype(np.uint8).tobytes(),
            add_space_prefix=add_space_prefix,
            hidden={token for token, kind in zip(tokens, types, strict=True) if kind in (CONTROL, UNUSED)},
            remove_extra_spaces=keys.flag("remove_extra_whitespaces", False),
        )
    if name == "bert":
        if unknown is None:
            raise ModelError(f"{_AT}unknown_token_id is missing: a WordPiece vocabulary needs one")
        special = (CONTROL, UNKNOWN, USER_DEFINED)
        plain = {i: types[i] not in special and not _BRACKETED.fullmatch(token) for i, token in enumerate(tokens)}
        return word_piece_merger(tokens, unknown=tokens[unknown], plain={**plain, unknown: False})
    merges = [_pair(line) for line in keys.texts("merges")]
    if name == "gemma4":
        return sentencepiece_merger(ids, merges, patterns=split_patterns("gemma4"))
    return byte_level_merger(ids, merges, split_patterns(pre), ignore_merges=ignores_merges(pre))


_BRACKETED = re.compile(r"\[.+\]")  # what BERT's vocabularies call special, whatever their types say


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    if not left or not right:
        raise ModelError(f"{_AT}merges holds {merge!r}, which is not two pieces with a space between them")
    return left, right


def _phi3_strips(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> Iterable[int]:
    """Phi-3's markers swallow the line break after them. GGUF has no place to say so: its name tells."""
    if not re.search("phi-?3", str(metadata.get("general.name", "")), re.IGNORECASE):
        return ()
    kept = ("<unk>", "<s>", "<|endoftext|>")
    return (i for i, kind in enumerate(types) if kind in (CONTROL, USER_DEFINED) and tokens[i] not in kept)


def _shown(value: object) -> str:
    return f"{value!r}"[:60]
