from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import Engine, find_model, load_engine


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama in Q4_1."""
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """The default model's file."""
    return find_model()


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> Iterator[Engine]:
    """The default model, loaded once."""
    engine = load_engine(smollm2_path, executor="torch-cpu", context=2048)
    yield engine
    engine.close()
