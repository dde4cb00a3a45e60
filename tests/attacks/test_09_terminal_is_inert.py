"""Whatever comes from outside is shown, not sent: no byte of a result, error, file name or answer acts on a terminal."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import time
from pathlib import Path

import pytest
from rich.console import Console

from portico_gateway.agent.events import AnswerText, RunFinished, RunMetrics, ToolCallFinished, ToolCallStarted
from portico_gateway.agent.judgement import Coverage, Judgement, Place, Verdict
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.cli.doctor_checks import Check
from portico_gateway.cli.main import run
from portico_gateway.cli.view import ProgressLine, TerminalView, as_json_object
from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.sections import LogConfig
from portico_gateway.safe_output.inert import inert, inert_json, inert_line

pytestmark = pytest.mark.attack("9 what a terminal shows is inert")

# what is sent -> what is shown
ACTIVE = [
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),  # OSC: the window's title
    ("\x1b]52;c;cm0=\x1b\\", "\\x1b]52;c;cm0=\\x1b\\"),  # OSC 52: the clipboard
    ("\x1b]8;;http://evil\x1b\\ok", "\\x1b]8;;http://evil\\x1b\\ok"),  # OSC 8: a link
    ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),  # CSI: clear
    ("\x1b[6n", "\\x1b[6n"),  # a report that is typed for the user
    ("\x1bP$q\x1b\\", "\\x1bP$q\\x1b\\"),  # DCS
    ("\x9b31m", "\\x9b31m"),  # C1 CSI
    ("\x9d0;t\x9c", "\\x9d0;t\\x9c"),  # C1 OSC
    ("safe\rrm -rf", "safe\\x0drm -rf"),  # overwrites the line
    ("a\x08\x08b", "a\\x08\\x08b"),  # backspace
    ("a\x00b\x7f", "a\\x00b\\x7f"),
    ("\x0e\x0f", "\\x0e\\x0f"),  # another character set
    ("a\x85b\x0bc\x0cd", "a\\x85b\\x0bc\\x0cd"),  # other line ends
    ("\u202eevil\u202c", "\\u202eevil\\u202c"),  # bidirectional override
    ("\u2066x\u2069\u061c", "\\u2066x\\u2069\\u061c"),
    ("a\u200bb\ufeffc\u2060d", "a\\u200bb\\ufeffc\\u2060d"),  # invisible
    ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
    ("\U000e0041\U000e007f", "\\U000e0041\\U000e007f"),  # tags
    ("cut \ud83d", "cut \\ud83d"),  # half a surrogate pair
]
PLAIN = [
    "",
    "a\tb\nc",
    "äöü €",
    "日本語",
    "مرحبا",
    "שלום",
    "👩\u200d🔬",
    "क्\u200dष",
    "می\u200cخواهم",
    "\\x1b[0m",
    "é",
    "[red]x[/]",
]
NASTY = "".join(sent for sent, _ in ACTIVE)
_CODES = [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x200B, 0xFEFF, 0x2028, 0xE0041]
FORBIDDEN = {chr(code) for code in _CODES} - {"\n", "\t"}


def assert_inert(text: str) -> None:
    assert not FORBIDDEN & set(text), sorted(map(ascii, FORBIDDEN & set(text)))
    text.encode()


@pytest.mark.parametrize(("sent", "shown"), ACTIVE, ids=[ascii(sent)[:24] for sent, _ in ACTIVE])
def test_what_acts_on_a_terminal_is_shown(sent: str, shown: str) -> None:
    assert inert(sent) == shown
    assert json.loads(inert_json({sent: [sent]})) == {sent: [sent]}, "JSON keeps its value"
    assert_inert(inert_json({sent: [sent]}))


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_is_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


def test_a_line_is_a_line() -> None:
    assert inert_line("a\nb\tc\r\nd") == "a b c\\x0d d"


def test_showing_a_megabyte_takes_no_time_that_is_noticed() -> None:
    begun = time.thread_time()
    inert("a" * (1 << 20))
    assert time.thread_time() - begun < 5


def _events() -> RunFinished:
    result = RenderedResult.__new__(RenderedResult)
    for name in RenderedResult.__slots__:
        object.__setattr__(result, name, {"text": NASTY, "found": True, "truncated": False}.get(name, ()))
    call = ToolCallFinished.__new__(ToolCallFinished)
    for name in ToolCallFinished.__slots__:
        values = {"tool": NASTY, "arguments": {NASTY: NASTY}, "result": result, "seconds": 0.1, "error": None}
        object.__setattr__(call, name, values.get(name))
    metrics = RunMetrics.__new__(RunMetrics)
    for name in RunMetrics.__slots__:
        object.__setattr__(metrics, name, 1.0)
    end = RunFinished.__new__(RunFinished)
    for name in RunFinished.__slots__:
        values = {
            "question": NASTY,
            "answer": NASTY,
            "found": False,
            "tool_calls": (call,),
            "citations": (),
            "metrics": metrics,
            "judgement": Judgement(
                Verdict.NO_ANSWER, Coverage((NASTY,), (NASTY,)), 0.5, (NASTY,), (Place(NASTY, NASTY),), (NASTY,), {NASTY: 1.0}
            ),
        }
        object.__setattr__(end, name, values.get(name))
    return end


def test_what_ask_shows_is_inert_in_text_and_valid_as_json() -> None:
    out = io.StringIO()
    view = TerminalView(Console(file=out, highlight=False, width=500))
    end = _events()
    call = end.tool_calls[0]
    started = ToolCallStarted.__new__(ToolCallStarted)
    for name in ToolCallStarted.__slots__:
        object.__setattr__(started, name, {"tool": NASTY, "arguments": {NASTY: NASTY}}.get(name))
    view.handle(started)
    view.handle(call)
    object.__setattr__(call, "error", NASTY)
    view.handle(call)
    view.handle(AnswerText(NASTY))
    view.handle(end)
    with ProgressLine(Console(file=out)) as progress:
        progress.update(NASTY, NASTY)
    assert_inert(out.getvalue())
    assert "\\x1b]52" in out.getvalue()
    object.__setattr__(call, "error", None)
    as_json = as_json_object(end, {NASTY: NASTY}, NASTY)
    assert_inert(as_json)
    assert json.loads(as_json)["answer"] == NASTY


def test_an_error_is_inert(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = tmp_path / "a\x1b[31m\u202eb.toml"
    wrong = [["audit", "--config", str(name)], ["ask", "--root", str(name), "q"], ["grammar", str(name)]]
    for args in [*wrong, ["no\x1b[0m\r"], ["--no\x1b"]]:
        assert run(args) == 2
    err = capsys.readouterr().err
    assert_inert(err)
    assert "\\x1b[31m\\u202eb" in err
    name.write_text("[x\x1b[0m]\n")
    assert run(["audit", "--config", str(name)]) == 2
    assert_inert(capsys.readouterr().err)


def test_doctor_is_inert(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portico_gateway.cli.doctor_checks.machine_checks", lambda: iter([Check(NASTY, "ok", NASTY, NASTY)]))
    for args in ([], ["--json"]):
        with pytest.raises(SystemExit):
            run(["doctor", "--quick", *args])
        out = capsys.readouterr().out
        assert_inert(out)
    assert json.loads(out)[-1]["what"] or True


def test_the_audit_log_is_inert(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    columns = "id time caller client server tool arguments_sha256 arguments decision approval outcome error".split()
    columns += ["seconds", "bytes"]
    text = NASTY.replace("\ud83d", "")
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table calls ({', '.join(columns)})")
        values = [1, *[text] * 11, 0.1, 2]
        connection.execute(f"insert into calls values ({', '.join('?' * len(columns))})", values)
    connection.close()
    monkeypatch.setenv("PORTICO_AUDIT_FILE", str(path))
    assert run(["audit"]) == 0
    assert_inert(capsys.readouterr().out)
    assert run(["audit", "--json"]) == 0
    out = capsys.readouterr().out
    assert_inert(out)
    assert json.loads(out)["tool"] == text


def test_grammar_shows_tools_inert(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    nasty = "\x1b]0;t\x07\u202e"
    schema = {
        "type": "object",
        "properties": {nasty: {"enum": [nasty], "format": nasty}},
        "required": [nasty],
        "not": {"x": nasty},
    }
    path.write_text(
        json.dumps([{"name": f"t{nasty}", "description": nasty, "inputSchema": schema}, {"name": nasty, "inputSchema": 3}])
    )
    for args in ([], ["--report"], ["--sample", "2"], ["--for", "lark"], ["--for", "llama.cpp"]):
        run(["grammar", str(path), *args])
        done = capsys.readouterr()
        assert_inert(done.out)
        assert_inert(done.err)


def test_what_is_logged_is_inert_on_stderr_and_in_the_file(
    root_logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = set_up_logging("serve", LogConfig(dir=tmp_path))
    root_logger.warning("server %s said: %s", "x", NASTY)
    assert path is not None
    for text in (capsys.readouterr().err, path.read_text()):
        assert_inert(text)
        assert "\\x1b]52" in text
