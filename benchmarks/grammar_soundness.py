"""Soundness of grammars: what random walks of them write is valid.

    python benchmarks/grammar_soundness.py [--limit N] [--walks 50] [--workers 2]

Every tool schema and MaskBench schema at hand: each walk takes random allowed tokens for a while and is then closed; every
tenth has a tight budget instead. A walk that writes something invalid must come from a schema whose report
names what was loosened.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from grammar_inputs import maskbench, mcp_tools, vocabulary
from portico_engine.errors import EngineError
from portico_engine.grammar import check_arguments, compile_schema, matcher_factory
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import MatcherFactory
from portico_engine.text.tokenizer import Tokenizer
from report import write

TIGHT = (0, 3, 20, 60)  # tokens beyond the shortest ending


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    """One a process, as the factory is."""
    return vocabulary()


@lru_cache(maxsize=1)
def factory() -> MatcherFactory:
    return matcher_factory(tokenizer())


def schemas() -> list[Any]:
    return [tool.schema for tool in mcp_tools()] + [case.schema for case in maskbench()]


def walk(grammar: CompiledGrammar, budget: int | None, rng: random.Random) -> str | None:
    """A text of the grammar; None where it didn't end within its budget. Raises AssertionError where a token that a mask allows
    is refused."""
    matcher, tokens = factory().matcher(grammar), list[int]()
    bitmask = np.zeros((1, factory().words), dtype=np.int32)
    steps = rng.randrange(60) if budget is None else budget
    while not matcher.is_terminated() and len(tokens) < steps:
        left = None if budget is None else budget - len(tokens)
        run = matcher.forced_tokens(left)
        if not run:
            matcher.fill_bitmask(bitmask, 0, left)
            bits = np.unpackbits(bitmask[0].view(np.uint8), bitorder="little")
            run = [int(rng.choice(np.flatnonzero(bits[: factory().vocab_size])))]
        tokens += run
        assert all(map(matcher.accept_token, run)), matcher.error()
    if budget is None:
        rest = matcher.closing_tokens(10_000) or []
        assert all(map(matcher.accept_token, rest)), matcher.error()
        tokens += rest
    return tokenizer().decode(tokens) if matcher.is_terminated() or matcher.is_accepting() else None


def walks(number: int, schema: Any, count: int) -> tuple[Counter[str], list[str]]:
    """What became of the walks of one schema, and a line for each that went wrong."""
    rng = random.Random(number)
    state: Counter[str] = Counter()
    wrong: list[str] = []
    try:
        grammar = compile_schema(schema)
    except EngineError:
        return Counter({"not compiled": 1}), []
    shortest = factory().matcher(grammar).closing_tokens(10_000)
    if shortest is None:
        return Counter({"no closing known": 1}), []
    for index in range(count):
        try:
            text = walk(grammar, len(shortest) + rng.choice(TIGHT) if index % 10 == 0 else None, rng)
        except AssertionError as error:
            state["walks refused"] += 1
            wrong.append(f"schema {number}: a token that the mask allowed was refused ({error})")
            continue
        if text is None:
            state["walks not ended"] += 1
            continue
        state["walks"] += 1
        misfits = check_arguments(schema, json.loads(text))
        if misfits:
            state["invalid, reported" if grammar.report.loosened else "invalid, UNREPORTED"] += 1
            if not grammar.report.loosened:
                wrong.append(f"schema {number}: {text[:200]}: {misfits[0]}")
    return state, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="schemas")
    parser.add_argument("--walks", type=int, default=50, help="of each schema")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    every = schemas()[: options.limit]
    total: Counter[str] = Counter()
    wrong: list[str] = []
    began = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(walks, number, schema, options.walks) for number, schema in enumerate(every)]
        for done, job in enumerate(jobs, 1):
            state, lines = job.result()
            total.update(state)
            wrong += lines
            print(*lines, sep="\n", end="\n" * bool(lines))
            if done % 100 == 0 or done == len(jobs):
                print(f"  {done} of {len(jobs)} schemas, {time.perf_counter() - began:.0f} s: {dict(total)}", flush=True)
    if options.limit is None:
        write("grammar_soundness", {"schemas": len(every), "walks of each": options.walks, **total, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
