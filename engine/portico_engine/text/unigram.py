"""Plain text cut by Unigram (Kudo 2018) and WordPiece (Schuster and Nakajima 2012), by the `tokenizers` library: how GGUF's two
kinds of such vocabularies, "t5" and "bert", are set up in it.

It owns their normalization, which GGUF says in a few keys. It knows neither special tokens nor files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.models import Unigram, WordPiece

from portico_engine.errors import ModelError

SPACE = "\u2581"  # SentencePiece's visible space
CONTINUES = "##"  # before a piece that goes on with a word, in tokenizer.json; GGUF marks the others, by a visible space
_LONGEST_WORD = 1 << 20  # characters: llama.cpp has no bound


def unigram_merger(
    tokens: Sequence[str],
    scores: Sequence[float],
    *,
    unknown: int,
    charsmap: bytes = b"",
    add_space_prefix: bool,
    remove_extra_spaces: bool,
) -> tokenizers.Tokenizer:
    """The likeliest pieces of the whole text. `charsmap` is SentencePiece's compiled normalization. Raises ModelError where the
    vocabulary or the map can't be taken.
    """
    try:
        out = tokenizers.Tokenizer(Unigram(list(zip(tokens, scores, strict=True)), unk_id=unknown, byte_fallback=False))
        steps: list[normalizers.Normalizer] = [normalizers.Precompiled(charsmap)] if charsmap else []
        if remove_extra_spaces:
            steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(left=True, right=True)]
        out.normalizer = normalizers.Sequence(steps)
        scheme = "always" if add_space_prefix else "never"
        out.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise ModelError(f"the vocabulary can't be used: {error}") from None
    return out


def word_piece_merger(tokens: Sequence[str], *, unknown: str, plain: Mapping[int, bool]) -> tokenizers.Tokenizer:
    """The longest pieces of each word, left to right; `plain` says which ids are pieces and not special. `tokens` are in GGUF's
    form. BERT's normalization: lower case, no accents, Chinese characters by themselves, as llama.cpp has it for all.
    """
    vocabulary = {to_word_piece(token) if plain.get(i, True) else token: i for i, token in enumerate(tokens)}
    try:
        out = tokenizers.Tokenizer(WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=_LONGEST_WORD))
        out.normalizer = normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
        )
        out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise ModelError(f"the vocabulary can't be used: {error}") from None
    return out


def to_word_piece(token: str) -> str:
    """From GGUF's form: `▁word` and `ing` to `word` and `##ing`."""
    return token[1:] if token.startswith(SPACE) else CONTINUES + token


def from_word_piece(token: str) -> str:
    """The inverse."""
    return token.removeprefix(CONTINUES) if token.startswith(CONTINUES) else SPACE + token
