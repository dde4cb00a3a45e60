"""What a conversation shows while it comes, and what its commands do, without a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.markdown import Markdown

from portico_gateway.agent.conversation import Exchange, KeptCall
from portico_gateway.agent.events import AnswerText, ToolCallStarted
from portico_gateway.cli.chat.markdown_stream import MarkdownStream
from portico_gateway.cli.chat.transcript import CannotSave, save_transcript
from portico_gateway.cli.chat.view import ChatView


def console(*, is_terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=60, force_terminal=is_terminal, color_system=None, highlight=False), out


def _words(shown: io.StringIO) -> list[str]:
    """Without the empty lines, of which blocks printed one by one have others."""
    return [line.strip() for line in shown.getvalue().splitlines() if line.strip()]


def test_markdown_in_pieces_looks_as_in_one() -> None:
    text = "# Title\n\nA *word* and `code`.\n\n```python\nx = 1\n\ny = 2\n```\n\n1. one\n2. two\n\nthe end"
    made, out = console()
    stream = MarkdownStream(made)
    for char in text:
        stream.feed(char)
    stream.close()
    whole, expected = console()
    whole.print(Markdown(text))
    assert _words(out) == _words(expected)


def test_what_a_model_writes_sends_nothing_to_the_terminal() -> None:
    made, out = console(is_terminal=True)
    stream = MarkdownStream(made)
    stream.feed("a\x1b]0;title\x07b [here](http://evil.example)\n\n")
    stream.close()
    shown = out.getvalue()
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert "evil.example" in shown


def test_a_block_is_printed_once_it_is_whole_and_not_before() -> None:
    made, out = console()
    stream = MarkdownStream(made)
    stream.feed("first paragraph\n\nsecond, not who")
    assert "first paragraph" in out.getvalue()
    assert "second" not in out.getvalue()
    stream.feed("le\n\n")
    assert "second, not whole" in out.getvalue()


def test_a_call_is_shown_as_it_is_decoded_and_then_whole() -> None:
    made, out = console(is_terminal=True)
    view = ChatView(made)
    for piece in ("files__write ", '{"path":', '"a\x1b[2J.txt"}'):
        view.call_text(piece)
    view.handle(ToolCallStarted("files__write", {"path": "a.txt"}))
    view.handle(AnswerText("**so**"))
    view.close()
    shown = out.getvalue()
    assert '→ files__write {"path":' in shown
    assert 'files__write(path="a.txt")' in shown
    assert "\x1b[2J" not in shown
    assert shown.rstrip().endswith("so")


def test_a_transcript_is_new_private_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    exchange = Exchange("Why?", "So.", (KeptCall("files__read", {"path": "ä"}),))
    save_transcript(file, [exchange], "smol")
    assert file.read_text(encoding="utf-8") == (
        '# Conversation with smol\n\n## Why?\n\n- `files__read` `{"path": "ä"}`\n\nSo.\n'
    )
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(CannotSave, match="is there already"):
        save_transcript(file, [], "smol")
    with pytest.raises(CannotSave, match="can't be written"):
        save_transcript(tmp_path / "no" / "such.md", [], "smol")
