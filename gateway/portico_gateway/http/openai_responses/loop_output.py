"""What a loop of turns and calls made here is as the items of one response, and the events in which a stream tells of them.

One builder makes items and events, as `objects.py` does for a single turn. It knows no sockets.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from portico_gateway.http.generation.answer import GeneratedAnswer
from portico_gateway.http.openai_responses.objects import OutputItems
from portico_gateway.http.openai_responses.tools import CalledTool
from portico_gateway.http.server_tools.loop import (
    ApprovalAsked,
    CallBegun,
    CallEnded,
    LoopEvent,
    ServerCall,
    ToolsListed,
    TurnBegun,
    TurnEnded,
)
from portico_gateway.http.server_tools.toolset import Listing
from portico_gateway.http.wire import Json

APPROVAL = "mcpr_"  # before an approval's id, which makes it the id of the item that asks for it


@dataclass(slots=True)
class LoopOutput:
    """The items so far. `tools` are the client's own; `lists`: the response tells what the servers offer."""

    tools: Mapping[str, CalledTool]
    lists: bool
    items: list[Json] = field(default_factory=list)
    _turn: OutputItems | None = None
    _calls: dict[str, Json] = field(default_factory=dict)  # items of calls under way, by the call's id

    def feed(self, event: LoopEvent) -> Iterator[Json]:
        """The events that it adds."""
        match event:
            case ToolsListed(listings):
                for listing in listings if self.lists else ():
                    yield from self._list(listing)
            case TurnBegun(answer):
                self._turn = self._output(answer)
            case TurnEnded():
                if self._turn is not None:
                    yield from self._turn.end()
            case CallBegun(call):
                yield from self._begin(call)
            case CallEnded(call):
                yield from self._end(call)
            case ApprovalAsked(call):
                yield from self._ask(call)
            case piece:
                assert self._turn is not None
                yield from self._turn.feed(piece)

    def _output(self, answer: GeneratedAnswer) -> OutputItems:
        return OutputItems(answer, self.tools, self.items)

    def _list(self, listing: Listing) -> Iterator[Json]:
        item: Json = {"id": _new("mcpl"), "type": "mcp_list_tools", "server_label": listing.label, "tools": []}
        self.items.append(item)
        yield self._event("output_item.added", item, item=dict(item))
        yield self._event("mcp_list_tools.in_progress", item, item_id=item["id"])
        item["tools"] = [
            {
                "name": each.name,
                "description": each.tool.description,
                "input_schema": each.entry.tool.input_schema,
                "annotations": {"read_only": bool(each.entry.tool.annotations and each.entry.tool.annotations.read_only_hint)},
            }
            for each in listing.tools
        ]
        item["error"] = listing.error
        yield self._event(f"mcp_list_tools.{'failed' if listing.error else 'completed'}", item, item_id=item["id"])
        yield self._event("output_item.done", item, item=item)

    def _begin(self, call: ServerCall) -> Iterator[Json]:
        item: Json = {
            "id": _new("mcp"),
            "type": "mcp_call",
            "server_label": call.tool.label,
            "name": call.tool.name,
            "arguments": "",
            "approval_request_id": f"{APPROVAL}{call.approval}" if call.approval else None,
            "output": None,
            "error": None,
            "status": "in_progress",
        }
        self.items.append(item)
        self._calls[call.id] = item
        yield self._event("output_item.added", item, item=dict(item))
        yield self._event("mcp_call.in_progress", item, item_id=item["id"])
        item["arguments"] = call.arguments
        yield self._event("mcp_call_arguments.delta", item, item_id=item["id"], delta=call.arguments)
        yield self._event("mcp_call_arguments.done", item, item_id=item["id"], arguments=call.arguments)

    def _end(self, call: ServerCall) -> Iterator[Json]:
        item = self._calls.pop(call.id)
        item |= {"output": call.output, "error": _error(call.error), "status": "failed" if call.error else "completed"}
        yield self._event(f"mcp_call.{item['status']}", item, item_id=item["id"])
        yield self._event("output_item.done", item, item=item)

    def _ask(self, call: ServerCall) -> Iterator[Json]:
        item: Json = {
            "id": f"{APPROVAL}{call.approval}",
            "type": "mcp_approval_request",
            "server_label": call.tool.label,
            "name": call.tool.name,
            "arguments": call.arguments,
        }
        self.items.append(item)
        yield self._event("output_item.added", item, item=item)
        yield self._event("output_item.done", item, item=item)

    def _event(self, kind: str, about: Json, **data: Any) -> Json:
        """`about`: the item that it tells of."""
        place = next(index for index, each in enumerate(self.items) if each is about)
        return {"type": f"response.{kind}", "output_index": place, **data}


def _error(said: str | None) -> Json | None:
    if said is None:
        return None
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": said}]}


def _new(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
