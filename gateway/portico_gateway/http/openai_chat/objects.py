"""A generated answer as OpenAI's chat completion, or as the chunks of a stream. It knows no sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from portico_engine import Usage
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, Piece, TextPiece, ThoughtPiece
from portico_gateway.http.generation.request import ToolCall
from portico_gateway.http.generation.text_calls import CalledText, called_text
from portico_gateway.http.openai_shared.objects import chat_usage_object, logprob_object, openai_call_id, warnings_object
from portico_gateway.http.server_tools.loop import ServerCall, ToolLoop
from portico_gateway.http.wire import Json


def completion_object(answers: Sequence[GeneratedAnswer]) -> Json:
    """The chat.completion object of finished answers to one request, a choice each."""
    choices = [{"index": index, **_choice(answer)} for index, answer in enumerate(answers)]
    usage = chat_usage_object([answer.usage for answer in answers])
    return {**_head(answers[0], "chat.completion"), "choices": choices, "usage": usage, **warnings_object(*answers)}


def loop_completion_object(loop: ToolLoop) -> Json:
    """That of an answer before which calls were made here: `mcp_calls` of the message tells of them, a field of ours."""
    made = completion_object([loop.answer])
    made["choices"][0]["message"]["mcp_calls"] = [mcp_call_object(call) for call in loop.calls]
    return {**made, "usage": chat_usage_object([loop.usage]), **warnings_object(*loop.answers)}


def mcp_call_object(call: ServerCall) -> Json:
    """A call that was made here, by the names that the request has."""
    return {
        "id": call.id,
        "server_label": call.tool.label,
        "name": call.tool.name,
        "arguments": call.arguments,
        "output": call.output,
        "error": call.error,
    }


def _choice(answer: GeneratedAnswer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or (None if answer.calls else ""), "refusal": None}
    if answer.calls:
        message["tool_calls"] = [_call_object(answer, call) for call in answer.calls]
    if answer.thoughts:
        message["reasoning_content"] = answer.thought
    wanted = answer.prepared.request.sampling.logprobs is not None
    logprobs = {"content": [logprob_object(entry) for entry in answer.logprobs], "refusal": None} if wanted else None
    return {"message": message, "finish_reason": answer.finish_reason, "logprobs": logprobs}


@dataclass(slots=True)
class CompletionChunks:
    """The chunks of one answer's stream, the choice `index`. With `usage` they all have a usage, null but in the last."""

    answer: GeneratedAnswer
    index: int = 0
    usage: bool = False
    _sent_logprobs: int = 0
    _texts: dict[int, CalledText] = field(default_factory=dict)  # of calls that take a text, by their place

    def first(self) -> Json:
        """The chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def of(self, piece: Piece) -> Json:
        return self._chunk(self._delta(piece))

    def of_call(self, call: ServerCall) -> Json:
        """The chunk of a call that was made here."""
        return self._chunk({"mcp_calls": [mcp_call_object(call)]})

    def last(self) -> Json:
        """The chunk that says why the answer ended."""
        return {**self._chunk({}, finish_reason=self.answer.finish_reason), **warnings_object(self.answer)}

    def _chunk(self, delta: Json, *, finish_reason: str | None = None) -> Json:
        """The next chunk, with the log-probabilities that no chunk before it had."""
        fresh = self.answer.logprobs[self._sent_logprobs :]
        self._sent_logprobs += len(fresh)
        logprobs = {"content": [logprob_object(entry) for entry in fresh]} if fresh else None
        choice: Json = {"index": self.index, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        usage = {"usage": None} if self.usage else {}
        return {**_head(self.answer, "chat.completion.chunk"), "choices": [choice], **usage}

    def _delta(self, piece: Piece) -> Json:
        match piece:
            case TextPiece(text):
                return {"content": text}
            case ThoughtPiece(text):
                return {"reasoning_content": text}
            case CallPiece(index, identity, name):
                call = ToolCall(identity, name, "")
                if self.answer.takes_text(name):
                    self._texts[index] = CalledText()
                return {"tool_calls": [{"index": index, **_call_object(self.answer, call)}]}
            case ArgumentsPiece(index, text) if index in self._texts:
                return {"tool_calls": [{"index": index, "custom": {"input": self._texts[index].feed(text)}}]}
            case ArgumentsPiece(index, text):
                return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def usage_chunk(answer: GeneratedAnswer, usages: Sequence[Usage]) -> Json:
    """A stream's last chunk, where usage was asked for."""
    return {**_head(answer, "chat.completion.chunk"), "choices": [], "usage": chat_usage_object(usages)}


def _call_object(answer: GeneratedAnswer, call: ToolCall) -> Json:
    """A call, whole or with its arguments to come."""
    head = {"id": openai_call_id(call.id)}
    if answer.takes_text(call.name):
        text = called_text(call.arguments) if call.arguments else ""
        return {**head, "type": "custom", "custom": {"name": call.name, "input": text}}
    return {**head, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _head(answer: GeneratedAnswer, kind: str) -> Json:
    return {"id": f"chatcmpl-{answer.id}", "object": kind, "created": answer.created, "model": answer.prepared.generation.model}
