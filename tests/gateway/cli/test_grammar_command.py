"""`portico grammar`: every kind of source, every option, every exit code."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from portico_engine.grammar import parse_gbnf
from portico_gateway.cli.main import run

SAMPLE = Path(__file__).parents[1] / "sample_server.py"
SEARCH = {
    "name": "search",
    "description": "Search.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
BAD = {"name": "bad", "inputSchema": {"type": "object", "properties": {"x": {"$id": "http://own/", "$ref": "#/nowhere"}}}}
NEVER = {"name": "never", "inputSchema": {"type": "object", "properties": {"x": False}, "required": ["x"]}}


def write(tmp_path: Path, data: Any, name: str = "tools.json") -> str:
    path = tmp_path / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "data",
    [
        {"tools": [SEARCH]},
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": [SEARCH]}},
        [SEARCH],
        [{"type": "function", "function": {"name": "search", "parameters": SEARCH["inputSchema"]}}],
    ],
)
def test_a_tool_list_in_any_of_its_forms_is_printed_as_gbnf(
    data: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grammar", write(tmp_path, data)]) == 0
    text = capsys.readouterr().out
    assert '"{\\"name\\":\\"search\\",\\"arguments\\":"' in text
    assert "root" in parse_gbnf(text).rules


def test_stdin_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"tools": [SEARCH]})))
    assert run(["grammar", "-"]) == 0
    assert "search" in capsys.readouterr().out


def test_a_live_server_is_started_and_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--", sys.executable, str(SAMPLE), "live"]) == 0
    text = capsys.readouterr().out
    assert "add\\" in text
    assert "count\\" in text


def test_a_server_that_dies_or_can_not_be_reached_is_exit_code_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--", sys.executable, str(SAMPLE), "dies", "--die-at-start", "3"]) == 4
    assert "server" in capsys.readouterr().err
    assert run(["grammar", "http://127.0.0.1:9/mcp"]) == 4
    assert "can't be reached" in capsys.readouterr().err


def test_a_schema_by_itself_is_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", write(tmp_path, {"enum": ["a", 1, None]}, "schema.json")]) == 0
    assert parse_gbnf(capsys.readouterr().out)
    assert run(["grammar", write(tmp_path, {"type": "object", "required": ["x"], "properties": {"x": False}})]) == 1
    assert "nothing satisfies" in capsys.readouterr().err


def test_bad_tools_are_named_the_others_printed_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grammar", write(tmp_path, [SEARCH, BAD, NEVER])]) == 1
    out, err = capsys.readouterr()
    assert "search\\" in out
    assert "# never is left out: at /" in out
    assert "portico: bad takes any object: at /properties/x" in err
    assert "portico: never is left out" in err


def test_the_report_lists_failures_loosened_keywords_and_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    loose = {"name": "loose", "inputSchema": {"type": "object", "properties": {"tags": items}}}
    assert run(["grammar", write(tmp_path, [SEARCH, loose]), "--report"]) == 0
    out = capsys.readouterr().out
    assert "uniqueItems" in out
    assert "/properties/tags" in out
    assert "at most 512 characters" in out
    assert "0 failed, 1 looser" in out
    assert "compiled in" in out
    assert "compiled in 0.0 ms" not in out
    assert run(["grammar", "--report", write(tmp_path, [SEARCH, BAD])]) == 1
    assert "takes any object instead" in capsys.readouterr().out


def test_check_says_that_a_file_is_right_or_where_it_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--check", write(tmp_path, 'root ::= "a" | [b-d]+', "good.gbnf")]) == 0
    assert "right, 1 rule, compiled in" in capsys.readouterr().out
    assert run(["grammar", "--check", write(tmp_path, 'root ::= "a"\nx ::= [z-a]', "bad.gbnf")]) == 1
    assert "line 2, column 8: the range z-a runs backwards" in capsys.readouterr().err
    slow = 'root ::= w root | w\nw ::= [a-z]+ "x"'
    assert run(["grammar", "--check", write(tmp_path, slow, "slow.gbnf")]) == 0
    assert "note: read in small pieces" in capsys.readouterr().out


def test_sample_prints_sentences_of_tools_and_of_gbnf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--sample", "4", "--seed", "1", write(tmp_path, [SEARCH])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(json.loads(line)["name"] == "search" for line in lines)
    gbnf = write(tmp_path, "root ::= [a-f]{3} [0-9]", "g.gbnf")
    for arguments in (["--check", gbnf, "--sample", "3"], [gbnf, "--sample", "3"]):
        assert run(["grammar", *arguments]) == 0
        assert all(len(line) == 4 for line in capsys.readouterr().out.splitlines())


def test_for_llama_cpp_says_what_it_loosened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path, {"type": "string", "maxLength": 9000})
    assert run(["grammar", source, "--for", "llama.cpp"]) == 0
    out, err = capsys.readouterr()
    assert "{0,9000}" not in out
    assert "at most 9,000 repetitions became any number" in err
    assert run(["grammar", source, "--for", "lark"]) == 0
    assert capsys.readouterr().out.startswith("start: ")


def test_the_calls_follow_the_model_familys_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--format", "hermes", "--parallel", "3", write(tmp_path, [SEARCH])]) == 0
    assert "<tool_call>" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        ([], None, "give a SOURCE"),
        (["no-such-file-or-command"], None, "is no file, no URL, and no command"),
        (["FILE"], "neither", "not JSON (line 1, column 1"),
        (["FILE"], '{"a": 1}', "an object with the keys a"),
        (["FILE"], '"text"', "is a str"),
        (["FILE"], '[{"description": "x"}]', "tools[0] has no name"),
        (["FILE", "--reprot"], "[]", "no such option"),
        (["--check", "no-such-file.gbnf"], None, "can't be read"),
        (["--check", "FILE", "FILE"], "root ::=", "takes the place of SOURCE"),
        (["--sample", "0", "FILE"], "[]", "not in the range"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(
    arguments: list[str], content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, content or "")
    assert run(["grammar", *(file if word == "FILE" else word for word in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_empty_tool_list_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", write(tmp_path, {"tools": []})]) == 1
    assert "at least one tool" in capsys.readouterr().err


def test_the_command_is_documented_with_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grammar", "--help"]) == 0
    assert "Exit codes: 0" in capsys.readouterr().out
