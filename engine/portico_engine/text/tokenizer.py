"""Text to token ids and back; vocabularies from a GGUF file's metadata (`tokenizer_json` reads the other kind).

It owns vocabularies, their special tokens, and the bytes of every token: byte-level BPE ("gpt2"), SentencePiece's BPE ("llama",
"gemma4") and Unigram ("t5"), and WordPiece ("bert"). Plain text is cut by `bpe` and `unigram`, GGUF's keys are read by
`gguf_tokenizer`. It knows neither models nor chat turns, and decodes whole sequences only (detokenizer.py streams).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal

import tokenizers

from portico_engine.text.untrusted import clean_text

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # tokenizer.ggml.token_type
SPACE = "\u2581"  # SentencePiece's visible space
# The space before plain text: before every stretch between special tokens, only where one doesn't begin with a space, or that
# only at the beginning of the text.
SpacePrefix = Literal["always", "missing", "first"]
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
# Control tokens that end a turn in the families we run, whatever the file's own eos is.
TURN_ENDS = frozenset(
    (
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_turn>",
        "<|end_of_turn|>",
        "</s>",
    )
)
# Stretches of text whose ids are kept: instructions and tools come again with each request, and tokenizing them takes as
# long as ten steps' masks. Shorter ones aren't worth it; longer ones hardly come twice.
_KEPT_LENGTHS = range(256, 1 << 15)
_KEPT_STRETCHES = 64
# Added tokens that only a chat template makes, though their vocabulary doesn't call them control tokens.
_MARKER = re.compile(r"<[|\uff5c].+[|\uff5c]>")


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte: printable Latin-1 stands for itself, the rest for U+0100 and on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(b): b for b in plain}
    others = (b for b in range(256) if b not in set(plain))
    table.update({chr(0x100 + i): b for i, b in enumerate(others)})
    return table


class Tokenizer:
    """One vocabulary. Immutable, and safe to use from several threads. Implements grammar.protocol.Vocabulary."""

    def __init__(
        self,
        tokens: Sequence[str],
        types: Sequence[int],
        merger: tokenizers.Tokenizer,
        *,
        byte_level: bool,
        bos_token_id: int | None = None,
        eos_token_id: int,
        end_token_ids: Iterable[int] = (),
        add_bos: bool = False,
        add_eos: bool = False,
        separator_id: int | None = None,
        prepared: bool = False,
        space_prefix: SpacePrefix | None = None,
        strips_left: Iterable[int] = (),
        strips_right: Iterable[int] = (),
    ) -> None:
        """`merger` makes ids of plain text. A vocabulary that isn't `byte_level` is SentencePiece's: visible spaces and byte
        tokens; where it is `prepared`, the merger makes the spaces visible. `add_bos` and `add_eos` say what a whole text
        stands between; it ends with `separator_id` where there is one. Special tokens in `strips_left` swallow white space
        before them, those in `strips_right` after them."""
        self.tokens = tokens
        self.types = types
        self.byte_level = byte_level
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self.add_bos = add_bos and bos_token_id is not None
        self.add_eos = add_eos
        self._last_id = eos_token_id if separator_id is None else separator_id
        self._prepared = prepared
        self.space_prefix = space_prefix
        self._strips_left = frozenset(strips_left)
        self._strips_right = frozenset(strips_right)
        self._ids = {token: i for i, token in enumerate(tokens)}
        self.end_token_ids = frozenset((eos_token_id, *end_token_ids, *self._turn_ends()))
        self._merger = merger
        self._kept_ids = lru_cache(_KEPT_STRETCHES)(lambda text: tuple(self._merge(text)))
        # Tokens that untrusted text never makes, and all that aren't made by merging.
        self.marker_ids = frozenset(i for i, kind in enumerate(types) if tokens[i] and _is_marker(tokens[i], kind))
        self.added_tokens = frozenset(t for t, kind in zip(tokens, types, strict=True) if t and kind in (CONTROL, USER_DEFINED))
        self._control = _alternation(self.added_tokens)
        self._user_defined = _alternation(self.added_tokens - {tokens[i] for i in self.marker_ids})

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> Tokenizer:
        """From `GGUFFile.metadata`. Raises ModelError naming the key that is missing or not supported."""
        from portico_engine.text.gguf_tokenizer import tokenizer_from_gguf  # which needs this class

        return tokenizer_from_gguf(metadata)

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    @cached_property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes of every token id; for control and unknown tokens b"\\xff" + their text."""
        alphabet = byte_alphabet()
        return [self._bytes_of(token, kind, alphabet) for token, kind in zip(self.tokens, self.types, strict=True)]

    @cached_property
    def token_texts(self) -> Sequence[str]:
        """The text of every token id, with U+FFFD for parts of characters; empty for control tokens."""
        return ["" if self.is_control(i) else data.decode("utf-8", errors="replace") for i, data in enumerate(self.token_bytes)]

    def token_id(self, token: str) -> int | None:
        """The id of a token by its text in the vocabulary (special tokens: `<|im_end|>`), or None."""
        return self._ids.get(token)

    def is_control(self, token: int) -> bool:
        """Is it a token with a meaning rather than a text?"""
        return self.types[token] in (CONTROL, UNKNOWN, UNUSED)

    def encode(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Token ids of a text. `special` parses control tokens written in it (never do so with untrusted text); `bos`
        begins with the model's own start token where the model wants one and the text doesn't bring it. What is no Unicode
        (lone surrogates) becomes U+FFFD."""
        ids = self._encode(clean_text(text), self._control if special else self._user_defined)
        return self._with_bos(ids) if bos else ids

    def encode_whole(self, text: str) -> list[int]:
        """Token ids of a text as the model was made to read whole ones: between start and end tokens, where it wants them."""
        ids = self.encode(text, bos=True)
        return [*ids, self._last_id] if self.add_eos and ids[-1:] != [self._last_id] else ids

    def encode_rendered(self, text: str, pattern: re.Pattern[str] | None, show: Callable[[str], str]) -> list[int]:
        """Token ids of a prompt, behind the start token where the model wants one. `pattern` finds added tokens in a text that
        `show` makes readable, in length unchanged; see `PromptEncoder`.
        """
        return self._with_bos(self._encode(text, pattern, show))

    def _with_bos(self, ids: list[int]) -> list[int]:
        if self.add_bos and self.bos_token_id is not None and ids[:1] != [self.bos_token_id]:
            ids.insert(0, self.bos_token_id)
        return ids

    def _encode(self, text: str, pattern: re.Pattern[str] | None, show: Callable[[str], str] = str) -> list[int]:
        ids: list[int] = []
        at = 0
        prefix = self.space_prefix
        for match in pattern.finditer(text) if pattern else ():
            if match.start() < at:  # swallowed by the token before
                continue
            token = self._ids[show(match.group())]
            plain = text[at : match.start()]
            plain = plain.rstrip() if token in self._strips_left else plain
            ids += [*self._encode_plain(show(plain), prefix=prefix), token] if plain else [token]
            prefix = None if self.space_prefix == "first" else self.space_prefix
            at = _after_spaces(text, match.end()) if token in self._strips_right else match.end()
        if at < len(text):
            ids += self._encode_plain(show(text[at:]), prefix=prefix)
        return ids

    def encode_bytes(self, data: bytes) -> list[int]:
        """The model's own tokenization of plain text, without special tokens or a prefix space; stray bytes one by one.

        Bytes that the vocabulary has no token for are left out.
        """
        ids: list[int] = []
        while data:
            try:
                return [*ids, *self._encode_plain(data.decode("utf-8"), prefix=None)]
            except UnicodeDecodeError as error:
                if error.start:
                    ids += self._encode_plain(data[: error.start].decode("utf-8"), prefix=None)
                ids += [self._byte_ids[b] for b in data[error.start : error.end] if b in self._byte_ids]
                data = data[error.end :]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a whole sequence, without control tokens; bytes that are no UTF-8 become U+FFFD."""
        table = self.token_bytes
        data = b"".join(table[i] for i in ids if not self.is_control(i))
        text = data.decode("utf-8", errors="replace")
        return text[1:] if self.space_prefix and text.startswith(" ") else text

    def _encode_plain(self, text: str, *, prefix: SpacePrefix | None) -> Sequence[int]:
        if self._prepared:
            return self._merge(text)
        if prefix == "always" or (prefix and not text.startswith(" ")):
            text = " " + text
        if not self.byte_level:
            text = text.replace(" ", SPACE)
        return self._kept_ids(text) if len(text) in _KEPT_LENGTHS else self._merge(text)

    def _merge(self, text: str) -> list[int]:
        """Text merges to words, even where a vocabulary's merges would make a marker of it: then its halves do."""
        ids = list(self._merger.encode(text, add_special_tokens=False).ids)
        if self.marker_ids.isdisjoint(ids) or len(text) < 2:
            return [i for i in ids if i not in self.marker_ids]
        half = len(text) // 2
        return self._merge(text[:half]) + self._merge(text[half:])

    @cached_property
    def _byte_ids(self) -> dict[int, int]:
        """The token of each single byte. Not every vocabulary has all: SmolLM2's lacks 21."""
        names = byte_alphabet() if self.byte_level else {f"<0x{b:02X}>": b for b in range(256)}
        return {b: self._ids[name] for name, b in names.items() if name in self._ids}

    def _bytes_of(self, token: str, kind: int, alphabet: Mapping[str, int]) -> bytes:
        if kind in (CONTROL, UNKNOWN, UNUSED):
            return b"\xff" + token.encode()
        if kind == USER_DEFINED:
            return token.encode()
        if self.byte_level:
            try:
                return bytes(alphabet[char] for char in token)
            except KeyError:  # an added token that wasn't marked as one
                return token.encode()
        byte = _BYTE_TOKEN.fullmatch(token)
        if byte and kind == BYTE:
            return bytes([int(byte.group(1), 16)])
        return token.replace(SPACE, " ").encode()

    def _turn_ends(self) -> Iterable[int]:
        return (
            i for token in TURN_ENDS if (i := self._ids.get(token)) is not None and self.types[i] in (CONTROL, USER_DEFINED)
        )


def _after_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _is_marker(token: str, kind: int) -> bool:
    return kind == CONTROL or (kind == USER_DEFINED and (token in TURN_ENDS or _MARKER.fullmatch(token) is not None))


def _alternation(tokens: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
