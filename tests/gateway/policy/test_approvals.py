"""A consent counts for one exact call, once, for a while."""

from __future__ import annotations

import pytest

from portico_gateway.errors import UnknownName
from portico_gateway.policy.approvals import MAX_APPROVALS, Approval, Approvals, ApprovalState, CallAsked, call_digest


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ask(approvals: Approvals, digest: str = "d", *, caller: str = "local", fresh: bool = False) -> Approval:
    return approvals.ask(caller, CallAsked("s__t", {"a": 1}, digest, "it is not read-only"), fresh=fresh)


def test_an_approval_is_used_once() -> None:
    approvals = Approvals()
    record = ask(approvals)
    assert record.state is ApprovalState.PENDING
    approvals.decide(record.id, approve=True, channel="http")
    assert ask(approvals) is record
    assert approvals.use(record)
    assert not approvals.use(record)
    assert ask(approvals) is not record


def test_an_undecided_or_denied_record_allows_nothing() -> None:
    approvals = Approvals()
    assert not approvals.use(ask(approvals))
    denied = ask(approvals)
    approvals.decide(denied.id, approve=False, channel="http")
    assert approvals.decide(denied.id, approve=True, channel="http").state is ApprovalState.DENIED
    assert not approvals.use(denied)


def test_another_call_and_another_caller_need_their_own() -> None:
    approvals = Approvals()
    record = ask(approvals)
    approvals.decide(record.id, approve=True, channel="http")
    assert ask(approvals, "other digest") is not record
    assert ask(approvals, caller="somebody") is not record


@pytest.mark.parametrize("decided", [False, True])
def test_a_record_expires_decided_or_not(decided: bool) -> None:
    clock = Clock()
    approvals = Approvals(60.0, clock=clock)
    record = ask(approvals)
    if decided:
        approvals.decide(record.id, approve=True, channel="http")
    clock.now += 60.0
    assert not approvals.use(record)
    assert approvals.all() == []
    with pytest.raises(UnknownName):
        approvals.get(record.id)


def test_a_caller_that_is_asked_now_gets_a_record_of_its_own() -> None:
    approvals = Approvals()
    pending = ask(approvals)
    assert ask(approvals) is pending
    assert ask(approvals, fresh=True) is not pending


def test_the_oldest_records_go_when_there_are_too_many() -> None:
    approvals = Approvals()
    first = ask(approvals, "0")
    for number in range(1, MAX_APPROVALS + 1):
        ask(approvals, str(number))
    assert len(approvals.all()) == MAX_APPROVALS
    assert first not in approvals.all()


def test_the_digest_is_of_the_name_the_arguments_and_the_policy() -> None:
    digest = call_digest("s__t", {"a": 1, "b": [2]}, "v")
    assert digest == call_digest("s__t", {"b": [2], "a": 1}, "v")
    others = {call_digest("s__u", {"a": 1, "b": [2]}, "v"), call_digest("s__t", {"a": 1}, "v"), call_digest("s__t", {}, "w")}
    assert digest not in others
