"""Consents to single tool calls: one record each, whether a host's dialog, the HTTP API or the terminal decides it.

It owns their life: asked for, decided, used once or expired, and the bound on how many there are. It knows no policy and asks
nobody.
"""

from __future__ import annotations

import enum
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import anyio

from portico_gateway.caller import ConsentChannel
from portico_gateway.errors import InvalidEdit, UnknownName
from portico_gateway.policy.slices import Work, at_once

MAX_APPROVALS = 1000  # records kept of one caller; its oldest go, undecided ones first
MAX_ALL_APPROVALS = 10_000  # records kept of all; those of the caller with the most go
MAX_ARGUMENT_BYTES = 8 << 20  # of all records of one caller
_LONG = 64 << 10  # bytes of a text that is digested in a step of its own
_STEP = 1000  # values that are digested in one step


class ApprovalState(enum.StrEnum):
    """Where a record stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(slots=True)
class Approval:
    """Consent to one exact call by one caller. Times are seconds since the epoch."""

    id: str
    caller: str
    tool: str
    arguments: Mapping[str, Any]
    digest: str
    reason: str
    created: float
    expires: float
    state: ApprovalState = ApprovalState.PENDING
    channel: ConsentChannel | None = None  # how it was decided
    decided_by: str = ""  # the key that decided it, where the HTTP API did
    size: int = 0  # bytes of its arguments
    schema: Mapping[str, Any] | None = None  # what the arguments must be
    marks: tuple[str, ...] = ()  # where they come from, in words
    may_remember: bool = False
    problem: str = ""  # why the last edit of them could not be taken
    edited: Mapping[str, Any] | None = None  # what the consent is to, instead of `arguments`

    @property
    def approved_arguments(self) -> Mapping[str, Any]:
        """What exactly a consent is to."""
        return self.arguments if self.edited is None else self.edited


@dataclass(frozen=True, slots=True)
class CallAsked:
    """What a person is asked about, beside who calls. `size`: bytes of the arguments."""

    tool: str
    arguments: Mapping[str, Any]
    digest: str
    reason: str
    schema: Mapping[str, Any] | None = None
    marks: tuple[str, ...] = ()
    may_remember: bool = False
    size: int = 0


def call_digest(tool: str, arguments: Mapping[str, Any], policy_version: str, definition: str = "") -> str:
    """sha256 of a call under a policy: what a consent is bound to. `definition` is the digest of what the tool says it is."""
    return at_once(call_digest_in_steps(tool, arguments, policy_version, definition))[0]


def call_digest_in_steps(
    tool: str, arguments: Mapping[str, Any], policy_version: str, definition: str = ""
) -> Work[tuple[str, int]]:
    """The same of arguments of any size, and how many bytes they are."""
    digest = hashlib.sha256()
    size = 0
    for count, token in enumerate(_tokens([tool, policy_version, definition, arguments])):
        digest.update(token)
        size += len(token)
        if len(token) > _LONG or count % _STEP == _STEP - 1:
            yield
    return digest.hexdigest(), size


def _tokens(value: Any) -> Iterator[bytes]:
    """A JSON value as bytes that no other value has: texts by their length, objects in the order of their keys."""
    within: list[Iterator[Any]] = [iter((value,))]
    while within:
        for item in within[-1]:
            if isinstance(item, str):
                data = item.encode("utf-8", "surrogatepass")
                yield b"s%d:" % len(data)
                yield data
            elif isinstance(item, Mapping):
                yield b"{%d:" % len(item)
                within.append(chain.from_iterable(sorted(item.items())))
                break
            elif isinstance(item, list | tuple):
                yield b"[%d:" % len(item)
                within.append(iter(item))
                break
            else:
                yield f"{json.dumps(item, default=str)};".encode()
        else:
            within.pop()


def same_arguments(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """As JSON, in which 1 and true differ."""
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)


def check_edit(schema: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> None:
    """Raises InvalidEdit where a tool of this schema can't take the arguments, or nothing is known of what it takes."""
    from portico_engine.grammar import check_arguments

    if schema is None:
        raise InvalidEdit("what this takes is not known, so its arguments can't be edited; approve or deny it as it is")
    if violations := check_arguments(dict(schema), dict(arguments)):
        raise InvalidEdit(f"{violations[0].pointer or '/'}: {violations[0].message}")


class Approvals:
    """The records of one gateway, in memory: a consent does not outlive the process that asked for it."""

    def __init__(
        self,
        seconds: float = 300.0,
        *,
        clock: Callable[[], float] = time.time,
        on_decision: Callable[[Approval], None] | None = None,
    ) -> None:
        """A record expires after `seconds`, decided or not. `on_decision` hears of each decision."""
        self._seconds = seconds
        self._clock = clock
        self._on_decision = on_decision
        self._records: dict[str, Approval] = {}
        self._by_caller: dict[str, dict[str, Approval]] = {}  # the same ones, oldest first
        self._waiting: dict[str, list[anyio.Event]] = {}  # for the decision on a record, by its id

    def ask(self, caller: str, call: CallAsked, *, fresh: bool = False) -> Approval:
        """The record of this call: a decided one, else a pending one (not if `fresh`), else a new one."""
        self._expire()
        for record in self._by_caller.get(caller, {}).values():
            reusable = record.state is not ApprovalState.PENDING or not fresh
            if record.digest == call.digest and reusable:
                return record
        self._make_room(caller, call.size)
        now = self._clock()
        record = Approval(
            secrets.token_urlsafe(12), caller, call.tool, dict(call.arguments), call.digest, call.reason,
            created=now, expires=now + self._seconds, size=call.size,
            schema=call.schema, marks=call.marks, may_remember=call.may_remember,
        )  # fmt: skip
        self._records[record.id] = record
        self._by_caller.setdefault(caller, {})[record.id] = record
        return record

    def decide(
        self,
        identity: str,
        *,
        approve: bool,
        channel: ConsentChannel,
        by: str = "",
        arguments: Mapping[str, Any] | None = None,
    ) -> Approval:
        """Approve or deny a record, or approve it with other `arguments`. `by` is the key that does. Raises UnknownName where
        there is no such record, or it expired or was used, InvalidEdit where the tool can't take the arguments; a decision
        stays."""
        record = self.get(identity)
        if record.state is ApprovalState.PENDING:
            if approve and arguments is not None and not same_arguments(arguments, record.arguments):
                check_edit(record.schema, arguments)
                record.edited = dict(arguments)
            record.state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
            record.channel = channel
            record.decided_by = by
            for event in self._waiting.pop(identity, ()):
                event.set()
            if self._on_decision is not None:
                self._on_decision(record)
        return record

    async def decided(self, record: Approval) -> ApprovalState:
        """How it is decided, waited for as long as the record lives; PENDING where nobody did."""
        if record.state is ApprovalState.PENDING and record.id in self._records:
            event = anyio.Event()
            self._waiting.setdefault(record.id, []).append(event)
            try:
                with anyio.move_on_after(max(0.0, record.expires - self._clock())):
                    await event.wait()
            finally:
                waiting = self._waiting.get(record.id, [])
                if event in waiting:
                    waiting.remove(event)
                if not waiting:
                    self._waiting.pop(record.id, None)
        return record.state

    def use(self, record: Approval) -> bool:
        """Take a decided record out, which counts for one call; whether it allows that call."""
        self._expire()
        known = record.id in self._records
        if known:
            self._drop(record)
        return known and record.state is ApprovalState.APPROVED

    def get(self, identity: str) -> Approval:
        """Raises UnknownName."""
        self._expire()
        if identity not in self._records:
            raise UnknownName("approval", identity)
        return self._records[identity]

    def all(self) -> list[Approval]:
        """Every record that still counts, oldest first."""
        self._expire()
        return list(self._records.values())

    def _expire(self) -> None:
        now = self._clock()
        for record in [record for record in self._records.values() if record.expires <= now]:
            self._drop(record)

    def _make_room(self, caller: str, size: int) -> None:
        """For one more record of `size` bytes: a caller's own go for it, so that nobody's flood costs another a consent."""
        own = self._by_caller.get(caller, {})
        while own and (len(own) >= MAX_APPROVALS or sum(r.size for r in own.values()) + size > MAX_ARGUMENT_BYTES):
            self._drop(_least_needed(own))
        while len(self._records) >= MAX_ALL_APPROVALS:
            self._drop(_least_needed(max(self._by_caller.values(), key=len)))

    def _drop(self, record: Approval) -> None:
        del self._records[record.id]
        own = self._by_caller[record.caller]
        del own[record.id]
        if not own:
            del self._by_caller[record.caller]


def _least_needed(records: Mapping[str, Approval]) -> Approval:
    """The oldest that nobody has decided, else the oldest."""
    return next((r for r in records.values() if r.state is ApprovalState.PENDING), next(iter(records.values())))
