"""The table of APIs holds them all, and they know nothing of each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import portico_gateway.http
from portico_gateway.http.apis import APIS, api_of, error_body
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.service import GenerationService

HTTP = Path(portico_gateway.http.__file__).parent
ROOMS = {"openai_chat", "openai_completions", "openai_responses", "anthropic", "ollama", "ranking", "tokens"}


def imported_rooms(folder: str) -> Iterator[tuple[str, str]]:
    """Of a folder's modules, the parts of the HTTP side that they import."""
    for file in sorted((HTTP / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("portico_gateway.http."):
                yield file.name, str(node.module).split(".")[2]


@pytest.mark.parametrize("folder", [*sorted(ROOMS), "openai_shared", "generation"])
def test_no_room_imports_an_api_that_is_not_its_own(folder: str) -> None:
    assert not [(file, room) for file, room in imported_rooms(folder) if room in ROOMS - {folder}]


def test_generation_imports_no_wire_schema() -> None:
    assert {room for _, room in imported_rooms("generation")} == {
        "draining",
        "generation",
        "errors",
        "identity",
        "limits",
        "sse",
    }


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.prefix)
def test_an_apis_routes_lie_under_its_prefix(api: object) -> None:
    from portico_gateway.http.api import Api

    assert isinstance(api, Api)
    paths = {route.path for route in api.router(GenerationService(None, load_timeout=1)).routes}  # type: ignore[attr-defined]
    assert all(api_of(path) is api for path in paths)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/v1/messages/count_tokens", "/v1/messages"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/messagesx", None),
        ("/v1/chat", None),
        ("/v1/responses/resp_1", "/v1/responses"),
        ("/api/chat", "/api"),
        ("/tokenize", "/tokenize"),
        ("/healthz", None),
    ],
)
def test_a_path_belongs_to_the_api_whose_prefix_it_has(path: str, prefix: str | None) -> None:
    api = api_of(path)
    assert (None if api is None else api.prefix) == prefix


def test_an_error_has_openais_shape_where_no_api_was_called() -> None:
    error = ApiError(404, "nothing there")
    assert error_body(error, "/nowhere") == error_body(error, "/v1/responses")
    assert error_body(error, "/v1/messages")["type"] == "error"
