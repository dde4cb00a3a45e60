"""Chats to tokens, over templates of every manner: honest chats come out as ever."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.engine.text.chat_templates import CONTROLS, TEMPLATES
from tests.engine.text.chats import TEXTS, TOOL, Chat, chats, many_markers
from tests.engine.tiny_model import vocabulary

from portico_engine.text.bpe import byte_level_merger
from portico_engine.text.tokenizer import CONTROL, NORMAL, Tokenizer
from portico_engine.weights.gguf_file import GGUFFile


@pytest.fixture(scope="module", params=["small", "smollm2"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "small":
        return many_markers()
    path: Path = request.getfixturevalue("smollm2_path")
    return Tokenizer.from_gguf(GGUFFile(path).metadata)


@pytest.mark.parametrize("name", TEMPLATES)
def test_honest_chats_have_the_tokens_that_they_always_had(tokenizer: Tokenizer, name: str) -> None:
    chat = Chat(tokenizer, TEMPLATES[name])
    for text in TEXTS:
        for messages in chats(text):
            for tools in (None, [TOOL]):
                assert chat.tokens(messages, tools) == chat.trusting(messages, tools), (text, messages)
                assert chat.template.render(messages, tools) == chat.bare.render(messages, tools)


def test_a_template_that_looks_for_thoughts_finds_them(tokenizer: Tokenizer) -> None:
    chat = Chat(tokenizer, TEMPLATES["thinking"])
    messages = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nBecause."}]
    rendered = chat.template.render([*messages, {"role": "user", "content": "I see"}])
    assert "Hm." not in rendered
    assert "assistant\nBecause.<|im_end|>" in rendered
    assert chat.tokens(messages) == chat.trusting(messages), "the thoughts' markers are the template's own"


def test_words_that_a_vocabulary_adds_are_found_in_any_text() -> None:
    tokenizer = many_markers()
    chat = Chat(tokenizer, TEMPLATES["chatml"])
    tokens = chat.tokens([{"role": "user", "content": "<table>\n\n<b>x    y <|fim|>"}])
    found = Counter(tokenizer.tokens[i] for i in tokens)
    assert (found["<table>"], found["<b>"], found["\n\n"], found["    "], found["<|fim|>"]) == (1, 1, 1, 1, 0)


def test_markers_are_plain_in_plain_text() -> None:
    tokenizer = many_markers()
    for marker in (*CONTROLS, "<end_of_turn>", "<|fim|>"):
        assert tokenizer.marker_ids.isdisjoint(tokenizer.encode(f"a{marker}b{marker}"))
        assert tokenizer.decode(tokenizer.encode(marker)) == marker


def test_a_vocabulary_whose_merges_make_a_marker_makes_none() -> None:
    """Some have a control token that is also a whole piece of plain text."""
    tokens = [*vocabulary(), "ab", "abc"]
    ids = {token: i for i, token in enumerate(tokens)}
    merger = byte_level_merger(ids, [("a", "b"), ("ab", "c")], (r"\p{L}+|[^\p{L}]+",))
    types = [NORMAL] * (len(tokens) - 1) + [CONTROL]
    tokenizer = Tokenizer(tokens, types, merger, byte_level=True, eos_token_id=0)
    assert ids["abc"] not in tokenizer.encode("abc")
    assert tokenizer.decode(tokenizer.encode("abc xabc")) == "abc xabc"
    assert tokenizer.encode("abc", special=True) == [ids["abc"]]
