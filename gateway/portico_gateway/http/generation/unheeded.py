"""What another server's answer shows of a grammar that was not kept to: text by text, where our own decoder could not err."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portico_engine.grammar import NamedTool, accepts

if TYPE_CHECKING:
    from portico_gateway.http.generation.answer import GeneratedAnswer


def unheeded_grammar(answer: GeneratedAnswer) -> str | None:
    """What is wrong with the answer by its grammar; None of one that follows it, or that only spaces its JSON otherwise."""
    prepared = answer.prepared
    grammar, asked = prepared.request.grammar, prepared.generation
    if grammar is None or accepts(grammar, "".join(answer.raw)):
        return None
    if asked.grammar is not None:
        return "the answer does not follow the grammar"
    if answer.cut is not None:
        return f"the call of {answer.cut.name} is broken off: {answer.cut.reason}"
    names = {tool.name for tool in prepared.tools}
    if stranger := next((call.name for call in answer.calls if call.name not in names), None):
        return f"no tool is named {stranger!r}"
    choice = asked.tool_choice
    if (choice == "required" or isinstance(choice, NamedTool)) and not answer.calls:
        return "no tool is called, and a call is demanded"
    if isinstance(choice, NamedTool) and (
        other := next((call.name for call in answer.calls if call.name != choice.name), None)
    ):
        return f"{other} is called, and a call of {choice.name} is demanded"
    if asked.parallel_tool_calls is False and len(answer.calls) > 1:
        return f"{len(answer.calls)} calls are made, and one is allowed"
    if text := next((call.name for call in answer.calls if answer.takes_text(call.name)), None):
        return f"the text of the call of {text} does not follow its grammar"
    return None  # schemas are checked by whoever asks
