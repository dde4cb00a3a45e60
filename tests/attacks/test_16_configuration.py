"""Whatever is wrong with a configuration is said at once and whole, holds no secret, and costs what needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from portico_gateway.cli.main import run
from portico_gateway.config.portico_config import PorticoConfig, load_config
from portico_gateway.config.variables import VariableError, Variables, read_env_file
from portico_gateway.errors import ConfigError
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams

SERVER = Path(__file__).parents[1] / "gateway" / "sample_server.py"
SECRET = "s3cr3t-value"

pytestmark = pytest.mark.attack("16 a configuration's mistakes")


def load(folder: Path, text: str | dict[str, Any], **environ: str) -> PorticoConfig:
    path = folder / ("portico.toml" if isinstance(text, str) else "mcp.json")
    path.write_text(text if isinstance(text, str) else json.dumps({"mcpServers": text}))
    return load_config(path, environ=environ)


def test_every_mistake_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        '[serve]\nport = 99999\nprot = 1\n[policy]\nallow = [""]\nothers = "perhaps"\n[servers.a]\nurl = "ftp://x"\n[modle]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, PORTICO_LOG_LEVEL="loud")
    lines = str(caught.value).splitlines()
    path = tmp_path / "portico.toml"
    for line, said in [
        (2, "serve.port"),
        (3, "'serve.prot'"),
        (5, "policy.allow.0"),
        (6, "others"),
        (7, "url"),
        (9, "'modle'"),
    ]:
        assert any(each.startswith(f"{path}:{line}: ") and said in each for each in lines), (line, said, lines)
    assert any("environment variable PORTICO_LOG_LEVEL: log.level" in each for each in lines)


def test_a_thousand_mistakes_are_a_message_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "".join(f"[bad{i}]\n" for i in range(1000)))
    assert len(str(caught.value).splitlines()) == 21
    assert "and 980 more" in str(caught.value)


def _deep_toml() -> str:
    return f"x = {'[' * 100_000}{']' * 100_000}\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("portico.toml", _deep_toml().encode(), "nests too deeply"),
        ("mcp.json", b"[" * 100_000, "nests too deeply"),
        ("portico.toml", b"\xff\xfe", "not UTF-8"),
        ("portico.toml", b"#" * (5 << 20), "at most 4 MiB"),
        ("mcp.json", b'{"mcpServers": []}', "must be an object"),
        ("mcp.json", b"null", "expected an object"),
    ],
    ids=["deep TOML", "deep JSON", "latin", "5 MiB", "a list", "null"],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(tmp_path / name, environ={})
    assert "\n" not in str(caught.value)


def test_a_folder_named_as_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this is no file"):
        load_config(tmp_path, environ={})


GOOD = {"command": "x"}
# entry -> what is said of it, or the spec that it gives
REFUSED: list[tuple[Any, str]] = [
    ({**GOOD, "env": {"T": "${NOT_SET_ANYWHERE}"}}, "servers.bad.env.T: the environment variable NOT_SET_ANYWHERE is not set"),
    ({**GOOD, "args": ["${file:/no/such/secret}"]}, "there is no file /no/such/secret"),
    ({**GOOD, "envFile": "none.env"}, "none.env"),
    ({**GOOD, "args": ["${selectedText}"]}, "known to the editor alone"),
    ({**GOOD, "args": ["${command:pick}"]}, "not understood; known are ${NAME}"),
    ({**GOOD, "args": ["${"]}, "a '${' has no '}'"),
    ({**GOOD, "args": ["${input:k}"]}, "PORTICO_INPUT_K"),
    ({**GOOD, "type": "carrier-pigeon"}, "carrier-pigeon"),
    ({**GOOD, "type": 7}, "has the type 7"),
    ({**GOOD, "args": "-y"}, "args that are no list"),
    ({**GOOD, "args": [{}]}, "args[0], which must be a string"),
    ({**GOOD, "env": ["A=1"]}, "env that are no object"),
    ({"command": 3}, "servers.bad.command"),
    ({"url": "ftp://x"}, "must start with http"),
    ({"command": "x", "url": "http://x"}, "set either command"),
    ({}, "set either command"),
    ("x", "must be an object"),
    (None, "must be an object"),
]


@pytest.mark.parametrize(("entry", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_wrong_with_one_entry_of_a_hosts_file_costs_that_entry_alone(tmp_path: Path, entry: Any, said: str) -> None:
    good, bad, other = load(tmp_path, {"good": GOOD, "bad": entry, "other": GOOD}).specs()
    assert (good.problem, other.problem) == ("", "")
    assert (bad.name, good.command) == ("bad", "x")
    assert said in bad.problem
    assert bad.problem.startswith(f"{tmp_path / 'mcp.json'}:1: ")


UNDERSTOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({**GOOD, "env": None, "args": None, "cwd": None}, {"env": {}, "args": (), "cwd": None}),
    ({**GOOD, "env": {"A": None, "B": 8080, "C": True}}, {"env": {"B": "8080", "C": "true"}}),
    ({**GOOD, "args": ["-p", 8080, 1.5, False]}, {"args": ("-p", "8080", "1.5", "false")}),
    ({**GOOD, "type": "local"}, {"transport": "stdio"}),
    ({"type": "local", "command": ["npx", "x"]}, {"command": "npx", "args": ("x",)}),
    ({**GOOD, "environment": {"A": "1"}}, {"env": {"A": "1"}}),
    ({"type": "remote", "url": "http://h/mcp"}, {"transport": "http", "url": "http://h/mcp"}),
    ({"httpUrl": "http://h/mcp", "headers": {"X": 1, "Y": None}}, {"url": "http://h/mcp", "headers": {"X": "1"}}),
    ({"serverUrl": "http://h/mcp", "type": "streamable_http"}, {"transport": "http"}),
    ({"command": {"path": "zed", "args": ["a"], "env": None}}, {"command": "zed", "args": ("a",)}),
    ({**GOOD, "args": ["${workspaceFolderBasename}${pathSeparator}${/}"]}, {"args": ("ws//",)}),
    ({**GOOD, "args": ["${workspaceFolder:ws}", "${workspaceRoot}"]}, {"args": ("WS", "WS")}),
    ({**GOOD, "args": ["${A:-${B:-c}}", "${A:-}", "$${A}", "$A"]}, {"args": ("c", "", "${A}", "$A")}),
    ({**GOOD, "args": ["${SET:-d}", "${EMPTY:-d}", "${EMPTY}"]}, {"args": ("s", "d", "")}),
    ({**GOOD, "envFile": "${workspaceFolder}/.env", "args": ["${FROM_FILE}"], "env": {"SET": "own"}},
     {"args": ("f",), "env": {"FROM_FILE": "f", "SET": "own", "QUOTED": "a # b"}}),
    ({**GOOD, "args": ["${file:secret.txt}"]}, {"args": ("from a file",)}),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "gives"), UNDERSTOOD, ids=range(len(UNDERSTOOD)))
def test_what_hosts_and_editors_write_is_understood(tmp_path: Path, entry: dict[str, Any], gives: dict[str, Any]) -> None:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / ".env").write_text("# a comment\nexport FROM_FILE=f # why\nSET='other'\nQUOTED=\"a # b\"\n\n")
    (folder / "secret.txt").write_text("from a file\n")
    (spec,) = load(folder, {"one": entry}, SET="s", EMPTY="").specs()
    assert spec.problem == ""
    for name, value in gives.items():
        expected = tuple(str(folder) if item == "WS" else item for item in value) if isinstance(value, tuple) else value
        assert getattr(spec, name) == expected


def test_vs_codes_settings_and_white_space_around_an_address_are_understood(tmp_path: Path) -> None:
    """`mcp` is opencode's key for servers, and in VS Code's settings.json what holds `servers`."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"editor.fontSize": 12, "mcp": {"inputs": [], "servers": {"one": GOOD}}}))
    assert [(spec.name, spec.problem) for spec in load_config(file, folder=tmp_path).specs()] == [("one", "")]
    file.write_text(json.dumps({"mcp": {"servers": {"command": "x"}, "h": {"url": " http://127.0.0.1:1/mcp\n"}}}))
    specs = load_config(file, folder=tmp_path).specs()
    assert [(spec.name, spec.problem) for spec in specs] == [("servers", ""), ("h", "")]
    assert specs[1].url == "http://127.0.0.1:1/mcp"


def test_a_list_without_servers_has_no_tools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "servers.json"
    file.write_text('{"mcpServers": {}}')
    for args, out in ((), ""), (("--json",), "[]\n"):
        assert run(["tools", "--config", str(file), *args]) == 0
        said = capsys.readouterr()
        assert (said.out, said.err) == (out, "portico tools: no server is configured, so there are no tools\n")


def test_a_disabled_entrys_variables_are_not_read(tmp_path: Path) -> None:
    off = {"command": "x", "disabled": True, "env": {"T": "${NOT_SET_ANYWHERE}"}, "envFile": "none"}
    assert [spec.name for spec in load(tmp_path, {"good": GOOD, "bad": off}).specs()] == ["good"]
    toml = '[servers.bad]\ncommand = "x"\nenabled = false\nenv_file = "none"\nargs = ["${NOPE}"]\n'
    assert load(tmp_path, toml).specs() == ()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_cannot_be_used_is_reported_as_failed_and_the_others_serve(tmp_path: Path) -> None:
    good = {"command": sys.executable, "args": [str(SERVER), "good"]}
    specs = load(tmp_path, {"good": good, "bad": {**good, "env": {"T": "${NOT_SET_ANYWHERE}"}}}).specs()
    async with Upstreams(specs, log_dir=tmp_path) as up:
        one, two = await up.ready(60)
        assert (one.state, two.state) == (UpstreamState.READY, UpstreamState.FAILED)
        assert "NOT_SET_ANYWHERE is not set" in (two.error or "")
        assert (await up.call_tool("good__add", {"a": 1, "b": 1})).structured_content == {"result": 2}


def test_variables_stand_in_every_section_of_portico_toml(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "my.env").write_text("PORT=99\n")
    text = """
    env_file = "my.env"
    [serve]
    port = "${PORT}"
    [oauth]
    issuer = "https://${HOST:-as.example}"
    resource = "https://me/mcp"
    introspection_url = "https://as/i"
    client_secret = "${file:secret}"
    [servers.a]
    url = "https://${HOST:-h}/mcp"
    headers = { Authorization = "Bearer ${file:secret}" }
    """
    config = load(tmp_path, text)
    assert (config.serve.port, config.oauth.issuer, config.oauth.client_secret) == (99, "https://as.example", SECRET)
    assert config.specs()[0].headers == {"Authorization": f"Bearer {SECRET}"}


def test_a_variable_that_only_one_server_needs_costs_that_server_in_portico_toml_too(tmp_path: Path) -> None:
    text = '[servers.a]\ncommand = "a"\n[servers.b]\ncommand = "b"\nstart_timeout = "${NOPE}"\nargs = ["${NOPE}"]\n'
    text += '[servers.c]\nurl = "${NOPE}"\n'
    a, b, c = load(tmp_path, text).specs()
    assert a.problem == ""
    assert b.problem.startswith(f"{tmp_path / 'portico.toml'}:5: servers.b.start_timeout: the environment variable NOPE")
    assert "servers.c.url" in c.problem
    with pytest.raises(ConfigError, match=r"portico.toml:2: model.name: the environment variable NOPE is not set"):
        load(tmp_path, '[model]\nname = "${NOPE}"\n')


# where a secret may stand -> the configuration is wrong there, and says so without it
SECRETS = [
    f'[servers.a]\ncommand = "x"\nenv = {{ T = ["{SECRET}"] }}\n',
    f'[servers.a]\ncommand = "x"\nenv = "{SECRET}"\n',
    f'[servers.a]\nurl = "http://x"\nheaders = {{ T = ["{SECRET}"] }}\n',
    f'[servers.a]\nurl = "user:{SECRET}@host"\n',
    f'[servers.a]\ncommand = "x"\nargs = "--key={SECRET}"\n',
    '[servers.a]\ncommand = "x"\nstart_timeout = "${TOKEN}"\n',
    f'[keys.me]\nsha256 = "{SECRET}"\n',
    f'[oauth]\nissuer = "https://u:{SECRET}@h"\n',
    f'[oauth]\nclient_secret = ["{SECRET}"]\n',
    '[serve]\nport = "${TOKEN}"\n',
    '[model]\ncontext = "${file:secret}"\n',
    '[policy]\nallow = ["${TOKEN}/"]\n',
    f'[servers.a]\ncommand = "x"\nenv = {{ T = "{SECRET} }}\n',
]


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / ".env").write_text(SECRET)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, TOKEN=SECRET)
    assert SECRET not in str(caught.value)
    assert str(tmp_path / "portico.toml") in str(caught.value), "and still says where"


def test_no_error_of_the_environment_or_an_env_file_shows_a_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="issuer must be a URL") as caught:
        load(tmp_path, "", PORTICO_OAUTH_ISSUER=SECRET, PORTICO_OAUTH_RESOURCE=SECRET, PORTICO_OAUTH_INTROSPECTION_URL=SECRET)
    assert SECRET not in str(caught.value)
    (tmp_path / "env").write_text(f"A=1\n{SECRET}\n")
    with pytest.raises(VariableError, match=r"env:2: expected NAME=VALUE") as wrong:
        read_env_file(tmp_path / "env")
    assert SECRET not in str(wrong.value)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "big", "folder", "nul\0"])
def test_a_secrets_file_that_never_ends_or_is_none_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "big").write_bytes(b"x" * (65 << 10))
    (tmp_path / "folder").mkdir()
    with pytest.raises(VariableError):
        Variables({}, tmp_path, tmp_path).expand(f"${{file:{path}}}")


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        ("files__write_*", True), ("*", True), ("ask", True), ("db__*", True), ("a[bc]__?", True), ("a[!b]__x", True),
        ("[a-z]*", True),
        ("", False), (" ", False), ("files.write", False), ("files/*", False), ("a__b c", False), (".*", False), ("^db", False),
        ("db__(a|b)", False), ("{a,b}", False), ("a[b", False), ("a[]", False), ("a[!]", False), ("a[z-a]b", False),
        ("é*", False), ("a\n", False), ("a,b", False),
    ],
)  # fmt: skip
def test_a_pattern_that_no_tool_can_match_is_refused(tmp_path: Path, pattern: str, good: bool) -> None:
    text = f"[policy]\ndeny = {json.dumps([pattern])}\n"
    if good:
        assert load(tmp_path, text).policy.deny == [pattern]
    else:
        with pytest.raises(ConfigError, match=r"policy\.deny\.0: .*no tool can match this"):
            load(tmp_path, text)
        assert run(["ask", "--allow", pattern, "q"]) == 2


def test_an_unusable_entry_stays_in_the_files_order_and_takes_no_ones_name(tmp_path: Path) -> None:
    config = load(tmp_path, {"": {}, "a": {"command": 1}, "b": GOOD})
    assert [(spec.name, bool(spec.problem)) for spec in config.specs()] == [("", True), ("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("text", "trusted", "state", "said"),
    [
        (None, False, "ok", "there is no portico.toml"),
        ("[servers.a]\ncommand = 'x'\n", True, "ok", "portico.toml: 1 servers"),
        ("[servers.a]\ncommand = 'x'\n", False, "warn", "is left out: not trusted"),
        ("[serve]\nport = 99999\n[modle]\n", True, "fail", "unknown key 'modle'"),
        ("[servers.a]\ncommand = '${NOPE}'\n", True, "warn", "NOPE is not set"),
    ],
)
def test_doctor_reads_the_file_that_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    trusted: bool,
    state: str,
    said: str,
) -> None:
    for kind in ("STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "portico.toml").write_text(text)
    if trusted:
        assert run(["trust"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run(["doctor", "--quick", "--json"])
    checks = json.loads(capsys.readouterr().out)
    assert any(check["state"] == state and said in check["found"] for check in checks), checks
    assert ended.value.code == (1 if state == "fail" else 0)
