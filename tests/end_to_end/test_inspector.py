"""The real MCP Inspector against every server and the gateway, over stdio and HTTP, in both eras, as recorded."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fixture_calls import ANSWERS, SERVERS, Call, calls, tools_list
from fixture_servers import CONFIGS
from inspector_cli import InspectorMissingError, find_inspector
from replay import Made, recorded, replay

CALLS = tuple(calls())
ERAS = ("modern", "legacy")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Call, Made]:
    """Every call, made once, two at a time: most of the time goes into starting Node and the servers."""
    try:
        find_inspector()
    except InspectorMissingError as missing:
        pytest.fail(str(missing))
    return {one.call: one for one in replay(tmp_path_factory.mktemp("inspector"), CALLS)}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_inspector_gets_the_recorded_answer(call: Call, made: dict[Call, Made]) -> None:
    one = made[call]
    expected = recorded(call.server, call.era).get(call.key)
    assert expected is not None, f"no answer on file for {call}; record it: make fixtures"
    assert one.answer == expected, f"{call}: if this is meant, record it anew: make fixtures\n{one.reply.err[-2000:]}"


@pytest.mark.parametrize("server", SERVERS)
def test_tool_schemas_are_portable_under_strict(server: str, made: dict[Call, Made]) -> None:
    listings = [one for call, one in made.items() if call.server == server and call.key.startswith("tools/list")]
    assert len(listings) == 4
    for one in listings:
        assert "--strict" in one.call.arguments
        assert one.reply.code == 0, one.reply.err


def test_a_gateway_does_not_tell_which_implementations_are_behind_it(made: dict[Call, Made]) -> None:
    for call, one in made.items():
        if call.server == "gateway" and call.era == "modern":
            information = _result(one.answer).get("_meta", {}).get("io.modelcontextprotocol/serverInfo", {})
            assert information.get("name", "portico") == "portico", call


@pytest.mark.parametrize("server", ["code", "docs", "db"])
def test_every_tool_that_a_server_lists_is_called(server: str) -> None:
    listed = {tool["name"] for tool in _result(recorded(server, "modern")["tools/list"])["tools"]}
    assert listed == {call.key.split()[1] for call in CALLS if call.server == server and call.key.startswith("tools/call ")}


def test_the_gateway_lists_the_tools_resources_and_prompts_of_all_servers() -> None:
    gateway = recorded("gateway", "modern")
    for method, part in [("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/list", "resources")]:
        listed = _result(gateway[tools_list("gateway", "stdio") if part == "tools" else method])[part]
        for server in ("code", "docs", "db"):
            own = len(_result(recorded(server, "modern")[method])[part])
            assert len([entry for entry in listed if _of(server, entry)]) == own, (server, method)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("era", ERAS)
def test_nothing_is_on_file_that_is_not_replayed(server: str, era: str) -> None:
    replayed = {call.key for call in CALLS if (call.server, call.era) == (server, era)}
    assert set(recorded(server, era)) == replayed


def test_without_a_model_the_gateway_lacks_its_own_tool_and_nothing_else() -> None:
    answers = recorded("gateway", "modern")
    stdio, http = ([tool["name"] for tool in _result(answers[f"tools/list over {way}"])["tools"]] for way in ("stdio", "http"))
    assert stdio == ["ask", *http]


@pytest.mark.parametrize("server", SERVERS)
def test_both_eras_give_tools_the_same_definitions(server: str) -> None:
    for transport in ("stdio", "http"):
        key = tools_list(server, transport)
        modern, legacy = (_result(recorded(server, era)[key])["tools"] for era in ERAS)
        assert modern == legacy


def test_recorded_answers_hold_no_paths_of_the_machine_they_were_made_on() -> None:
    for path in ANSWERS.glob("*.json"):
        for prefix in ("/tmp/", "/home/", "/root/", "/Users/", "/private/", str(REPOSITORY)):
            assert prefix not in path.read_text(), (path.name, prefix)


def test_the_configs_start_scripts_that_the_distribution_has() -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    stdio, http = (json.loads((CONFIGS / name).read_text())["mcpServers"] for name in ("stdio.json", "http.json"))
    assert set(stdio) == set(http) == set(SERVERS)
    assert all(entry["command"] in scripts for entry in stdio.values())
    assert all(entry["url"].startswith("http://127.0.0.1:") for entry in http.values())


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = answer["answer"]["result"]
    return result


def _of(server: str, entry: dict[str, Any]) -> bool:
    name, uri = str(entry.get("name", "")), str(entry.get("uri", ""))
    return uri.startswith(f"portico://{server}/") if uri else name.startswith(f"{server}__")
