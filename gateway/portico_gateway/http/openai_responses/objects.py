"""A generated answer as OpenAI's response: the object, its output's items, and the events in which a stream tells of them.

One builder makes items and events, so that a stream adds up to the response. It knows no sockets.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from portico_engine import Usage
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, Piece, TextPiece, ThoughtPiece
from portico_gateway.http.generation.request import ToolCall, Turn
from portico_gateway.http.generation.text_calls import CalledText
from portico_gateway.http.openai_responses.body import ResponsesRequest
from portico_gateway.http.openai_responses.items import add_call
from portico_gateway.http.openai_responses.response_store import StoredResponse
from portico_gateway.http.openai_responses.tools import CalledTool, function_call_item, tool_object
from portico_gateway.http.openai_shared.objects import logprob_object, openai_call_id
from portico_gateway.http.wire import Json


def response_object(body: ResponsesRequest, answer: GeneratedAnswer, status: str) -> Json:
    """The response object, without output yet."""
    sampling = answer.prepared.request.sampling
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": answer.prepared.generation.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": body.store is not False,
        "temperature": sampling.temperature,
        "text": {"format": _format(body)},
        "tool_choice": body.model_dump(include={"tool_choice"})["tool_choice"] or "auto",
        "tools": [tool_object(tool) for tool in body.tools or []],
        "top_p": sampling.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
    }


def _format(body: ResponsesRequest) -> Json:
    wanted = body.text.format if body.text is not None else None
    return wanted.model_dump(by_alias=True) if wanted is not None else {"type": "text"}


def responses_usage_object(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


@dataclass(slots=True)
class OutputItems:
    """The items so far; the last one may be open. `feed` takes the pieces of an answer; `tools` are those of the request, by
    the names that the model calls them by."""

    answer: GeneratedAnswer
    tools: Mapping[str, CalledTool]
    items: list[Json] = field(default_factory=list)
    _open: str | None = None  # what the last item is: text, reasoning, or a call's place
    _told: int = 0  # log-probabilities that a delta had
    _text: CalledText | None = None  # of the open item, where it is a call that takes a text

    def feed(self, piece: Piece) -> Iterator[Json]:
        """The events of one piece."""
        match piece:
            case TextPiece(text):
                yield from self._inside("text", {"type": "message", "id": _new("msg"), "role": "assistant"}, "content")
                part = self.items[-1]["content"][0]
                fresh = self._fresh_logprobs()
                part["text"] += text
                part["logprobs"] += fresh
                yield self._event("output_text.delta", delta=text, content_index=0, logprobs=fresh)
            case ThoughtPiece(text):
                yield from self._inside("reasoning", {"type": "reasoning", "id": _new("rs"), "summary": []}, "content")
                self.items[-1]["content"][0]["text"] += text
                yield self._event("reasoning_text.delta", delta=text, content_index=0)
            case CallPiece(index, identity, name):
                called = self.tools[name].call_item("")
                self._text = CalledText() if "input" in called else None
                identities = {"id": _new("ctc" if self._text else "fc"), "call_id": openai_call_id(identity)}
                yield from self._inside(f"call {index}", {**called, **identities}, None)
            case ArgumentsPiece(_, arguments) if self._text is not None:
                text = self._text.feed(arguments)
                self.items[-1]["input"] += text
                if text:
                    yield self._event("custom_tool_call_input.delta", delta=text)
            case ArgumentsPiece(_, text):
                self.items[-1]["arguments"] += text
                yield self._event("function_call_arguments.delta", delta=text)

    def end(self) -> Iterator[Json]:
        """Close the open item. A call that was cut is no item."""
        if self.answer.cut is not None and self._open == f"call {self.answer.cut.index}":
            self.items.pop()
            self._open = None
        yield from self._close()

    def _inside(self, kind: str, item: Json, parts: str | None) -> Iterator[Json]:
        if kind == self._open:
            return
        yield from self._close()
        self._open = kind
        self.items.append({**item, "status": "in_progress", **({parts: []} if parts else {})})
        yield self._event("output_item.added", item=dict(self.items[-1]), of_item=False)
        if parts:
            part = _text_part() if kind == "text" else {"type": "reasoning_text", "text": ""}
            self.items[-1][parts] = [part]
            yield self._event("content_part.added", part=dict(part), content_index=0)

    def _close(self) -> Iterator[Json]:
        if self._open is None:
            return
        kind, self._open = self._open, None
        item = self.items[-1]
        if kind.startswith("call") and "input" in item:
            yield self._event("custom_tool_call_input.done", input=item["input"])
        elif kind.startswith("call"):
            yield self._event("function_call_arguments.done", arguments=item["arguments"], name=item["name"])
        else:
            (part,) = item["content"]
            if kind == "text":
                yield self._event("output_text.done", text=part["text"], content_index=0, logprobs=part["logprobs"])
            else:
                yield self._event("reasoning_text.done", text=part["text"], content_index=0)
            yield self._event("content_part.done", part=part, content_index=0)
        cut = self.answer.finish_reason == "length" and not kind.startswith("call")
        item["status"] = "incomplete" if cut else "completed"
        yield self._event("output_item.done", item=item, of_item=False)

    def _event(self, kind: str, *, of_item: bool = True, **data: Any) -> Json:
        about = {"item_id": self.items[-1]["id"]} if of_item else {}
        return {"type": f"response.{kind}", "output_index": len(self.items) - 1, **about, **data}

    def _fresh_logprobs(self) -> list[Json]:
        fresh = self.answer.logprobs[self._told :]
        self._told += len(fresh)
        return [logprob_object(entry) for entry in fresh]


def output_items(answer: GeneratedAnswer, tools: Mapping[str, CalledTool]) -> list[Json]:
    """The items of a finished answer."""
    output = OutputItems(answer, tools)
    for piece in _pieces(answer):
        for _ in output.feed(piece):
            pass
    for _ in output.end():
        pass
    return output.items


def _pieces(answer: GeneratedAnswer) -> Iterator[Piece]:
    if answer.thoughts:
        yield ThoughtPiece(answer.thought)
    if answer.content:
        yield TextPiece(answer.text)
    for index, call in enumerate(answer.calls):
        yield CallPiece(index, call.id, call.name)
        yield ArgumentsPiece(index, call.arguments)


def output_turns(answer: GeneratedAnswer) -> list[Turn]:
    """The output as turns of a conversation."""
    turns = [Turn("assistant", answer.text)] if answer.content else []
    for call in answer.calls:
        add_call(turns, ToolCall(openai_call_id(call.id), call.name, call.arguments))
    return turns


def input_items(stored: StoredResponse) -> list[Json]:
    """The items that a stored response was made from, oldest first, its instructions left out."""
    name = stored.response["id"].removeprefix("resp_")
    items: list[Json] = []
    for turn in stored.turns[: stored.asked]:
        if turn.role == "tool":
            items.append({"type": "function_call_output", "call_id": turn.tool_call_id or "", "output": turn.content})
        elif turn.content or not turn.tool_calls:
            kind = "output_text" if turn.role == "assistant" else "input_text"
            part: Json = {"type": kind, "text": turn.content}
            part |= {"annotations": [], "logprobs": []} if kind == "output_text" else {}
            items.append({"type": "message", "role": turn.role, "content": [part]})
        for call in turn.tool_calls:
            tool = stored.tools.get(call.name)
            item = tool.call_item(call.arguments) if tool else function_call_item(call.name, None, call.arguments)
            items.append({**item, "call_id": call.id})
    return [{"id": f"item_{name}_{index}", "status": "completed", **item} for index, item in enumerate(items)]


def _text_part() -> Json:
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def _new(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
