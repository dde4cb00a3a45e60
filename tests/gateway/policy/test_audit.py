"""The audit log: a row a call, private, bounded, and never in a call's way."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import mcp_types
import pytest

from portico_gateway.caller import Caller
from portico_gateway.cli.main import run
from portico_gateway.config.sections import AuditConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConsentRequired, UpstreamDied
from portico_gateway.policy import audit
from portico_gateway.policy.audit import AuditLog, AuditRecord, Failure
from portico_gateway.policy.audit_database import AuditDatabase, open_read_only
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

OK = mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text="done")])


def record(tool: str = "s__t", *, started: float | None = None, failure: BaseException | None = None) -> AuditRecord:
    result = None if failure else OK
    when = time.time() if started is None else started
    return AuditRecord(
        when, "local", "a host", "s", tool, {"secret": "x"}, "allow", None, 0.25, result, failure and Failure.of(failure)
    )


def rows(path: Path) -> list[dict[str, Any]]:
    with open_read_only(path) as connection:
        return [dict(row) for row in connection.execute("select * from calls order by id")]


def written(tmp_path: Path, *records: AuditRecord, **config: Any) -> list[dict[str, Any]]:
    path = tmp_path / "audit.db"
    log = AuditLog(AuditConfig(file=path, **config))
    for entry in records:
        log.put(entry)
    log.close()
    return rows(path)


def test_a_row_says_who_called_what_and_how_it_ended(tmp_path: Path) -> None:
    when = time.time()
    cut = record(failure=asyncio.CancelledError("by somebody"))
    ok, died, cancelled = written(tmp_path, record(started=when), record(failure=UpstreamDied("s", "exited with code 1")), cut)
    assert (cancelled["outcome"], cancelled["error"]) == ("cancelled", None)
    assert datetime.fromisoformat(ok["time"]).timestamp() == pytest.approx(when, abs=0.001)
    assert (ok["caller"], ok["client"], ok["server"], ok["tool"]) == ("local", "a host", "s", "s__t")
    assert (ok["decision"], ok["outcome"], ok["error"], ok["seconds"]) == ("allow", "ok", None, 0.25)
    assert ok["bytes"] == len(OK.model_dump_json(by_alias=True, exclude_none=True))
    assert (died["outcome"], died["error"]) == ("UpstreamDied", "server 's' exited with code 1")


def test_arguments_are_a_digest_unless_the_owner_wants_them(tmp_path: Path) -> None:
    (row,) = written(tmp_path, record())
    assert row["arguments"] is None
    assert len(row["arguments_sha256"]) == 64
    (tmp_path / "with").mkdir()
    (row,) = written(tmp_path / "with", record(), arguments=True)
    assert json.loads(row["arguments"]) == {"secret": "x"}


def test_text_that_is_no_unicode_is_logged_all_the_same(tmp_path: Path) -> None:
    half = mcp_types.CallToolResult.model_construct(
        content=[mcp_types.TextContent.model_construct(type="text", text="\ud800")], is_error=False
    )
    odd = AuditRecord(time.time(), "local", "", "s", "s__t", {"a": "\ud800"}, "allow", None, 0.1, half, None)
    broken, fine = written(tmp_path, odd, record(), arguments=True)
    assert json.loads(broken["arguments"])
    assert fine["outcome"] == "ok"


def test_the_file_and_its_journal_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "audit.db"
    log = AuditLog(AuditConfig(file=path))
    log.put(record())
    log.close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_records_that_come_one_by_one_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening, committing and closing cost the gateway's process as much as all the rest of a call."""
    batches: list[int] = []
    add = AuditDatabase.add

    def counted(self: AuditDatabase, new: Sequence[Mapping[str, Any]]) -> None:
        batches.append(len(new))
        add(self, new)

    monkeypatch.setattr(AuditDatabase, "add", counted)
    monkeypatch.setattr(audit, "_GATHER", 60.0)  # whatever else the machine does: only `close` ends this wait
    log = AuditLog(AuditConfig(file=tmp_path / "audit.db"))
    for number in range(20):
        log.put(record(f"s__{number}"))
        time.sleep(0.001)
    log.close()
    assert batches == [20]
    assert [row["tool"] for row in rows(tmp_path / "audit.db")] == [f"s__{number}" for number in range(20)]


def test_a_file_stays_open_while_it_is_written_and_is_opened_anew_where_another_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    row = record().row(with_arguments=False)
    with closing(AuditDatabase(path, 1000, 90)) as file:
        file.add([row])
        kept = file._connection
        file.add([row])
        assert file._connection is kept
        for each in tmp_path.iterdir():
            each.rename(each.with_name(f"old-{each.name}"))
        file.add([row])
    assert len(rows(path)) == 1


def test_a_log_of_an_earlier_version_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table calls (id integer primary key, time text, tool text)")
        connection.execute("insert into calls (time, tool) values ('2026-01-01', 's__old')")
    old, new = written(tmp_path, record(), max_days=36_500)
    assert (old["tool"], old["kind"], new["tool"], new["kind"]) == ("s__old", None, "s__t", "tool")


def test_rows_that_are_too_many_or_too_old_go(tmp_path: Path) -> None:
    many = written(tmp_path, *(record(f"s__{number}") for number in range(3500)), max_rows=1000)
    assert 1000 <= len(many) <= 2000
    assert many[-1]["tool"] == "s__3499"
    old = time.time() - 10 * 86400
    (tmp_path / "old").mkdir()
    kept = written(tmp_path / "old", record("s__old", started=old), record("s__new"), max_days=9)
    assert [row["tool"] for row in kept] == ["s__new"]


def test_a_disk_that_refuses_is_one_warning_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    log = AuditLog(AuditConfig(file=tmp_path / "file" / "audit.db"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            log.put(record())
        log.close()
    assert [entry.getMessage().split(":")[0] for entry in caplog.records] == [
        f"the audit log {tmp_path / 'file' / 'audit.db'} can't be written, calls are missing in it"
    ]


def test_a_flood_of_one_caller_costs_nobody_elses_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by what their results hold."""
    monkeypatch.setattr(audit, "_MAX_WAITING", 100)
    monkeypatch.setattr(audit, "_MAX_OF_CALLER", 20)
    monkeypatch.setattr(audit, "_MAX_BYTES_OF_CALLER", 5_000)
    large = mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text="x" * 2_000)])
    path = tmp_path / "audit.db"
    written(tmp_path, record())
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        log = AuditLog(AuditConfig(file=path))
        for _ in range(600):  # more than the writer takes at once
            log.put(replace(record(), caller="flood"))
            log.put(replace(record(), caller="heavy", result=large))
        for _ in range(15):
            log.put(replace(record(), caller="quiet"))
        holder.execute("rollback")
    log.close()
    counts = Counter(row["caller"] for row in rows(path))
    assert counts["quiet"] == 15
    assert counts["flood"] < 600
    assert counts["heavy"] < 600
    assert log._waiting == {}


def test_putting_never_waits_for_a_writer_that_is_held_up(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    written(tmp_path, record())
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        log = AuditLog(AuditConfig(file=path))
        began = time.perf_counter()
        for _ in range(100):
            log.put(record())
        assert time.perf_counter() - began < 5.0  # each would wait for seconds
        holder.execute("rollback")
    log.close()
    assert len(rows(path)) == 101
    assert "audit log" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.anyio
async def test_calls_are_logged_whether_they_ran_or_not(asking: Callable[..., UpstreamSpec], tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    log = AuditLog(AuditConfig(file=path))

    async def agree(approval: object) -> bool:
        return True

    async with Upstreams([asking("auto")]) as upstreams:
        await upstreams.ready(60.0)
        calls = ToolCalls(upstreams, audit=log)
        await calls.call_tool("asks__read", {}, Caller("key", client="host"))
        with pytest.raises(ConsentRequired):
            await calls.call_tool("asks__write", {"text": "x"}, Caller())
        await calls.call_tool("asks__write", {"text": "x"}, Caller(consent=agree))
    log.close()
    read, refused, agreed = rows(path)
    assert (read["caller"], read["client"], read["decision"], read["outcome"]) == ("key", "host", "allow", "ok")
    assert (refused["decision"], refused["outcome"], refused["approval"]) == ("ask", "ConsentRequired", None)
    assert (agreed["decision"], agreed["outcome"]) == ("elicitation", "ok")
    assert agreed["approval"]


def test_the_command_shows_and_filters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["audit", "--json"]) == 0
    assert "no calls are logged yet" in capsys.readouterr().err
    written(tmp_path, record("s__old", started=time.time() - 7200), record("db__rows"), record(failure=ValueError("no")))
    assert run(["audit", "--json", "--tool", "db__*"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["tool"] == "db__rows"
    assert run(["audit", "--json", "--since", "1h", "--outcome", "ok", "--caller", "a host", "--server", "s"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(["audit", "--limit", "1"]) == 0
    table = capsys.readouterr().out
    assert "ValueError: no" in table
    assert "db__rows" not in table
    assert run(["audit", "--since", "yesterday"]) == 2
    assert "30m, 12h or 7d" in capsys.readouterr().err
    (tmp_path / "audit.db").write_bytes(b"this is no database, but long enough to be looked at" * 10)
    assert run(["audit"]) == 1
    assert "can't be read" in capsys.readouterr().err


def feedback(call: str, rating: str, note: str = "") -> AuditRecord:
    fields: dict[str, Any] = {"tool": "", "kind": "feedback", "outcome": rating, "call": call, "note": note, "result": None}
    return replace(record(), **fields)


def test_the_last_feedback_on_a_call_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls = [replace(record(f"s__{name}"), call=name) for name in ("one", "two", "three")]
    said = [feedback("one", "bad"), feedback("one", "good", "after all"), feedback("two", "bad", "wrong file")]
    written(tmp_path, *calls, *said)

    def shown(*options: str) -> list[dict[str, Any]]:
        assert run(["audit", "--json", *options]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [(row["tool"], row["error"]) for row in shown("--good")] == [("s__one", None), ("", None), ("", "after all")]
    assert [row["call"] for row in shown("--bad")] == ["two", "two"]
    assert shown("--bad", "--tool", "s__*")[0]["tool"] == "s__two"


def test_feedback_of_a_log_without_it_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, record())
    with closing(sqlite3.connect(tmp_path / "audit.db")) as old, old:
        old.execute("alter table calls drop column call")
    assert run(["audit", "--good", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_follow_shows_calls_as_they_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, record("s__before"))
    pauses = 0

    def pause(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            raise KeyboardInterrupt
        written(tmp_path, record(f"s__new{pauses}"))

    monkeypatch.setattr("portico_gateway.cli.commands.audit.time.sleep", pause)
    assert run(["audit", "--follow", "--json"]) == 130
    assert [json.loads(line)["tool"] for line in capsys.readouterr().out.splitlines()] == ["s__before", "s__new1", "s__new2"]


def test_a_call_is_made_again_and_its_result_compared(
    asking: Callable[..., UpstreamSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = asking("auto")
    config = tmp_path / "p.toml"
    config.write_text(
        "[gateway]\nown_servers = []\n[audit]\narguments = true\n"
        f"[servers.asks]\ncommand = {json.dumps(spec.command)}\nargs = {json.dumps(list(spec.args))}\n"
    )
    same = replace(record("asks__read"), server="asks", arguments={}, result=None)
    result = mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text="text")], structured_content={"result": "text"}
    )
    other = replace(same, result=OK)
    write = replace(same, tool="asks__write", arguments={"text": "x"}, result=OK)
    unkept = replace(same, tool="asks__read", server="gone", result=OK)
    written(tmp_path, replace(same, result=result), other, write, unkept, arguments=True)
    replay = ["audit", "--config", str(config), "--replay"]
    assert run([*replay, "1"]) == 0
    out, err = capsys.readouterr()
    assert out == "text\n"
    assert "the same result as then" in err
    assert run([*replay, "2"]) == 1
    assert "another result than then" in capsys.readouterr().err
    assert run([*replay, "3"]) == 1
    assert "asks__write needs a person's consent" in capsys.readouterr().err
    assert run([*replay, "4"]) == 1
    assert "no server is named 'gone'" in capsys.readouterr().err
    assert run([*replay, "99"]) == 1
    assert "no row of the log is named '99'" in capsys.readouterr().err


def test_without_arguments_a_call_cannot_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, record("code__read"))
    assert run(["audit", "--replay", "1"]) == 1
    assert "arguments = true under [audit]" in capsys.readouterr().err
