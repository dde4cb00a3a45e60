"""`portico policy`: why a call runs, asks or is denied; which answers are remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from portico_gateway.cli.main import run
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.policy.remembered import RememberedChoices
from portico_gateway.upstreams.definition_pins import DefinitionPins


@pytest.fixture
def config(asking: Callable[..., UpstreamSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    spec = asking("auto")
    file = tmp_path / "p.toml"
    file.write_text(
        '[gateway]\nown_servers = []\n[policy]\nallow = ["asks__write"]\n[policy.callers.ci]\ndeny = ["asks__order*"]\n'
        "calls_per_minute = 3\n"
        f"[servers.asks]\ncommand = {json.dumps(spec.command)}\nargs = {json.dumps(list(spec.args))}\n"
    )
    monkeypatch.setenv("PORTICO_CHOICES_FILE", str(tmp_path / "choices.json"))
    return file


def explained(config: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    assert run(["policy", "explain", "--config", str(config), "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_a_call_is_explained_rule_by_rule_for_its_caller(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = explained(config, capsys, "asks__write")
    assert (mine["verdict"], mine["reason"]) == ("allow", "policy.allow names it")
    assert mine["rules"][0] == {"question": "does policy.deny name it?", "verdict": None}  # type: ignore[index]
    copied = explained(config, capsys, "asks__write", "--copied", "/text")
    assert copied["verdict"] == "ask"
    assert "/text was copied" in str(copied["reason"])
    denied = explained(config, capsys, "asks__order", "--as", "ci")
    assert (denied["verdict"], denied["reason"]) == ("deny", "policy.callers.ci.deny names it")
    assert denied["calls_per_minute"] == 3
    assert run(["policy", "explain", "--config", str(config), "asks__read"]) == 0
    assert "asks__read called by local: allow, because it is read-only" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["asks__gone"], 1, "no tool is named 'asks__gone'; there are: asks__"),
        (["other__tool"], 1, "no server is named 'other'; there are: asks"),
        (["asks__write", "--arguments", "{"], 2, "not valid JSON"),
        (["asks__write", "--arguments", "[]"], 2, "a JSON object"),
    ],
)
def test_what_is_not_there_is_named(
    words: list[str], code: int, said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "explain", "--config", str(config), *words]) == code
    assert said in capsys.readouterr().err


def test_remembered_answers_are_listed_and_forgotten(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "choices"]) == 0
    assert "no answer is remembered" in capsys.readouterr().err
    choice = RememberedChoices(tmp_path / "choices.json").add("local", "s__t\x1b[2J", "d", {"a": 1}, allow=True, seconds=60)
    assert run(["policy", "choices"]) == 0
    out = capsys.readouterr().out
    assert choice.id in out
    assert "\x1b" not in out
    assert run(["policy", "forget", choice.id]) == 0
    assert run(["policy", "forget", choice.id]) == 1
    assert "no remembered choice" in capsys.readouterr().err


def test_kept_definitions_are_listed_inertly_and_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "pins"]) == 0
    assert "no definition is kept" in capsys.readouterr().err
    pins = DefinitionPins(tmp_path / "pins.json")
    pins.add("identity", "mail", {"send\x1b[2J": "d" * 64, "read": "e" * 64})
    assert run(["policy", "pins"]) == 0
    out = capsys.readouterr().out
    assert "mail" in out
    assert "d" * 12 in out
    assert "\x1b" not in out
    assert run(["policy", "pins", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)[0]["tools"]) == ["send\x1b[2J", "read"]
    assert run(["policy", "unpin", "mail", "gone"]) == 1
    assert "mail__gone" in capsys.readouterr().err
    assert run(["policy", "unpin", "mail"]) == 0
    assert "2 tools of mail" in capsys.readouterr().err
    assert DefinitionPins(tmp_path / "pins.json").all() == []


def test_pins_that_cannot_be_forgotten_are_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    DefinitionPins(tmp_path / "pins.json").add("identity", "mail", {"send": "d"})

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert run(["policy", "unpin", "mail"]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'pins.json'}: can't be written: No space left on device" in said
