"""Embeddings: of an encoder through llama.cpp in a process of its own, of decoders by both executors, and what is refused."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.engine.tiny_bert import reference, write_tiny_bert
from tests.engine.tiny_model import Q, write_tiny_llama

from portico_engine import ContextOverflow, EngineProcess, Request, RequestError, engine_loader, load_engine

TEXTS = ["The cat sat on the mat.", "prices", "a rug in New York, on the mat"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "name"), [(gguf.PoolingType.MEAN, "mean"), (gguf.PoolingType.CLS, "cls")])
async def test_an_encoder_s_embeddings_are_the_paper_s(tmp_path: Path, kind: gguf.PoolingType, name: str) -> None:
    path = write_tiny_bert(tmp_path / "bert.gguf", pooling=kind)
    engine = await EngineProcess.open(engine_loader(path))
    try:
        assert (engine.info.executor, engine.info.generates, engine.info.embedding_size) == ("llama_cpp", False, 32)
        found = await engine.embed(TEXTS)
        expected = np.array([reference(path, text, name) for text in TEXTS])
        assert cosines(found.vectors, expected) == pytest.approx(1, abs=1e-3)
        np.testing.assert_allclose(found.vectors, expected, atol=0.03)
        alone = await engine.embed(TEXTS[1:2])  # companions change nothing
        np.testing.assert_allclose(alone.vectors[0], found.vectors[1], atol=1e-4)
        with pytest.raises(RequestError, match=r"makes embeddings .* and writes no text"):
            async for _ in engine.generate(Request("a", (5,))):
                pass
        with pytest.raises(ContextOverflow, match="102 tokens"):
            await engine.embed(["mat " * 100])
        with pytest.raises(RequestError, match="has its own"):
            await engine.embed(["mat"], "last")
    finally:
        await engine.aclose()


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_decoder_s_states_are_pooled_by_both_executors_alike(tmp_path: Path, pooling: str) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32)
    ours, llama = (load_engine(path, executor=executor, context=128) for executor in ("torch-cpu", "llama_cpp"))
    one, other = (engine.embed(TEXTS, pooling).vectors for engine in (ours, llama))  # type: ignore[arg-type]
    assert one.shape == (3, 64)
    assert cosines(one, other) == pytest.approx(1, abs=2e-3)
    ours.close()
    llama.close()


def test_a_decoder_s_own_pooling_and_end_token_are_used(tmp_path: Path) -> None:
    def embedding(writer: gguf.GGUFWriter) -> None:
        writer.add_pooling_type(gguf.PoolingType.LAST)
        writer.add_add_eos_token(True)

    path = write_tiny_llama(tmp_path / "tiny.gguf", quantization=Q.F32, customize=embedding)
    engine = load_engine(path, executor="torch-cpu", context=128)
    found = engine.embed(["hello", [*engine.tokenizer.encode("hello"), 2]])
    assert found.tokens[0] == found.tokens[1]
    np.testing.assert_array_equal(found.vectors[0], found.vectors[1])
    np.testing.assert_array_equal(found.vectors[0], engine.embed(["hello"], "last").vectors[0])


def test_embedding_leaves_what_is_cached_and_what_runs_alone(tmp_path: Path) -> None:
    engine = load_engine(write_tiny_llama(tmp_path / "tiny.gguf"), executor="torch-cpu", context=128)
    before = "".join(d.text for d in engine.generate(Request("a", (5, 6, 7), max_tokens=5)))
    engine.embed(["hello " * 10])
    stats = engine.stats()
    engine.embed(["world"])
    assert engine.stats() == stats
    assert isinstance(before, str)


@pytest.mark.parametrize(
    ("texts", "said"),
    [([""], "empty"), ([()], "empty"), ([(1, 900)], "the token 900"), ([(1,) * 129], "129 tokens")],
)
def test_texts_that_can_t_be_embedded_are_refused(tmp_path: Path, texts: list[str], said: str) -> None:
    engine = load_engine(write_tiny_llama(tmp_path / "tiny.gguf"), executor="torch-cpu", context=128)
    with pytest.raises(RequestError, match=said):
        engine.embed(texts)
    with pytest.raises(RequestError, match="must be mean or last"):
        engine.embed(["hello"], "cls")
