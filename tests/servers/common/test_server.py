"""A caller that is wrong hears what is wrong, in both eras."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from pydantic import AfterValidator, Field

from portico_servers.common.server import PorticoServer

pytestmark = pytest.mark.anyio
ERAS = ["legacy", "2026-07-28"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


def example() -> PorticoServer[Any]:
    server: PorticoServer[Any] = PorticoServer("example", log_level="CRITICAL")

    @server.tool()
    def read(path: Annotated[str, Field(min_length=1, max_length=8)], start: Annotated[int, AfterValidator(_even)] = 0) -> str:
        if path == "gone":
            raise ToolError("not found: gone")
        if path == "crash":
            raise RuntimeError("a secret")
        return f"{path} from {start}"

    @server.prompt()
    def explain(name: str, tone: str = "dry") -> str:
        return f"Explain {name}, {tone}"

    return server


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'path' is a required property"),
        ({"path": 5}, "path: 5 is not of type 'string'"),
        ({"path": None}, "path: None is not of type 'string'"),
        ({"path": "a", "start": "five"}, "start: 'five' is not of type 'integer'"),
        ({"path": ""}, "path: needs at least 1 character"),
        ({"path": "x" * 5000}, "path: may have at most 8 characters"),
        ({"path": "a", "start": 3}, "start: Value error, 3 is odd"),
        ({"path": "gone"}, "not found: gone"),
        ({"path": "crash"}, "Error executing tool read"),
    ],
)
async def test_a_refused_call_is_an_error_result_with_only_what_is_wrong(
    mode: str, arguments: dict[str, Any], said: str
) -> None:
    async with Client(example(), mode=mode) as client:
        result = await client.call_tool("read", arguments)
    assert result.is_error
    assert [block.text for block in result.content] == [said]  # type: ignore[union-attr]


async def test_a_call_whose_numbers_came_as_text_is_answered() -> None:
    async with Client(example()) as client:
        result = await client.call_tool("read", {"path": "a", "start": "4"})
    assert not result.is_error
    assert result.content[0].text == "a from 4"  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("nope", {}, "no prompt is named 'nope'; there are: explain"),
        ("explain", {}, "prompt explain: 'name' is a required argument"),
        ("explain", None, "prompt explain: 'name' is a required argument"),
        ("explain", {"name": "x", "tune": "y"}, "prompt explain has no argument 'tune'; it has: name, tone"),
    ],
)
async def test_a_prompt_that_can_not_be_rendered_is_invalid_params(
    mode: str, name: str, arguments: dict[str, str] | None, said: str
) -> None:
    async with Client(example(), mode=mode) as client:
        with pytest.raises(MCPError) as refusal:
            await client.get_prompt(name, arguments)
        assert (refusal.value.error.code, refusal.value.error.message) == (INVALID_PARAMS, said)
        assert "Explain x, dry" in str(await client.get_prompt("explain", {"name": "x"}))
