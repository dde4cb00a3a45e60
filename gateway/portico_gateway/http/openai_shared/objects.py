"""Objects that the answers of OpenAI's APIs have in common."""

from __future__ import annotations

from portico_gateway.http.generation.answer import GeneratedAnswer, TokenLogprob
from portico_gateway.http.wire import Json

_IMPOSSIBLE = -9999.0  # OpenAI's reference: the log-probability of a token that can't be


def logprob_object(entry: TokenLogprob) -> Json:
    """A token's log-probability and its alternatives'."""
    return {**_token(entry.token, entry.logprob), "top_logprobs": [_token(*each) for each in entry.top]}


def _token(token: bytes, logprob: float) -> Json:
    shown = logprob if logprob > _IMPOSSIBLE else _IMPOSSIBLE  # JSON has no -Infinity; a NaN is above nothing
    return {"token": token.decode("utf-8", "replace"), "logprob": shown, "bytes": list(token)}


def openai_call_id(identity: str) -> str:
    """The id of a call that the model made."""
    return f"call_{identity}"


def warnings_object(answer: GeneratedAnswer) -> Json:
    """`warnings`, where there are any: a field of ours, which clients of OpenAI's ignore."""
    return {"warnings": answer.warnings} if answer.warnings else {}
