from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from portico_gateway.config.config_file import find_config
from portico_gateway.config.portico_config import PorticoConfig, config_json_schema, load_config
from portico_gateway.config.sections import EngineConfig, NamedModelConfig
from portico_gateway.config.trust import WorkspaceConfig, trust
from portico_gateway.errors import ConfigError


def load(
    folder: Path, text: str, *, environ: dict[str, str] | None = None, flags: dict[str, Any] | None = None
) -> PorticoConfig:
    path = folder / "portico.toml"
    path.write_text(text)
    return load_config(path, environ=environ or {}, flags=flags)


def test_without_a_file_there_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_: tmp_path / "none")
    config = load_config(folder=tmp_path, environ={})
    assert (config.serve.host, config.serve.port, config.model.name) == ("127.0.0.1", 8630, "smollm2")


def test_the_working_directory_comes_before_the_users_config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_: user)
    (user / "portico.toml").write_text("[serve]\nport = 1\n")
    found = find_config(folder=tmp_path, environ={})
    assert found is not None
    assert found.path == user / "portico.toml"
    (tmp_path / "portico.toml").write_text("[serve]\nport = 2\n")
    assert load_config(folder=tmp_path, environ={}).serve.port == 1, "it isn't trusted yet"
    trust(WorkspaceConfig(tmp_path / "portico.toml", (tmp_path / "portico.toml").read_bytes()))
    assert load_config(folder=tmp_path, environ={}).serve.port == 2


def test_the_environment_goes_over_the_file_and_flags_over_both(tmp_path: Path) -> None:
    text = '[serve]\nport = 1\nhost = "a"\n[model]\nname = "m"\n'
    environ = {"PORTICO_SERVE_PORT": "2", "PORTICO_MODEL": "n", "PORTICO_SERVE_ALLOWED_HOSTS": "x,y"}
    config = load(tmp_path, text, environ=environ, flags={"serve.port": 3, "serve.host": None})
    assert config.serve.port == 3
    assert config.serve.host == "a"
    assert config.model.name == "n"
    assert config.serve.allowed_hosts == ["x", "y"]


def test_servers_keep_the_files_order_and_become_specs(tmp_path: Path) -> None:
    text = """
    [servers.z]
    command = "z-server"
    args = ["--x"]
    [servers.a]
    url = "https://example.org/mcp"
    headers = { Authorization = "Bearer x" }
    [servers.old]
    url = "https://example.org/sse"
    type = "sse"
    call_timeout = 5
    [servers.off]
    command = "off"
    enabled = false
    """
    specs = load(tmp_path, text).specs()
    assert [(spec.name, spec.transport) for spec in specs] == [("z", "stdio"), ("a", "http"), ("old", "sse")]
    assert specs[0].args == ("--x",)
    assert specs[1].headers == {"Authorization": "Bearer x"}
    assert specs[2].call_timeout == 5


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[serve]\nport = 1\n\nprot = 3\n", 4, "unknown key 'serve.prot'; did you mean 'port'?"),
        ('[modle]\nname = "x"\n', 1, "unknown key 'modle'; did you mean 'model'?"),
        ('[servers.a]\ncommand = "x"\nargz = []\n', 3, "unknown key 'servers.a.argz'; did you mean 'args'?"),
        ("serve.zzz = 1\n", 1, "known here: host, port"),
        ('# a comment\n[serve]\nport = "x"\n', 3, "serve.port: should be a valid integer"),
        ("[serve]\nport = 99999\n", 2, "less than or equal to 65535 (is 99999)"),
        ('[servers.a]\ncommand = "x"\nurl = "http://x"\n', 1, "set either command"),
        ("[servers.a]\nargs = []\n", 1, "set either command"),
        ('[servers.a]\nurl = "ftp://x"\n', 1, "must start with http"),
        ('[servers.a]\ncommand = "x"\ntype = "sse"\n', 1, "needs url"),
        ('[servers.a]\ncommand = "x"\n[servers.a.env]\nA = 1\n', 4, "servers.a.env.A: should be a valid string"),
        ("[serve]\nport = \n", 2, "not valid TOML"),
        ('[keys.me]\nsha256 = "x"\n', 2, "keys.me.sha256: String should match pattern '^[0-9a-f]{64}$'"),
        ('[keys.me]\nsha265 = "x"\n', 2, "unknown key 'keys.me.sha265'; did you mean 'sha256'?"),
        (f'[keys.me]\nsha256 = "{"0" * 64}"\nscopes = ["all"]\n', 3, "'chat', 'mcp', 'metrics' or 'admin' (is 'all')"),
        ('[oauth]\nissuer = "https://as.example"\n', 1, "OAuth needs resource and introspection_url too"),
        ('[policy]\nothers = "perhaps"\n', 2, "'allow', 'requested', 'ask' or 'deny' (is 'perhaps')"),
        ("serve = 3\n", 1, "serve: should be a valid dictionary"),
    ],
)
def test_an_error_names_the_line_the_key_and_what_would_be_right(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'portico.toml'}:{line}: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost:8000/v1", "http://[::1]:1/v1", ""])
def test_a_model_server_of_this_machine_is_taken(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f'[engine]\nurl = "{url}"\n').engine.url == url


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com/v1", "http://10.0.0.7:8000/v1", "http://127.0.0.1.example.com/v1", "127.0.0.1:8080", "http://["],
)
def test_a_model_server_elsewhere_is_refused_because_questions_and_results_would_leave_the_machine(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(ConfigError, match="what is asked and found does not leave it"):
        load(tmp_path, f'[engine]\nurl = "{url}"\n')


def test_model_servers_elsewhere_are_taken_where_it_says_so(tmp_path: Path) -> None:
    text = '[engine]\nelsewhere = true\nurl = ["http://10.0.0.7:8000/v1", "https://api.example.com/v1"]\n'
    assert load(tmp_path, text).engine.urls == ("http://10.0.0.7:8000/v1", "https://api.example.com/v1")
    environ = {"PORTICO_ENGINE_URL": "http://127.0.0.1:1/v1, http://127.0.0.1:2/v1"}
    assert load(tmp_path, "", environ=environ).engine.urls == ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")
    with pytest.raises(ConfigError, match=r"engine\.url"):
        load(tmp_path, '[engine]\nelsewhere = true\nurl = "ftp://10.0.0.7/v1"\n')


def test_an_error_from_the_environment_or_a_flag_names_its_origin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"environment variable PORTICO_SERVE_PORT: serve.port: .* \(is 'x'\)"):
        load(tmp_path, "", environ={"PORTICO_SERVE_PORT": "x"})
    with pytest.raises(ConfigError, match=r"option --port: serve\.port"):
        load(tmp_path, "", flags={"serve.port": 70000})


def test_a_file_that_was_asked_for_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such configuration file"):
        load_config(tmp_path / "nope.toml", environ={})
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(environ={"PORTICO_CONFIG": str(tmp_path / "nope.toml")})


def test_the_schema_for_editors_forbids_unknown_keys() -> None:
    schema = json.loads(config_json_schema())
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {
        *(
            "env_file",
            "model",
            "engine",
            "serve",
            "gateway",
            "background",
            "policy",
            "audit",
            "tune",
            "oauth",
            "log",
            "keys",
            "servers",
            "models",
        )
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[models.a]\npath = "x.gguf"\nkeep_alive = "soon"', "'soon' is no time; write seconds"),
        ('[models.a]\npath = "x.gguf"\naliases = ["b"]\n[models.b]\npath = "y.gguf"', "the name 'b' is"),
        ("[models.smollm2]", "the name 'smollm2' is [model]'s already"),
        ('[models."a b"]', "models"),
        ("[models.a]\ncontxt = 5", "contxt"),
    ],
)
def test_what_is_wrong_with_a_model_of_its_own_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "portico.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(file, environ={})
    assert said in str(error.value)


def test_a_model_of_its_own_has_a_time_a_context_and_names(tmp_path: Path) -> None:
    file = tmp_path / "portico.toml"
    file.write_text('[models.small]\npath = "s.gguf"\naliases = ["gpt-4"]\nkeep_alive = "2m"\ncontext = 4096\nmax_rows = 4')
    entry = load_config(file, environ={}).models["small"]
    assert (entry.keep_alive_seconds, entry.aliases) == (120, ["gpt-4"])
    assert (entry.model_config_of("small").name, entry.model_config_of("small").context) == ("s.gguf", 4096)
    assert entry.engine_config(EngineConfig(max_rows=9, memory=0.5)) == EngineConfig(max_rows=4, memory=0.5)
    assert NamedModelConfig(keep_alive=-1).keep_alive_seconds is None


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("[policy.callers.ann]\nfoo = 1", "calls_per_minute"),
        ('[servers.oauth]\nurl = "http://x"\nfoo = 1', "call_timeout"),
        ('[servers.far]\nurl = "http://x"\n[servers.far.oauth]\nfoo = 1', "redirect_port"),
    ],
)
def test_an_unknown_key_is_told_the_keys_of_its_own_table(tmp_path: Path, text: str, known: str) -> None:
    file = tmp_path / "portico.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=known):
        load_config(file)
