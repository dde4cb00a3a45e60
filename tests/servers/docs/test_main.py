"""`portico-docs` as a process: both eras over stdio at once, bad input in one line, libraries kept by commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from portico_servers.docs.__main__ import main

COMMAND = [sys.executable, "-m", "portico_servers.docs"]
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}


def _invoke(*args: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(a) for a in args])
    return result.exit_code, result.stdout, result.stderr


def test_a_root_that_is_not_there_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, str(tmp_path / "nope")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no such directory" in done.stderr


def test_it_answers_at_once_and_writes_nothing_but_the_protocol(docs: Path, tmp_path: Path) -> None:
    for number in range(100):  # enough for worker processes
        (docs / f"n{number}.md").write_text(f"# N{number}\n\nnumber {number}\n")
    (docs / "broken.pdf").write_bytes(b"%PDF broken")
    with subprocess.Popen(
        [*COMMAND, str(docs), "--cache-dir", str(tmp_path / "cache")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(number: int, method: str, params: dict[str, object]) -> dict[str, object]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
            process.stdin.flush()
            while True:
                message = json.loads(process.stdout.readline())
                if message.get("id") == number:
                    return dict(message["result"])

        assert ask(1, "initialize", INITIALIZE)["protocolVersion"] == "2025-11-25"
        process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        number, complete = 1, False
        deadline = time.monotonic() + 60
        while not complete and time.monotonic() < deadline:
            number += 1
            result = ask(number, "tools/call", {"name": "search", "arguments": {"query": "number 77"}})
            structured = result["structuredContent"]
            assert isinstance(structured, dict)
            complete = structured["complete"]
            assert complete or "index" in structured["note"]
        assert complete
        assert structured["hits"][0]["path"] == "n77.md"
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""


def test_libraries_are_added_listed_refreshed_and_removed(docs: Path, tmp_path: Path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    code, out, _ = _invoke("list", *cache)
    assert (code, out) == (0, "")
    code, out, err = _invoke("add", docs, "--library", "parcels", "--version", "2.0", *cache)
    assert (code, out.split("  ")[:2]) == (0, ["parcels@2.0", "3 pages"]), err
    code, out, _ = _invoke("add", docs, "--library", "parcels", "--version", "1.0", *cache)
    (docs / "new.md").write_text("# New\n")
    code, out, _ = _invoke("refresh", "parcels@1.0", *cache)
    assert [line.split("  ")[:2] for line in out.splitlines()] == [["parcels@1.0", "4 pages"]]
    code, out, _ = _invoke("list", *cache)
    assert [line.split("  ")[0] for line in out.splitlines()] == ["parcels@2.0", "parcels@1.0"]
    assert _invoke("remove", "parcels@2.0", *cache)[1] == "removed parcels@2.0\n"
    assert _invoke("remove", "parcels", *cache)[1] == "removed parcels@1.0\n"
    assert _invoke("list", *cache)[1] == ""


def test_a_package_is_added_by_its_name_without_being_imported(tmp_path: Path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    code, out, err = _invoke("add", "click", *cache)
    assert code == 0, err
    assert out.startswith("click@")
    code, out, err = _invoke("add", "antigravity", *cache)  # would open a browser if it were imported
    assert code == 0, err
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty", None, "no documentation in it"),
        ("bad.pdf", b"%PDF-1.4 damaged", "not a readable PDF"),
        ("app.html", b"<html><body><div id=root></div></body></html>", "no text in it"),
    ],
)
def test_what_gives_no_page_is_said_and_leaves_no_library(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    source = tmp_path / name
    if content is None:
        source.mkdir()
    else:
        source.write_bytes(content)
    cache = ("--cache-dir", tmp_path / "cache")
    code, out, err = _invoke("add", source, *cache)
    assert (code, out) == (1, "")
    assert said in err
    assert "no documentation in it that can be read (Markdown" in err
    assert _invoke("list", *cache)[1] == ""


def test_a_library_is_never_replaced_by_another_of_its_name(docs: Path, tmp_path: Path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    (tmp_path / "manual.md").write_text("# Manual\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manual.md").write_text("# Other\n")
    assert _invoke("add", tmp_path / "manual.md", *cache)[1].startswith("manual@local  1 pages")
    assert _invoke("add", tmp_path / "manual.md", *cache)[0] == 0  # the same again is a refresh
    code, out, err = _invoke("add", tmp_path / "other" / "manual.md", *cache)
    assert (code, out) == (1, "")
    assert "manual@local is the documentation of" in err
    assert "portico-docs remove manual@local" in err
    assert _invoke("add", tmp_path / "other" / "manual.md", "--version", "2", *cache)[0] == 0
    assert [line.split("  ")[0] for line in _invoke("list", *cache)[1].splitlines()] == ["manual@local", "manual@2"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("add", "no_such_thing_here"), "neither an address"),
        (("add", "http://127.0.0.1:9/x"), "not a public address"),
        (("add", "http://user:pw@example.org/"), "user name or password"),
        (("remove", "nope"), "no library 'nope'"),
        (("refresh", "nope"), "no library 'nope'"),
    ],
)
def test_a_command_that_can_not_be_done_says_why(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    code, out, err = _invoke(*args, "--cache-dir", tmp_path / "cache")
    assert (code, out) == (1, "")
    assert said in err
    assert _invoke("list", "--cache-dir", tmp_path / "cache")[1] == ""


def test_refresh_goes_on_where_one_source_is_gone(docs: Path, tmp_path: Path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("# A\n")
    _invoke("add", other, *cache)
    _invoke("add", docs, *cache)
    (other / "a.md").unlink()
    other.rmdir()
    (docs / "new.md").write_text("# New\n")
    code, out, err = _invoke("refresh", *cache)
    assert code == 1
    assert "no such directory" in err
    assert "4 pages" in out
    assert "1 pages" in out  # what was read before stays
