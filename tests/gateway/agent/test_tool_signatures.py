from __future__ import annotations

from collections.abc import Sequence

import anyio

from portico_engine import Tool
from portico_gateway.agent.tool_signatures import CatalogText, catalog_text, one_liner, signature

SEARCH = Tool(
    "code__search",
    "Search source code. Ranked, with line numbers.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "kind": {"enum": ["class", "function"]},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["query"],
    },
)


def catalog(tools: Sequence[Tool], *, budget: int, best: Sequence[Tool]) -> CatalogText:
    """A word is a token."""

    async def fits(text: str) -> bool:
        return len(text.split()) <= budget

    return anyio.run(lambda: catalog_text(tools, fits=fits, best=best))


def test_a_signature_is_one_line_with_types_and_optional_marks() -> None:
    assert signature(SEARCH) == (
        "code__search(query: string, kind?: class|function, limit?: integer, tags?: [string]) - Search source code."
    )


def test_a_one_liner_ends_at_the_first_sentence_or_is_cut_and_marked() -> None:
    assert one_liner(SEARCH) == "Search source code."
    assert one_liner(Tool("t", "word " * 60, {}), 20) == "word word word word…"


def test_alternative_parameter_sets_are_all_shown() -> None:
    branch = {"properties": {"table": {"const": "orders"}, "column": {"enum": ["id"]}}, "required": ["table", "column"]}
    assert signature(Tool("rows", "Rows.", {"oneOf": [branch]})) == "rows(table: orders, column: id) - Rows."


def test_a_catalog_within_budget_is_given_whole() -> None:
    found = catalog([SEARCH], budget=100, best=[])
    assert not found.abridged
    assert found.covered == (SEARCH,)


def test_past_the_budget_names_come_first_and_only_the_best_are_covered() -> None:
    others = [Tool(f"other_{i}", "Does something else entirely. " * 3, SEARCH.parameters) for i in range(20)]
    found = catalog([*others, SEARCH], budget=200, best=[SEARCH])
    assert found.abridged
    assert found.covered == (SEARCH,)
    assert found.text.startswith("other_0 - Does something else entirely.")
    assert found.text.endswith(signature(SEARCH))
    again = catalog([*others, SEARCH], budget=200, best=[others[3]])
    assert again.text.split("\n\n")[0] == found.text.split("\n\n")[0], "what depends on the question is appended"
