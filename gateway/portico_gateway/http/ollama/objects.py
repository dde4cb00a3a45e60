"""A generated answer as the lines of Ollama's stream, and a model as Ollama describes it. It knows no sockets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

from portico_engine import ModelInfo
from portico_gateway.http.generation.answer import GeneratedAnswer, Piece, TextPiece, ThoughtPiece
from portico_gateway.http.openai_shared.objects import logprob_object
from portico_gateway.http.wire import Json
from portico_gateway.model.host import ModelHost

Kind = Literal["chat", "generate"]
_NANOSECONDS = 1_000_000_000
_NEVER = "9999-12-31T23:59:59Z"


def line_of(answer: GeneratedAnswer, kind: Kind, piece: Piece, told: int = 0) -> Json | None:
    """A stream's next line, with the log-probabilities from the place `told` on; None where the piece is of a call, which
    Ollama tells as a whole."""
    match piece:
        case TextPiece(text):
            return {**_head(answer), **_said(kind, text), "done": False, **_logprobs(answer, told)}
        case ThoughtPiece(text):
            return {**_head(answer), **_said(kind, "", text), "done": False, **_logprobs(answer, told)}
        case _:
            return None


def calls_line(answer: GeneratedAnswer) -> Json | None:
    """The line of the answer's calls, if there are any."""
    if not answer.calls:
        return None
    return {**_head(answer), "message": {"role": "assistant", "content": "", "tool_calls": _calls(answer)}, "done": False}


def last_line(answer: GeneratedAnswer, kind: Kind) -> Json:
    """A stream's last line: why it ended, and what it took."""
    return {**_head(answer), **_said(kind, ""), **_ending(answer)}


def whole_object(answer: GeneratedAnswer, kind: Kind) -> Json:
    """A finished answer that is not streamed."""
    said = _said(kind, answer.text, answer.thought)
    if answer.calls and kind == "chat":
        said["message"]["tool_calls"] = _calls(answer)
    return {**_head(answer), **said, **_logprobs(answer), **_ending(answer)}


def loaded_object(model: str, kind: Kind) -> Json:
    """The answer to a request that asked for nothing but the model to be loaded."""
    return {"model": model, "created_at": _now(), **_said(kind, ""), "done": True, "done_reason": "load"}


def _head(answer: GeneratedAnswer) -> Json:
    return {"model": answer.prepared.generation.model, "created_at": _now()}


def _now() -> str:
    return _time(datetime.now(UTC))


def _time(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _logprobs(answer: GeneratedAnswer, told: int = 0) -> Json:
    """The field with those from the place `told` on, where there are any."""
    fresh = answer.logprobs[told:]
    return {"logprobs": [logprob_object(entry) for entry in fresh]} if fresh else {}


def _said(kind: Kind, text: str, thought: str = "") -> Json:
    thinking = {"thinking": thought} if thought else {}
    if kind == "generate":
        return {"response": text, **thinking}
    return {"message": {"role": "assistant", "content": text, **thinking}}


def _calls(answer: GeneratedAnswer) -> list[Json]:
    return [
        {"id": f"call_{call.id}", "function": {"index": index, "name": call.name, "arguments": json.loads(call.arguments)}}
        for index, call in enumerate(answer.calls)
    ]


def _ending(answer: GeneratedAnswer) -> Json:
    usage = answer.usage
    first, rest = (round(seconds * _NANOSECONDS) for seconds in (usage.time_to_first_token, usage.decode_seconds))
    return {
        "done": True,
        "done_reason": "length" if answer.finish_reason == "length" else "stop",
        "total_duration": first + rest,
        "load_duration": 0,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": first,
        "eval_count": usage.completion_tokens,
        "eval_duration": rest,
        **({"warnings": answer.warnings} if answer.warnings else {}),
    }


def tag_object(model: ModelHost) -> Json:
    """A model of the list; what is not known before it is loaded is left open."""
    info = model.loaded.info if model.loaded is not None else None
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _time(datetime.fromtimestamp(model.created, UTC)),
        "size": info.bytes_on_disk if info else 0,
        "digest": info.fingerprint if info else "",
        "details": _details(info),
    }


def running_object(model: ModelHost) -> Json:
    """The loaded model: it stays until this server ends."""
    info = model.loaded.info if model.loaded is not None else None
    on_gpu = info is not None and info.on_gpu
    listed = tag_object(model)
    del listed["modified_at"]
    return {
        **listed,
        "expires_at": _NEVER,
        "size_vram": listed["size"] if on_gpu else 0,
        "context_length": info.context_length if info else 0,
    }


def show_object(info: ModelInfo, template: str) -> Json:
    """A loaded model."""
    return {
        "modelfile": "",
        "parameters": "",
        "template": template,
        "details": _details(info),
        "model_info": {
            "general.architecture": info.architecture,
            "general.parameter_count": info.parameters,
            f"{info.architecture}.context_length": info.context_length,
            f"{info.architecture}.vocab_size": info.vocab_size,
        },
        "capabilities": ["completion", "tools"],
    }


def _details(info: ModelInfo | None) -> Json:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": info.architecture if info else "",
        "families": [info.architecture] if info else [],
        "parameter_size": f"{info.parameters / 1e6:.1f}M" if info else "",
        "quantization_level": info.quantization if info else "",
    }
