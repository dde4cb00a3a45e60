from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portico_engine import Tool
from portico_gateway.guidance.tool_retrieval import ToolRetriever

TOOLS = [
    Tool("code__search", "Search source code.", {"properties": {"query": {"type": "string"}}}),
    Tool("db__rows", "Ask a table.", {"properties": {"table": {"enum": ["patients", "appointments"]}}}),
]
SERVERS = {"code__search": "code", "db__rows": "db"}


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


def test_a_word_that_one_server_alone_knows_speaks_for_it() -> None:
    retriever = ToolRetriever(TOOLS, SERVERS, {}, nothing)
    assert retriever.rank("How many appointments are there?")[0].tool.name == "db__rows"


def test_names_that_a_server_lists_speak_for_it() -> None:
    retriever = ToolRetriever(TOOLS, SERVERS, {"code": ["BlockPool.py"], "db": []}, nothing)
    assert retriever.rank("What does the block pool do?")[0].tool.name == "code__search"


def test_the_best_weighs_nothing_and_the_excluded_are_not_ranked() -> None:
    ranked = ToolRetriever(TOOLS, SERVERS, {}, nothing).rank("patients", exclude=frozenset({"db__rows"}))
    assert [(r.tool.name, r.weight) for r in ranked] == [("code__search", 0.0)]
