"""Objects that the answers of OpenAI's APIs have in common."""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine import Usage
from portico_gateway.http.generation.answer import GeneratedAnswer, TokenLogprob
from portico_gateway.http.wire import Json

_IMPOSSIBLE = -9999.0  # OpenAI's reference: the log-probability of a token that can't be


def logprob_object(entry: TokenLogprob) -> Json:
    """A token's log-probability and its alternatives'."""
    return {**_token(entry.token, entry.logprob), "top_logprobs": [_token(*each) for each in entry.top]}


def shown_logprob(logprob: float) -> float:
    """A number that JSON has: it has no -Infinity, and a NaN is above nothing."""
    return logprob if logprob > _IMPOSSIBLE else _IMPOSSIBLE


def _token(token: bytes, logprob: float) -> Json:
    return {"token": token.decode("utf-8", "replace"), "logprob": shown_logprob(logprob), "bytes": list(token)}


def openai_call_id(identity: str) -> str:
    """The id of a call that the model made."""
    return f"call_{identity}"


def chat_usage_object(usages: Sequence[Usage]) -> Json:
    """OpenAI's usage of all answers to one prompt; `forced_tokens` are those that the grammar left no choice about."""
    prompt, completion = usages[0].prompt_tokens, sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usages[0].cached_tokens},
        "completion_tokens_details": {"forced_tokens": sum(usage.forced_tokens for usage in usages)},
    }


def warnings_object(*answers: GeneratedAnswer) -> Json:
    """`warnings`, where there are any: a field of ours, which clients of OpenAI's ignore."""
    warnings = list(dict.fromkeys(warning for answer in answers for warning in answer.warnings))
    return {"warnings": warnings} if warnings else {}
