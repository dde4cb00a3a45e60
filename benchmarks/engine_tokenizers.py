"""Are our tokens those of published vocabularies? Over a folder of GGUF files, each beside its `.inp` texts and `.out` ids.

    python benchmarks/engine_tokenizers.py FOLDER

llama.cpp's source distribution has such a folder (`models`). Texts are separated by `__ggml_vocab_test__` lines,
a line of ids each. Prints a row a vocabulary and records them; exit status 1 where any differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from portico_engine import ModelError
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from report import write

SEPARATOR = "\n__ggml_vocab_test__\n"


def check(path: Path) -> dict[str, object]:
    """One vocabulary's row."""
    start = time.perf_counter()
    try:
        tokenizer = Tokenizer.from_gguf(GGUFFile(path).metadata)
    except ModelError as error:
        return {"vocabulary": path.stem, "refused": str(error).split(";")[0]}
    seconds = time.perf_counter() - start
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split(SEPARATOR)
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")
    differ = [
        text for text, line in zip(texts, lines, strict=False) if tokenizer.encode(text) != [int(i) for i in line.split()]
    ]
    lossy = [text for text in texts if tokenizer.decode(tokenizer.encode(text)) != text]
    return {
        "vocabulary": path.stem,
        "tokens": tokenizer.vocab_size,
        "texts": len(texts),
        "differ": len(differ),
        "lossy": len(lossy),
        "load_ms": round(seconds * 1e3),
    }


def main() -> int:
    """Check, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows = [check(path) for path in sorted(folder.glob("*.gguf")) if Path(f"{path}.inp").exists()]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    checked = [row for row in rows if "refused" not in row]
    wrong = sum(bool(row["differ"] or row["lossy"]) for row in checked)
    print(f"{len(checked)} vocabularies, {wrong} with differences; {len(rows) - len(checked)} not supported")
    write("engine_tokenizers", {"rows": rows})
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
