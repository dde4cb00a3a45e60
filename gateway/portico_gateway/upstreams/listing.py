"""Reads everything that a connected server lists, all pages. It keeps nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import mcp_types
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from portico_gateway.upstreams.catalog import LocalSchema, ServerListing

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_MAX_PAGES = 100
_MAX_LISTED = 5_000  # of one list: a grammar holds a thousand tools, and every host is sent them all
LOCAL_SCHEMA = "portico/local-input-schema"  # in a tool's `_meta`: the URI of a schema for the built-in model alone


QUESTION_READER = "portico/question-reader"  # likewise: the URI that reads `?question=...` as a call of the tool
_PRIVATE = (LOCAL_SCHEMA, QUESTION_READER)


async def list_everything(client: Client) -> ServerListing:
    """Everything a server lists, all pages. A list that it doesn't serve is empty."""
    can = client.server_capabilities
    # A server pinned to an era without discovery announces nothing: then every list is asked for.
    unknown = not (can.tools or can.prompts or can.resources)
    tools = await _all_pages(client.list_tools, lambda page: page.tools) if can.tools or unknown else []
    prompts = await _all_pages(client.list_prompts, lambda page: page.prompts) if can.prompts or unknown else []
    resources = await _all_pages(client.list_resources, lambda page: page.resources) if can.resources or unknown else []
    templates = (
        await _all_pages(client.list_resource_templates, lambda page: page.resource_templates)
        if can.resources or unknown
        else []
    )
    local = {tool.name: found for tool in tools if (found := await _local_schema(client, tool)) is not None}
    readers = {tool.name: uri for tool in tools if isinstance(uri := (tool.meta or {}).get(QUESTION_READER), str)}
    tools = [_without_local(tool) for tool in tools]
    return ServerListing(
        tuple({tool.name: tool for tool in reversed(tools)}.values())[::-1],  # of two tools of one name, the first
        tuple({prompt.name: prompt for prompt in reversed(prompts)}.values())[::-1],
        tuple(resources),
        tuple(templates),
        local,
        readers,
    )


async def _local_schema(client: Client, tool: mcp_types.Tool) -> LocalSchema | None:
    """The input schema that a server keeps for the built-in model alone, where the tool's `_meta` names one."""
    uri = (tool.meta or {}).get(LOCAL_SCHEMA)
    if not isinstance(uri, str):
        return None
    try:
        result = await client.read_resource(uri)
        text = "".join(block.text for block in result.contents if isinstance(block, mcp_types.TextResourceContents))
        schema = json.loads(text)
    except (MCPError, ValueError, RecursionError) as error:
        log.warning("the local input schema of %s can't be read: %s", tool.name, error)
        return None
    return LocalSchema(uri, schema) if isinstance(schema, dict) else None


def _without_local(tool: mcp_types.Tool) -> mcp_types.Tool:
    """The tool as hosts may see it."""
    if not any(key in (tool.meta or {}) for key in _PRIVATE):
        return tool
    meta = {key: value for key, value in (tool.meta or {}).items() if key not in _PRIVATE}
    return tool.model_copy(update={"meta": meta or None})


async def _all_pages(ask: Callable[..., Awaitable[Any]], items: Callable[[Any], Iterable[_T]]) -> list[_T]:
    found: list[_T] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        try:
            page = await ask(cursor=cursor)
        except MCPError as error:
            if error.code == mcp_types.METHOD_NOT_FOUND:
                return found
            raise
        found.extend(items(page))
        if len(found) > _MAX_LISTED:
            log.warning("a list has more than %d entries; the rest is left out", _MAX_LISTED)
            return found[:_MAX_LISTED]
        cursor = page.next_cursor
        if not cursor:
            return found
    log.warning("a list has more than %d pages; the rest is left out", _MAX_PAGES)
    return found
