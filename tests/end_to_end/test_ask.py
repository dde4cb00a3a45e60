"""`portico ask` as a user runs it, in its own process: real servers, the real default model."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120

POOL = '''
"""Blocks of memory."""


class BlockPool:
    """Hands out blocks."""

    def free(self, block: int) -> None:
        """Return a block to the pool; its last owner is gone."""
        self.owners[block] -= 1
'''
GUIDE = """# Guide

## Install

To install the pump, turn the blue valve first.

## Licence

The handbook is in the public domain.
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "pool.py").write_text(POOL)
    (folder / "guide.md").write_text(GUIDE)
    subprocess.run([sys.executable, str(ROOT / "demo" / "shop.py"), str(folder / "shop.db")], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = str(tmp_path_factory.mktemp("home"))
    return {
        **os.environ,
        "HOME": folder,
        "XDG_STATE_HOME": folder,
        "XDG_CACHE_HOME": folder,
        "NO_COLOR": "1",
        "PORTICO_BACKGROUND_ENABLED": "0",
    }


def ask(
    home: dict[str, str], *args: str, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "portico_gateway", "ask", *args]
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=home, cwd=cwd, **given)


def answer(home: dict[str, str], workspace: Path, question: str, *args: str) -> dict[str, Any]:
    done = ask(home, "--root", str(workspace), "--json", question, *args)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_question_about_code_is_answered_from_the_code_server_with_file_and_line(
    home: dict[str, str], workspace: Path
) -> None:
    found = answer(home, workspace, "Where is a block returned to the pool implemented?")
    assert found["calls"][0]["tool"].startswith("code__")
    assert "def free" in found["calls"][0]["text"]
    assert any(s["label"].startswith("pool.py:") for s in found["sources"])
    assert 0 < found["figures"]["forced_share"] < 1
    assert found["failed_servers"] == {}


def test_a_question_about_documents_cites_an_anchor(home: dict[str, str], workspace: Path) -> None:
    found = answer(home, workspace, "How do I install the pump?")
    assert found["calls"][0]["tool"].startswith("docs__")
    assert "blue valve" in found["calls"][0]["text"]
    assert "guide.md#install" in [s["label"] for s in found["sources"]]


def test_a_question_about_data_is_computed_by_the_database(home: dict[str, str], workspace: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(workspace / "shop.db")
    (expected,) = connection.execute("SELECT count(*) FROM orders WHERE status = 'cancelled'").fetchone()
    connection.close()
    found = answer(home, workspace, "How many orders were cancelled?")
    assert found["calls"][0]["tool"].startswith("db__")
    assert str(expected) in found["calls"][0]["text"]
    assert "table orders" in [s["label"] for s in found["sources"]]


def test_the_demos_questions_reach_the_three_servers_also_where_the_folder_has_the_products_name(
    home: dict[str, str], workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "demo")
    folder = tmp_path / "portico"
    shutil.copytree(ROOT / "engine" / "portico_engine" / "kv", folder / "kv", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder)
    shutil.copy(workspace / "shop.db", folder)
    questions = runpy.run_path(str(ROOT / "demo" / "run.py"))["QUESTIONS"]
    asked = [answer(home, folder, question)["calls"][0]["tool"].partition("__")[0] for question in questions]
    assert asked == ["code", "docs", "db"]


def test_bare_it_takes_the_working_directory_and_the_question_from_stdin(home: dict[str, str], workspace: Path) -> None:
    done = ask(home, stdin="How do I install the pump?\n", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "Sources" in done.stdout
    assert "guide.md#install" in done.stdout
    assert "first token" in done.stdout.splitlines()[-1]
    assert "model:" in done.stderr, "loading is shown on stderr"


def test_what_is_nowhere_is_not_found_and_says_what_was_searched(home: dict[str, str], workspace: Path) -> None:
    done = ask(home, "--root", str(workspace), "--max-steps", "1", "Find the code of xylophonequux")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Not found." in done.stdout
    assert "xylophonequux" in done.stdout


def test_the_second_question_finds_instructions_and_tools_computed(
    home: dict[str, str], workspace: Path, tmp_path: Path
) -> None:
    own = {**home, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    first = answer(own, workspace, "How do I install the pump?")["figures"]
    kept = 16 * len(list(tmp_path.rglob("*.kv")))
    second = answer(own, workspace, "How do I install the pump?")["figures"]
    assert second["prompt_tokens"] == first["prompt_tokens"]
    assert second["cached_tokens"] >= first["cached_tokens"] + kept - 16, (
        "the last block is computed again where it ends a prompt"
    )
    assert kept > 200


def test_a_conversation_goes_on(home: dict[str, str], workspace: Path) -> None:
    found = answer(home, workspace, "Under which licence is the handbook?", "--continue")
    assert "public domain" in found["calls"][0]["text"]


def test_a_question_that_goes_on_from_the_last_one_is_asked_as_the_whole_one(home: dict[str, str], workspace: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(workspace / "shop.db")
    (expected,) = connection.execute("SELECT count(*) FROM orders WHERE status = 'shipped'").fetchone()
    connection.close()
    answer(home, workspace, "How many orders were cancelled?")
    found = answer(home, workspace, "And shipped?", "--continue")
    assert (found["asked"], found["question"]) == ("And shipped?", "How many orders were shipped?")
    assert str(expected) in found["answer"]


def test_a_server_that_cannot_start_is_named_and_the_others_go_on(
    home: dict[str, str], workspace: Path, tmp_path: Path
) -> None:
    config = tmp_path / "mcp.json"
    servers = {
        "broken": {"command": sys.executable, "args": ["-c", "raise SystemExit('no licence key')"]},
        "docs": {"command": sys.executable, "args": ["-m", "portico_servers.docs", str(workspace)]},
    }
    config.write_text(json.dumps({"mcpServers": servers}))
    done = ask(home, "--config", str(config), "How do I install the pump?")
    assert done.returncode == 0, done.stderr
    assert "server broken is not available" in done.stderr
    assert "no licence key" in done.stderr
    assert "blue valve" in done.stdout


def test_a_file_that_is_no_database_fails_its_server_alone(home: dict[str, str], workspace: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.db"
    fake.write_text("not a database at all, " * 50)
    done = ask(home, "--root", str(workspace), "--db", str(fake), "How do I install the pump?")
    assert done.returncode == 0, done.stderr
    assert "server db is not available" in done.stderr
    assert "fake.db" in done.stderr


def test_a_question_of_thousands_of_words_is_not_asked_and_says_why(home: dict[str, str], workspace: Path) -> None:
    done = ask(home, "--root", str(workspace), "--json", stdin="word " * 9000)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["calls"] == []
    assert "9,000 words" in json.dumps(said["reasons"])
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--root", "/nowhere/at/all", "q"], 2, "--root /nowhere/at/all is not there"),
        (["--docs", "/nowhere/at/all", "q"], 2, "--docs /nowhere/at/all is not there"),
        (["--db", "/nowhere/at.db", "q"], 2, "--db /nowhere/at.db is not there"),
        (["--config", "/nowhere/mcp.json", "q"], 2, "there is no such configuration file"),
        (["--model", "/nowhere/model.gguf", "q"], 3, "model.gguf"),
        (["--max-steps", "0", "q"], 2, "--max-steps"),
        ([], 2, "no question"),
    ],
)
def test_bad_input_is_one_clear_message_and_an_exit_code(
    home: dict[str, str], workspace: Path, args: list[str], code: int, said: str
) -> None:
    done = ask(home, *args, cwd=workspace)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_corrupt_model_file_is_one_clear_message(home: dict[str, str], workspace: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.gguf"
    corrupt.write_bytes(b"GGUF" + bytes(range(256)))
    done = ask(home, "--root", str(workspace), "--model", str(corrupt), "q")
    assert done.returncode == 3
    assert "corrupt.gguf" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_in_portico_toml_is_named(home: dict[str, str], workspace: Path, tmp_path: Path) -> None:
    config = tmp_path / "portico.toml"
    config.write_text('[model]\nnome = "x"\n')
    done = ask(home, "--config", str(config), "q", cwd=workspace)
    assert done.returncode == 2
    assert "portico.toml:2" in done.stderr
    assert "nome" in done.stderr


def test_ctrl_c_ends_cleanly_and_leaves_no_child(home: dict[str, str], workspace: Path) -> None:
    command = [sys.executable, "-m", "portico_gateway", "ask", "--root", str(workspace), "How do I install the pump?"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("docs:"):  # the servers are up, the model is loading or about to answer
            break
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_a_host_may_ask_over_mcp_and_gets_answer_evidence_and_sources(home: dict[str, str], workspace: Path) -> None:
    import anyio
    from mcp import StdioServerParameters
    from mcp.client import Client

    async def call() -> dict[str, Any]:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "portico_gateway", "stdio", "--root", str(workspace)], env=home
        )
        async with Client(command) as client:
            with anyio.fail_after(TIMEOUT):
                assert "ask" in [tool.name for tool in (await client.list_tools()).tools]
                result = await client.call_tool("ask", {"question": "How do I install the pump?"})
        assert not result.is_error
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    found = anyio.run(call)
    assert found["found"]
    assert "blue valve" in found["evidence"]
    assert "guide.md#install (docs)" in found["sources"]
