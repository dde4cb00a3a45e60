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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from portico_gateway.caller import ConsentChannel
from portico_gateway.errors import UnknownName

MAX_APPROVALS = 1000  # records kept; the oldest go


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


def call_digest(tool: str, arguments: Mapping[str, Any], policy_version: str) -> str:
    """sha256 of a call under a policy: what a consent is bound to."""
    whole = json.dumps([tool, arguments, policy_version], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


class Approvals:
    """The records of one gateway, in memory: a consent does not outlive the process that asked for it."""

    def __init__(self, seconds: float = 300.0, *, clock: Callable[[], float] = time.time) -> None:
        """A record expires after `seconds`, decided or not."""
        self._seconds = seconds
        self._clock = clock
        self._records: dict[str, Approval] = {}

    def ask(
        self, caller: str, tool: str, arguments: Mapping[str, Any], digest: str, reason: str, *, fresh: bool = False
    ) -> Approval:
        """The record of this call: a decided one, else a pending one (not if `fresh`), else a new one."""
        self._expire()
        for record in self._records.values():
            reusable = record.state is not ApprovalState.PENDING or not fresh
            if record.caller == caller and record.digest == digest and reusable:
                return record
        while len(self._records) >= MAX_APPROVALS:
            del self._records[next(iter(self._records))]
        now = self._clock()
        record = Approval(secrets.token_urlsafe(12), caller, tool, dict(arguments), digest, reason, now, now + self._seconds)
        self._records[record.id] = record
        return record

    def decide(self, identity: str, *, approve: bool, channel: ConsentChannel) -> Approval:
        """Approve or deny a record. Raises UnknownName where there is none, or it expired or was used; a decision stays."""
        record = self.get(identity)
        if record.state is ApprovalState.PENDING:
            record.state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
            record.channel = channel
        return record

    def use(self, record: Approval) -> bool:
        """Take a decided record out, which counts for one call; whether it allows that call."""
        self._expire()
        known = self._records.pop(record.id, None) is not None
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
            del self._records[record.id]
