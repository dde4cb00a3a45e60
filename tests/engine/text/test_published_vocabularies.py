"""Published vocabularies beside their published ids, where llama.cpp's source distribution is at hand.

`PORTICO_VOCABULARIES` names its folder `models`: `ggml-vocab-NAME.gguf` with texts in `.inp` and ids in `.out`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine_tokenizers import check
from llama_reference import LlamaCpp
from portico_engine.text.tokenizer import CONTROL, USER_DEFINED, Tokenizer
from portico_engine.weights.gguf_file import GGUFFile

FOLDER = Path(os.environ.get("PORTICO_VOCABULARIES", ""))
FILES = sorted(path for path in FOLDER.glob("ggml-vocab-*.gguf") if Path(f"{path}.out").exists())
ENCODERS = {"ggml-vocab-bert-bge"}  # WordPiece: no model that answers has it
pytestmark = pytest.mark.skipif(not FILES, reason="PORTICO_VOCABULARIES names no folder of vocabularies")
published = pytest.mark.parametrize("path", [path for path in FILES if path.stem not in ENCODERS], ids=lambda path: path.stem)


@published
def test_tokens_are_the_published_ones_and_come_back_as_text(path: Path) -> None:
    row = check(path)
    assert "refused" not in row, row
    assert (row["differ"], row["lossy"]) == (0, 0), row


@published
def test_markers_among_white_space_are_read_as_by_llama_cpp(path: Path) -> None:
    ours, llama = Tokenizer.from_gguf(GGUFFile(path).metadata), LlamaCpp(path, vocab_only=True)
    markers = [token for token, kind in zip(ours.tokens, ours.types, strict=True) if kind in (CONTROL, USER_DEFINED)][:40]
    text = "".join(f"{marker} one\n{marker}\n\n two {marker}" for marker in markers)
    try:
        assert ours.encode(text, special=True) == llama.tokenize(text, special=True)
    finally:
        llama.close()
