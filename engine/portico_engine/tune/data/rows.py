"""Examples to training rows: other tools beside, names changed, noise in the question, several questions in one, none answered.

It owns what stands around an example. A row has TRL's shape of prompt and completion, with its origin and licence; the system
message is made by whoever knows the product's prompts.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.changes.near_misses import near_miss
from portico_engine.tune.data.changes.noise import noisy
from portico_engine.tune.data.changes.options import with_unsaid_options
from portico_engine.tune.data.changes.renaming import renamed
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.schema_questions import words_of

SystemText = Callable[[Sequence[Tool]], str]
_REFUSALS = (
    "None of these tools can do that.",
    "None of these tools fits this request.",
    "None of these tools can answer that.",
)  # one beginning: were there several, each would have a part of the probability, and a call won against every one of them
_LINKS = (" And ", " Also, ", " Then ", " Besides, ", "\n", " Additionally, ", " Plus: ", " ")
_COUNTS = (0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 14)
_OFTEN = 400  # tools with a word in their names, from which on it says nothing of what they do
_SERVER_NAMES = ("src", "repo", "project", "manual", "wiki", "kb", "sql", "store", "records", "work", "main", "local")
_LONGEST_TOOL = 900  # characters of JSON of a tool that stands beside


@dataclass(frozen=True, slots=True)
class Row:
    """What is trained on. `given` is how much of the completion the grammar says itself: no loss there. `tools` are those that
    the system message names."""

    prompt: list[dict[str, str]]
    completion: str
    origin: str
    licence: str
    given: str = ""
    tools: tuple[Tool, ...] = ()

    def as_json(self) -> str:
        """In the shape of prompt and completion."""
        answer = [{"role": "assistant", "content": self.completion}]
        about = {"origin": self.origin, "licence": self.licence} | ({"given": self.given} if self.given else {})
        return json.dumps({"prompt": self.prompt, "completion": answer, **about}, ensure_ascii=False, separators=(",", ":"))

    @property
    def question(self) -> str:
        """What a person said."""
        return self.prompt[-1]["content"] if self.prompt else ""


@dataclass(slots=True)
class Neighbours:
    """Tools that may stand beside a question's own, found by the words of their names."""

    tools: list[Tool]
    by_word: dict[str, list[Tool]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.tools = [tool for tool in self.tools if len(json.dumps(tool.parameters)) < _LONGEST_TOOL and tool.description]
        for tool in self.tools:
            for word in _name_words(tool.name):
                self.by_word[word].append(tool)

    def beside(self, own: Sequence[Tool], count: int, rng: random.Random, *, kin: bool) -> list[Tool]:
        """Others, of `kin` names in part; never ones that look like doing the same."""
        words = {word for tool in own for word in _name_words(tool.name)}
        said = {word for tool in own for word in _content(tool.description)} | words
        near = [self.by_word[word] for word in sorted(words) if 0 < len(self.by_word.get(word, ())) < _OFTEN] if kin else []
        taken = {tool.name for tool in own}
        found: list[Tool] = []
        for _ in range(8 * count):
            if len(found) == count:
                break
            tool = rng.choice(rng.choice(near) if near and rng.random() < 0.5 else self.tools)
            mine = _name_words(tool.name)
            alike = len(mine & words) / len(mine | words) >= 0.5 if kin else bool((mine | _content(tool.description)) & said)
            if tool.name not in taken and not alike:
                taken.add(tool.name)
                found.append(tool)
        return found


_COMMON = frozenset(
    "the a an of for in to on and or by with from get set find list show a is are it its at as that this".split()
)


@lru_cache(1 << 15)
def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in words_of(text).replace(",", " ").replace(".", " ").split() if len(word) > 3) - _COMMON


@lru_cache(1 << 15)
def _name_words(name: str) -> frozenset[str]:
    return frozenset(words_of(name).split())


def _with_one_tool_a_name(examples: Sequence[Example]) -> list[Example]:
    """Without those whose tools have the name of another's tool before them: sources name different tools alike."""
    tools: dict[str, Tool] = {}
    kept = []
    for example in examples:
        if all(tools.get(call.tool.name, call.tool).parameters == call.tool.parameters for call in example.calls):
            kept.append(example)
            tools.update({call.tool.name: call.tool for call in example.calls})
    return kept


class RowMaker:
    """Rows from examples. `systems` renders the tools into the system message, one for each way that the product asks."""

    def __init__(
        self,
        neighbours: Neighbours,
        systems: Sequence[SystemText],
        weights: Sequence[float],
        seed: int,
        *,
        renamed: float = 0.6,
    ) -> None:
        """`renamed`: the share of rows whose own tool goes by another name."""
        self._renamed = renamed
        self._neighbours = neighbours
        self._systems = systems
        self._weights = weights
        self._rng = random.Random(seed)

    def row(self, example: Example) -> Row:
        """One row of an example that is answered by its calls, or by none."""
        rng = self._rng
        by_tool: dict[str, Tool] = {}
        calls = []
        for call in example.calls:
            again = by_tool.get(call.tool.name)
            new = self._as(call, again) if again is not None else (renamed(call, rng) if rng.random() < self._renamed else call)
            by_tool[call.tool.name] = new.tool
            calls.append(new)
        if rng.random() < 0.35:
            more = {name: with_unsaid_options(tool, example.question, rng) for name, tool in by_tool.items()}
            calls = [Call(more[old.tool.name], call.arguments) for old, call in zip(example.calls, calls, strict=True)]
            by_tool = more
        own = list(by_tool.values())
        count = rng.choice(_COUNTS) if example.calls else 1 + rng.choice(_COUNTS)
        beside = list(example.offered) or self._neighbours.beside(own, count, rng, kin=True)
        beside = [self._as_named(tool) for tool in beside]
        if len(own) == 1 and rng.random() < 0.15 and (almost := near_miss(own[0], rng)) is not None:
            beside = [almost, *beside]
        names = {tool.name for tool in own}
        tools = own + [tool for tool in beside if tool.name not in names]
        return self._made(example, tools, calls)

    def as_listed(self, example: Example) -> Row:
        """One row of an example with the tools that it offers in order, as a gateway lists them: all, or some of them; in
        a share of the rows the servers, what stands before `__`, go by other names."""
        rng = self._rng
        names = {call.tool.name for call in example.calls}
        left_out = rng.choice((0.0, 0.0, 0.0, 0.3, 0.6))
        tools = [tool for tool in example.offered if tool.name in names or rng.random() >= left_out]
        known = dict.fromkeys(tool.name.partition("__")[0] for tool in tools if "__" in tool.name)
        servers = {server: rng.choice(_SERVER_NAMES) for server in known}
        if rng.random() < self._renamed / 2 and len(set(servers.values())) == len(servers):
            new = {tool.name: _of_server(tool.name, servers) for tool in tools}
        else:
            new = {tool.name: tool.name for tool in tools}
        calls = [Call(replace(call.tool, name=new[call.tool.name]), call.arguments) for call in example.calls]
        return self._made(example, [replace(tool, name=new[tool.name]) for tool in tools], calls, in_order=True)

    def unanswered(self, example: Example) -> Row:
        """The example's question where its tools are not at hand."""
        own = [call.tool for call in example.calls]
        tools = self._neighbours.beside(own, 1 + self._rng.choice(_COUNTS[:11]), self._rng, kin=False)
        return self._made(example, tools, [])

    def nearly(self, example: Example) -> Row | None:
        """The example's question where a tool does almost what is asked. None: nothing is almost its tool."""
        rng = self._rng
        own = example.calls[0].tool
        almost = near_miss(own, rng)
        if almost is None:
            return None
        return self._made(example, self._with_others([self._as_named(almost)], [own, almost]), [])

    def kin_only(self, example: Example, others: Sequence[Tool]) -> Row:
        """The example's question where `others` alone are at hand, which take what it states but do something else."""
        return self._made(example, self._with_others([self._as_named(tool) for tool in others], [example.calls[0].tool]), [])

    def _as_named(self, tool: Tool) -> Tool:
        return renamed(Call(tool, {}), self._rng).tool if self._rng.random() < self._renamed * 2 / 3 else tool

    def _with_others(self, tools: list[Tool], own: Sequence[Tool]) -> list[Tool]:
        more = self._neighbours.beside(own, self._rng.choice((0, 0, 0, 1, 2, 4)), self._rng, kin=False)
        return tools + [tool for tool in more if tool.name not in {one.name for one in tools}]

    def joined(self, examples: Sequence[Example]) -> Row:
        """Several questions in one, answered by the calls of all."""
        rng = self._rng
        examples = _with_one_tool_a_name(examples)
        question = examples[0].question
        for example in examples[1:]:
            link, text = rng.choice(_LINKS), example.question
            if link.strip():
                text = text[:1].lower() + text[1:]
            question = question.rstrip() + ("" if question.rstrip()[-1:] in ".?!" else ".") + link + text
        calls = tuple(call for example in examples for call in example.calls)
        first = examples[0]
        return self.row(Example(question, calls, first.origin, first.licence, first.domain))

    def _as(self, call: Call, tool: Tool) -> Call:
        keys = dict(zip(call.tool.parameters.get("properties") or {}, tool.parameters.get("properties") or {}, strict=True))
        return Call(tool, {keys[key]: value for key, value in call.arguments.items()})

    def _made(self, example: Example, tools: list[Tool], calls: Sequence[Call], *, in_order: bool = False) -> Row:
        rng = self._rng
        if not in_order:
            rng.shuffle(tools)
        system = rng.choices(self._systems, self._weights)[0](tools)
        question = noisy(example.question, [call.arguments for call in calls], rng)
        prompt = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        given = ""
        if not calls:
            completion = rng.choice(_REFUSALS)
        elif len(calls) == 1:
            completion = call_text(calls[0])
            if rng.random() < 0.06:  # what is answered where several were asked for, and one is right
                completion, given = f"[{completion}]", '[{"name":"'
        else:
            completion = f"[{','.join(call_text(call) for call in calls)}]"
        return Row(prompt, completion, example.origin, example.licence, given, tuple(tools))


def _of_server(name: str, servers: Mapping[str, str]) -> str:
    server, link, own = name.partition("__")
    return f"{servers[server]}{link}{own}" if link else name


def call_text(call: Call) -> str:
    """As the grammar writes it: compact, keys in the schema's order."""
    order = {name: at for at, name in enumerate(call.tool.parameters.get("properties") or {})}
    arguments: dict[str, Any] = dict(sorted(call.arguments.items(), key=lambda item: order.get(item[0], 99)))
    return json.dumps({"name": call.tool.name, "arguments": arguments}, ensure_ascii=False, separators=(",", ":"))
