"""Plain text cut by Unigram (Kudo 2018) and WordPiece (Schuster and Nakajima 2012), by the `tokenizers` library: how GGUF's two
kinds of such vocabularies, "t5" and "bert", are set up in it.

It owns their normalization, which GGUF says in a few keys. It knows neither special tokens nor files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.models import Unigram, WordPiece

from portico_engine.errors import ModelError

SPACE = "\u2581"  # SentencePiece's visible space
CONTINUES = "##"  # before a piece that goes on with a word, in tokenizer.json; GGUF marks the others, by a visible space
# What llama.cpp makes of a text before WordPiece: accents and control characters go, punctuation, ASCII's symbols and Chinese
# characters stand alone.
_BLANKS = rf"[\s{SPACE}]+"
_LEFT_OUT = r"[\p{M}\x{FFFD}&&[^\s]]|[\p{Cc}\p{Cf}\p{Co}\p{Cs}&&[^\s]]"
_ALONE = (
    r"[\p{P}$+<=>^`|~\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}"
    r"\x{2F800}-\x{2FA1F}]"
)
_LONGEST_WORD = 1 << 20  # characters: llama.cpp has no bound


def unigram_merger(
    tokens: Sequence[str],
    scores: Sequence[float],
    *,
    unknown: int,
    charsmap: bytes = b"",
    add_space_prefix: bool,
    remove_extra_spaces: bool,
    hidden: Set[str] = frozenset(),
) -> tokenizers.Tokenizer:
    """The likeliest pieces of the whole text. `charsmap` is SentencePiece's compiled normalization. Raises ModelError where the
    vocabulary or the map can't be taken.

    Pieces whose texts are in `hidden` are never made of a text.
    """
    tokens = [hide(i) if token in hidden else token for i, token in enumerate(tokens)]
    try:
        out = tokenizers.Tokenizer(Unigram(list(zip(tokens, scores, strict=True)), unk_id=unknown, byte_fallback=False))
        steps: list[normalizers.Normalizer] = [normalizers.Precompiled(charsmap)] if charsmap else []
        if remove_extra_spaces:
            steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(left=True, right=True)]
        steps.append(normalizers.Replace(" ", SPACE))
        if add_space_prefix:  # before spaces too, unlike the library's Metaspace, but not before nothing else
            steps.append(normalizers.Replace(Regex(f"\\A(?={SPACE}*[^{SPACE}])"), SPACE))
        out.normalizer = normalizers.Sequence(steps)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise ModelError(f"the vocabulary can't be used: {error}") from None
    return out


def word_piece_merger(tokens: Sequence[str], *, unknown: str, plain: Mapping[int, bool]) -> tokenizers.Tokenizer:
    """The longest pieces of each word, left to right; `plain` says which ids are pieces and not special. `tokens` are in GGUF's
    form. Normalized as llama.cpp has it for all: lower case, no accents, Chinese characters by themselves.
    """
    vocabulary = {to_word_piece(token) if plain.get(i, True) else token: i for i, token in enumerate(tokens)}
    try:
        out = tokenizers.Tokenizer(WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=_LONGEST_WORD))
        steps = [normalizers.NFD(), normalizers.Replace(Regex(_LEFT_OUT), ""), normalizers.Lowercase()]
        out.normalizer = normalizers.Sequence(steps)
        cuts = [(_BLANKS, "removed"), (_ALONE, "isolated")]
        out.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), behavior=behavior) for pattern, behavior in cuts]
        )
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise ModelError(f"the vocabulary can't be used: {error}") from None
    return out


def hide(token: int) -> str:
    """A piece that no text holds, in the place of one that texts must not make: noncharacters around its id."""
    return f"\ufffe{token}\uffff"


def to_word_piece(token: str) -> str:
    """From GGUF's form: `▁word` and `ing` to `word` and `##ing`."""
    return token[1:] if token.startswith(SPACE) else CONTINUES + token


def from_word_piece(token: str) -> str:
    """The inverse."""
    return token.removeprefix(CONTINUES) if token.startswith(CONTINUES) else SPACE + token
