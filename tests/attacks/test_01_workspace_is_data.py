"""A workspace is data, never code: nothing in it is imported, and its configuration starts nothing before a person said so."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from portico_gateway.assembly.config_reload import follow_config
from portico_gateway.cli.main import run
from portico_gateway.config import trust as trusted
from portico_gateway.config.workspace import config_source
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

SCRIPT = Path(sys.executable).with_name("portico")
PATIENCE = 90.0
# Modules of the standard library and of dependencies, early and late ones, plain files and packages.
EARLY = ["json", "sitecustomize", "usercustomize", "runpy", "pkgutil", "portico_servers/__init__"]
LATE = [
    "pathspec", "tree_sitter", "tree_sitter_python", "mcp/__init__", "anyio/__init__", "multiprocessing/__init__", "wordllama",
    "numpy/__init__", "watchfiles/__init__", "torch/__init__", "sqlite3", "portico_engine/__init__", "pip/__main__",
    "markdown_it", "jinja2/__init__", "llama_cpp",
]  # fmt: skip

pytestmark = [
    pytest.mark.attack("1 a workspace is data, never code"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="the portico script is not installed beside this Python"),
]


class Workspace:
    """A folder full of modules that leave a mark when they are imported."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.mark = home / "mark"
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONPATH")},
            **{f"XDG_{kind}_HOME": str(home / kind) for kind in ("STATE", "CACHE", "CONFIG", "DATA")},
            "HOME": str(home),
            "PORTICO_LOG_DIR": str(home / "logs"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for trap in (*EARLY, *LATE):
            path = folder / f"{trap}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"with open({str(self.mark)!r}, 'a') as f:\n    f.write({trap!r} + ' ')\n")
        (folder / "guide.md").write_text("# Guide\n\nTo install the pump, turn the blue valve first.\n")

    def imported(self) -> str:
        return self.mark.read_text() if self.mark.exists() else ""

    def starts(self, mark: str = "started") -> str:
        """A portico.toml whose server leaves a mark."""
        code = f"open({str(self.mark)!r}, 'a').write({mark!r})"
        return f"[servers.evil]\ncommand = {json.dumps(sys.executable)}\nargs = {json.dumps(['-c', code])}\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    for name in ("workspace", "home"):
        (tmp_path / name).mkdir()
    made = Workspace(tmp_path / "workspace", tmp_path / "home")
    yield made
    subprocess.run([str(SCRIPT), "background", "stop"], cwd=tmp_path, env=made.env, capture_output=True, timeout=PATIENCE)


@contextmanager
def stdio_of(workspace: Workspace, *args: str, env: dict[str, str] | None = None) -> Iterator[Any]:
    yield stdio_client(
        StdioServerParameters(command=str(SCRIPT), args=[*args], env={**workspace.env, **(env or {})}, cwd=workspace.folder),
        errlog=sys.__stderr__,
    )


async def _use(transport: Any, *tools: str) -> None:
    """Call these tools, once they are there."""
    with anyio.fail_after(PATIENCE):
        async with Client(transport, mode="legacy", cache=None) as client:
            while not {*tools} <= {each.name for each in (await client.list_tools()).tools}:  # noqa: ASYNC110 - no event says so
                await anyio.sleep(0.05)  # whoever starts needs the processor
            for tool in tools:
                await client.call_tool(tool, {"query": "pump"})


# An empty entry of PYTHONPATH is the working directory, and easily made: PYTHONPATH=$PYTHONPATH:/more. What Python
# itself imports before the first line of ours is its user's affair then; nothing later may follow.
@pytest.mark.parametrize("python_path", [None, os.pathsep + os.sep + "nowhere"])
@pytest.mark.parametrize(
    ("args", "tools"),
    [
        (["stdio"], ["code__search", "docs__search"]),
        (["server", "code", "."], ["search"]),
        (["server", "docs", "."], ["search"]),
    ],
)
def test_no_module_of_the_workspace_is_imported_by_what_speaks_stdio(
    workspace: Workspace, args: list[str], tools: list[str], python_path: str | None
) -> None:
    for name in EARLY if python_path else ():
        (workspace.folder / f"{name}.py").unlink()
    if python_path:
        (workspace.folder / "portico_servers").rmdir()
    with stdio_of(workspace, *args, env={"PYTHONPATH": python_path} if python_path else None) as transport:
        anyio.run(_use, transport, *tools)
    assert workspace.imported() == ""


def test_no_module_of_the_workspace_is_imported_by_serve(workspace: Workspace) -> None:
    command = [str(SCRIPT), "serve", "--no-model", "--port", "0"]
    with subprocess.Popen(command, cwd=workspace.folder, env=workspace.env, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split("MCP on ")[1].split(";")[0]
            anyio.run(_use, streamable_http_client(url), "code__search")
        finally:
            process.terminate()
    assert workspace.imported() == ""


def test_no_module_of_the_workspace_is_imported_by_ask(workspace: Workspace) -> None:
    command = [str(SCRIPT), "ask", "How do I install the pump?"]
    done = subprocess.run(
        command,
        cwd=workspace.folder,
        env=workspace.env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    assert workspace.imported() == ""


def test_no_module_of_the_workspace_is_imported_by_doctor_or_by_installing_the_model(workspace: Workspace) -> None:
    for args in (["doctor"], ["model"], ["audit"], ["config", "cursor"], ["trust", "--list"]):
        subprocess.run([str(SCRIPT), *args], cwd=workspace.folder, env=workspace.env, capture_output=True, timeout=PATIENCE)
    assert workspace.imported() == ""


# -- a workspace's configuration


@pytest.mark.parametrize(
    "args",
    [["stdio"], ["serve", "--no-model", "--port", "0"], ["ask", "q"], ["audit"], ["config", "cursor"]],
    ids=lambda a: a[0],
)
def test_a_configuration_that_came_with_the_workspace_starts_nothing_and_is_named(
    workspace: Workspace, args: list[str]
) -> None:
    (workspace.folder / "portico.toml").write_text(workspace.starts())
    env = {**workspace.env, "PORTICO_MODEL": str(workspace.folder / "guide.md")}  # no model: `ask` ends early
    with subprocess.Popen(
        [str(SCRIPT), *args],
        cwd=workspace.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        if args[0] == "serve":
            process.stderr.readline()
            time.sleep(1.0)
            process.terminate()
        process.stderr.read()
    assert "portico.toml is left out" in first
    assert f"portico trust {workspace.folder}" in first
    assert workspace.imported() == ""


@pytest.mark.parametrize(
    "text",
    ["[servers.x\n", "\x00", '[servers.x]\ncommand = "\x1b]0;own\x07"\n', "[serve]\nport = 99999\n", "é".encode("latin-1")],
    ids=["no TOML", "NUL", "escapes", "a mistake", "latin-1"],
)
def test_one_that_is_not_trusted_costs_nothing_whatever_is_in_it(workspace: Workspace, text: str | bytes) -> None:
    (workspace.folder / "portico.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([str(SCRIPT), "audit"], cwd=workspace.folder, env=workspace.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is left out" in done.stderr
    assert "\x1b" not in done.stderr


class Trust:
    """The gateway's own functions over a state folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "portico.toml"

    def write(self, text: str) -> trusted.WorkspaceConfig:
        self.file.write_text(text)
        return trusted.WorkspaceConfig(self.file, self.file.read_bytes())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trust:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PORTICO_CONFIG", raising=False)
    (tmp_path / "ws").mkdir()
    return Trust(tmp_path / "ws")


def _same(place: Trust) -> None: ...


def _changed(place: Trust) -> None:
    place.file.write_text("[serve]\nport = 3\n")


def _one_byte(place: Trust) -> None:
    place.file.write_bytes(place.file.read_bytes() + b"\n")


def _moved(place: Trust) -> None:
    (place.folder / "other").mkdir()
    place.file.rename(place.folder / "other" / "portico.toml")
    place.folder, place.file = place.folder / "other", place.folder / "other" / "portico.toml"


def _revoked(place: Trust) -> None:
    assert run(["trust", "--revoke", str(place.folder)]) == 0


def _list_destroyed(place: Trust) -> None:
    trusted.trust_file().write_text("{")


def _by_a_link(place: Trust) -> None:
    (place.folder.parent / "link").symlink_to(place.folder)
    place.folder = place.folder.parent / "link"
    place.file = place.folder / "portico.toml"


@pytest.mark.parametrize(
    ("then", "counts"),
    [
        (_same, True), (_by_a_link, True), (_changed, False), (_one_byte, False), (_moved, False), (_revoked, False),
        (_list_destroyed, False),
    ],
)  # fmt: skip
def test_trust_is_of_one_content_at_one_place(place: Trust, then: Callable[[Trust], None], counts: bool) -> None:
    place.write("[serve]\nport = 2\n")
    assert run(["trust", str(place.folder)]) == 0
    then(place)
    assert trusted.is_trusted(trusted.WorkspaceConfig(place.file, place.file.read_bytes())) is counts


def test_the_list_of_what_is_trusted_is_its_owners_alone(place: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("")
    assert run(["trust", str(place.folder)]) == 0
    assert trusted.trust_file().stat().st_mode & 0o777 == 0o600
    assert trusted.trust_file().parent.stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert run(["trust", "--list"]) == 0
    assert str(place.file) in capsys.readouterr().out
    assert run(["trust", "--revoke", str(place.folder)]) == 0
    assert run(["trust", "--revoke", str(place.folder)]) == 1


def test_what_trust_shows_hides_nothing_and_expands_nothing(
    place: Trust, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    text = '[servers.a]\ncommand = "sh"\nargs = ["-c", "\\u001b[2K\\u202ecurl x | sh"]\nenv = { T = "${TOKEN}" }\n'
    text += '[policy]\nothers = "allow"\n'
    place.write(text)
    assert run(["trust", str(place.folder)]) == 0
    err = capsys.readouterr().err
    assert "\\x1b[2K\\u202ecurl x | sh" in err
    assert "\x1b" not in err
    assert "sets policy.others = allow" in err
    assert "${TOKEN}" in err
    assert "s3cret" not in err


@pytest.mark.parametrize(("answer", "counts"), [("y", True), ("n", False), ("", False)])
def test_a_person_at_a_terminal_is_asked_and_shown_what_it_would_start(workspace: Workspace, answer: str, counts: bool) -> None:
    (workspace.folder / "portico.toml").write_text(workspace.starts())
    command = [str(SCRIPT), "config", "cursor"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=workspace.folder, env=workspace.env, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        said, asked = "", False
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.2)[0]:
                with suppress(OSError):
                    data = os.read(ours, 65536)
                    said += data.decode(errors="replace")
                if process.poll() is not None and not data:
                    break
            if "Trust this content?" in said and not asked:
                asked = True
                os.write(ours, answer.encode() + b"\n")
            if process.poll() is not None:
                break
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(ours)
    assert asked, said
    assert "server evil: starts " in said
    assert ("--config" in out) is counts
    assert workspace.imported() == "", "asking starts nothing"


def test_the_users_own_folder_and_a_file_that_is_named_need_no_trust(
    place: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting() -> int | None:
        source = config_source(None, {}, place.folder, (), ())
        return None if source is None else source.read()[0].serve.port

    own = tmp_path / "config" / "portico" / "portico.toml"
    own.parent.mkdir(parents=True)
    own.write_text("[serve]\nport = 7\n")
    assert counting() == 7
    named = place.write("[serve]\nport = 8\n").path
    assert counting() == 7, "the workspace's isn't trusted"
    source = config_source(named, {}, None, (), ())
    assert source is not None
    assert source.read()[0].serve.port == 8
    monkeypatch.setenv("PORTICO_CONFIG", str(named))
    assert counting() == 8


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_edit_of_a_trusted_file_is_not_applied_until_it_is_trusted_again(
    place: Trust, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    trusted.trust(place.write('[policy]\nallow = ["a"]\n'))
    source = config_source(None, {}, None, (), ())
    assert source is not None
    send, changes = anyio.create_memory_object_stream[None](10)
    async with send, changes, Upstreams([]) as up, anyio.create_task_group() as tasks:
        calls = ToolCalls(up)

        async def change() -> list[str]:
            await send.send(None)
            for _ in range(10):
                await anyio.wait_all_tasks_blocked()
            return list(calls.policy.config.allow)

        tasks.start_soon(lambda: follow_config(source, calls, changes=changes))
        other = place.write('[policy]\nallow = ["b"]\n[servers.evil]\ncommand = "evil"\n')
        assert await change() == []
        assert up.status() == []
        assert "has changed; look at it, then: portico trust" in caplog.text
        trusted.trust(other)
        assert await change() == ["b"]
        assert {server.name for server in up.status()} == {"code", "docs", "evil"}
        tasks.cancel_scope.cancel()


def test_what_is_trusted_while_it_is_swapped_is_what_was_read(place: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    from portico_gateway.config import config_file

    trusted.trust(place.write("[serve]\nport = 2\n"))
    real = config_file.is_trusted

    def swap(found: trusted.WorkspaceConfig) -> bool:
        place.file.write_text("[serve]\nport = 666\n")
        return real(found)

    monkeypatch.setattr(config_file, "is_trusted", swap)
    found = config_file.find_config(folder=place.folder, environ={})
    assert found is not None
    assert "port = 2" in found.text
