"""An adapter is trained on the very tokens that it is asked with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import AsyncEngine, Tool, load_engine
from portico_engine.tune.rendering import ChatRenderer
from portico_gateway.agent.prompts import with_system
from portico_gateway.agent.tool_signatures import catalog_text, explained_signature, signature
from portico_gateway.http.generation.prepare import prepare
from portico_gateway.http.generation.prompt import EXPLAINED
from portico_gateway.http.generation.request import FieldNames, GenerationRequest, Turn

pytestmark = pytest.mark.anyio

FIELDS = FieldNames("messages", "max_tokens", "response_format")
CITY = {"type": "string", "description": "The city and state, e.g. Boston, MA"}
DAYS = {"type": "integer", "default": 3}
WEATHER = Tool(
    "weather", "The forecast. And more.", {"type": "object", "properties": {"city": CITY, "days": DAYS}, "required": ["city"]}
)
CLOCK = Tool("clock", "Tells the time.", {"type": "object", "properties": {}})
TOOLS = (WEATHER, CLOCK)
QUESTION = "Will it rain in Oslo?"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("prompts") / "tiny.gguf", context=2048)


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "packaging" / "default_adapter.py"
    spec = importlib.util.spec_from_file_location("default_adapter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(model: Path, system: str) -> list[int]:
    return ChatRenderer(model).prompt([{"role": "system", "content": system}, {"role": "user", "content": QUESTION}])


@pytest.mark.parametrize("prompts", ["", EXPLAINED])
async def test_rows_are_the_tokens_that_serve_asks_with(model: Path, recipe: ModuleType, prompts: str) -> None:
    """Without an adapter that has learned to read them, parameters stay unexplained."""
    engine = await AsyncEngine.open(lambda progress: load_engine(model, executor="torch-cpu"))
    try:
        asked = GenerationRequest("tiny", (Turn("user", QUESTION),), FIELDS, tools=TOOLS, prompts=prompts)
        served = (await prepare(asked, engine)).request.prompt
    finally:
        await engine.aclose()
    assert (list(served) == row(model, recipe.serve_system(TOOLS))) == (prompts == EXPLAINED)


async def test_rows_are_the_tokens_that_ask_asks_with(model: Path, recipe: ModuleType) -> None:
    async def fits(text: str) -> bool:
        return True

    messages = with_system(await catalog_text(TOOLS, fits=fits, best=TOOLS), [{"role": "user", "content": QUESTION}])
    assert ChatRenderer(model).prompt(messages) == row(model, recipe.ask_system(TOOLS))


def test_an_explained_signature_says_what_each_parameter_is_and_what_it_is_by_default() -> None:
    assert explained_signature(WEATHER) == (
        'weather(city: string "The city and state, e.g. Boston, MA", days?: integer "Default: 3") - The forecast.'
    )
    assert signature(WEATHER) == "weather(city: string, days?: integer) - The forecast."
