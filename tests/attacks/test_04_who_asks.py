"""What one caller has and does costs no other: consents, questions and what is kept for them are bounded by caller."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest
from mcp.shared.exceptions import MCPError

from portico_gateway.mcp.input_required import MAX_PENDING, PendingOperation, PendingOperations
from portico_gateway.policy.approvals import (
    MAX_ALL_APPROVALS,
    MAX_APPROVALS,
    MAX_ARGUMENT_BYTES,
    Approval,
    Approvals,
    ApprovalState,
    CallAsked,
)

pytestmark = [pytest.mark.anyio, pytest.mark.attack("4 who asks is known everywhere")]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))


def ask(approvals: Approvals, caller: str, number: int, text: str = "") -> Approval:
    return approvals.ask(caller, CallAsked("s__t", {"a": text}, str(number), "why", size=len(text)))


def test_a_flood_of_one_caller_costs_no_other_its_consent() -> None:
    approvals = Approvals()
    mine = ask(approvals, "mine", 0)
    approvals.decide(mine.id, approve=True, channel="http")
    for number in range(MAX_APPROVALS + 500):
        ask(approvals, "flood", number)
    assert ask(approvals, "mine", 0) is mine
    assert approvals.use(mine)
    assert len(approvals.all()) == MAX_APPROVALS


def test_a_decided_consent_outlives_its_callers_own_flood() -> None:
    approvals = Approvals()
    mine = ask(approvals, "mine", 0)
    approvals.decide(mine.id, approve=True, channel="http")
    for number in range(1, MAX_APPROVALS + 500):
        ask(approvals, "mine", number)
    assert mine.state is ApprovalState.APPROVED
    assert approvals.use(mine)


def test_many_names_cost_no_other_its_consent() -> None:
    approvals = Approvals()
    mine = ask(approvals, "mine", 0)
    for number in range(MAX_ALL_APPROVALS + 100):
        ask(approvals, f"name{number % 40}", number)
    assert len(approvals.all()) == MAX_ALL_APPROVALS
    assert ask(approvals, "mine", 0) is mine


def test_kept_arguments_are_bounded_by_caller() -> None:
    approvals = Approvals()
    mine = ask(approvals, "mine", 0, "x" * 1_000_000)
    for number in range(100):
        ask(approvals, "flood", number, "x" * 1_000_000)
    kept = sum(record.size for record in approvals.all() if record.caller == "flood")
    assert kept <= MAX_ARGUMENT_BYTES
    assert ask(approvals, "mine", 0) is mine


async def test_unanswered_questions_of_one_caller_block_no_other() -> None:
    pending = PendingOperations(60.0)

    async def operation(suspended: PendingOperation) -> mcp_types.Result:
        await suspended.ask(mcp_types.ListRootsRequest())
        return mcp_types.EmptyResult()

    async def report(*_: Any) -> None: ...

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pending.run)
        await anyio.lowlevel.checkpoint()
        for number in range(MAX_PENDING):
            await pending.start(("flood", "tools/call", str(number)), report, operation)
        with pytest.raises(MCPError, match="of your calls wait"):
            await pending.start(("flood", "tools/call", "more"), report, operation)
        result = await pending.start(("another", "tools/call", "x"), report, operation)
        assert isinstance(result, mcp_types.InputRequiredResult)
        tasks.cancel_scope.cancel()


async def test_a_key_that_is_gone_from_the_file_opens_nothing_from_then_on(tmp_path: Path) -> None:
    from portico_gateway.assembly.config_reload import follow_config
    from portico_gateway.assembly.serve import _use_keys
    from portico_gateway.config.sections import KeyConfig, OAuthConfig
    from portico_gateway.http.middleware.keys import BearerTokenVerifier, new_key
    from portico_gateway.policy.tool_calls import ToolCalls
    from portico_gateway.upstreams.upstreams import Upstreams

    (old, old_hash), (kept, kept_hash), (new, new_hash) = new_key(), new_key(), new_key()
    keys = {"old": KeyConfig(sha256=old_hash), "kept": KeyConfig(sha256=kept_hash)}
    verifier = BearerTokenVerifier(keys, OAuthConfig())

    class Source:
        path = tmp_path / "portico.toml"

        def read(self) -> Any:
            from portico_gateway.config.portico_config import PorticoConfig

            return PorticoConfig(keys={"kept": KeyConfig(sha256=kept_hash), "new": KeyConfig(sha256=new_hash)}), []

    async def once() -> Any:
        yield None

    assert await verifier.verify_token(old)
    async with Upstreams([]) as upstreams:
        take = partial(_use_keys, keys)
        await follow_config(Source(), ToolCalls(upstreams), on_config=take, changes=once())  # type: ignore[arg-type]
    assert await verifier.verify_token(old) is None
    assert await verifier.verify_token(kept)
    assert await verifier.verify_token(new)
