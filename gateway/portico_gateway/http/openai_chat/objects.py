"""A generated answer as OpenAI's chat completion, or as the chunks of a stream. It knows no sockets."""

from __future__ import annotations

from dataclasses import dataclass

from portico_engine import Usage
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, Piece, TextPiece, ThoughtPiece
from portico_gateway.http.openai_shared.objects import logprob_object, openai_call_id, warnings_object
from portico_gateway.http.wire import Json


def completion_object(answer: GeneratedAnswer) -> Json:
    """The chat.completion object of a finished answer."""
    message: Json = {"role": "assistant", "content": answer.text or (None if answer.calls else ""), "refusal": None}
    if answer.calls:
        message["tool_calls"] = [
            {**_call_head(call.id), "function": {"name": call.name, "arguments": call.arguments}} for call in answer.calls
        ]
    if answer.thoughts:
        message["reasoning_content"] = answer.thought
    wanted = answer.prepared.request.sampling.logprobs is not None
    logprobs = {"content": [logprob_object(entry) for entry in answer.logprobs], "refusal": None} if wanted else None
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": logprobs}
    head = _head(answer, "chat.completion")
    return {**head, "choices": [choice], "usage": chat_usage_object(answer.usage), **warnings_object(answer)}


@dataclass(slots=True)
class CompletionChunks:
    """The chunks of one answer's stream."""

    answer: GeneratedAnswer
    _sent_logprobs: int = 0

    def first(self) -> Json:
        """The chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def of(self, piece: Piece) -> Json:
        return self._chunk(_delta(piece))

    def last(self) -> Json:
        """The chunk that says why the answer ended."""
        return {**self._chunk({}, finish_reason=self.answer.finish_reason), **warnings_object(self.answer)}

    def usage(self) -> Json:
        return {**_head(self.answer, "chat.completion.chunk"), "choices": [], "usage": chat_usage_object(self.answer.usage)}

    def _chunk(self, delta: Json, *, finish_reason: str | None = None) -> Json:
        """The next chunk, with the log-probabilities that no chunk before it had."""
        fresh = self.answer.logprobs[self._sent_logprobs :]
        self._sent_logprobs += len(fresh)
        logprobs = {"content": [logprob_object(entry) for entry in fresh]} if fresh else None
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return {**_head(self.answer, "chat.completion.chunk"), "choices": [choice]}


def _delta(piece: Piece) -> Json:
    match piece:
        case TextPiece(text):
            return {"content": text}
        case ThoughtPiece(text):
            return {"reasoning_content": text}
        case CallPiece(index, identity, name):
            return {"tool_calls": [{"index": index, **_call_head(identity), "function": {"name": name, "arguments": ""}}]}
        case ArgumentsPiece(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def chat_usage_object(usage: Usage) -> Json:
    """OpenAI's usage; `forced_tokens` are those that the grammar left no choice about."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"forced_tokens": usage.forced_tokens},
    }


def _head(answer: GeneratedAnswer, kind: str) -> Json:
    return {"id": f"chatcmpl-{answer.id}", "object": kind, "created": answer.created, "model": answer.prepared.generation.model}


def _call_head(identity: str) -> Json:
    return {"id": openai_call_id(identity), "type": "function"}
