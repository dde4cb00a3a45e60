"""So many questions a workspace and server, with all of the workspace's tools at hand.

A call that its tool doesn't take is left out, and none is asked twice of a workspace.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.sources.own_servers.about_code import about_code
from portico_engine.tune.data.sources.own_servers.about_data import about_data
from portico_engine.tune.data.sources.own_servers.about_docs import about_docs
from portico_engine.tune.data.sources.own_servers.asked import Asked
from portico_engine.tune.data.sources.own_servers.workspace import Workspace

ORIGIN = ("our servers", "Apache-2.0")
DOMAIN = "own servers"
_TRIES = 20  # questions that are made for one that is new
_Ask = Callable[[Workspace, random.Random], Asked | None]
_SHARES: Mapping[_Ask, float] = {about_code: 1.2, about_docs: 0.9, about_data: 0.9}


def server_examples(workspaces: Sequence[Workspace], rng: random.Random, each: int) -> Iterator[Example]:
    """Some `each` questions a workspace and server, fewer where it doesn't hold enough; all of its tools are offered."""
    for workspace in workspaces:
        for made in questions_over(workspace, rng, each):
            tool = workspace.tool(made.tool)
            assert tool is not None
            yield Example(made.question, (Call(tool, made.arguments),), *ORIGIN, domain=DOMAIN, offered=workspace.tools)


def questions_over(workspace: Workspace, rng: random.Random, each: int) -> Iterator[Asked]:
    """The same with what each call has to find."""
    seen: set[str] = set()
    for ask, share in _SHARES.items():
        for _ in range(max(1, round(each * share))):
            made = next((made for _ in range(_TRIES) if (made := ask(workspace, rng)) and _fits(made, workspace, seen)), None)
            if made is not None:
                seen.add(made.question)
                yield made


def _fits(made: Asked, workspace: Workspace, seen: set[str]) -> bool:
    tool = workspace.tool(made.tool)
    return tool is not None and made.question not in seen and satisfies(made.arguments, tool.parameters)
