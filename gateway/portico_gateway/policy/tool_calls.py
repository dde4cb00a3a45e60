"""The one path of every tool call: policy, consent, the upstream, the audit log.

It owns the order of these and what a conversation has read. It knows no protocol: an MCP host, the local model and the
terminal all come through here as a `Caller`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import mcp_types
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller, on_behalf_of
from portico_gateway.errors import ConsentRefused, ConsentRequired, GatewayError, ToolDenied, UnknownName
from portico_gateway.policy.approvals import Approval, Approvals, call_digest
from portico_gateway.policy.audit import AuditLog, AuditRecord
from portico_gateway.policy.rules import Policy, Ruling, Verdict
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.upstreams import Upstreams

DECISION = "portico/decision"  # in the result's `_meta`, where a person decided
_MAX_CONVERSATIONS = 10_000  # that are remembered for having read untrusted text


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a call ran or did not: the policy's verdict, or where a person consented the channel and the record's id."""

    verdict: str
    approval: str | None = None


class ToolCalls:
    """Calls tools of `upstreams` under a policy. `takes_approvals`: this process has an API that decides pending ones."""

    def __init__(
        self,
        upstreams: Upstreams,
        *,
        policy: Policy | None = None,
        audit: AuditLog | None = None,
        takes_approvals: bool = False,
    ) -> None:
        self.upstreams = upstreams
        self.policy = policy or Policy()
        self.approvals = Approvals(self.policy.config.approval_seconds)
        self._audit = audit
        self._takes_approvals = takes_approvals
        self._tainted: OrderedDict[str, None] = OrderedDict()  # conversations that have read untrusted text

    def use_policy(self, policy: Policy) -> None:
        """Go on under other rules. Consents that were given under the old ones count no more; times stay as they were."""
        if policy.version != self.policy.version:
            self.policy = policy
            self.upstreams.catalog.announce({"tools"})

    def is_visible(self, entry: CatalogTool) -> bool:
        """Whether callers see the tool at all."""
        return self.policy.ruling(entry.name, entry.tool).verdict is not Verdict.DENY

    async def call_tool(
        self, name: str, arguments: dict[str, Any], caller: Caller, *, progress: ProgressFnT | None = None
    ) -> mcp_types.CallToolResult:
        """Call a tool by its gateway name, if the policy or a person allows it.

        Raises PolicyError where neither does, and as `Upstreams.call_tool`.
        """
        entry = self.upstreams.catalog.tool(name)
        started = time.time(), time.perf_counter()
        ruling = self.policy.ruling(name, entry.tool, read_untrusted=caller.conversation in self._tainted)
        decision = Decision(ruling.verdict)
        result: mcp_types.CallToolResult | None = None
        failure: BaseException | None = None
        try:
            decision = await self._permit(entry, arguments, caller, ruling)
            with on_behalf_of(caller):
                result = await self.upstreams.call_tool(name, arguments, progress=progress)
            if not self.policy.is_trusted(name):
                self.note_untrusted(caller)
        except BaseException as error:
            failure = error
            raise
        finally:
            if self._audit is not None:
                seconds = time.perf_counter() - started[1]
                self._audit.put(
                    AuditRecord(
                        started=started[0],
                        caller=caller.name,
                        client=caller.client,
                        server=entry.server,
                        tool=name,
                        arguments=arguments,
                        decision=decision.verdict,
                        approval=decision.approval,
                        seconds=seconds,
                        result=result,
                        failure=failure,
                    )
                )
        return _with_decision(result, decision)

    async def _permit(self, entry: CatalogTool, arguments: dict[str, Any], caller: Caller, ruling: Ruling) -> Decision:
        if ruling.verdict is Verdict.DENY:
            raise ToolDenied(entry.name, ruling.reason)
        if ruling.verdict is Verdict.ALLOW:
            return Decision("allow")
        digest = call_digest(entry.name, arguments, self.policy.version)
        fresh = caller.consent is not None
        record = self.approvals.ask(caller.name, entry.name, arguments, digest, ruling.reason, fresh=fresh)
        if caller.consent is not None and record.channel is None:
            await self._ask(record, caller)
        if record.channel is None:
            raise self._consent_required(record)
        if not self.approvals.use(record):
            raise ConsentRefused(entry.name)
        return Decision(record.channel, record.id)

    async def _ask(self, record: Approval, caller: Caller) -> None:
        assert caller.consent is not None
        try:
            approve = await caller.consent(record)
        except MCPError as error:
            raise GatewayError(f"{record.tool} needs a person's consent, and the host could not ask for it: {error}") from error
        try:
            self.approvals.decide(record.id, approve=approve, channel=caller.channel)
        except UnknownName:  # the answer took longer than a record lives
            raise ConsentRefused(record.tool) from None

    def _consent_required(self, record: Approval) -> ConsentRequired:
        if not self._takes_approvals:
            how = 'this host can\'t ask for it; name the tool in "allow" under [policy] in portico.toml to allow it always'
            return ConsentRequired(record.tool, record.reason, how)
        how = (
            f'approve it with POST /v1/approvals/{record.id} {{"decision": "approve"}}, then call again with the same arguments'
        )
        return ConsentRequired(record.tool, record.reason, how, record.id)

    def note_untrusted(self, caller: Caller) -> None:
        """The caller's conversation has read what may carry instructions: a server's text that the owner does not trust."""
        self._tainted[caller.conversation] = None
        self._tainted.move_to_end(caller.conversation)
        if len(self._tainted) > _MAX_CONVERSATIONS:
            self._tainted.popitem(last=False)


def _with_decision(result: mcp_types.CallToolResult, decision: Decision) -> mcp_types.CallToolResult:
    if decision.approval is None:
        return result
    stamp = {"by": decision.verdict, "approval": decision.approval}
    return result.model_copy(update={"meta": {**(result.meta or {}), DECISION: stamp}})
