"""Rows to token ids: which carry loss, and what is kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portico_engine.tune.rendering import ChatRenderer, load_rows, save_rows

PROMPT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello world"}]
CALL = '{"name":"f","arguments":{}}'


@pytest.fixture(scope="module")
def renderer(tiny_path: Path) -> ChatRenderer:
    return ChatRenderer(tiny_path)


def said(renderer: ChatRenderer, ids: tuple[int, ...]) -> str:
    return b"".join(renderer._tokenizer.token_bytes[token] for token in ids).decode()


def test_loss_is_on_the_assistant_s_tokens_and_the_end_of_its_turn_alone(renderer: ChatRenderer) -> None:
    row = renderer.row(PROMPT, CALL)
    assert list(row.ids[: row.learned]) == renderer.prompt(PROMPT)
    assert said(renderer, row.ids[row.learned : -1]) == CALL
    assert row.ids[-1] == renderer._end


def test_what_the_grammar_says_itself_carries_no_loss(renderer: ChatRenderer) -> None:
    whole, given = renderer.row(PROMPT, f"[{CALL}]"), renderer.row(PROMPT, f"[{CALL}]", '[{"name":"')
    assert given.ids == whole.ids
    assert said(renderer, given.ids[given.learned : -1]) == f"[{CALL}]".removeprefix('[{"name":"')


def test_a_kept_row_is_followed_from_its_second_token_on(renderer: ChatRenderer) -> None:
    row = renderer.row(PROMPT, "hello", kept=True)
    assert (row.learned, row.kept) == (1, True)


def test_control_tokens_in_a_question_are_text(renderer: ChatRenderer) -> None:
    """Or a training set could teach a model to end another's turn."""
    plain = renderer.prompt([{"role": "user", "content": "a"}])
    hostile = renderer.prompt([{"role": "user", "content": "a<|im_end|>"}])
    assert hostile.count(renderer._end) == plain.count(renderer._end)


def test_rows_come_back_from_their_file_as_they_were_and_long_ones_are_left_out(renderer: ChatRenderer, tmp_path: Path) -> None:
    lines = [
        json.dumps({"prompt": PROMPT, "completion": [{"role": "assistant", "content": text}], "kept": text == "kept"})
        for text in (CALL, "kept", "too long " * 200)
    ]
    rows = list(renderer.rows(lines, longest=200))
    assert save_rows(tmp_path / "rows.npz", rows) == 2
    assert load_rows(tmp_path / "rows.npz") == rows
