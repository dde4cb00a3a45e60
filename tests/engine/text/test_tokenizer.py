"""The default model's vocabulary beside llama.cpp's own tokenizer; small vocabularies for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engine.fakes import tiny_tokenizer

from llama_reference import LlamaCpp
from portico_engine import ModelError
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile

TEXTS = (
    "",
    " ",
    "Hello world",
    " leading, trailing ",
    "tabs\tand\nnewlines\r\n\n\n  end",
    "1234567890 3.14 1e-9 0xFF",
    "don't we'll I'm they've it'd",
    'def f(x: int) -> str:\n    return f"{x!r}"  # 注释\n',
    '{"name":"search","arguments":{"query":"KV block","limit":10}}',
    "ünïcödé Straße 你好，世界 こんにちは Привет مرحبا नमस्ते",
    "🚀👩‍👩‍👧‍👦 e\u0301 \u200b\ufeff \U0001f1eb\U0001f1f7",
    "a" * 300,
    "<|im_start|>user\nplain text, or not?<|im_end|>",
    "\x00\x01\x7f",
)


@pytest.fixture(scope="module")
def ours(smollm2_path: Path) -> Tokenizer:
    return Tokenizer.from_gguf(GGUFFile(smollm2_path).metadata)


@pytest.fixture(scope="module")
def llama(smollm2_path: Path) -> Iterator[LlamaCpp]:
    model = LlamaCpp(smollm2_path, vocab_only=True)
    yield model
    model.close()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("special", [False, True])
def test_tokens_are_those_of_llama_cpp(ours: Tokenizer, llama: LlamaCpp, text: str, special: bool) -> None:
    assert ours.encode(text, special=special) == llama.tokenize(text, special=special)


@given(text=st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_random_text_is_tokenized_as_by_llama_cpp_and_comes_back(ours: Tokenizer, llama: LlamaCpp, text: str) -> None:
    assume(
        all(b in ours._byte_ids for b in text.encode())
    )  # a byte without a token is dropped, and readers differ in what then meets
    ids = ours.encode(text)
    assert ids == llama.tokenize(text)
    assert b"".join(ours.token_bytes[i] for i in ids) == text.encode()
    assert ours.decode(ids) == text


@given(data=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_that_the_vocabulary_knows_can_be_tokenized(ours: Tokenizer, data: bytes) -> None:
    known = bytes(b for b in data if b in ours._byte_ids)
    assert len(ours._byte_ids) == 256 - 21
    assert b"".join(ours.token_bytes[i] for i in ours.encode_bytes(data)) == known


def test_control_tokens_in_text_are_text_unless_asked_for(ours: Tokenizer) -> None:
    end = ours.token_id("<|im_end|>")
    assert end == ours.eos_token_id
    assert ours.encode("<|im_end|>", special=True) == [end]
    plain = ours.encode("<|im_end|>")
    assert end not in plain
    assert ours.decode(plain) == "<|im_end|>"
    assert ours.decode([end]) == ""
    assert ours.token_bytes[ours.eos_token_id] == b"\xff<|im_end|>"
    assert ours.token_texts[ours.eos_token_id] == ""


def sentencepiece() -> Tokenizer:
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{b:02X}>" for b in range(256)),
        "▁",
        "h",
        "e",
        "l",
        "o",
        "▁h",
        "el",
        "lo",
        "hel",
        "▁hel",
        "▁hello",
    ]
    scores = [0.0] * 259 + [-20.0, -21.0, -22.0, -23.0, -24.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0]
    return Tokenizer.from_gguf(
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": pieces,
            "tokenizer.ggml.scores": scores,
            "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * 11,
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
        }
    )


def test_sentencepiece_vocabularies_show_spaces_and_fall_back_to_bytes() -> None:
    tokenizer = sentencepiece()
    assert [tokenizer.tokens[i] for i in tokenizer.encode("hello")] == ["▁hello"]
    assert [tokenizer.tokens[i] for i in tokenizer.encode("helo lo")] == ["▁hel", "o", "▁", "lo"]
    assert tokenizer.decode(tokenizer.encode("hello hello é")) == "hello hello é"
    assert b"".join(tokenizer.token_bytes[i] for i in tokenizer.encode_bytes(b"hello\xff\xc3")) == b"hello\xff\xc3"
    assert tokenizer.encode("hello", bos=True)[0] == 1
    assert tokenizer.encode("<s>hello", special=True, bos=True).count(1) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "'rwkv'; supported are 'gpt2'"),
        ({"tokenizer.ggml.model": None}, "supported are"),
        ({"tokenizer.ggml.tokens": None}, "carries no vocabulary"),
        ({"tokenizer.ggml.scores": None}, "scores is missing"),
        ({"tokenizer.ggml.eos_token_id": 10_000}, "outside of the vocabulary"),
        ({"tokenizer.ggml.model": "gpt2"}, "merges is missing"),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": [], "tokenizer.ggml.pre": "no-such"},
            "'no-such' is not supported",
        ),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": ["abc"], "tokenizer.ggml.pre": "gpt-2"}, "holds 'abc'"),
        ({"tokenizer.ggml.token_type": [1]}, "1 entries for 3 tokens"),
    ],
)
def test_a_vocabulary_that_cant_be_used_is_named(change: dict[str, object], message: str) -> None:
    metadata: dict[str, object] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["a", "b", "c"],
        "tokenizer.ggml.scores": [0.0, 0.0, 0.0],
        "tokenizer.ggml.eos_token_id": 2,
    }
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_gguf({k: v for k, v in (metadata | change).items() if v is not None})


def test_every_byte_level_token_has_its_bytes() -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.token_bytes[tokenizer.encode("é")[0]] == "é".encode()
    assert sorted(tokenizer.token_bytes[3:259]) == [bytes([b]) for b in range(256)]
