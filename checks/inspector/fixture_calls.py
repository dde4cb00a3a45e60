"""Which calls are recorded and replayed: for every target the lists and one tool call in both eras, the rest once.

A target is a server or the gateway, over stdio or Streamable HTTP. Answers are kept by server and era, not by transport: both
must give the same, but for the gateway's list of tools. What needs a finished index is asked over HTTP, where the servers
have run for a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inspector_cli import Era

Transport = Literal["stdio", "http"]
ANSWERS = Path(__file__).resolve().parents[2] / "inspector-fixtures" / "answers"
SERVERS = ("code", "docs", "db", "gateway")


@dataclass(frozen=True, slots=True)
class Call:
    """One run of the Inspector. `key` names its answer in answers/{server}.{era}.json."""

    server: str
    transport: Transport
    era: Era
    key: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.server} over {self.transport}, {self.era}: {self.key}"


_COUNT_BY_STATUS = {"ask": {"table": "orders", "aggregate": "count", "group_by": "status"}}
_PAID = (
    "SELECT name, total_cents FROM customers JOIN orders ON customer_id = customers.id WHERE status = ? ORDER BY total_cents"
)
# The call that every target gets in both eras; it must not depend on an index being ready.
_FIRST: dict[str, tuple[str, dict[str, Any]]] = {
    "code": ("read", {"path": "shop/orders.py", "start": 1, "end": 6}),
    "docs": ("read", {"path": "handbook.md#refunds"}),
    "db": ("rows", _COUNT_BY_STATUS),
    "gateway": ("db__rows", _COUNT_BY_STATUS),
}
_TOOLS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "code": [
        ("search", {"query": "take articles from the shelf"}),
        ("search", {"query": "Out[A-Z]\\w+", "regex": True, "language": "python"}),
        ("find_symbol", {"name": "place_order"}),
        ("find_references", {"name": "take"}),
        ("outline", {"path": "shop/stock.py"}),
        ("changed_since", {"ref": "first"}),
        ("read", {"path": "../../../../etc/passwd"}),
    ],
    "docs": [
        ("search", {"query": "How long does a refund take?"}),
        ("list", {}),
        ("read", {"path": "../code/shop/stock.py"}),
    ],
    "db": [
        ("tables", {}),
        ("describe", {"table": "orders"}),
        ("query", {"sql": _PAID, "params": ["paid"]}),
        ("query", {"sql": "DELETE FROM orders"}),
        ("explain", {"sql": "SELECT * FROM orders WHERE customer_id = 2"}),
    ],
    "gateway": [
        ("code__find_symbol", {"name": "Shelf"}),
        ("docs__search", {"query": "shipping abroad"}),
        ("db__describe", {"table": "nothing"}),
    ],
}
_RESOURCES = {
    "code": ("code://code/web/money.ts", "code://code"),
    "docs": ("docs://workspace/local/handbook.md", "docs://workspace/local", "docs://libraries"),
    "db": ("db://orders/orders",),
    "gateway": ("portico://db/db://orders/customers",),
}
_PROMPTS = {
    "code": (
        ("explain_symbol", "name=total_with_tax"),
        ("review_diff", "ref=first"),
        ("trace_call", "name=take"),
    ),
    "docs": (("summarize", "page=handbook.md"), ("answer", "question=When is the counter open?")),
    "db": (
        ("explore_table", "table=customers"),
        ("answer_question", "question=Who paid the most?"),
        ("profile_column", "table=orders", "column=status"),
    ),
    "gateway": (("docs__answer", "question=When is the counter open?"),),
}


def calls() -> Iterator[Call]:
    """All of them; those of one server and transport stand together."""
    for server in SERVERS:
        for transport in ("stdio", "http"):
            for era in ("modern", "legacy"):
                yield from _lists(server, transport, era)
                yield _tool(server, transport, era, *_FIRST[server])
        yield from _once(server)


def _lists(server: str, transport: Transport, era: Era) -> Iterator[Call]:
    yield Call(server, transport, era, tools_list(server, transport), ("--method", "tools/list", "--strict"))
    for method in ("resources/list", "prompts/list"):
        yield Call(server, transport, era, method, ("--method", method))


def tools_list(server: str, transport: Transport) -> str:
    """The key of a target's tools/list. The gateway's differs: over HTTP it runs without a model here, so without `ask`."""
    return f"tools/list over {transport}" if server == "gateway" else "tools/list"


def _once(server: str) -> Iterator[Call]:
    for name, arguments in _TOOLS[server]:
        yield _tool(server, "http", "modern", name, arguments)
    method = "resources/templates/list"
    yield Call(server, "http", "modern", method, ("--method", method))
    for uri in _RESOURCES[server]:
        yield Call(server, "http", "legacy", f"resources/read {uri}", ("--method", "resources/read", "--uri", uri))
    for name, *given in _PROMPTS[server]:
        arguments = ("--method", "prompts/get", "--prompt-name", name, "--prompt-args", *given)
        yield Call(server, "http", "modern", f"prompts/get {name}", arguments)


def _tool(server: str, transport: Transport, era: Era, name: str, arguments: dict[str, Any]) -> Call:
    text = json.dumps(arguments)
    run = ("--method", "tools/call", "--tool-name", name, "--tool-args-json", text)
    return Call(server, transport, era, f"tools/call {name} {text}", run)
