"""The one path of every tool call, resource and prompt: policy, consent, the upstream, the audit log.

It owns the order of these and what a caller has read. It knows no protocol: an MCP host, the local model and the terminal all
come through here as a `Caller`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import mcp_types
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller, on_behalf_of
from portico_gateway.errors import ConsentRefused, ConsentRequired, GatewayError, ToolDenied, UnknownName
from portico_gateway.policy.approvals import Approval, Approvals, ApprovalState, call_digest
from portico_gateway.policy.audit import AuditKind, AuditLog, AuditRecord
from portico_gateway.policy.rules import Policy, Ruling, Verdict
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.definitions import definition_digest
from portico_gateway.upstreams.names import SEPARATOR
from portico_gateway.upstreams.upstreams import Upstreams

DECISION = "portico/decision"  # in the result's `_meta`, where a person decided
OWN_SERVER = "portico"  # in the audit log: what the gateway itself answers
_MAX_READERS = 10_000  # callers that are remembered for having read untrusted text
_MAX_CONSENTED = 10_000  # changed definitions that a person has consented to, of all callers
_Result = TypeVar("_Result", bound=mcp_types.Result)


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a call ran or did not: the policy's verdict, or where a person consented the channel, the record's id and who."""

    verdict: str
    approval: str | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of a tool, resource or prompt, as the policy and the log see it. `definition`: a tool's digest."""

    kind: AuditKind
    server: str
    name: str
    arguments: Mapping[str, Any]
    definition: str = ""


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
        self.approvals = Approvals(self.policy.config.approval_seconds, on_decision=self._log_decision)
        self._audit = audit
        self._takes_approvals = takes_approvals
        self._readers: OrderedDict[str, None] = OrderedDict()  # callers that have read untrusted text
        self._consented: OrderedDict[tuple[str, str, str], None] = OrderedDict()  # (caller, tool, changed definition)

    def use_policy(self, policy: Policy) -> None:
        """Go on under other rules. Consents that were given under the old ones count no more; times stay as they were."""
        if policy.version != self.policy.version:
            self.policy = policy
            self.upstreams.catalog.announce({"tools", "prompts", "resources"})

    def under(self, policy: Policy) -> ToolCalls:
        """The same servers and the same log under other rules, by callers who have read and consented to nothing yet."""
        return ToolCalls(self.upstreams, policy=policy, audit=self._audit)

    # -- what a caller may see

    def is_visible(self, entry: CatalogTool) -> bool:
        """Whether callers see the tool at all."""
        return self.policy.ruling(entry.name, entry.tool).verdict is not Verdict.DENY

    def is_readable(self, *names: str) -> bool:
        """Whether callers see a resource, a template or a prompt of these names at all."""
        return self.policy.ruling_of_read(*names).verdict is not Verdict.DENY

    def is_read_only(self, entry: CatalogTool, caller: Caller) -> bool:
        """Whether the tool counts as read-only for this caller, whose consent to a changed definition counts."""
        return self.policy.is_read_only(entry.name, entry.tool, changed=self._is_changed(entry, caller))

    def ruling(self, entry: CatalogTool, caller: Caller) -> Ruling:
        """What becomes of a call of the tool by this caller."""
        return self.policy.ruling(
            entry.name, entry.tool, read_untrusted=caller.name in self._readers, changed=self._is_changed(entry, caller)
        )

    def _is_changed(self, entry: CatalogTool, caller: Caller) -> bool:
        return entry.changed and (caller.name, entry.name, entry.digest) not in self._consented

    # -- what a caller may do

    async def call_tool(
        self, name: str, arguments: dict[str, Any], caller: Caller, *, progress: ProgressFnT | None = None
    ) -> mcp_types.CallToolResult:
        """Call a tool by its gateway name, if the policy or a person allows it.

        Raises PolicyError where neither does, and as `Upstreams.call_tool`.
        """
        entry = self.upstreams.catalog.tool(name)
        use = _Use("tool", entry.server, name, arguments, entry.digest)

        async def call() -> mcp_types.CallToolResult:
            return await self.upstreams.call_tool(name, arguments, progress=progress, definition=entry.digest)

        untrusted = not self.policy.is_trusted(name)
        result, decision = await self._under_policy(use, caller, self.ruling(entry, caller), call, untrusted=untrusted)
        if entry.changed and decision.approval is not None:
            self._remember(self._consented, (caller.name, name, entry.digest), _MAX_CONSENTED)
        return _with_decision(result, decision)

    async def call_own_tool(
        self,
        tool: mcp_types.Tool,
        arguments: dict[str, Any],
        caller: Caller,
        call: Callable[[], Awaitable[mcp_types.CallToolResult]],
    ) -> mcp_types.CallToolResult:
        """Call a tool that the gateway itself answers. What it reads for the caller counts by its own calls. Raises as
        `call_tool` and `call`."""
        read_untrusted = caller.name in self._readers
        ruling = self.policy.ruling(tool.name, tool, read_untrusted=read_untrusted)
        use = _Use("own tool", OWN_SERVER, tool.name, arguments, definition_digest(tool))
        result, decision = await self._under_policy(use, caller, ruling, call, untrusted=False)
        return _with_decision(result, decision)

    async def read_resource(self, uri: str, caller: Caller) -> mcp_types.ReadResourceResult:
        """Read a resource by its gateway URI. Raises PolicyError, and as `Upstreams.read_resource`."""
        server, own = self.upstreams.catalog.resource_owner(uri)
        ruling = self.policy.ruling_of_read(uri, resource_name(server, own))
        use = _Use("resource", server, uri, {"uri": uri})
        read = partial(self.upstreams.read_resource, uri)
        return (await self._under_policy(use, caller, ruling, read, untrusted=True))[0]

    async def get_prompt(self, name: str, arguments: dict[str, str] | None, caller: Caller) -> mcp_types.GetPromptResult:
        """Render a prompt by its gateway name. Raises PolicyError, and as `Upstreams.get_prompt`."""
        entry = self.upstreams.catalog.prompt(name)
        use = _Use("prompt", entry.server, name, arguments or {})
        ruling = self.policy.ruling_of_read(name)
        get = partial(self.upstreams.get_prompt, name, arguments)
        return (await self._under_policy(use, caller, ruling, get, untrusted=True))[0]

    def note_untrusted(self, caller: Caller) -> None:
        """The caller has read what may carry instructions: a server's text that the owner does not trust."""
        self._remember(self._readers, caller.name, _MAX_READERS)

    async def _under_policy(
        self, use: _Use, caller: Caller, ruling: Ruling, operation: Callable[[], Awaitable[_Result]], *, untrusted: bool
    ) -> tuple[_Result, Decision]:
        """`untrusted`: whatever comes back, an error too, is a server's text that the owner does not trust."""
        started = time.time(), time.perf_counter()
        decision = Decision(ruling.verdict)
        result: _Result | None = None
        failure: BaseException | None = None
        try:
            decision = await self._permit(use, caller, ruling)
            with on_behalf_of(caller):
                try:
                    result = await operation()
                finally:
                    if untrusted:
                        self.note_untrusted(caller)
            return result, decision
        except BaseException as error:
            failure = error
            raise
        finally:
            self._log(use, caller, decision, started[0], time.perf_counter() - started[1], result, failure)

    async def _permit(self, use: _Use, caller: Caller, ruling: Ruling) -> Decision:
        if ruling.verdict is Verdict.DENY:
            raise ToolDenied(use.name, ruling.reason)
        if ruling.verdict is Verdict.ALLOW:
            return Decision("allow")
        digest = call_digest(use.name, use.arguments, self.policy.version, use.definition)
        fresh = caller.consent is not None
        record = self.approvals.ask(caller.name, use.name, use.arguments, digest, ruling.reason, fresh=fresh)
        if caller.consent is not None and record.channel is None:
            await self._ask(record, caller)
        if record.channel is None:
            raise self._consent_required(record)
        if not self.approvals.use(record) or not self._is_as_asked(use):
            raise ConsentRefused(use.name)
        return Decision(record.channel, record.id, record.decided_by)

    def _is_as_asked(self, use: _Use) -> bool:
        """Whether a tool is still what it said it was when the person was asked."""
        return use.kind != "tool" or self.upstreams.catalog.tool(use.name).digest == use.definition

    async def _ask(self, record: Approval, caller: Caller) -> None:
        assert caller.consent is not None
        try:
            approve = await caller.consent(record)
        except MCPError as error:
            raise GatewayError(f"{record.tool} needs a person's consent, and the host could not ask for it: {error}") from error
        try:
            self.approvals.decide(record.id, approve=approve, channel=caller.channel, by=caller.name)
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

    # -- the log

    def _log(
        self,
        use: _Use,
        caller: Caller,
        decision: Decision,
        started: float,
        seconds: float,
        result: mcp_types.Result | None,
        failure: BaseException | None,
    ) -> None:
        if self._audit is None:
            return
        self._audit.put(
            AuditRecord(
                started=started,
                caller=caller.name,
                client=caller.client,
                server=use.server,
                tool=use.name,
                arguments=use.arguments,
                decision=decision.verdict,
                approval=decision.approval,
                seconds=seconds,
                result=result,
                failure=failure,
                kind=use.kind,
                decided_by=decision.by,
                question=caller.question,
            )
        )

    def _log_decision(self, record: Approval) -> None:
        """A consent that a dialog gave is logged with its call, which comes at once; another decision has a row of its own."""
        if self._audit is None or (record.channel != "http" and record.state is ApprovalState.APPROVED):
            return
        self._audit.put(
            AuditRecord(
                started=time.time(),
                caller=record.caller,
                client="",
                server="",
                tool=record.tool,
                arguments=record.arguments,
                decision=str(record.channel),
                approval=record.id,
                seconds=0.0,
                result=None,
                failure=None,
                kind="decision",
                decided_by=record.decided_by,
                outcome=str(record.state),
            )
        )

    @staticmethod
    def _remember(kept: OrderedDict[Any, None], item: Any, most: int) -> None:
        kept[item] = None
        kept.move_to_end(item)
        if len(kept) > most:
            kept.popitem(last=False)


def resource_name(server: str, own_uri: str) -> str:
    """A resource as patterns over tool names see it, so that `server__*` names all that a server has."""
    return f"{server}{SEPARATOR}{own_uri}"


def _with_decision(result: mcp_types.CallToolResult, decision: Decision) -> mcp_types.CallToolResult:
    said = {key: value for key, value in (result.meta or {}).items() if key != DECISION}  # a server's word is none
    if decision.approval is not None:
        said[DECISION] = {"by": decision.verdict, "approval": decision.approval}
    return result if said == (result.meta or {}) else result.model_copy(update={"meta": said or None})
