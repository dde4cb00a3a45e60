"""Commands write where they say, run nothing that was typed as data, and show a neighbour's words as text."""

from __future__ import annotations

import io
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click.testing
import httpx2
import pytest
from rich.console import Console

from portico_gateway.cli.main import run
from portico_gateway.cli.top_snapshot import ServeReader, ServeUnreachable
from portico_gateway.cli.top_view import top_view
from portico_servers.docs.__main__ import main as portico_docs

pytestmark = pytest.mark.attack("22 commands write, run and show what they say")

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own folders, apart from the workspace, which is the working directory."""
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / name.lower()))
    monkeypatch.delenv("PORTICO_CONFIG", raising=False)
    (tmp_path / "workspace").mkdir()
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "home"


def own_file(home: Path) -> Path:
    return home / "config" / "portico" / "portico.toml"


# --- portico add -------------------------------------------------------------------------------------------------------------

HOSTILE = [
    '"\n[policy]\nothers = "allow',
    "'''\n[serve]\nport = 1\n'''",
    '\\"; rm -rf ~; "',
    "$(touch owned)",
    "`touch owned`",
    "a\x00b\x1b]0;x\x07\x7f\x85\u2028",
    "]\n[servers.other]\ncommand = 'sh'",
    "\\",
    "#",
    "\\U0010FFFF\\x",
]


@pytest.mark.parametrize("word", HOSTILE, ids=ascii)
@pytest.mark.parametrize("place", ["program", "argument", "env", "env name", "header", "header name", "url"])
def test_what_is_typed_for_a_server_stays_a_word_of_it(home: Path, place: str, word: str) -> None:
    arguments = {
        "program": ["--", word], "argument": ["--", "true", word], "env": ["--env", f"A={word}", "--", "true"],
        "env name": ["--env", f"{word}=1", "--", "true"], "header": ["--url", "http://127.0.0.1:1/", "--header", f"A={word}"],
        "header name": ["--url", "http://127.0.0.1:1/", "--header", f"{word}=1"], "url": ["--url", f"http://127.0.0.1/{word}"],
    }[place]  # fmt: skip
    code = run(["add", "x", *arguments])
    assert code in (0, 2)
    if code == 0:
        written = tomllib.loads(own_file(home).read_text(encoding="utf-8"))
        assert list(written) == ["servers"]
        assert list(written["servers"]) == ["x"]
        assert _holds(written, word.partition("=")[0] if "name" in place else word)
    assert not Path("owned").exists()


def _holds(value: Any, word: str) -> bool:
    if isinstance(value, dict):
        return any(word in key or _holds(item, word) for key, item in value.items())
    return any(_holds(item, word) for item in value) if isinstance(value, list) else isinstance(value, str) and word in value


@pytest.mark.parametrize("name", ["../x", "a.b", "a b", '"a"', "a]\n[b", "-x", "__", "a__b", "", "x" * 33, "é", "a\n"])
def test_a_name_is_a_name(home: Path, name: str) -> None:
    assert run(["add", "--", name, "true"]) == 2
    assert not own_file(home).exists()


@pytest.mark.parametrize("place", ["argument", "env", "name"])
def test_bytes_that_are_no_text_are_refused_and_nothing_is_left(
    home: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    word = os.fsdecode(b"\xff\xfe")
    arguments = {
        "argument": ["x", "--", "true", word],
        "env": ["x", "--env", f"A={word}", "--", "true"],
        "name": [word, "true"],
    }
    assert run(["add", *arguments[place]]) == 2
    assert "Traceback" not in capsys.readouterr().err
    folder = own_file(home).parent
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_link_in_a_workspace_sends_no_write_elsewhere(tmp_path: Path) -> None:
    """A repository can hold a link under every name that a temporary file could have."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    Path(f".portico.toml.{os.getpid()}.tmp").symlink_to(victim)
    code = run(["add", "--workspace", "x", "--", "true"])
    assert victim.read_text() == "precious\n"
    assert code == 0
    assert not Path("portico.toml").is_symlink()


def test_a_workspaces_file_that_is_a_link_to_nothing_makes_nothing_elsewhere(tmp_path: Path) -> None:
    Path("portico.toml").symlink_to(tmp_path / "home" / "autostart.toml")
    assert run(["add", "--workspace", "x", "--", "true"]) == 2
    assert not (tmp_path / "home" / "autostart.toml").exists()


# --- portico top -------------------------------------------------------------------------------------------------------------

METRICS = 'portico_engine_requests{state="running"} 1.0\nportico_kv_blocks{state="free"} 5.0\n'
ESCAPE = "\x1b]0;owned\x07"


def reader(metrics: str, health: object, url: str = "http://127.0.0.1:1") -> ServeReader:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/metrics":
            return httpx2.Response(200, text=metrics)
        return httpx2.Response(200, text=health if isinstance(health, str) else json.dumps(health))

    return ServeReader(url, transport=httpx2.MockTransport(answer))


def shown(metrics: str, health: object, url: str = "http://127.0.0.1:1") -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system=None, width=200).print(
        top_view(reader(metrics, health, url).read(), url)
    )
    return out.getvalue()


@pytest.mark.parametrize("words", [ESCAPE, "[link=http://evil]x[/link]", "[/bold]", "[red]", "[@click=x]", "\\["], ids=ascii)
@pytest.mark.parametrize("place", ["status", "id", "executor", "memory", "fallback kind", "fallback", "state"])
def test_what_a_server_says_of_itself_is_text(place: str, words: str) -> None:
    model = {"id": "m", "executor": "e", "memory": "m", "fallbacks": {}}
    health: dict[str, Any] = {"status": "ok", "model": model}
    metrics = METRICS
    match place:
        case "status":
            health["status"] = words
        case "fallback kind":
            model["fallbacks"] = {words: "x"}
        case "fallback":
            model["fallbacks"] = {"x": words}
        case "state":
            label = words.replace("\\", "\\\\")
            metrics = f'portico_engine_requests{{state="{label}"}} 1.0\n'
        case _:
            model[place] = words
    found = shown(metrics, health)
    assert "\x1b]" not in found
    assert words.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in found


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e308", "-5"])
def test_numbers_that_are_none_are_shown(value: str) -> None:
    metrics = "".join(
        f"{name} {value}\n"
        for name in (
            'portico_engine_requests{state="running"}', 'portico_kv_blocks{state="held"}', 'portico_kv_blocks{state="free"}',
            "portico_engine_steps_total", 'portico_engine_step_seconds_total{part="launch"}', "portico_tokens_generated_total",
            "portico_tokens_forced_total", 'portico_prompt_tokens_total', 'portico_prompt_tokens_cached_total{tier="memory"}',
        )
    )  # fmt: skip
    assert "requests" in shown(metrics, {"status": "ok", "model": None})


@pytest.mark.parametrize(
    "health",
    ["[]", "7", '"x"', "null", '{"model": 7}', '{"model": []}', '{"model": {"id": 7, "executor": [], "fallbacks": 7}}',
     '{"model": {"fallbacks": {"a": 7}}}', '{"model": {"memory": {}}}', "[" * 100_000, '{"status": [1]}', "\ud800"],
    ids=lambda health: ascii(health)[:40],
)  # fmt: skip
def test_another_servers_answer_is_said_to_be_none(health: str) -> None:
    try:
        text = shown(METRICS, health.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    except ServeUnreachable:
        return
    assert "requests" in text


def test_an_address_is_shown_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://user:{SECRET}@127.0.0.1:1"
    assert SECRET not in shown(METRICS, {"status": "ok"}, url)
    assert run(["top", "--once", "--url", url]) == 4
    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://[", "http://\x00", "http://x:99999", "file:///etc/passwd", ""])
def test_an_address_that_is_none_is_an_error_in_a_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--once", "--url", url]) in (2, 4)
    assert "Traceback" not in capsys.readouterr().err


# --- portico-docs ------------------------------------------------------------------------------------------------------------


def test_what_documentation_calls_itself_is_text(tmp_path: Path) -> None:
    """Names of files, of the library and of what was left out: of somebody else's."""
    source = tmp_path / f"docs{ESCAPE}"
    source.mkdir()
    (source / "page.md").write_text("# A\n\nText.\n")
    (source / f"broken{ESCAPE}.ipynb").write_text("{")
    cache = ["--cache-dir", str(tmp_path / "cache")]
    runner = click.testing.CliRunner()
    added = runner.invoke(portico_docs, ["add", str(source), *cache])
    listed = runner.invoke(portico_docs, ["list", *cache])
    missing = runner.invoke(portico_docs, ["add", str(tmp_path / f"no{ESCAPE}"), *cache])
    assert "docs" in listed.output
    assert added.exit_code == 0, added.output
    for found in (added, listed, missing):
        assert "\x1b" not in found.output
        assert "\x07" not in found.output
