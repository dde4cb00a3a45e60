"""Chat turns to prompt text, by the template that the model brings.

It owns the shape that messages and tools have inside (the one that published templates expect), and which of their strings came
from outside: all but the roles that are the API's own. The sandbox is `template_environment`'s. It knows no tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from portico_engine.errors import ChatTemplateError
from portico_engine.text.template_environment import compile_template
from portico_engine.text.untrusted import Disguise, clean_text
from portico_engine.tool import Tool

# Words that are nobody's text: templates build markers of them (Phi's `<|user|>`). Another role is text like any other.
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function", "ipython", "model"))


class ChatTemplate:
    """One model's template. `special_tokens` are its names for them: bos_token, eos_token, ..."""

    def __init__(
        self, source: str, special_tokens: Mapping[str, str] | None = None, *, disguise: Disguise | None = None
    ) -> None:
        """What comes from outside is rendered in `disguise`. Raises ChatTemplateError where the source doesn't parse."""
        self._special_tokens = dict(special_tokens or {})
        self._disguise = disguise or Disguise()
        try:
            self._template = compile_template(clean_text(source), self._disguise)
        except (jinja2.TemplateError, RecursionError) as error:
            raise ChatTemplateError(f"the model's chat template does not parse: {error}") from None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        *,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt's text. Messages have OpenAI's chat shape, `variables` are further ones that this template knows
        (`enable_thinking`). Raises ChatTemplateError with the template's own words.
        """
        return self._disguise.show(
            self.render_disguised(messages, tools, add_generation_prompt=add_generation_prompt, variables=variables)
        )

    def render_disguised(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Tool] | None = None,
        *,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt's text with stand-ins where it came from outside, for `PromptEncoder`. Raises as `render` does."""
        if not messages:
            raise ChatTemplateError("there are no messages to render")
        taken = sorted({"messages", "tools", "add_generation_prompt", *self._special_tokens} & set(variables or {}))
        if taken:
            raise ChatTemplateError(f"chat_template_kwargs can't have {taken[0]!r}: it is said elsewhere, or the model's own")
        try:
            return self._template.render(
                messages=[self._message(message) for message in messages],
                tools=[self._function(tool) for tool in tools] if tools else None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
                **{str(name): self._disguise.hide_all(value) for name, value in (variables or {}).items()},
            )
        except RecursionError:
            raise ChatTemplateError("the messages or tools are nested too deeply for the model's chat template") from None
        except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            said = self._disguise.show(str(error))
            raise ChatTemplateError(f"the model's chat template refuses these messages: {said}") from None

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        plain = _plain(message)
        if self._template.takes_parts:
            plain["content"] = [{"type": "text", "text": plain["content"]}] if plain["content"] else []
        return {
            key if isinstance(key, str) and key in _MESSAGE_KEYS else self._disguise.hide_all(key): value
            if key == "role" and value in _ROLES
            else self._parts(value)
            if key == "content" and self._template.takes_parts
            else self._disguise.hide_all(value)
            for key, value in plain.items()
        }

    def _parts(self, parts: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        """A part's kind is the API's word, its text is not."""
        return [{"type": part["type"], "text": self._disguise.hide(part["text"])} for part in parts]

    def _function(self, tool: Tool) -> dict[str, Any]:
        hide = self._disguise.hide_all
        function = {"name": hide(tool.name), "description": hide(tool.description), "parameters": hide(tool.parameters)}
        return {"type": "function", "function": function}


_MESSAGE_KEYS = frozenset(("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content"))


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
        except (ValueError, RecursionError):
            pass  # shown to the model as it was written
    out["function"] = function
    return out
