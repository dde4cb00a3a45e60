"""Nodes of the IR: equal ones hash alike, and they cross to another process whether they were hashed or not."""

from __future__ import annotations

import pickle
import subprocess
import sys

from portico_engine.grammar import ir

NODE = ir.seq(ir.alt(ir.chars("ab"), ir.Ref("x")), ir.And((ir.ANY_TEXT, ir.Not(ir.text("c")))))


def test_equal_nodes_hash_alike_and_others_differ() -> None:
    again = ir.Seq((ir.alt(ir.chars("ab"), ir.Ref("x")), ir.And((ir.ANY_TEXT, ir.Not(ir.text("c"))))))
    assert again == NODE
    assert hash(again) == hash(NODE)
    assert ir.Seq((ir.EMPTY,)) != ir.Alt((ir.EMPTY,))


def test_a_node_that_was_never_hashed_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(ir.Seq((ir.Ref("x"), ir.Ref("y"))))) == ir.Seq((ir.Ref("x"), ir.Ref("y")))


def test_a_hash_stays_in_its_process() -> None:
    hash(NODE)
    script = (
        "import pickle, sys; from portico_engine.grammar import ir; "
        "node = pickle.loads(sys.stdin.buffer.read()); "
        "again = ir.Seq((ir.alt(ir.chars('ab'), ir.Ref('x')), ir.And((ir.ANY_TEXT, ir.Not(ir.text('c')))))); "
        "print(node == again and node in {again})"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(NODE), capture_output=True, check=True, timeout=60
    )
    assert found.stdout.strip() == b"True"
