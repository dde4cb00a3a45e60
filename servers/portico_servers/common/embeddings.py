"""Static text embeddings that need no network: wordllama's 256 dimensions, loaded once, on first use, off the request path.

A static embedding is the mean of its subwords' vectors: no transformer runs, a few microseconds a word. It knows nothing
of code or documents, nor where texts come from.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

DIMENSIONS = 256
_NAME = "l2_supercat"  # of the files in wordllama's wheel,
_TENSOR = "embedding.weight"  # and of the table in there
_MAX_HEADER = 1 << 20  # bytes
_FEW = 4_000  # characters
Embeddings = npt.NDArray[np.float32]


class Embedder:
    """Loads its model in a thread of its own after `start`; until then `ready` is False and callers do without.

    Thread-safe. `embed` loads on the spot when nobody has started it (0.5 s).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: _Model | None = None
        self._failure: str | None = None

    @property
    def ready(self) -> bool:
        return self._model is not None

    def start(self) -> threading.Thread:
        """Load in the background; returns the thread, which a caller may join."""
        thread = threading.Thread(target=self._load, name="embedder", daemon=True)
        thread.start()
        return thread

    def embed(self, texts: Sequence[str], *, batch: int = 64) -> Embeddings:
        """Unit vectors, float32 [len(texts), 256]; a text without a known word gives zeros. `batch` texts are tokenized
        at a time.

        Raises RuntimeError if the model's files are missing (a broken installation).
        """
        vectors = self._sums(texts, batch)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0), dtype=np.float32)

    def information(self, words: Sequence[str]) -> Embeddings:
        """How much each word says, float32 [len(words)]: the length that its vector has before it is made a unit. About 5 for
        "did", 10 for "answer", 20 for "gzip" or "encrypts" (Oyama, Yokoi and Shimodaira 2023, "Norm of Word Embedding Encodes
        Information Gain"). Raises as `embed` does.
        """
        return np.asarray(np.linalg.norm(self._sums(words, len(words) or 1), axis=1), dtype=np.float32)

    def _sums(self, texts: Sequence[str], batch: int) -> Embeddings:
        """The sums of the texts' subwords' vectors [len(texts), 256]."""
        self._load()
        if self._model is None:
            raise RuntimeError(self._failure or "the embedding model is not available")
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        # Text by text: a batch that is padded to its longest text takes some 20 MB at a time that no cache holds (five times
        # slower on passages of 750 characters).
        table, tokenizer = self._model
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for first in range(0, len(texts), batch):
            encoded = _encoded(tokenizer, texts[first : first + batch])
            for row, text in enumerate(encoded, first):
                if text.ids:
                    np.add.reduce(table.take(text.ids, axis=0), axis=0, out=vectors[row])
        return vectors

    def _load(self) -> None:
        with self._lock:
            if self._model is None and self._failure is None:
                try:
                    self._model = _read_model()
                except (ImportError, OSError, ValueError, KeyError) as error:
                    self._failure = f"the embedding model can't be loaded: {error}"


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    """Few characters here: the library's threads take longer to wake than to read them."""
    if sum(map(len, texts)) <= _FEW:
        return [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    return tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)


class _Model(NamedTuple):
    """`table`: a vector for each subword, [subwords, 256]; in float32, from which a passage's are added up in two thirds of the
    time that float16 takes."""

    table: Embeddings
    tokenizer: Tokenizer


def _read_model() -> _Model:
    """The files of wordllama's wheel, without its package, which imports an HTTP client and what it trains with. Raises
    ImportError, OSError, ValueError, KeyError."""
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise ImportError("wordllama is not installed")
    from tokenizers import Tokenizer

    folder = Path(spec.origin).parent
    weights = folder / "weights" / f"{_NAME}_{DIMENSIONS}.safetensors"
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")  # of what safetensors says of its tensors
        if length > _MAX_HEADER:
            raise ValueError(f"{weights} is no safetensors file")
        tensor = json.loads(file.read(length))[_TENSOR]
    if tensor["dtype"] != "F16" or tensor["shape"][1:] != [DIMENSIONS]:
        raise ValueError(
            f"{weights} has {tensor['dtype']} {tensor['shape']} where float16 [subwords, {DIMENSIONS}] is expected"
        )
    start = 8 + length + int(tensor["data_offsets"][0])
    table = np.memmap(weights, np.float16, "r", offset=start, shape=tuple(tensor["shape"])).astype(np.float32)
    words = folder / "tokenizers" / f"{_NAME}_tokenizer_config.json"
    text = words.read_text(encoding="utf-8")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise ValueError(f"{words} is no tokenizer: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return _Model(table, tokenizer)


_shared = Embedder()


def shared_embedder() -> Embedder:
    """The process's one embedder: the weights are held once, whoever asks."""
    return _shared
