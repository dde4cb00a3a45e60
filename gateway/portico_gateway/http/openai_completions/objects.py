"""Generated answers as OpenAI's text completion, or as the chunks of a stream. It knows no sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portico_gateway.http.generation.answer import GeneratedAnswer, TokenLogprob
from portico_gateway.http.openai_shared.objects import chat_usage_object, shown_logprob, warnings_object
from portico_gateway.http.wire import Json


@dataclass(frozen=True, slots=True)
class PromptAnswers:
    """The answers to one prompt. `echo` is its text, where it comes back before each."""

    answers: Sequence[GeneratedAnswer]
    echo: str = ""


def by_prompt(answers: Sequence[GeneratedAnswer], echoes: Sequence[str]) -> list[PromptAnswers]:
    """Answers in the order of their prompts, as many to each; a prompt's echo stands before its answers."""
    n = len(answers) // len(echoes)
    return [PromptAnswers(answers[index * n : (index + 1) * n], echo) for index, echo in enumerate(echoes)]


def text_completion_object(prompts: Sequence[PromptAnswers]) -> Json:
    """The text_completion object of finished answers, a choice each, prompt by prompt."""
    choices = [_choice(answer, each.echo) for each in prompts for answer in each.answers]
    every = [answer for each in prompts for answer in each.answers]
    return {
        **_head(every[0]),
        "choices": [{**choice, "index": index} for index, choice in enumerate(choices)],
        "usage": completions_usage_object(prompts),
        **warnings_object(*every),
    }


def completions_usage_object(prompts: Sequence[PromptAnswers]) -> Json:
    """Of all prompts together."""
    parts = [chat_usage_object([answer.usage for answer in each.answers]) for each in prompts]
    total = parts[0]
    for part in parts[1:]:
        total = _sum(total, part)
    return total


def _sum(first: Json, second: Json) -> Json:
    return {key: _sum(value, second[key]) if isinstance(value, dict) else value + second[key] for key, value in first.items()}


def _choice(answer: GeneratedAnswer, echo: str) -> Json:
    return {
        "text": echo + answer.text,
        "finish_reason": answer.finish_reason,
        "logprobs": _logprobs(answer, answer.logprobs, len(echo)),
    }


@dataclass(slots=True)
class TextChunks:
    """The chunks of one answer's stream, the choice `index`. With `usage` they all have a usage, null but in the last."""

    answer: GeneratedAnswer
    index: int
    usage: bool
    _sent_logprobs: int = 0
    _sent: int = 0  # characters

    def of(self, text: str) -> Json:
        """The next chunk, with the log-probabilities that no chunk before it had."""
        fresh = self.answer.logprobs[self._sent_logprobs :]
        self._sent_logprobs += len(fresh)
        chunk = self._chunk(text, None, _logprobs(self.answer, fresh, self._sent))
        self._sent += len(text)
        return chunk

    def last(self) -> Json:
        """The chunk that says why the answer ended."""
        return {**self._chunk("", self.answer.finish_reason, None), **warnings_object(self.answer)}

    def _chunk(self, text: str, reason: str | None, logprobs: Json | None) -> Json:
        choice = {"text": text, "index": self.index, "finish_reason": reason, "logprobs": logprobs}
        return {**_head(self.answer), "choices": [choice], **({"usage": None} if self.usage else {})}


def text_usage_chunk(prompts: Sequence[PromptAnswers]) -> Json:
    """A stream's last chunk, where usage was asked for."""
    return {**_head(prompts[0].answers[0]), "choices": [], "usage": completions_usage_object(prompts)}


def _logprobs(answer: GeneratedAnswer, entries: Sequence[TokenLogprob], offset: int) -> Json | None:
    """Those of an answer's tokens, the prompt's left out; `offset` is where the first one begins in the text."""
    if answer.prepared.request.sampling.logprobs is None:
        return None
    offsets: list[int] = []
    for entry in entries:
        offsets.append(offset)
        offset += len(_text(entry.token))
    return {
        "tokens": [_text(entry.token) for entry in entries],
        "token_logprobs": [shown_logprob(entry.logprob) for entry in entries],
        "top_logprobs": [{_text(token): shown_logprob(value) for token, value in entry.top} for entry in entries],
        "text_offset": offsets,
    }


def _text(token: bytes) -> str:
    return token.decode("utf-8", "replace")


def _head(answer: GeneratedAnswer) -> Json:
    model = answer.prepared.generation.model
    return {"id": f"cmpl-{answer.id}", "object": "text_completion", "created": answer.created, "model": model}
