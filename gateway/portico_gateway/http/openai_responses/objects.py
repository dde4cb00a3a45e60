"""The output of a response as OpenAI's items, and the events in which a stream tells of them. It knows no sockets.

One builder makes both, so that a stream adds up to the response.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from portico_gateway.http.openai_chat.objects import Answer

Json = dict[str, Any]


@dataclass(slots=True)
class Output:
    """The items so far; the last one may be open. `feed` takes the pieces of an answer."""

    answer: Answer
    items: list[Json] = field(default_factory=list)
    _open: str | None = None  # what the last item is: text, reasoning, or a call's place
    _told: int = 0  # log-probabilities that a delta had

    def feed(self, piece: Json) -> Iterator[Json]:
        """The events of one piece."""
        if text := piece.get("content"):
            yield from self._inside("text", {"type": "message", "id": _new("msg"), "role": "assistant"}, "content")
            part = self.items[-1]["content"][0]
            fresh = self._fresh_logprobs()
            part["text"] += text
            part["logprobs"] += fresh
            yield self._event("output_text.delta", delta=text, content_index=0, logprobs=fresh)
        if thought := piece.get("reasoning_content"):
            yield from self._inside("reasoning", {"type": "reasoning", "id": _new("rs"), "summary": []}, "content")
            self.items[-1]["content"][0]["text"] += thought
            yield self._event("reasoning_text.delta", delta=thought, content_index=0)
        for call in piece.get("tool_calls", ()):
            function = call["function"]
            if "id" in call:
                item = {"type": "function_call", "id": _new("fc"), "call_id": call["id"], "name": function["name"]}
                yield from self._inside(f"call {call['index']}", {**item, "arguments": ""}, None)
            if function["arguments"]:
                self.items[-1]["arguments"] += function["arguments"]
                yield self._event("function_call_arguments.delta", delta=function["arguments"])

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
        if kind.startswith("call"):
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
        return fresh


def items_of(answer: Answer) -> list[Json]:
    """The items of a finished answer."""
    output = Output(answer)
    pieces: list[Json] = [
        {"reasoning_content": "".join(answer.reasoning)},
        {"content": "".join(answer.content)},
        {"tool_calls": [{"index": index, **call} for index, call in enumerate(answer.calls)]},
    ]
    for piece in pieces:
        for _ in output.feed(piece):
            pass
    for _ in output.end():
        pass
    return output.items


def _text_part() -> Json:
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def _new(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
