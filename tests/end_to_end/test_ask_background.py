"""`portico ask` by a process that stays, as a user runs it: real processes, real servers, the real default model."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

TIMEOUT = 120
QUESTION = "How do I install the pump?"
WRITER = '''
from mcp.server.mcpserver import MCPServer
server = MCPServer("notes")

@server.tool()
def write_note(text: str) -> str:
    """Write a note about the pump's installation for later."""
    return f"wrote {text}"

server.run()
'''


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "guide.md").write_text("# Guide\n\n## Install\n\nTo install the pump, turn the blue valve first.\n")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with folders of its own; whatever runs in the background of it ends with the tests."""
    folder = str(tmp_path_factory.mktemp("home"))
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as runtime:  # whose path is short enough for a socket
        own = {"HOME": folder, "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_RUNTIME_DIR": runtime}
        environ = {**os.environ, **own, "NO_COLOR": "1"}
        yield environ
        portico(environ, "background", "stop")


def portico(home: dict[str, str], *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "portico_gateway", *args]
    given = {"stdin": subprocess.DEVNULL, "timeout": TIMEOUT, **options}
    return subprocess.run(command, capture_output=True, text=True, env=home, check=False, **given)


def running(home: dict[str, str]) -> list[dict[str, Any]]:
    found = json.loads(portico(home, "background", "list", "--json").stdout)
    assert isinstance(found, list)
    return found


def ask(home: dict[str, str], workspace: Path, question: str = QUESTION, *args: str) -> subprocess.CompletedProcess[str]:
    return portico(home, "ask", "--root", str(workspace), question, *args)


def without_figures(output: str) -> str:
    """Times differ."""
    lines = [line for line in output.splitlines() if not line.endswith("in all")]
    return re.sub(r"\d+ ms\b", "", "\n".join(lines))


def test_the_second_question_is_answered_by_the_process_that_the_first_left(home: dict[str, str], workspace: Path) -> None:
    first = ask(home, workspace)
    (process,) = running(home)
    second = ask(home, workspace)
    (still,) = running(home)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert still["pid"] == process["pid"]
    assert still["questions"] == process["questions"] + 1
    assert "model:" in first.stderr, "loading is shown on stderr"
    assert second.stderr == "", "nothing is loaded"
    family = [psutil.Process(process["pid"]), *psutil.Process(process["pid"]).children(recursive=True)]
    assert [each for one in family for each in one.net_connections("inet")] == [], "it listens on its socket alone"
    assert without_figures(second.stdout) == without_figures(first.stdout)


def test_it_says_what_the_command_says_by_itself(home: dict[str, str], workspace: Path) -> None:
    for question in (QUESTION, "Find the code of xylophonequux"):
        ask(home, workspace, question)  # both ways the answer is a second one
        there, here = ask(home, workspace, question), ask(home, workspace, question, "--no-background")
        assert there.returncode == here.returncode
        assert without_figures(there.stdout) == without_figures(here.stdout)


def test_json_is_one_object_with_the_time_from_the_commands_start(home: dict[str, str], workspace: Path) -> None:
    found = json.loads(ask(home, workspace, QUESTION, "--json").stdout)
    assert "blue valve" in found["calls"][0]["text"]
    assert found["figures"]["wall_seconds"] > found["figures"]["total_seconds"] > 0


def test_a_conversation_goes_on(home: dict[str, str], workspace: Path) -> None:
    ask(home, workspace)
    assert ask(home, workspace, QUESTION, "--continue").returncode == 0


def test_two_questions_at_once_share_one_process(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# Guide\n\n## Install\n\nTo install the pump, turn the red valve first.\n")
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(lambda _: ask(home, tmp_path), range(2)))
    assert [each.returncode for each in ended] == [0, 0], [each.stderr for each in ended]
    assert all("red valve" in each.stdout for each in ended)
    assert [each["questions"] for each in running(home) if each["folder"] == str(tmp_path)] == [2]
    portico(home, "background", "stop", str(tmp_path))


def test_ctrl_c_cancels_the_question_and_the_process_goes_on(home: dict[str, str], workspace: Path) -> None:
    ask(home, workspace)
    (before,) = [each for each in running(home) if each["folder"] == str(workspace)]
    command = [sys.executable, "-P", "-m", "portico_gateway", "ask", "--root", str(workspace), QUESTION]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home
    )
    assert process.stdout is not None
    process.stdout.readline()  # the call is shown, so the question is under way
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode in (130, 0), "interrupted, or answered before that"
    assert "Traceback" not in stderr
    (after,) = [each for each in running(home) if each["folder"] == str(workspace)]
    assert after["pid"] == before["pid"]
    assert ask(home, workspace).returncode == 0


def test_a_process_that_was_killed_is_replaced(home: dict[str, str], workspace: Path) -> None:
    ask(home, workspace)
    (before,) = [each for each in running(home) if each["folder"] == str(workspace)]
    process = psutil.Process(before["pid"])
    process.kill()
    process.wait(60)
    assert ask(home, workspace).returncode == 0
    (after,) = [each for each in running(home) if each["folder"] == str(workspace)]
    assert after["pid"] != before["pid"]


def test_where_it_can_not_be_started_the_command_answers_itself_and_says_so_in_one_line(
    home: dict[str, str], workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "portico").mkdir()
    (tmp_path / "portico").chmod(0o755)  # others can look in
    tmp_path.chmod(0o700)
    elsewhere = {**home, "XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "/proc/nowhere"}
    ended = ask(elsewhere, workspace)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("there is no background process, so this one answers") == 1
    assert "blue valve" in ended.stdout


def test_mistakes_have_the_same_words_and_codes(home: dict[str, str], workspace: Path, tmp_path: Path) -> None:
    config = tmp_path / "portico.toml"
    config.write_text('[model]\nnome = "x"\n')
    ended = ask(home, workspace, QUESTION, "--config", str(config))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "portico.toml:2" in ended.stderr
    ended = ask(home, workspace, QUESTION, "--model", "/nowhere/model.gguf")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "model.gguf" in ended.stderr
    assert all(each["folder"] == str(workspace) for each in running(home)), "what could not open is gone"


def test_another_content_of_the_configuration_is_answered_by_another_process(
    home: dict[str, str], workspace: Path, tmp_path: Path
) -> None:
    config = tmp_path / "portico.toml"
    config.write_text("[policy]\ndeny = []\n")
    before = {each["pid"] for each in running(home)}
    assert ask(home, workspace, QUESTION, "--config", str(config)).returncode == 0
    (first,) = {each["pid"] for each in running(home)} - before
    config.write_text('[policy]\ndeny = ["docs__*"]\n')
    ended = ask(home, workspace, QUESTION, "--config", str(config))
    assert "docs__" not in ended.stdout
    portico(home, "background", "stop", str(workspace))
    assert first not in {each["pid"] for each in running(home)}


def test_a_consent_is_asked_in_the_clients_terminal(home: dict[str, str], workspace: Path, tmp_path: Path) -> None:
    script = tmp_path / "notes.py"
    script.write_text(WRITER)
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"notes": {"command": sys.executable, "args": [str(script)]}}}))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "portico_gateway", "ask", "--config", str(config), "Write a note: the pump is blue"]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env=home, cwd=tmp_path) as process:
        os.close(theirs)
        seen = b""
        while b"[y = " not in seen:
            assert select.select([ours], [], [], 120)[0], seen
            seen += os.read(ours, 1000)
        os.write(ours, b"y\n")
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert b"Allow one call of notes__write_note?" in seen
    assert b"wrote" in out, out
    portico(home, "background", "stop", str(tmp_path))


def test_portico_serve_answers_for_the_command(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# Guide\n\n## Install\n\nTo install the pump, turn the green valve first.\n")
    command = [sys.executable, "-P", "-m", "portico_gateway", "serve", "--port", "0", "--root", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=home) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "ready after" in line:
                break
        ended = ask(home, tmp_path)
        (found,) = [each for each in running(home) if each["folder"] == str(tmp_path)]
        server.send_signal(signal.SIGTERM)
    assert "green valve" in ended.stdout, ended.stderr
    assert (found["kind"], found["pid"], found["questions"]) == ("serve", server.pid, 1)
    assert not [each for each in running(home) if each["folder"] == str(tmp_path)]


def test_stopping_leaves_no_process_and_no_file(home: dict[str, str], workspace: Path) -> None:
    ask(home, workspace)
    processes = [psutil.Process(each["pid"]) for each in running(home)]
    processes += [child for each in processes for child in each.children(recursive=True)]
    assert portico(home, "background", "stop").returncode == 0
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []
    assert list(Path(home["XDG_RUNTIME_DIR"], "portico").iterdir()) == []
    assert portico(home, "background", "stop").returncode == 1
