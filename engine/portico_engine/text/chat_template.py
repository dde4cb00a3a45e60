"""Chat turns to prompt text, by the template that the model brings.

It owns the sandbox that the template runs in and the shape that messages and tools have inside (the one that published
templates expect). It knows no tokens. Templates come with models from anywhere: they run in jinja2's immutable sandbox, without
access to files or attributes.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from portico_engine.errors import ChatTemplateError
from portico_engine.tool import Tool


class ChatTemplate:
    """One model's template. `special_tokens` are its names for them: bos_token, eos_token, ..."""

    def __init__(self, source: str, special_tokens: Mapping[str, str] | None = None) -> None:
        """Raises ChatTemplateError where the source doesn't parse."""
        self._special_tokens = dict(special_tokens or {})
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ChatTemplateError(f"the model's chat template does not parse: {error}") from None

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool] | None = None, *, add_generation_prompt: bool = True
    ) -> str:
        """The prompt's text. Messages have OpenAI's chat shape. Raises ChatTemplateError with the template's own words."""
        if not messages:
            raise ChatTemplateError("there are no messages to render")
        try:
            return self._template.render(
                messages=[_plain(message) for message in messages],
                tools=[_function(tool) for tool in tools] if tools else None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
            raise ChatTemplateError(f"the model's chat template refuses these messages: {error}") from None


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """Content as one string: templates add it to strings. Calls' arguments as objects: templates print them as JSON."""
    out = dict(message)
    if not isinstance(out.get("role"), str):
        raise ChatTemplateError("every message needs a role: system, user, assistant or tool")
    content = out.get("content")
    if content is None:
        out["content"] = ""
    elif not isinstance(content, str):
        out["content"] = "".join(_text_part(part) for part in content)
    if out.get("tool_calls"):
        out["tool_calls"] = [_call(call) for call in out["tool_calls"]]
    return out


def _text_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise ChatTemplateError(f"a message holds a part of type {kind!r}; this model takes text only")


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(call)
    function = dict(out.get("function") or {})
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"] or "{}")
        except ValueError:
            pass  # shown to the model as it was written
    out["function"] = function
    return out


def _function(tool: Tool) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}


def _tojson(value: Any, indent: int | None = None, **_: Any) -> str:
    """Plain JSON: jinja2's own filter escapes `<`, `>`, `&` and `'` for HTML, which a model has never seen."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)
