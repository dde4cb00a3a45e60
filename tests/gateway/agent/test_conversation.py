from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from portico_gateway.agent import conversation
from portico_gateway.agent.conversation import Exchange, KeptCall

CALL = KeptCall("db__rows", {"table": "orders", "filters": [{"column": "é", "value": 3}]}, found=False)
TALK = [Exchange("Wo?", "Hier: é", (CALL,)), Exchange("Und dort?", "Auch.")]


def test_a_saved_conversation_is_loaded_as_it_was_calls_too_and_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "talk.json"
    conversation.save(path, TALK)
    assert conversation.load(path) == TALK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["talk.json"]


def test_the_oldest_turns_go_first(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    conversation.save(path, [Exchange(str(i), "") for i in range(100)])
    kept = conversation.load(path)
    assert len(kept) == conversation.KEPT_EXCHANGES
    assert kept[-1].question == "99"


def test_a_conversation_from_before_calls_were_kept_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([{"role": "user", "content": "Wo?"}, {"role": "assistant", "content": "Hier."}]))
    assert conversation.load(path) == [Exchange("Wo?", "Hier.")]


@pytest.mark.parametrize(
    "text", ["", "{", '{"role": "user"}', '[1, {"role": 3}]', '[{"role": "user", "content": "q"}]', "[" * 9999]
)
def test_what_is_no_conversation_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "talk.json"
    path.write_text(text)
    assert conversation.load(path) == []
    assert conversation.load(tmp_path / "none.json") == []


@pytest.mark.parametrize(
    "calls", [None, 3, [1], [{"tool": "t"}], [{"tool": 1, "arguments": {}}], [{"tool": "t", "arguments": []}]]
)
def test_calls_that_are_none_are_left_out(tmp_path: Path, calls: object) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "calls": calls}]))
    assert conversation.load(path) == [Exchange("q", "a")]


def test_a_model_reads_the_turns_without_the_calls() -> None:
    assert conversation.messages_of(TALK)[:2] == [
        {"role": "user", "content": "Wo?"},
        {"role": "assistant", "content": "Hier: é"},
    ]


def test_every_workspace_has_its_own() -> None:
    assert conversation.path_of(["/a"]) == conversation.path_of(["/a"])
    assert conversation.path_of(["/a"]) != conversation.path_of(["/a", "/b"])
