"""Every pre-tokenizer by name beside llama.cpp's, over a vocabulary whose merges cross every boundary that there could be."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest
from tests.engine.tiny_model import SPECIAL
from tokenizers import Tokenizer as Trained
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from llama_reference import LlamaCpp
from portico_engine.text.pretokenize import _PATTERNS
from portico_engine.text.tokenizer import Tokenizer, byte_alphabet
from portico_engine.weights.gguf_file import GGUFFile

TEXTS = (
    "Hello world, hello WORLD! HelloWorld helloWORLD",
    " leading,  and   more    spaces ",
    "tabs\tand\nnewlines\r\n\n\n  end\n",
    "1 12 123 1234 12345 1234567890 3.14 1e-9 0xFF",
    "don't we'll I'm they've it'd DON'T WE'LL",
    'def f(x: int) -> str:\n    return f"{x!r}"  # comment\n\n\n',
    '{"name":"search","arguments":{"query":"KV block","limit":10}}',
    "Straße über Привет, мир! Ελληνικά",
    "你好，世界。123 こんにちは、世界",
    "한국어 문장 123",
    "path/to/file.txt // comment /* x */ ${a}<=>^~|`+",
    "🚀 rocket🚀🚀",
)


WHOLE = "whole"  # a token that no merges make


@pytest.fixture(scope="module")
def merged() -> tuple[list[str], list[str]]:
    """Tokens and merges of a byte-level vocabulary trained on the texts uncut."""
    trained = Trained(BPE())
    trained.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = BpeTrainer(vocab_size=900, initial_alphabet=list(byte_alphabet()), min_frequency=1, show_progress=False)
    trained.train_from_iterator([text for text in TEXTS for _ in range(2)], trainer)
    vocab = trained.get_vocab()
    pieces = sorted(vocab, key=lambda piece: vocab[piece])
    merges = [" ".join(pair) for pair in _merges(trained)]
    return [*SPECIAL, *pieces, WHOLE], merges


def _merges(trained: Trained) -> list[list[str]]:
    return [list(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]


def write_vocabulary(path: Path, pre: str, tokens: list[str], merges: list[str]) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("pre", sorted(_PATTERNS.keys() - {"gemma4"}))
def test_text_is_cut_as_by_llama_cpp(tmp_path: Path, merged: tuple[list[str], list[str]], pre: str) -> None:
    path = write_vocabulary(tmp_path / "vocabulary.gguf", pre, *merged)
    ours = Tokenizer.from_gguf(GGUFFile(path).metadata)
    llama = LlamaCpp(path, vocab_only=True)
    try:
        for text in (*TEXTS, WHOLE):
            assert ours.encode(text) == llama.tokenize(text), text
            assert ours.encode(text, bos=True) == llama.tokenize(text, bos=True), text
    finally:
        llama.close()
