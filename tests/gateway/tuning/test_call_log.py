"""The audit log as training rows: with consent alone, without anything personal, and with what a person made of each call."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest

from portico_engine import Tool
from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
from portico_gateway.caller import Caller
from portico_gateway.config.sections import AuditConfig
from portico_gateway.errors import ConfigError, ConsentRefused
from portico_gateway.policy.audit import AuditLog, AuditRecord, Failure
from portico_gateway.tuning.call_log import NoConsent, read_calls, refuse_without_consent
from portico_gateway.tuning.log_rows import LogRows, log_rows
from portico_gateway.tuning.masking import Masking, holds_secret, shortened
from portico_gateway.upstreams.upstreams import Upstreams

SEARCH = Tool(
    "code__search",
    "Search code.",
    {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["query"]},
)
MAIL = Tool("mail__send", "Send a mail.", {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]})
OK = types.CallToolResult(content=[])


def record(
    question: str,
    arguments: dict[str, Any],
    *,
    tool: str = "code__search",
    failure: BaseException | None = None,
    call: str = "",
) -> AuditRecord:
    return AuditRecord(
        started=time.time(), caller="local", client="portico ask", server="code", tool=tool, arguments=arguments,
        decision="allow", approval=None, seconds=0.1, result=None if failure else OK,
        failure=failure and Failure.of(failure), question=question,
        call=call,
    )  # fmt: skip


def feedback(of: str, said: str) -> AuditRecord:
    return AuditRecord(
        started=time.time(), caller="local", client="", server="", tool="", arguments={}, decision="", approval=None, call=of,
        seconds=0.0, result=None, failure=None, kind="feedback", outcome=said,
    )  # fmt: skip


def written(path: Path, *records: AuditRecord, for_training: bool = True) -> Path:
    log = AuditLog(AuditConfig(file=path), for_training=for_training)
    for one in records:
        log.put(one)
    log.close()
    return path


def rows_of(path: Path) -> LogRows:
    calls, _ = read_calls(path)
    return log_rows(calls, [SEARCH, MAIL], seed=1)


REFUSED = ConsentRefused("code__search")


def test_without_consent_nothing_is_read_and_nothing_is_kept_that_could_be(tmp_path: Path) -> None:
    with pytest.raises(NoConsent, match=r"set use_log = true under \[tune\]"):
        refuse_without_consent(False)
    refuse_without_consent(True)
    path = written(tmp_path / "audit.db", record("Where is the parser?", {"query": "parser"}), for_training=False)
    calls, passed_over = read_calls(path)
    assert calls == []
    assert passed_over == {"without its question": 1}
    with sqlite3.connect(path) as connection:
        assert connection.execute("select question, arguments from calls").fetchall() == [(None, None)]
    connection.close()


def test_kept_refused_and_corrected_calls_become_rows_of_their_shapes(tmp_path: Path) -> None:
    path = written(
        tmp_path / "audit.db",
        record("Where is the parser?", {"query": "parse"}, failure=REFUSED),
        record("Where is the parser?", {"query": "parser"}),
        record("What failed?", {"query": "x"}, failure=RuntimeError("down")),
        record("Who wrote it?", {"query": "author", "limit": 3}, call="call-4"),
        feedback("call-4", "bad"),
    )
    made = rows_of(path)
    assert [row.completion for row in made.supervised] == ['{"name":"code__search","arguments":{"query":"parser"}}']
    (pair,) = made.pairs
    assert (pair.question, pair.rejected) == ("Where is the parser?", '{"name":"code__search","arguments":{"query":"parse"}}')
    assert pair.chosen == made.supervised[0].completion
    assert [row.good for row in made.rated] == [False, True, False]
    assert all("code__search(query: string" in row.prompt[0]["content"] for row in made.rated)
    assert read_calls(path)[1] == {"that failed": 1}


def test_what_a_person_made_of_a_call_before_it_ran_is_the_better_of_a_pair(tmp_path: Path) -> None:
    edited = replace(record("Where is the parser?", {"query": "parser"}), asked={"query": "where"}, decision="terminal, edited")
    made = rows_of(written(tmp_path / "audit.db", edited))
    (pair,) = made.pairs
    assert (pair.chosen, pair.rejected) == tuple(
        f'{{"name":"code__search","arguments":{{"query":"{query}"}}}}' for query in ("parser", "where")
    )
    assert [row.good for row in made.rated] == [False, True]
    assert len(made.supervised) == 1


def test_personal_values_become_the_same_stand_in_in_question_and_call_and_a_secret_leaves_the_call_out(tmp_path: Path) -> None:
    path = written(
        tmp_path / "audit.db",
        record("Write to anna.berg@firma.de please", {"to": "anna.berg@firma.de"}, tool="mail__send"),
        record("Search with token=abc123secret99", {"query": "x"}),
        record("Find it", {"query": "ghp_0123456789abcdefABCDEF0123456789"}),
        record("Where is it?", {"query": "y"}, tool="gone__tool"),
    )
    made = rows_of(path)
    (row,) = made.supervised
    assert row.question == "Write to user1@example.com please"
    assert row.completion == '{"name":"mail__send","arguments":{"to":"user1@example.com"}}'
    assert made.left_out == {"that hold a secret": 2, "of tools that are there no more": 1}
    assert made.masking.counts == {"e-mail address": 2}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail a@b.co and a@b.co, not c@d.org", "mail user1@example.com and user1@example.com, not user2@example.com"),
        ("card 4111 1111 1111 1111 expires", "card card-1 expires"),
        ("order 4111 1111 1111 1112 stays", None),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN IBAN-1 please"),
        ("call +49 30 901820 now", "call +1 555 010 0001 now"),
        ("call (030) 901-8200", "call +1 555 010 0001"),
        ("from 2026-11-25 to 2026-11-30 at 10:30", None),
        ("ssn 123-45-6789", "ssn 000-00-0001"),
        ("host 10.1.2.3 is down", "host 192.0.2.1 is down"),
        ("read /home/marta/notes.md", "read /home/user1/notes.md"),
        ("version 1.24.3 of 3 files, 17 rows", None),
    ],
)
def test_what_is_personal_is_masked_and_what_only_looks_like_it_is_not(text: str, masked: str | None) -> None:
    assert Masking().text(text) == (masked or text)


def test_secrets_are_seen_wherever_they_stand() -> None:
    assert holds_secret({"headers": [{"Authorization": "Bearer abcdef0123456789"}]})
    assert holds_secret({"password": "hunter2222"})
    assert not holds_secret({"query": "how are passwords stored?", "limit": 3})
    assert shortened("anna.berg@firma.de") == "an…de"


def test_a_log_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such log yet"):
        read_calls(tmp_path / "none.db")
    (tmp_path / "broken.db").write_bytes(b"not a database, but long enough to be read as one" * 20)
    with pytest.raises(ConfigError, match="the audit log can't be read"):
        read_calls(tmp_path / "broken.db")


def test_a_call_of_ask_carries_its_question_to_the_log(tmp_path: Path) -> None:
    class Calls:
        caller: Caller

        async def call_tool(self, name: str, arguments: dict[str, Any], caller: Caller) -> types.CallToolResult:
            self.caller = caller
            return OK

    calls = Calls()
    host = UpstreamToolHost(Upstreams([]), tool_calls=calls, caller=Caller(name="me"))  # type: ignore[arg-type]
    host.question = "Where is it?"
    anyio.run(host.call_tool, "code__search", {"query": "it"})
    assert (calls.caller.name, calls.caller.question) == ("me", "Where is it?")
