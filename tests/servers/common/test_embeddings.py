"""The embedder works offline and tells near from far."""

from __future__ import annotations

import socket

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
