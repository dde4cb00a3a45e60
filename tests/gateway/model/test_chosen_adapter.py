"""[model] adapter: the one that answers where a request names none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydantic
import pytest
from tests.engine.adapters.adapter_files import random_pairs, write_peft_folder
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import EngineClient, Request, SamplingParams
from portico_engine.adapters import default_adapter
from portico_engine.errors import AdapterError
from portico_gateway.config.sections import EngineConfig, ModelConfig
from portico_gateway.errors import GatewayError
from portico_gateway.model.chosen_adapter import adapter_places, chosen_adapter
from portico_gateway.model.lazy_engine import LazyEngine
from portico_gateway.model.options import load_options

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("chosen") / "tiny.gguf")


def config(model: Path, tmp_path: Path, adapter: str) -> ModelConfig:
    one = write_peft_folder(tmp_path / "one", random_pairs(1))
    return ModelConfig(name=str(model), executor="torch-cpu", kv_disk_gib=0, adapters={"one": one}, adapter=adapter)


async def said(engine: EngineClient, adapter: str | None = None) -> list[int]:
    request = Request("x", (5, 6, 7), SamplingParams(temperature=0), 8, adapter=adapter)
    return [token for deltas in [[d async for d in engine.generate(request)]] for delta in deltas for token in delta.tokens]


async def test_ask_s_engine_answers_under_the_chosen_adapter_and_without_one_by_itself(tmp_path: Path, model: Path) -> None:
    answers = {}
    for adapter in ("none", "one"):
        lazy = LazyEngine(config(model, tmp_path / adapter, adapter))
        try:
            engine = await lazy.get()
            answers[adapter] = await said(engine)
            assert [info.name for info in await engine.adapters()] == [adapter] * (adapter != "none")
        finally:
            await lazy.aclose()
    assert answers["none"] != answers["one"]


async def test_an_adapter_that_cant_be_loaded_is_why_the_model_cant(tmp_path: Path, model: Path) -> None:
    broken = write_peft_folder(tmp_path / "broken", random_pairs(1), use_dora=True)
    chosen = ModelConfig(name=str(model), executor="torch-cpu", kv_disk_gib=0, adapters={"one": broken}, adapter="one")
    with pytest.raises(GatewayError, match=r"the model can't be loaded: .*use_dora"):
        await LazyEngine(chosen).get()


def test_the_package_s_own_lies_beside_the_engine_s_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_adapter, "FOLDER", tmp_path / "default")
    with pytest.raises(AdapterError, match=r"this installation has no default adapter .*make adapter"):
        adapter_places(ModelConfig(adapter="default"))
    folder = write_peft_folder(tmp_path / "default", random_pairs(1))
    digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    (folder / "DIGEST").write_text(f"{digest}  adapter_model.safetensors\n")
    assert adapter_places(ModelConfig(adapter="default", adapters={"one": Path("x")})) == {"default": folder, "one": Path("x")}
    assert adapter_places(ModelConfig()) == {}


def test_there_are_places_for_what_may_be_asked_for() -> None:
    chosen = ModelConfig(adapters={"one": Path("x"), "two": Path("y")}, adapter="one", kv_disk_gib=0)
    assert load_options(chosen)["adapters"] == 1, "ask names no other"
    assert load_options(chosen, EngineConfig())["adapters"] == 2
    assert load_options(ModelConfig(adapter="default"), EngineConfig())["adapters"] == 1
    assert "adapters" not in load_options(ModelConfig())
    assert chosen_adapter(ModelConfig()) is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"adapter": "two", "adapters": {"one": "x"}}, "there is no adapter 'two'; adapter may be none, default, one"),
        ({"adapters": {"none": "x"}}, "an adapter can't be called 'none'"),
        ({"adapters": {"default": "x"}}, "an adapter can't be called 'default'"),
    ],
)
def test_an_adapter_that_is_none_of_those_is_refused(given: dict[str, object], error: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=error):
        ModelConfig.model_validate(given)
