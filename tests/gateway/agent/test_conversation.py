from __future__ import annotations

import stat
from pathlib import Path

import pytest

from portico_gateway.agent import conversation

TURNS = [{"role": "user", "content": "Wo?"}, {"role": "assistant", "content": "Hier: é"}]


def test_a_saved_conversation_is_loaded_as_it_was_and_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "talk.json"
    conversation.save(path, TURNS)
    assert conversation.load(path) == TURNS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["talk.json"]


def test_the_oldest_turns_go_first(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    conversation.save(path, [{"role": "user", "content": str(i)} for i in range(100)])
    kept = conversation.load(path)
    assert len(kept) == conversation.KEPT_TURNS
    assert kept[-1]["content"] == "99"


@pytest.mark.parametrize("text", ["", "{", '{"role": "user"}', '[1, {"role": 3}]'])
def test_what_is_no_conversation_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "talk.json"
    path.write_text(text)
    assert conversation.load(path) == []
    assert conversation.load(tmp_path / "none.json") == []


def test_every_workspace_has_its_own() -> None:
    assert conversation.path_of(["/a"]) == conversation.path_of(["/a"])
    assert conversation.path_of(["/a"]) != conversation.path_of(["/a", "/b"])
