"""Published vocabularies beside their published ids, where llama.cpp's source distribution is at hand.

`PORTICO_VOCABULARIES` names its folder `models`: `ggml-vocab-NAME.gguf` with texts in `.inp` and ids in `.out`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine_tokenizers import check

FOLDER = Path(os.environ.get("PORTICO_VOCABULARIES", ""))
FILES = sorted(path for path in FOLDER.glob("ggml-vocab-*.gguf") if Path(f"{path}.out").exists())
ENCODERS = {"ggml-vocab-bert-bge"}  # WordPiece: no model that answers has it


@pytest.mark.skipif(not FILES, reason="PORTICO_VOCABULARIES names no folder of vocabularies")
@pytest.mark.parametrize("path", [path for path in FILES if path.stem not in ENCODERS], ids=lambda path: path.stem)
def test_tokens_are_the_published_ones_and_come_back_as_text(path: Path) -> None:
    row = check(path)
    assert "refused" not in row, row
    assert (row["differ"], row["lossy"]) == (0, 0), row
