"""The one path of every tool call, resource and prompt: policy, consent, the upstream, the audit log.

It owns the order of these and what a caller has read. It knows no protocol: an MCP host, the local model and the terminal all
come through here as a `Caller`.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import mcp_types
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError

from portico_gateway.caller import Caller, ConsentAnswer, ConsentChannel, on_behalf_of
from portico_gateway.errors import ConsentRefused, ConsentRequired, GatewayError, InvalidEdit, ToolDenied, UnknownName
from portico_gateway.policy.approvals import Approval, Approvals, ApprovalState, CallAsked, call_digest, call_digest_in_steps
from portico_gateway.policy.audit import AuditKind, AuditLog, AuditRecord, Failure
from portico_gateway.policy.provenance import NOTHING_GIVEN, Looked, Provenance, in_words
from portico_gateway.policy.quotas import Quotas
from portico_gateway.policy.remembered import RememberedChoices
from portico_gateway.policy.requested import is_requested
from portico_gateway.policy.rules import Circumstances, Policy, Ruling, Verdict
from portico_gateway.policy.slices import Slices
from portico_gateway.tracing import call_span
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.definitions import definition_digest, without_words
from portico_gateway.upstreams.names import SEPARATOR
from portico_gateway.upstreams.upstreams import Upstreams

DECISION = "portico/decision"  # in the result's `_meta`, where a person decided
CALL = "portico/call"  # likewise: the call's id, as the log and feedback know it
OWN_SERVER = "portico"  # in the audit log: what the gateway itself answers
_MAX_READERS = 10_000  # callers that are remembered for having read untrusted text
_MAX_CONSENTED = 10_000  # changed definitions that a person has consented to, of all callers
_MAX_MADE = 10_000  # calls that were made, of all callers: a request is for one
_MAX_EDITS = 3  # that a person may try until the tool can take what is written
_Result = TypeVar("_Result", bound=mcp_types.Result)


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a call ran or did not: the policy's verdict, or where a person consented the channel, the record's id and who."""

    verdict: str
    approval: str | None = None
    by: str = ""
    edited: Mapping[str, Any] | None = None  # what a person made of the arguments


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of a tool, resource or prompt, as the policy and the log see it. `definition`: a tool's digest; `marks`: where
    its arguments come from."""

    kind: AuditKind
    server: str
    name: str
    arguments: Mapping[str, Any]
    definition: str = ""
    schema: Mapping[str, Any] | None = None
    marks: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: os.urandom(16).hex())


class ToolCalls:
    """Calls tools of `upstreams` under a policy. `takes_approvals`: this process has an API that decides pending ones."""

    def __init__(
        self,
        upstreams: Upstreams,
        *,
        policy: Policy | None = None,
        audit: AuditLog | None = None,
        takes_approvals: bool = False,
        choices: RememberedChoices | None = None,
    ) -> None:
        self.upstreams = upstreams
        self.policy = policy or Policy()
        self.approvals = Approvals(self.policy.config.approval_seconds, on_decision=self._log_decision)
        self.choices = choices or RememberedChoices()
        self._audit = audit
        self._quotas = Quotas()
        self._provenance = Provenance()
        self._slices = Slices()
        self._takes_approvals = takes_approvals
        self._readers: OrderedDict[str, None] = OrderedDict()  # callers that have read untrusted text
        self._consented: OrderedDict[tuple[str, str, str], None] = OrderedDict()  # (caller, tool, changed definition)
        self._made: OrderedDict[tuple[str, str], None] = OrderedDict()  # (caller, digest of the call), of what asks otherwise

    def use_policy(self, policy: Policy) -> None:
        """Go on under other rules. Consents that were given under the old ones count no more; times stay as they were."""
        if policy.version != self.policy.version:
            self.policy = policy
            self.upstreams.catalog.announce({"tools", "prompts", "resources"})

    def under(self, policy: Policy) -> ToolCalls:
        """The same servers and the same log under other rules, by callers who have read and consented to nothing yet."""
        return ToolCalls(self.upstreams, policy=policy, audit=self._audit, choices=self.choices)

    def over(self, upstreams: Upstreams) -> ToolCalls:
        """The same rules, consents and log over other servers: those that one request brought along. What was read there counts
        here."""
        other = copy.copy(self)  # what it remembers is one with what this one remembers
        other.upstreams = upstreams
        return other

    # -- what a caller may see

    def is_visible(self, entry: CatalogTool, caller: Caller) -> bool:
        """Whether this caller sees the tool at all."""
        return self.policy.ruling(entry.name, entry.tool, caller).verdict is not Verdict.DENY

    def is_readable(self, *names: str, caller: Caller) -> bool:
        """Whether this caller sees a resource, a template or a prompt of these names at all."""
        return self.policy.ruling_of_read(*names, caller=caller).verdict is not Verdict.DENY

    def is_read_only(self, entry: CatalogTool, caller: Caller) -> bool:
        """Whether the tool counts as read-only for this caller, whose consent to a changed definition counts."""
        return self.policy.is_read_only(entry.name, entry.tool, changed=self._is_held_back(entry, caller))

    def ruling(self, entry: CatalogTool, caller: Caller) -> Ruling:
        """What becomes of a call of the tool by this caller whose arguments are the caller's own."""
        return self.policy.ruling(entry.name, entry.tool, caller, self._circumstances(entry, caller, {}, NOTHING_GIVEN))

    async def circumstances(self, entry: CatalogTool, caller: Caller, arguments: Mapping[str, Any]) -> Circumstances:
        """What the policy is told of a call beside the tool."""
        return self._circumstances(entry, caller, arguments, await self._look(caller, arguments))

    async def _look(self, caller: Caller, arguments: Mapping[str, Any]) -> Looked:
        if not arguments:
            return NOTHING_GIVEN
        return await self._slices.run(self._provenance.look(caller.name, arguments, caller.said))

    def _circumstances(self, entry: CatalogTool, caller: Caller, arguments: Mapping[str, Any], looked: Looked) -> Circumstances:
        return Circumstances(
            read_untrusted=caller.name in self._readers,
            changed=entry.changed and self._is_held_back(entry, caller),
            shadows=entry.shadows if self._is_held_back(entry, caller) else None,
            copied=in_words(looked.copied) if self.policy.config.provenance else (),
            leaves=looked.leaves,
            requested=self.policy.heeds_requests
            and is_requested(entry.tool.name, entry.tool.input_schema, arguments, caller.said)
            and (caller.name, self._digest(entry, arguments)) not in self._made,
        )

    def _digest(self, entry: CatalogTool, arguments: Mapping[str, Any]) -> str:
        return call_digest(entry.name, arguments, self.policy.version, entry.digest)

    def shown(self, entry: CatalogTool, caller: Caller) -> mcp_types.Tool:
        """The tool as this caller may read it: the words of a definition that changed, or that speaks of another server's tool,
        are held back until a person has allowed a call of it."""
        if not self._is_held_back(entry, caller):
            return entry.tool
        why = "changed since it was first seen" if entry.changed else f"speaks of another server's tool, {entry.shadows}"
        notice = f"This tool's definition {why}: what it says is held back until a person allows a call of it."
        return without_words(entry.tool, notice)

    def _is_held_back(self, entry: CatalogTool, caller: Caller) -> bool:
        if not entry.is_held_back or (caller.name, entry.name, entry.digest) in self._consented:
            return False
        return entry.shadows is not None or not self.upstreams.catalog.is_consented(entry, caller.name)

    # -- what a caller may do

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        caller: Caller,
        *,
        progress: ProgressFnT | None = None,
        task: mcp_types.TaskMetadata | None = None,
    ) -> mcp_types.CallToolResult:
        """Call a tool by its gateway name, if the policy or a person allows it; with `task`, to run as one.

        Raises PolicyError where neither does, and as `Upstreams.call_tool`.
        """
        entry = self.upstreams.catalog.tool(name)
        looked = await self._look(caller, arguments)
        now = self._circumstances(entry, caller, arguments, looked)
        ruling = self.policy.ruling(name, entry.tool, caller, now)
        use = _Use("tool", entry.server, name, arguments, entry.digest, entry.tool.input_schema, tuple(now.copied))

        async def call(allowed: Mapping[str, Any]) -> mcp_types.CallToolResult:
            given = dict(allowed)
            return await self.upstreams.call_tool(name, given, progress=progress, definition=entry.digest, task=task)

        if self.policy.config.provenance and looked.texts:
            await self._slices.run(self._provenance.used(caller.name, looked))
        if now.requested:
            self._remember(self._made, (caller.name, self._digest(entry, arguments)), _MAX_MADE)
        untrusted = not self.policy.is_trusted(name)
        result, decision = await self._under_policy(use, caller, ruling, call, untrusted=untrusted)
        if self._is_held_back(entry, caller) and decision.approval is not None:
            self._remember(self._consented, (caller.name, name, entry.digest), _MAX_CONSENTED)
            if entry.changed:
                self.upstreams.catalog.consent(entry, caller.name)
            self.upstreams.catalog.announce({"tools"})  # its words may be read from here on
        return self._told(result, decision, use)

    async def read_task(
        self, name: str, task: str, caller: Caller, fetch: Callable[[], Awaitable[mcp_types.CallToolResult]]
    ) -> mcp_types.CallToolResult:
        """The result of a call that ran as a task, which was allowed when it was made; a tool that is denied since tells
        nothing. Raises PolicyError, UnknownName and as `fetch`."""
        entry = self.upstreams.catalog.tool(name)
        ruling = self.policy.ruling(name, entry.tool, caller)
        if ruling.verdict is not Verdict.DENY:
            ruling = Ruling(Verdict.ALLOW, "the call was allowed when it was made")
        use = _Use("tool", entry.server, name, {"taskId": task}, entry.digest)
        untrusted = not self.policy.is_trusted(name)
        result, decision = await self._under_policy(use, caller, ruling, lambda _: fetch(), untrusted=untrusted)
        return self._told(result, decision, use)

    async def call_own_tool(
        self,
        tool: mcp_types.Tool,
        arguments: dict[str, Any],
        caller: Caller,
        call: Callable[[], Awaitable[mcp_types.CallToolResult]],
    ) -> mcp_types.CallToolResult:
        """Call a tool that the gateway itself answers. What it reads for the caller counts by its own calls. Raises as
        `call_tool` and `call`."""
        now = Circumstances(read_untrusted=caller.name in self._readers)
        ruling = self.policy.ruling(tool.name, tool, caller, now)
        use = _Use("own tool", OWN_SERVER, tool.name, arguments, definition_digest(tool))
        result, decision = await self._under_policy(use, caller, ruling, lambda _: call(), untrusted=False)
        return self._told(result, decision, use)

    async def read_resource(self, uri: str, caller: Caller) -> mcp_types.ReadResourceResult:
        """Read a resource by its gateway URI. Raises PolicyError, and as `Upstreams.read_resource`."""
        server, own = self.upstreams.catalog.resource_owner(uri)
        ruling = self.policy.ruling_of_read(uri, resource_name(server, own), caller=caller)
        use = _Use("resource", server, uri, {"uri": uri})
        return (await self._under_policy(use, caller, ruling, lambda _: self.upstreams.read_resource(uri), untrusted=True))[0]

    async def get_prompt(self, name: str, arguments: dict[str, str] | None, caller: Caller) -> mcp_types.GetPromptResult:
        """Render a prompt by its gateway name. Raises PolicyError, and as `Upstreams.get_prompt`."""
        entry = self.upstreams.catalog.prompt(name)
        use = _Use("prompt", entry.server, name, arguments or {})
        ruling = self.policy.ruling_of_read(name, caller=caller)
        get = self.upstreams.get_prompt
        return (await self._under_policy(use, caller, ruling, lambda _: get(name, arguments), untrusted=True))[0]

    def _told(self, result: mcp_types.CallToolResult, decision: Decision, use: _Use) -> mcp_types.CallToolResult:
        return with_decision(result, decision, use.id if self._audit is not None else None)

    def note_untrusted(self, caller: Caller) -> None:
        """The caller has read what may carry instructions: a server's text that the owner does not trust."""
        self._remember(self._readers, caller.name, _MAX_READERS)

    async def _under_policy(
        self,
        use: _Use,
        caller: Caller,
        ruling: Ruling,
        operation: Callable[[Mapping[str, Any]], Awaitable[_Result]],
        *,
        untrusted: bool,
    ) -> tuple[_Result, Decision]:
        """`operation` is given the arguments that may be used. `untrusted`: whatever comes back, an error too, is a server's
        text that the owner does not trust."""
        started = time.time(), time.perf_counter()
        decision = Decision(ruling.verdict)
        result: _Result | None = None
        failure: Failure | None = None
        try:
            with call_span(use.name, use.server) as span:
                if ruling.verdict is not Verdict.DENY:
                    self._quotas.count(caller.name, self.policy.quota(caller))
                decision = await self._permit(use, caller, ruling)
                span.set_attribute("portico.decision", decision.verdict)
                with on_behalf_of(caller):
                    try:
                        result = await operation(use.arguments if decision.edited is None else decision.edited)
                    finally:
                        if untrusted:
                            self.note_untrusted(caller)
            if untrusted and self.policy.config.provenance:
                await self._slices.run(self._provenance.note(caller.name, use.name, result))
            return result, decision
        except BaseException as error:
            failure = Failure.of(error)  # the exception itself would be in a cycle with this frame
            raise
        finally:
            self._log(use, caller, decision, started[0], time.perf_counter() - started[1], result, failure)

    async def _permit(self, use: _Use, caller: Caller, ruling: Ruling) -> Decision:
        if ruling.verdict is Verdict.DENY:
            raise ToolDenied(use.name, ruling.reason)
        if ruling.verdict is Verdict.ALLOW:
            return Decision("allow")
        may_remember = ruling.may_remember and use.kind == "tool"
        if may_remember and (remembered := self._remembered(use, caller, ruling)) is not None:
            return remembered
        digest, size = await self._slices.run(
            call_digest_in_steps(use.name, use.arguments, self.policy.version, use.definition)
        )
        call = CallAsked(use.name, use.arguments, digest, ruling.reason, use.schema, use.marks, may_remember, size)
        record = self.approvals.ask(caller.name, call, fresh=caller.consent is not None)
        if caller.consent is not None and record.channel is None:
            await self._ask(record, caller)
        if record.channel is None:
            raise self._consent_required(record)
        if not self.approvals.use(record) or not self._is_as_asked(use):
            raise ConsentRefused(use.name)
        return Decision(record.channel, record.id, record.decided_by, record.edited)

    def _remembered(self, use: _Use, caller: Caller, ruling: Ruling) -> Decision | None:
        """What a person said of calls like this one before. Raises ConsentRefused where that was no."""
        choice = self.choices.find(caller.name, use.name, use.definition, use.arguments, exact=ruling.exact)
        if choice is None:
            return None
        if not choice.allow:
            raise ConsentRefused(use.name)
        return Decision("remembered", choice.id)

    def decide(self, identity: str, answer: ConsentAnswer, *, channel: ConsentChannel, by: str = "") -> Approval:
        """Put a person's answer into the record, and remember it where it is to count for longer. Raises as
        `Approvals.decide`."""
        undecided = self.approvals.get(identity).state is ApprovalState.PENDING
        record = self.approvals.decide(identity, approve=answer.approve, channel=channel, by=by, arguments=answer.arguments)
        if undecided and answer.remember is not None and record.may_remember:
            whole = answer.remember.arguments == "exact"
            self.choices.add(
                record.caller,
                record.tool,
                self.upstreams.catalog.tool(record.tool).digest,
                record.approved_arguments if whole else None,
                allow=answer.approve,
                seconds=answer.remember.seconds,
            )
        return record

    def _is_as_asked(self, use: _Use) -> bool:
        """Whether a tool is still what it said it was when the person was asked."""
        return use.kind != "tool" or self.upstreams.catalog.tool(use.name).digest == use.definition

    async def _ask(self, record: Approval, caller: Caller) -> None:
        assert caller.consent is not None
        for _ in range(_MAX_EDITS):
            try:
                said = await caller.consent(record)
            except MCPError as error:
                raise GatewayError(
                    f"{record.tool} needs a person's consent, and the host could not ask for it: {error}"
                ) from error
            answer = said if isinstance(said, ConsentAnswer) else ConsentAnswer(said)
            try:
                self.decide(record.id, answer, channel=caller.channel, by=caller.name)
                return
            except UnknownName:  # the answer took longer than a record lives
                raise ConsentRefused(record.tool) from None
            except InvalidEdit as error:
                record.problem = str(error)
        raise ConsentRefused(record.tool)

    def _consent_required(self, record: Approval) -> ConsentRequired:
        if not self._takes_approvals:
            how = 'this host can\'t ask for it; name the tool in "allow" under [policy] in portico.toml to allow it always'
            return ConsentRequired(record.tool, record.reason, how)
        how = (
            f'approve it with POST /v1/approvals/{record.id} {{"decision": "approve"}}, then call again with the same arguments'
        )
        return ConsentRequired(record.tool, record.reason, how, record.id)

    # -- the log

    @property
    def is_logged(self) -> bool:
        """Whether calls are logged at all."""
        return self._audit is not None

    async def caller_of(self, identity: str) -> str | None:
        """Who made the call of this id; None where the log has none. Raises sqlite3.Error where it can't be read."""
        return None if self._audit is None else await self._audit.caller_of(identity)

    def note_feedback(self, identity: str, rating: str, by: str, comment: str = "") -> bool:
        """A person's word on a call or an answer, by its id; False where there is no log."""
        if self._audit is None:
            return False
        self._audit.put(
            AuditRecord(
                started=time.time(),
                caller=by,
                client="",
                server="",
                tool="",
                arguments={},
                decision="",
                approval=None,
                seconds=0.0,
                result=None,
                failure=None,
                kind="feedback",
                outcome=rating,
                call=identity,
                note=comment,
            )
        )
        return True

    def _log(
        self,
        use: _Use,
        caller: Caller,
        decision: Decision,
        started: float,
        seconds: float,
        result: mcp_types.Result | None,
        failure: Failure | None,
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
                arguments=use.arguments if decision.edited is None else decision.edited,
                decision=decision.verdict if decision.edited is None else f"{decision.verdict}, edited",
                approval=decision.approval,
                seconds=seconds,
                result=result,
                failure=failure,
                kind=use.kind,
                decided_by=decision.by,
                call=use.id,
                marks=use.marks,
                question=caller.question,
                asked=None if decision.edited is None else use.arguments,
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
                arguments=record.approved_arguments,
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


def with_decision(result: mcp_types.CallToolResult, decision: Decision, call: str | None) -> mcp_types.CallToolResult:
    """The result with the gateway's own word on it; what a server says under these names is none. Where a person has changed
    the arguments, whoever made the call reads that too."""
    said = {key: value for key, value in (result.meta or {}).items() if key not in (DECISION, CALL)}
    if call is not None:
        said[CALL] = call
    content = result.content
    if decision.approval is not None:
        said[DECISION] = {"by": decision.verdict, "approval": decision.approval}
    if decision.edited is not None:
        said[DECISION]["arguments"] = dict(decision.edited)
        whole = json.dumps(decision.edited, ensure_ascii=False, default=str)
        note = f"The user changed the arguments of this call; it was made with {whole}"
        content = [*content, mcp_types.TextContent(type="text", text=note)]
    same = said == (result.meta or {}) and content is result.content
    return result if same else result.model_copy(update={"meta": said or None, "content": content})
