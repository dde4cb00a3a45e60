"""The convention, and its page: every fenced example of docs/tool-descriptions.md does what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.argument_priors import ArgumentPriors
from portico_gateway.guidance.description_convention import (
    Phrase,
    PhrasesOf,
    UnlentPhrases,
    lend,
    quoted,
    sentences,
    string_role,
    trigger_phrases,
)
from portico_gateway.guidance.question import read_question

PAGE = (Path(__file__).parents[3] / "docs" / "tool-descriptions.md").read_text(encoding="utf-8")
FENCES: list[tuple[str, str]] = re.findall(r"^```(\w+ \w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [json.loads(body) for kind, body in FENCES if kind == "json example"]


def described(kind: str) -> list[tuple[str, Any]]:
    """The page's descriptions, each with what is read from it."""
    found = []
    for (first, text), (then, body) in pairwise(FENCES):
        if (first, then) == ("text description", kind):
            found.append((text.strip(), json.loads(body)))
    return found


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


def read(question: str, schema: dict[str, Any]) -> tuple[set[str], dict[str, str]]:
    """Keys that are likelier written than not, and the likeliest option of each, along the likeliest alternative."""
    prior: CallPrior | None = ArgumentPriors(nothing).prior(Tool("t", "T.", schema), read_question(question))
    keys: dict[str, float] = {}
    chosen: dict[str, str] = {}
    while prior is not None:
        keys |= prior.keys.get("", {})
        best = {key: max(weights, key=lambda option: weights[option]) for key, weights in prior.values.items() if weights}
        chosen |= best
        prior = next((options[best[key]] for key, options in prior.then.items()), None)
    return {key for key, weight in keys.items() if weight > 0}, chosen


def test_the_page_has_examples_of_every_kind() -> None:
    kinds = [kind for kind, _ in FENCES]
    assert kinds.count("text description") == len(described("json phrases")) + len(described("json sentences"))
    assert {"json phrases", "json sentences", "json example", "json roles"} <= set(kinds)
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(("description", "expected"), described("json phrases"))
def test_the_pages_phrases_are_read_as_it_says(description: str, expected: dict[str, list[str]]) -> None:
    assert {one.option: list(one.written) for one in quoted(description)} == expected
    assert list(trigger_phrases(description)) == list(expected)
    assert [len(phrases) for phrases in trigger_phrases(description).values()] == [len(listed) for listed in expected.values()]


@pytest.mark.parametrize(("description", "expected"), described("json sentences"))
def test_the_pages_sentences_are_compared_one_by_one(description: str, expected: list[str]) -> None:
    assert sentences(description) == [*expected, description]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["question"])
def test_the_pages_examples_do_what_it_says(example: dict[str, Any]) -> None:
    for side in ("before", "after"):
        written, chosen = read(example["question"], example[side])
        if "written" in example:
            assert written == set(example["written"][side]), side
        assert chosen.items() >= example.get("chosen", {}).get(side, {}).items(), side


def test_the_pages_roles_are_read_from_names() -> None:
    for body in (body for kind, body in FENCES if kind == "json roles"):
        for name, role in json.loads(body).items():
            assert string_role(name).value == role


def test_phrases_have_gaps_and_ends_and_an_option_each() -> None:
    assert trigger_phrases('Said as "per ...". up: "old", "the oldest?"') == {
        "": (Phrase((("per",), ())),),
        "up": (Phrase((("old",),)), Phrase((("the", "oldest", "?"),))),
    }


def test_a_key_in_backquotes_stands_for_that_keys_phrases_and_is_not_followed_further() -> None:
    old, new = Phrase((("old",),)), Phrase((("new",),))
    keys: dict[str, UnlentPhrases] = {
        "order": {"up": (old,), "down": (new, PhrasesOf("other"))},
        "other": {"": (Phrase((("x",),)),)},
    }
    assert trigger_phrases("1: `order`") == {"1": (PhrasesOf("order"),)}
    assert lend({"1": (PhrasesOf("order"), PhrasesOf("none"), new)}, keys) == {"1": (old, new)}


@pytest.mark.parametrize("text", ["", "No quotes: none.", 'an "open end', "“curly” quotes", 'nothing in ""'])
def test_prose_without_quotes_says_nothing(text: str) -> None:
    assert trigger_phrases(text) == {}
