"""`portico launch`: a client's program, its environment, and one request of its to the served model."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from portico_gateway.cli.launch_clients import CLIENTS, ServedModel, client_environ
from portico_gateway.cli.main import run

# A client that says how it was started, and asks the server that it was told of for one answer.
CLIENT = """#!{python}
import json, os, sys, urllib.request
told = {{"argv": sys.argv[1:], "env": dict(os.environ)}}
name = os.path.basename(sys.argv[0])
if name == "claude":
    base, path, token = os.environ["ANTHROPIC_BASE_URL"], "/v1/messages", os.environ["ANTHROPIC_AUTH_TOKEN"]
    model = os.environ["ANTHROPIC_MODEL"]
elif name == "codex":
    import tomllib
    given = tomllib.loads("\\n".join(v for k, v in zip(sys.argv[1:], sys.argv[2:]) if k == "-c"))
    provider = given["model_providers"][given["model_provider"]]
    base, path, token, model = provider["base_url"], "/responses", os.environ[provider["env_key"]], given["model"]
else:
    config = json.loads(os.environ["OPENCODE_CONFIG_CONTENT"])
    provider, _, model = config["model"].partition("/")
    options = config["provider"][provider]["options"]
    assert options["apiKey"] == "{{env:PORTICO_KEY}}"
    base, path, token = options["baseURL"], "/chat/completions", os.environ["PORTICO_KEY"]
request = urllib.request.Request(base + path, json.dumps({{"model": model}}).encode(), {{"Authorization": "Bearer " + token}})
told["answer"] = urllib.request.urlopen(request, timeout=10).read().decode()
open(os.environ["TOLD"], "w").write(json.dumps(told))
sys.exit(7)
"""


class _Server(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, Any]]
    models: list[dict[str, Any]]
    status = 200

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": self.models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        self._answer({"said": "hello"})

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Server]]]:
    models = [{"id": "smol", "context_length": 8192}, {"id": "smol:mine", "context_length": 8192}]
    handler = type("Handler", (_Server,), {"asked": [], "models": models})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", handler
        listening.shutdown()
        thread.join()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the clients, which are on PATH, say how they were started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for client in CLIENTS:
        (folder / client).write_text(CLIENT.format(python=sys.executable))
        (folder / client).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("TOLD", str(tmp_path / "told.json"))
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"):
        monkeypatch.setenv(name, "elsewhere")
    return tmp_path / "told.json"


@pytest.mark.parametrize(
    ("client", "path"), [("codex", "/v1/responses"), ("claude", "/v1/messages"), ("opencode", "/v1/chat/completions")]
)
def test_each_client_asks_the_local_model_with_its_own_arguments_behind_ours(
    client: str, path: str, server: tuple[str, type[_Server]], told: Path
) -> None:
    url, handler = server
    assert run(["launch", "--url", url, "--key", "portico-k", client, "exec", "--flag", "-c", "x=1"]) == 7
    said = json.loads(told.read_text())
    assert said["argv"][-4:] == ["exec", "--flag", "-c", "x=1"]
    assert said["answer"] == '{"said": "hello"}'
    assert handler.asked == [(path, "Bearer portico-k", {"model": "smol"})]
    if client == "claude":
        assert not {"ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"} & set(said["env"])
        assert said["env"]["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "smol"
        assert said["env"]["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
        assert said["env"]["CLAUDE_CODE_ATTRIBUTION_HEADER"] == "0"
        assert said["env"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "8192"


def test_an_adapter_is_chosen_by_its_name_and_an_unknown_one_is_named(
    server: tuple[str, type[_Server]], told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = server
    assert run(["launch", "--url", f"{url}/v1", "--model", "smol:mine", "claude"]) == 7
    assert handler.asked[0][2] == {"model": "smol:mine"}
    assert "context of 8192 tokens" in capsys.readouterr().err
    assert run(["launch", "--url", url, "--model", "big", "claude"]) == 1
    assert "serves no model 'big'; it serves smol, smol:mine" in capsys.readouterr().err


def test_what_is_no_portico_serve_is_said(
    server: tuple[str, type[_Server]], told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = server
    handler.models = []
    assert run(["launch", "--url", url, "codex"]) == 1
    assert "serves no model" in capsys.readouterr().err
    handler.status = 401
    assert run(["launch", "--url", url, "codex"]) == 1
    assert "wants a key" in capsys.readouterr().err
    assert not told.exists()


def test_a_client_that_is_not_installed_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["launch", "codex"]) == 1
    assert "npm install -g @openai/codex" in capsys.readouterr().err


def test_print_starts_nothing_and_hides_the_key(
    server: tuple[str, type[_Server]], told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["launch", "--url", server[0], "--key", "portico-k", "--print", "codex", "exec"]) == 0
    out = capsys.readouterr().out
    assert "PORTICO_KEY=..." in out
    assert "portico-k" not in out
    assert not told.exists()


def test_a_server_is_started_where_none_listens_and_ends_with_the_client(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ends at once says so; the model of a started server is waited for by what `/v1/models` says."""
    (tmp_path / "portico.toml").write_text('[model]\nname = "/no/such.gguf"\n')
    with_none = "http://127.0.0.1:9"  # nobody listens there
    assert run(["launch", "--url", with_none, "--config", str(tmp_path / "portico.toml"), "codex"]) == 1
    err = capsys.readouterr().err
    assert "starting portico serve on port" in err
    assert "portico serve ended with exit code 3" in err
    assert not told.exists()


def test_codexs_settings_are_toml_and_opencodes_keep_what_the_user_gave() -> None:
    model = ServedModel("http://127.0.0.1:8630", 'odd "name"', 4096)
    flags = CLIENTS["codex"].start(model, {}).arguments
    assert flags[::2] == ("-c",) * (len(flags) // 2)
    given = tomllib.loads("\n".join(flags[1::2]))
    assert (given["model"], given["model_context_window"]) == ('odd "name"', 4096)
    assert given["features"] == {"plugins": False}
    start = CLIENTS["opencode"].start(model, {"OPENCODE_CONFIG_CONTENT": '{"theme": "x", "model": "other"}'})
    config = json.loads(client_environ(start, {"A": "b"})["OPENCODE_CONFIG_CONTENT"])
    assert start.set["OPENCODE_DISABLE_MODELS_FETCH"] == "1"
    assert (config["theme"], config["model"]) == ("x", 'portico/odd "name"')
