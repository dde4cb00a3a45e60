"""The adapters of a configuration, in the real engine's process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.engine.adapters.adapter_files import random_pairs, write_gguf_adapter, write_peft_folder
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import Request, SamplingParams
from portico_engine.errors import ModelError
from portico_gateway.config.portico_config import load_config
from portico_gateway.config.sections import EngineConfig, ModelConfig
from portico_gateway.errors import ConfigError
from portico_gateway.model.host import ModelHost, model_host
from portico_gateway.model.options import load_options

pytestmark = pytest.mark.anyio
PATIENCE = 60


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def host(folder: Path, adapters: dict[str, Path], rank: int = 64) -> ModelHost:
    model = write_tiny_llama(folder / "tiny.gguf")
    config = ModelConfig(name=str(model), executor="torch-cpu", kv_disk_gib=0, adapters=adapters)
    return model_host(config, EngineConfig(adapter_rank=rank))


async def test_configured_adapters_are_there_when_the_model_is(tmp_path: Path) -> None:
    adapters = {
        "one": write_peft_folder(tmp_path / "one", random_pairs(1)),
        "two": write_gguf_adapter(tmp_path / "two.gguf", random_pairs(2)),
    }
    said: dict[str | None, list[int]] = {}
    async with asyncio.timeout(PATIENCE):
        served = host(tmp_path, adapters)
        async with served.running():
            engine = await served.engine(PATIENCE)
            assert engine is not None
            assert [(info.name, info.path) for info in await engine.adapters()] == list(adapters.items())
            for name in (None, "one", "two"):
                request = Request("x", (5, 6, 7), SamplingParams(temperature=0), 8, adapter=name)
                said[name] = [token async for delta in engine.generate(request) for token in _tokens(delta)]
    assert len({tuple(tokens) for tokens in said.values()}) == 3


def _tokens(delta: object) -> tuple[int, ...]:
    tokens: tuple[int, ...] = delta.tokens  # type: ignore[attr-defined]
    return tokens


async def test_an_adapter_that_cant_be_loaded_is_why_the_model_cant(tmp_path: Path) -> None:
    adapter = write_peft_folder(tmp_path / "one", random_pairs(1), use_dora=True)
    async with asyncio.timeout(PATIENCE):
        served = host(tmp_path, {"one": adapter})
        async with served.running():
            with pytest.raises(ModelError, match="use_dora is True: DoRA"):
                await served.engine(PATIENCE)


def test_a_configuration_names_adapters_and_makes_room_for_them(tmp_path: Path) -> None:
    file = tmp_path / "portico.toml"
    file.write_text('[model.adapters]\nsql = "adapters/sql"\npoet = "poet.gguf"\n[engine]\nadapter_rank = 16\n')
    config = load_config(file, environ={})
    assert config.model.adapters == {"sql": Path("adapters/sql"), "poet": Path("poet.gguf")}
    options = load_options(config.model, config.engine)
    assert (options["adapters"], options["adapter_rank"]) == (2, 16)
    assert "adapters" not in load_options(ModelConfig(), EngineConfig())


def test_a_name_that_no_request_could_say_is_refused_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "portico.toml"
    file.write_text('[model.adapters]\n"a:b" = "x"\n')
    with pytest.raises(ConfigError, match=r"a:b"):
        load_config(file, environ={})
