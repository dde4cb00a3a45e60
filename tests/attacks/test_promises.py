"""Each promise of SECURITY.md has tests that would be red if it broke, and no promise is without."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import httpx2
import pytest

from portico_gateway.model.remote.engine import RemoteEngine

ROOT = Path(__file__).resolve().parents[2]
ATTACKS, GATEWAY, SERVERS = "tests/attacks", "tests/gateway", "tests/servers"
ASKED_AGAIN = "test_the_second_question_is_answered_by_the_process_that_the_first_left"
BACKGROUND = f"tests/end_to_end/test_ask_background.py::{ASKED_AGAIN}"
# Words of SECURITY.md, as they stand there, and the files with the tests of them.
PROMISES: dict[str, list[str]] = {
    # who may not what
    "be run or imported": [
        f"{ATTACKS}/test_01_servers_children.py::test_a_server_and_its_children_import_nothing_from_the_workspace",
        f"{ATTACKS}/test_01_workspace_is_data.py::test_no_module_of_the_workspace_is_imported_by_serve",
        f"{ATTACKS}/test_11_git_and_links.py::test_a_program_that_the_repository_configures_is_not_run",
    ],
    "start a program": [
        f"{ATTACKS}/test_01_workspace_is_data.py::test_a_configuration_that_came_with_the_workspace_starts_nothing_and_is_named"
    ],
    "lead out of its folder by `..`, links or git's own files": [
        f"{ATTACKS}/test_11_git_and_links.py::test_what_leads_outside_is_refused_by_name",
        f"{ATTACKS}/test_11_found_databases.py::test_what_leads_out_of_the_root_is_left_out",
    ],
    "hold anybody up by a pipe in a file's place": [f"{ATTACKS}/test_11_pipes.py::test_many_pipes_hold_nobody_up"],
    "change what an earlier consent was for": [
        f"{ATTACKS}/test_05_consent.py::test_an_approval_of_a_tool_is_none_of_what_it_becomes"
    ],
    "act on another server's behalf": [
        f"{ATTACKS}/test_05_consent.py::test_a_servers_word_for_a_persons_decision_is_taken_out",
        f"{GATEWAY}/upstreams/test_server_requests.py",
    ],
    "fill memory or the terminal": [
        f"{ATTACKS}/test_10_servers_that_flood.py::test_a_list_without_end_and_a_flood_cost_the_server_alone",
        f"{ATTACKS}/test_08_secrets.py::test_what_a_server_writes_to_stderr_is_bounded_while_it_runs_and_private",
        f"{ATTACKS}/test_06_large_values.py::test_a_large_result_holds_nobody_up",
    ],
    "make one that is not read-only without consent": [
        f"{GATEWAY}/policy/test_tool_calls.py::test_a_host_asks_its_user_once_a_call_and_only_for_what_is_not_read_only"
    ],
    "put words where a template's control tokens stand": [
        f"{ATTACKS}/test_03_text_is_text.py::test_no_text_from_outside_becomes_a_marker"
    ],
    "what the key's scopes open": [f"{ATTACKS}/test_23_every_route.py", f"{GATEWAY}/http/middleware/test_auth.py"],
    "see other callers' responses, approvals or prompts": [
        f"{ATTACKS}/test_04_http.py::test_anothers_response_is_as_one_that_is_not_there",
        f"{ATTACKS}/test_04_http.py::test_only_a_key_for_admin_sees_and_decides_approvals",
        f"{ATTACKS}/test_04_tenants.py::test_a_prompt_is_not_guessed_token_by_token",
    ],
    "starve them": [
        f"{ATTACKS}/test_06_http.py::test_a_caller_has_so_many_requests_running_and_waiting_and_another_is_not_held_up",
        f"{ATTACKS}/test_06_one_caller.py::test_fifty_streams_and_a_thousand_waiting_leave_room_for_another",
        f"{ATTACKS}/test_06_large_values.py::test_large_arguments_hold_nobody_up",
    ],
    "end their answers or empty their cache": [f"{ATTACKS}/test_07_engine_outlives.py", f"{ATTACKS}/test_07_every_seam.py"],
    "its Unix socket (0600) lies in a folder of yours alone (0700)": [
        f"{GATEWAY}/background/test_server.py::test_the_socket_is_its_owners_alone",
        f"{GATEWAY}/background/test_socket_place.py::test_a_folder_that_others_can_write_to_is_refused",
    ],
    "both ends check who the other is where the system tells": [
        f"{GATEWAY}/background/test_server.py::test_another_users_process_is_not_talked_to",
        f"{GATEWAY}/background/test_server.py::test_another_user_is_not_answered",
    ],
    "Nothing listens on TCP for it": [
        "tests/end_to_end/test_ask_background.py::test_the_second_question_is_answered_by_the_process_that_the_first_left"
    ],
    "`Host` and `Origin` are checked": [f"{GATEWAY}/http/middleware/test_host_origin.py"],
    "and it listens on loopback": [f"{ATTACKS}/test_17_http.py::test_an_address_beyond_this_machine_needs_keys"],
    # what is promised
    "Children are Python with `-P` and work outside the workspace": [
        f"{ATTACKS}/test_01_search_path.py::test_children_look_in_folders_alone_that_are_named_in_full"
    ],
    "that content (SHA-256) at that real path": [
        f"{ATTACKS}/test_01_workspace_is_data.py::test_trust_is_of_one_content_at_one_place"
    ],
    "An edit, also of a running gateway's, waits for": [
        f"{ATTACKS}/test_01_workspace_is_data.py::test_an_edit_of_a_trusted_file_is_not_applied_until_it_is_trusted_again"
    ],
    "the list is in your state folder, for you alone": [
        f"{ATTACKS}/test_01_workspace_is_data.py::test_the_list_of_what_is_trusted_is_its_owners_alone"
    ],
    "Tools that are not read-only run after a person saw the arguments": [
        f"{ATTACKS}/test_05_consent.py::test_nothing_is_hidden_behind_something_long"
    ],
    "no tool's name could match is refused": [
        f"{ATTACKS}/test_16_configuration.py::test_a_pattern_that_no_tool_can_match_is_refused"
    ],
    "the tool asks and its words are held back from the": [
        f"{GATEWAY}/assembly/test_definitions_across_restarts.py",
        f"{ATTACKS}/test_05_consent.py::test_a_tool_that_changes_asks_again_and_once",
    ],
    "Each tool's definition is kept as a digest": [f"{GATEWAY}/upstreams/test_definition_pins.py"],
    "Tools of Portico's own servers are read-only": [
        f"{SERVERS}/db/statements/test_attacks.py",
        f"{SERVERS}/common/test_path_jail.py",
        f"{ATTACKS}/test_11_git_and_links.py::test_hooks_are_not_run",
    ],
    "are shown as text, piped or not": [
        f"{ATTACKS}/test_09_terminal_is_inert.py::test_what_acts_on_a_terminal_is_shown",
        f"{ATTACKS}/test_09_terminal_is_inert.py::test_what_ask_shows_is_inert_in_text_and_valid_as_json",
    ],
    "no configuration error shows values of env": [f"{ATTACKS}/test_16_configuration.py::test_no_error_shows_a_secret"],
    "Keys are kept as hashes": [
        f"{GATEWAY}/cli/test_key_command.py::test_keys_are_listed_with_what_they_may_and_never_themselves"
    ],
    "conversations and the audit log are readable by their owner alone": [
        f"{GATEWAY}/agent/test_conversation.py",
        f"{GATEWAY}/policy/test_audit.py",
        f"{ATTACKS}/test_08_secrets.py::test_log_files_are_private_and_without_secrets",
    ],
    "no proxy that the environment names": [f"{ATTACKS}/test_08_proxies.py::test_no_proxy_hears_what_is_said_to_this_machine"],
    "The SHA-256 of the default model and of the default adapter is checked": [
        f"{ATTACKS}/test_20_supply_chain.py::test_the_default_model_is_checked_where_it_is_found",
        f"{ATTACKS}/test_20_supply_chain.py::test_the_default_adapter_is_the_one_that_was_measured",
    ],
    "`make` installs pinned": [f"{ATTACKS}/test_20_supply_chain.py::test_what_make_installs_is_pinned_to_one_version"],
    "what comes by npm is compared with digests of ours": [
        f"{ATTACKS}/test_20_supply_chain.py::test_what_npm_installs_has_a_digest_each"
    ],
    "A tool of type `mcp` in a request runs under the same policy": [
        f"{GATEWAY}/http/server_tools/test_server_tools.py::test_a_request_can_tighten_the_policy_and_not_loosen_it",
        f"{GATEWAY}/http/server_tools/test_server_tools.py::test_a_key_without_admin_approves_nothing_and_anothers_word_counts",
    ],
    "does not name is not connected to": [
        f"{GATEWAY}/http/server_tools/test_server_tools.py::test_a_server_of_the_request_is_spoken_to_where_the_policy_names_it"
    ],
    "nothing approves a call by it": [
        f"{GATEWAY}/http/server_tools/test_server_tools.py::test_a_decision_that_says_yes_approves_no_call"
    ],
    "`[engine] url` takes addresses of this machine": [
        f"{GATEWAY}/config/test_portico_config.py",
        f"{ATTACKS}/test_promises.py::test_a_model_server_of_this_machine_leads_nowhere_else",
    ],
    "No answer of such a server is used before it was checked": [
        f"{GATEWAY}/http/test_remote_engine.py::test_a_server_that_lies_about_its_grammar_is_asked_again_and_then_an_error",
        f"{GATEWAY}/agent/free/test_remote_model.py::test_a_call_that_is_none_is_not_made_and_the_model_is_told_why",
    ],
    "a search that would take too long counts as a find": [
        f"{ATTACKS}/test_06_large_values.py::test_what_is_not_searched_counts_as_copied"
    ],
}


@pytest.mark.parametrize("words", PROMISES)
def test_each_promise_stands_there_and_its_tests_exist(words: str) -> None:
    said = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    assert words in said
    for test in PROMISES[words]:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name in names if name else any(each.startswith("test_") for each in names), test


def test_no_paragraph_of_promises_is_without_tests() -> None:
    said = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promised = said.partition("## What is promised")[2].partition("\n## ")[0]
    for paragraph in re.split(r"\n- ", promised)[1:]:
        plain = " ".join(paragraph.split())
        assert any(words in plain for words in PROMISES), plain[:80]


class _Redirecting(httpx2.AsyncBaseTransport):
    """Answers everything with another address."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.hosts.append(request.url.host)
        return httpx2.Response(307, headers={"location": f"http://elsewhere.example{request.url.path}"})


@pytest.mark.anyio
@pytest.mark.attack("8 secrets stay")
async def test_a_model_server_of_this_machine_leads_nowhere_else() -> None:
    wire = _Redirecting()
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        await RemoteEngine.open(["http://127.0.0.1:9/v1"], "secret", transports={"http://127.0.0.1:9/v1": wire})
    assert set(wire.hosts) == {"127.0.0.1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
