from __future__ import annotations

import pickle
import socket

from portico_engine.executors.ranks.messages import PlanReceiver, PlanSender, RankWire, Ready, RunStep, UnloadAdapter
from portico_engine.kv.op_faults import OpsUnderWay
from portico_engine.plan import Copy, Drop, Row, StepPlan
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState


def crossed(step: RunStep) -> RunStep:
    found: RunStep = pickle.loads(pickle.dumps(step))
    return found


def test_a_step_crosses_without_its_sampling_and_a_block_table_once() -> None:
    sender, receiver = PlanSender(), PlanReceiver()
    table, state = (3, 1), SamplingState(SamplingParams(), 0, 0)
    first = sender.pack(StepPlan((Row(0, (5, 6), 0, table, (1,), state, adapter=2),), (Copy(1, 2, 3),)))
    second = sender.pack(StepPlan((Row(0, (7,), 2, table, (0,), state), Row(1, (8,), 0, (9,), (0,), targets=(4,)))))
    assert second.rows[0][3] is None
    one, two = (receiver.unpack(crossed(step)) for step in (first, second))
    assert one == StepPlan((Row(0, (5, 6), 0, table, (1,), adapter=2),), (Copy(1, 2, 3),))
    assert two == StepPlan((Row(0, (7,), 2, table, (0,)), Row(1, (8,), 0, (9,), (0,), targets=(4,))))
    assert two.rows[0].block_table is one.rows[0].block_table, "so that what is on the device is not sent again"


def test_operations_are_not_begun_by_being_sent() -> None:
    ops = OpsUnderWay((Copy(1, 2, 3), Drop(4)))
    assert PlanSender().pack(StepPlan((), ops)).kv_ops == (Copy(1, 2, 3), Drop(4))
    assert ops.stopped_at() == (None, [Copy(1, 2, 3), Drop(4)])


def test_the_end_of_one_side_is_the_end_for_the_other() -> None:
    ours, theirs = map(RankWire, socket.socketpair())
    ours.send(UnloadAdapter(3))
    ours.send(Ready())
    assert theirs.receive() == UnloadAdapter(3)
    assert theirs.receive() == Ready()
    ours.close()
    assert theirs.receive() is None
    theirs.close()
