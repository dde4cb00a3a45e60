"""Rules that lead far down: llguidance's compiler takes a stack frame for each, and must not be led there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.llguidance.compile_order import compiled_first


def depth_after(calls: dict[str, list[str]], order: list[str], start: str) -> int:
    """How many rules one in the next the compiler is in, at most."""
    known: set[str] = set()

    def visit(name: str) -> int:
        known.add(name)
        return 1 + max([visit(called) for called in calls.get(name, ()) if called not in known], default=0)

    return max(visit(name) for name in [*order, start] if name not in known)


def test_what_is_not_deep_is_left_as_it_is() -> None:
    calls = {str(i): [str(2 * i), str(2 * i + 1)] for i in range(1, 2000)}
    assert compiled_first(calls, "1") == []


def test_a_long_way_down_is_gone_from_its_end() -> None:
    calls = {str(i): [str(i + 1)] for i in range(5000)}
    order = compiled_first(calls, "0")
    assert order[0] == "5000"
    assert depth_after(calls, order, "0") == 1


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=400))
def test_without_circles_no_rule_is_gone_into_from_another(edges: list[tuple[int, int]]) -> None:
    calls = {str(i): [str(i + 1)] for i in range(300)}
    for a, b in edges:
        if a < b:
            calls[str(a)].insert(0, str(b))
    order = compiled_first(calls, "0")
    assert depth_after(calls, order, "0") <= (1 if order else 64)


def test_short_circles_on_the_way_are_no_matter_and_a_long_one_is_refused() -> None:
    calls = {str(i): [str(i + 1), str(max(0, i - 9))] for i in range(1000)}
    short = {str(i): [str(i + 1), str(i // 50 * 50)] for i in range(1000)}
    assert depth_after(short, compiled_first(short, "0"), "0") <= 200
    with pytest.raises(GrammarTooLarge, match="more than 200 rules lead one to the next and back to the first"):
        compiled_first(calls, "0")


def test_a_schema_of_hundreds_of_optional_properties_compiles_on_a_small_stack() -> None:
    script = """
import threading
from portico_engine.grammar import compile_schema
from portico_engine.grammar.llguidance.factory import LLGuidanceFactory
class Bytes:
    token_bytes = [bytes([i]) for i in range(256)] + [b"\\xff<end>"]
    eos_token_id = 256
    def encode_bytes(self, data): return list(data)
def run():
    schema = {"type": "object", "properties": {f"p{i}": {"type": "boolean"} for i in range(600)}}
    matcher = LLGuidanceFactory(Bytes()).matcher(compile_schema(schema))
    for text in ('{"p0":true,"p1":false,', '"p300":true,', '"p599":true}'):
        assert all(map(matcher.accept_token, text.encode())), text
    print(matcher.is_accepting())
threading.stack_size(512 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
