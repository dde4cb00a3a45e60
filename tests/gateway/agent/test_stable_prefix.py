from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from portico_gateway.agent.stable_prefix import StablePrefix


def tokens_of(messages: Sequence[Mapping[str, str]]) -> list[int]:
    """A character is a token."""
    return [ord(c) for c in "".join(f"<{m['role']}>{m['content']}</>" for m in messages)]


async def render(messages: Sequence[Mapping[str, str]]) -> list[int]:
    return tokens_of(messages)


def prompt(system: str, question: str) -> list[int]:
    return tokens_of([{"role": "system", "content": system}, {"role": "user", "content": question}])


def test_it_ends_where_the_question_begins() -> None:
    tokens = prompt("Call a tool.", "Where?")
    length = anyio.run(StablePrefix(render).length, "Call a tool.", tokens)
    assert "".join(map(chr, tokens[:length])) == "<system>Call a tool.</><user>"


def test_what_depends_on_the_question_inside_the_instructions_is_left_out() -> None:
    tokens = prompt("Call a tool.\n\nMost useful here: search", "Where?")
    length = anyio.run(StablePrefix(render).length, "Call a tool.", tokens)
    assert "".join(map(chr, tokens[:length])) == "<system>Call a tool."


def test_instructions_are_rendered_once() -> None:
    rendered: list[str] = []

    async def counted(messages: Sequence[Mapping[str, str]]) -> list[int]:
        rendered.append(messages[0]["content"])
        return tokens_of(messages)

    own = StablePrefix(counted)
    for question in ("a", "b", "c"):
        anyio.run(own.length, "Call.", prompt("Call.", question))
    assert rendered == ["Call."]
