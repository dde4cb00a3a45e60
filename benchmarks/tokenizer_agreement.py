"""Are our tokens llama.cpp's, and those of the library `tokenizers`? On 10,000 texts for each kind of vocabulary.

    python benchmarks/tokenizer_agreement.py [--texts 10000]

Vocabularies of 4,000 tokens are trained on a part of Python's standard library, and written as tokenizer.json (read by us and
by `tokenizers`) and as GGUF (read by us and by llama.cpp); the default model's own is a fifth. The texts are lines and
paragraphs of the rest of it, and a quarter are random: characters of several scripts, white space of every kind. Prints a row a
kind and records them with the first texts that differ; exit status 1 where any does.
"""

from __future__ import annotations

import argparse
import random
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tokenizers

from llama_reference import LlamaCpp
from portico_engine import find_model
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.tokenizer_json import read_tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from report import table, write
from trained_vocabularies import KINDS, write_tokenizer_folder, write_vocabulary

SIZE = 4000
TRAINED_ON = 60  # files
_SHOWN = 5
_SCRIPTS = ((0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x900, 0xDFF), (0x3040, 0x9FFF), (0x1F300, 0x1FAFF))
_SPACES = (" ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "")


def texts_of(files: list[Path]) -> Iterator[str]:
    """Lines and paragraphs, as they are."""
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        yield from (line for line in text.split("\n")[:200] if line.strip())
        yield from (part for part in text.split("\n\n")[:40] if part.strip())


def random_texts(count: int, seed: int) -> Iterator[str]:
    """Characters of several scripts with spaces of several kinds between."""
    chosen = random.Random(seed)
    for _ in range(count):
        words = []
        for _ in range(chosen.randint(1, 12)):
            first, last = chosen.choice(_SCRIPTS)
            words.append("".join(chr(chosen.randint(first, last)) for _ in range(chosen.randint(1, 8))))
            words.append(chosen.choice(_SPACES))
        yield "".join(words)


def compare(texts: list[str], ours: Callable[[str], list[int]], theirs: Callable[[str], list[int]]) -> dict[str, object]:
    """How many differ, and which first."""
    differ = [text for text in texts if ours(text) != theirs(text)]
    return {"differ": len(differ), "first": differ[:_SHOWN]}


def main() -> int:
    """Train, compare, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=10_000)
    wanted = parser.parse_args().texts
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    corpus = list(texts_of(files[:TRAINED_ON]))
    real = list(texts_of(files[TRAINED_ON:]))
    random.Random(1).shuffle(real)
    made_up = list(random_texts(wanted // 4, seed=2))
    texts = [*real[: wanted - len(made_up)], *made_up]
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="portico-tokenizers-") as name:
        for kind, train in KINDS.items():
            made = train(corpus, SIZE)
            folder = write_tokenizer_folder(Path(name) / kind.replace(" ", "-"), made)
            path = write_vocabulary(folder / "vocabulary.gguf", made)
            rows.append(row(kind, texts, path, folder, made))
        rows.append(row("SmolLM2 (byte-level BPE)", texts, find_model(), None, None))
    table(
        ["vocabulary", "texts", "differ from llama.cpp", "differ from tokenizers", "us a text"],
        [
            [r["kind"], r["texts"], r["llama_cpp"]["differ"], r["tokenizers"]["differ"] if r["tokenizers"] else "-", r["us"]]  # type: ignore[index]
            for r in rows
        ],
    )
    write("tokenizer_agreement", {"vocabulary_size": SIZE, "rows": rows})
    return int(any(r["llama_cpp"]["differ"] or (r["tokenizers"] and r["tokenizers"]["differ"]) for r in rows))  # type: ignore[index]


def row(kind: str, texts: list[str], path: Path, folder: Path | None, made: tokenizers.Tokenizer | None) -> dict[str, object]:
    """One vocabulary's figures."""
    ours = Tokenizer.from_gguf(GGUFFile(path).metadata)
    begun = time.perf_counter()
    for text in texts:
        ours.encode(text)
    us = 1e6 * (time.perf_counter() - begun) / len(texts)
    llama = LlamaCpp(path, vocab_only=True)
    library = None
    if folder is not None and made is not None:
        library = compare(
            texts, read_tokenizer(folder).encode, lambda text: list(made.encode(text, add_special_tokens=False).ids)
        )
    found = compare(texts, ours.encode, llama.tokenize)
    llama.close()
    return {"kind": kind, "texts": len(texts), "llama_cpp": found, "tokenizers": library, "us": round(us, 1)}


if __name__ == "__main__":
    sys.exit(main())
