"""The embedder works offline and tells near from far."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from portico_servers.common.embeddings import DIMENSIONS, Embedder


def test_it_loads_without_a_network_and_gives_unit_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the embedder went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    embedder = Embedder()
    assert not embedder.ready
    embedder.start().join()
    assert embedder.ready
    vectors = embedder.embed(["delete a file", "remove a document", "the weather in Paris"])
    assert vectors.shape == (3, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_texts_without_a_word_are_zeros_and_no_texts_are_no_rows() -> None:
    embedder = Embedder()
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    assert not np.isnan(embedder.embed(["", "word"])).any()


def test_words_that_name_a_subject_say_more_than_those_anybody_uses() -> None:
    common, verbs, subjects = (
        Embedder().information(words) for words in (["did", "goes"], ["answer", "grab"], ["gzip", "encrypts"])
    )
    assert common.max() < verbs.min()
    assert verbs.max() < 15 < subjects.min()
    assert Embedder().information([]).shape == (0,)


def test_only_the_models_files_are_loaded_and_nothing_that_could_fetch_them() -> None:
    code = (
        "import sys; from portico_servers.common.embeddings import Embedder; Embedder().embed(['a word']); "
        "print([name for name in ('wordllama', 'requests', 'urllib3', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def _weights(header: object, size: int = 0) -> bytes:
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + bytes(size)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (None, "No such file"),
        (b"PK\x03\x04 is an archive", "no safetensors file"),
        (_weights({"other": {}}), "embedding.weight"),
        (_weights({"embedding.weight": {"dtype": "F32", "shape": [4, 256], "data_offsets": [0, 0]}}), "F32"),
        (_weights({"embedding.weight": {"dtype": "F16", "shape": [4, 256], "data_offsets": [0, 2048]}}, 2048), "tokenizer"),
    ],
    ids=["none", "no safetensors", "no table", "another type", "no tokenizer"],
)
def test_files_that_are_broken_are_named(
    weights: bytes | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "tokenizers").mkdir()
    if weights is not None:
        (tmp_path / "weights" / "l2_supercat_256.safetensors").write_bytes(weights)
    (tmp_path / "tokenizers" / "l2_supercat_tokenizer_config.json").write_text("{}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(RuntimeError, match="the embedding model can't be loaded") as raised:
        Embedder().embed(["word"])
    assert told in str(raised.value)
