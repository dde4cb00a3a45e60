"""Search in a large catalog: names, words and meaning; and the benchmark's questions, which are frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from portico_engine import Tool
from portico_gateway.guidance.catalog_search import CatalogSearch

QUESTIONS = Path(__file__).parents[3] / "benchmarks" / "data" / "catalog_questions.json"


def no_meaning(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embeddings that say nothing, so that words alone decide."""
    return np.zeros((len(texts), 2), np.float32)


def tool(name: str, description: str = "", **properties: str) -> Tool:
    described = {key: {"type": "string", "description": about} for key, about in properties.items()}
    return Tool(name, description, {"type": "object", "properties": described})


TOOLS = [
    tool("mail__send_message", "Send an e-mail. It may have attachments."),
    tool("chat__postMessage", "Post into a channel of the workspace.", channel="Where to post"),
    tool("train__get-tickets", "查询12306余票信息。"),
    tool("files__move", "Rename or move a file."),
]
SERVERS = {each.name: each.name.split("__")[0] for each in TOOLS}


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("post to the channel", "chat__postMessage"),
        ("sending e-mails", "mail__send_message"),
        ("查余票", "train__get-tickets"),
        ("rename a file", "files__move"),
    ],
)
def test_words_find_tools_by_name_description_parameter_and_script(query: str, first: str) -> None:
    assert CatalogSearch(TOOLS, SERVERS, no_meaning).search(query, 1)[0].name == first


def test_meaning_finds_what_shares_no_word() -> None:
    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.array(
            [[1.0, 0.0] if "mail" in text.lower() or "letter" in text else [0.0, 1.0] for text in texts], np.float32
        )

    assert CatalogSearch(TOOLS, SERVERS, embed).search("write a letter", 1)[0].name == "mail__send_message"


def test_a_search_is_bounded_stable_and_may_find_nothing_to_search_in() -> None:
    search = CatalogSearch(TOOLS, SERVERS, no_meaning)
    assert len(search.search("anything", 3)) == 3
    assert search.search("zzz", 4) == search.search("zzz", 4)
    assert CatalogSearch([], {}, no_meaning).search("anything") == []


def test_the_questions_of_the_benchmark_are_as_they_were_frozen() -> None:
    said = QUESTIONS.with_suffix(".sha256").read_text().split()[0]
    assert hashlib.sha256(QUESTIONS.read_bytes()).hexdigest() == said
