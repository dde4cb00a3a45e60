"""Token ids of each kind of vocabulary: those of llama.cpp from GGUF, those of `tokenizers` from tokenizer.json."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from llama_reference import LlamaCpp
from portico_engine.conversion.tokenizer_metadata import PROBES
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from tokenizer_agreement import random_texts
from trained_vocabularies import KINDS, write_tokenizer_folder, write_vocabulary

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "Orders are cancelled when the customer asks for it within thirty days of delivery.",
    "def tokenize(text): return [piece for piece in text.split() if piece]",
    "Der schnelle braune Fuchs springt über den faulen Hund; Übergröße, Straße, naïve café.",
    "В чащах юга жил бы цитрус? Да, но фальшивый экземпляр!",
    "Numbers: 1, 22, 333, 4444, 3.14159, 2024-11-30, 0x1F, 50%.",
    "it's we're they'll I'd don't can't won't it'd she's",
] * 3
ODD = ["a", " ", "  x", "x  ", "hello  world", "\n\n", "[CLS] [SEP] </s> <s> <|endoftext|>", "zzzz" * 50]
TEXTS = [*PROBES, *CORPUS[:7], *ODD, *random_texts(60, seed=5)]
SIZES = {"WordPiece": 400, "Unigram": 300, "byte-level BPE": 500, "SentencePiece BPE": 700}


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest) -> tokenizers.Tokenizer:
    return KINDS[request.param](CORPUS, SIZES[request.param])


def test_a_gguf_file_s_tokens_are_llama_cpp_s(trained: tokenizers.Tokenizer, tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path / "vocabulary.gguf", trained)
    ours, llama = Tokenizer.from_gguf(GGUFFile(path).metadata), LlamaCpp(path, vocab_only=True)
    try:
        assert [ours.encode(text) for text in TEXTS] == [llama.tokenize(text) for text in TEXTS]
    finally:
        llama.close()


def test_a_folder_s_tokens_are_the_library_s(trained: tokenizers.Tokenizer, tmp_path: Path) -> None:
    """Where the text doesn't spell control tokens: those of a text from outside are never made."""
    ours = read_tokenizer(write_tokenizer_folder(tmp_path, trained))
    texts = [text for text in TEXTS if "[CLS]" not in text]
    assert [ours.encode(text) for text in texts] == [trained.encode(text, add_special_tokens=False).ids for text in texts]
    whole = [ours.encode_whole(text) for text in texts]
    if ours.add_eos:
        assert whole == [trained.encode(text).ids for text in texts]


def test_what_was_cut_is_put_together_again(trained: tokenizers.Tokenizer, tmp_path: Path) -> None:
    ours = read_tokenizer(write_tokenizer_folder(tmp_path, trained))
    text = "the quick brown fox jumps over the lazy dog"
    assert ours.decode(ours.encode(text)) == text
    assert "".join(ours.token_texts[i] for i in ours.encode(text)).strip() == text
