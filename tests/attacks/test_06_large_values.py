"""Arguments and results of megabytes, or of a hundred thousand small values, hold nobody up: no callback of the event loop
takes long, and what can't be searched whole is asked about."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller, ConsentAnswer, ConsentRequest
from portico_gateway.config.sections import AuditConfig, PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConsentRequired
from portico_gateway.policy import copy_search
from portico_gateway.policy.audit import AuditLog
from portico_gateway.policy.consent import consent_question, read_fields
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire.answers import MAX_PARTS

pytestmark = [pytest.mark.anyio, pytest.mark.attack("6 one client can't starve another")]
PATIENCE = 60.0
ONCE = 0.06  # seconds of the processor that the event loop may take at once: a third of it on an idle machine
IN_ALL = 1.5  # seconds of the processor for one call: a third of it on an idle machine
SERVER = """
import json, sys
READ = {"readOnlyHint": True}
TEXTS = {"words": lambda n: " ".join(f"word{k} swift-code-{k}" for k in range(n)), "escapes": lambda n: "\\n\\u202e\\"" * n}
def send(m):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **m}) + "\\n")
    sys.stdout.flush()
def called(a):
    n, kind = a.get("n", 0), a.get("kind")
    if kind == "blocks":
        return {"content": [{"type": "text", "text": f"block {k}"} for k in range(n)]}
    if kind == "rows":
        return {"content": [], "structuredContent": {"rows": [{"a": k, f"key-{k}@x.example": "v"} for k in range(n)]}}
    return {"content": [{"type": "text", "text": TEXTS[kind](n) if kind in TEXTS else "fine"}]}
for line in sys.stdin:
    asked = json.loads(line)
    method, i, params = asked.get("method"), asked.get("id"), asked.get("params")
    if i is None or method is None:
        continue
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "serverInfo": {"name": "s", "version": "1"},
                  "capabilities": {"tools": {}, "resources": {}, "prompts": {}}}
    elif method == "tools/list":
        hints = {"get": READ, "web": {**READ, "openWorldHint": True}, "write": {}}
        result = {"tools": [{"name": n, "inputSchema": {"type": "object"}, "annotations": a} for n, a in hints.items()]}
    elif method == "tools/call":
        result = called(params.get("arguments") or {})
    elif method == "resources/list":
        result = {"resources": [{"uri": "file://big", "name": "big"}]}
    elif method == "resources/read":
        parts = [{"uri": "file://big", "text": TEXTS["words"](150_000)}] * 2 + [{"uri": "a", "text": "b"}] * 9_000
        result = {"contents": parts}
    elif method == "prompts/list":
        result = {"prompts": [{"name": "big"}]}
    elif method == "prompts/get":
        result = {"messages": [{"role": "user", "content": {"type": "text", "text": TEXTS["words"](150_000)}}] * 2}
    else:
        send({"id": i, "error": {"code": -32601, "message": "there is none"}})
        continue
    send({"id": i, "result": result})
"""
ONE = Caller("one")
SAYS = Caller("says", said="write " + " ".join(f"word{n}" for n in range(8000)))


async def allow(request: ConsentRequest) -> ConsentAnswer:
    assert len(consent_question(request)) < 20_000
    return read_fields(request, {})


ASKED = Caller("asked", consent=allow)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def upstreams(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTICO_LOG_DIR", str(tmp_path_factory.mktemp("logs")))
        async with Upstreams([UpstreamSpec("s", command=sys.executable, args=("-c", SERVER))]) as running:
            await running.ready(PATIENCE)
            yield running


@pytest.fixture
async def callers_calls(upstreams: Upstreams, tmp_path: Path) -> AsyncIterator[ToolCalls]:
    """Where everything was read that is kept of one caller, a mebibyte."""
    audit = AuditLog(AuditConfig(file=tmp_path / "audit.db", arguments=True))
    calls = ToolCalls(upstreams, policy=Policy(PolicyConfig(allow=["s__write"])), audit=audit)
    for caller in (ONE, SAYS, ASKED):
        await calls.call_tool("s__get", {"kind": "words", "n": 40_000}, caller)
    yield calls
    audit.close()


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds of the processor of each callback of every event loop; garbage is left lying, as a gateway's is for long."""
    taken: list[float] = []
    run = asyncio.events.Handle._run  # type: ignore[attr-defined]

    def timed(handle: Any) -> None:
        before = time.thread_time()
        run(handle)
        taken.append(time.thread_time() - before)

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    gc.disable()
    yield taken
    gc.enable()


MEGABYTES = 4 << 20
ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "5,000 arguments": lambda: {f"k{n}": f"swift-kode-{n}" for n in range(5000)},
    "a list of 90,000": lambda: {"a": [f"swift-kode-{n}" for n in range(90_000)]},
    "an object of 20,000 names": lambda: {"a": {f"user-{n}@y.example": n for n in range(20_000)}},
    "4 MB of words": lambda: {"a": " ".join(f"w{n * 7919 % 1_000_003}" for n in range(600_000))[:MEGABYTES]},
    "4 MB of one letter": lambda: {"a": "x" * MEGABYTES},
    "4 MB of dots": lambda: {"a": "." * MEGABYTES},
    "4 MB of white space": lambda: {"a": "a" + " " * MEGABYTES + "b"},
    "4 MB of words of one letter": lambda: {"a": "a " * (MEGABYTES // 2)},
    "4 MB of escapes": lambda: {"a": '\n\u202e"\\' * (MEGABYTES // 4)},
    "4 MB of numbers": lambda: {"a": " ".join(f"id-{n:08d}" for n in range(350_000))},
    "4 MB of accounts without spaces": lambda: {"a": ",".join(f"id-{n:08d}" for n in range(350_000))},
    "4 MB of what was read": lambda: {"a": ("word1 swift-code-1 word2 " * 200_000)[:MEGABYTES]},
    "a key of 4 MB": lambda: {"a": {"k " * (MEGABYTES // 2): 1}},
}
ESCAPES = 0.15  # seconds for a text of megabytes that is nothing but escapes: its JSON is written in one go


def at_most(name: str) -> float:
    return ESCAPES if "escapes" in name else ONCE


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_large_arguments_hold_nobody_up(name: str, callers_calls: ToolCalls, callbacks: list[float]) -> None:
    arguments = ARGUMENTS[name]()
    await asyncio.sleep(0)
    callbacks.clear()
    before = time.thread_time()
    with suppress(ConsentRequired):
        await callers_calls.call_tool("s__web", arguments, ONE)
    spent = time.thread_time() - before
    await asyncio.sleep(0)
    print(f"{name}: {max(callbacks, default=0.0) * 1000:.0f} ms at once, {spent * 1000:.0f} ms in all")
    assert max(callbacks, default=0.0) < at_most(name)
    assert spent < IN_ALL


@pytest.mark.parametrize(
    "name", ["5,000 arguments", "a list of 90,000", "4 MB of one letter", "4 MB of escapes", "a key of 4 MB"]
)
async def test_a_consent_to_large_arguments_holds_nobody_up(
    name: str, callers_calls: ToolCalls, callbacks: list[float]
) -> None:
    calls = callers_calls.under(Policy(PolicyConfig()))
    arguments = ARGUMENTS[name]()
    await asyncio.sleep(0)
    callbacks.clear()
    assert not (await calls.call_tool("s__write", arguments, ASKED)).is_error
    print(f"{name}: {max(callbacks, default=0.0) * 1000:.0f} ms at once")
    assert max(callbacks, default=0.0) < 2 * at_most(name)


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_whether_a_call_was_asked_for_is_soon_said(name: str, callers_calls: ToolCalls, callbacks: list[float]) -> None:
    calls = callers_calls.under(Policy(PolicyConfig(others="requested")))
    arguments = ARGUMENTS[name]()
    await asyncio.sleep(0)
    callbacks.clear()
    with pytest.raises(ConsentRequired):
        await calls.call_tool("s__write", arguments, SAYS)
    assert max(callbacks, default=0.0) < at_most(name)


RESULTS: dict[str, Callable[[ToolCalls], Any]] = {
    "5 MB of words": lambda calls: calls.call_tool("s__get", {"kind": "words", "n": 200_000}, ONE),
    "4 MB of escapes": lambda calls: calls.call_tool("s__get", {"kind": "escapes", "n": 1_300_000}, ONE),
    "50,000 blocks": lambda calls: calls.call_tool("s__get", {"kind": "blocks", "n": 50_000}, ONE),
    "60,000 rows": lambda calls: calls.call_tool("s__get", {"kind": "rows", "n": 60_000}, ONE),
    "a resource of 9,000 parts and 7 MB": lambda calls: calls.read_resource("portico://s/file://big", ONE),
    "a prompt of 7 MB": lambda calls: calls.get_prompt("s__big", {}, ONE),
}


@pytest.mark.parametrize("name", RESULTS)
async def test_a_large_result_holds_nobody_up(name: str, callers_calls: ToolCalls, callbacks: list[float]) -> None:
    callbacks.clear()
    await RESULTS[name](callers_calls)
    print(f"{name}: {max(callbacks, default=0.0) * 1000:.0f} ms at once")
    assert max(callbacks, default=0.0) < 2 * ONCE


async def test_of_too_many_blocks_the_first_are_kept_and_the_rest_is_counted(callers_calls: ToolCalls) -> None:
    result = await callers_calls.call_tool("s__get", {"kind": "blocks", "n": MAX_PARTS + 7}, ONE)
    assert len(result.content) == MAX_PARTS
    assert result.content[-2].text == f"block {MAX_PARTS - 2}"  # type: ignore[union-attr]
    assert result.content[-1].text == "[8 further blocks were left out]"  # type: ignore[union-attr]


async def test_what_is_not_searched_counts_as_copied(callers_calls: ToolCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_search, "MAX_WORK", 100)
    with pytest.raises(ConsentRequired, match="/a is too much to be looked for in what was read"):
        await callers_calls.call_tool("s__web", {"a": "nothing of this was read anywhere"}, ONE)


@pytest.mark.parametrize(
    "arguments", [{"a b": "swift-code-7"}, {"a": {"to whom": ["swift-code-7"]}}, {"to": {"swift-code-7": 1}}]
)
async def test_a_copy_stays_one_whatever_its_key_is_and_as_a_key(callers_calls: ToolCalls, arguments: dict[str, Any]) -> None:
    """What was used once, by a key with a space, counted as the caller's own; keys were not looked at."""
    asked: list[ConsentRequest] = []

    async def allow_once(request: ConsentRequest) -> bool:
        asked.append(request)
        return True

    caller = Caller("once", consent=allow_once)
    await callers_calls.call_tool("s__get", {"kind": "words", "n": 10}, caller)
    for count in (1, 2):
        await callers_calls.call_tool("s__web", arguments, caller)
        assert len(asked) == count
        assert "was copied from a result of s__get" in asked[-1].reason


async def test_keys_of_a_result_count_as_read(callers_calls: ToolCalls) -> None:
    await callers_calls.call_tool("s__get", {"kind": "rows", "n": 3}, Caller("keys"))
    with pytest.raises(ConsentRequired, match="/to was copied"):
        await callers_calls.call_tool("s__web", {"to": "key-1@x.example"}, Caller("keys"))


async def test_of_many_copies_a_few_are_named(callers_calls: ToolCalls) -> None:
    with pytest.raises(ConsentRequired) as asks:
        await callers_calls.call_tool("s__web", {f"k{n}": "swift-code-7" for n in range(3000)}, ONE)
    assert "/k9 was copied from a result of s__get; 2990 further arguments were" in str(asks.value), str(asks.value)
    assert len(str(asks.value)) < 2000


async def test_arguments_that_nest_too_deeply_are_their_senders_mistake(callers_calls: ToolCalls) -> None:
    deep = json.loads('{"a":' * 150 + "1" + "}" * 150)
    with pytest.raises(MCPError, match="nested more than 100 deep"):
        await callers_calls.call_tool("s__get", deep, ONE)
    wide = {f"k{n}": {"a": [n]} for n in range(500)}
    assert not (await callers_calls.call_tool("s__get", wide, ONE)).is_error


async def test_one_large_search_at_a_time_and_small_calls_between(callers_calls: ToolCalls) -> None:
    large = {f"k{n}": f"swift-kode-{n}" for n in range(5000)}
    ended: list[str] = []

    async def call(name: str, arguments: dict[str, Any]) -> None:
        await callers_calls.call_tool("s__web", arguments, Caller(name))
        ended.append(name)

    for name in ("first", "second"):
        await callers_calls.call_tool("s__get", {"kind": "words", "n": 40_000}, Caller(name))
    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second"):
            tasks.create_task(call(name, large))
        tasks.create_task(call("small", {"a": 1}))
    assert ended == ["small", "first", "second"]
