"""What llama.cpp's context holds, and what that costs: steps beside what others left, a prefix that comes back, attention.

    python benchmarks/llama_context.py [--model FILE.gguf] [--repeats 25]

"stays" is the executor with everything left in llama.cpp's context, as it was first made; "moved" is as it is. Both are
measured in one run, as are the kinds of attention. Times are processor time of one thread, so that a busy machine counts
little; medians, of several rounds the best.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection
from itertools import count
from pathlib import Path

from portico_engine import find_model
from portico_engine.executors.llama_cpp.attention import Attention
from portico_engine.executors.llama_cpp.executor import LlamaCppExecutor
from portico_engine.executors.llama_cpp.sequences import SequenceBlocks
from portico_engine.executors.protocol import Sizes
from portico_engine.plan import Load, Row, Save, StepPlan, blocks_for
from report import table, write

SIZES = Sizes(4096, 16384, max_rows=16)
OWN, OTHER, OTHERS, PREFIX = 500, 1008, 10, 2000
PIECE = 512
PLAIN = Attention("off", "f16", "")
KINDS = {"plain products": PLAIN, "flash attention": Attention("on", "f16", ""), "flash, q8_0": Attention("on", "q8_0", "")}


class EverythingStays(SequenceBlocks):
    """Blocks that leave llama.cpp's context only where there is no room."""

    def _let_go_idle(self, running: Collection[int], *, at_once: bool) -> None:
        pass

    def _put_in_order(self, slot: int) -> None:
        pass


class Shelf:
    """A block store in memory."""

    def __init__(self) -> None:
        self._content: dict[bytes, bytes] = {}

    def put(self, key: bytes, content: bytes) -> None:
        self._content[key] = content

    def get(self, key: bytes) -> bytes:
        return self._content[key]


class Session:
    """An executor whose blocks are handed out in order."""

    def __init__(self, path: Path, attention: Attention, *, stays: bool = False) -> None:
        self.executor = LlamaCppExecutor.load(path, SIZES, attention)
        if stays:
            self.executor._blocks = EverythingStays(self.executor._context, SIZES.max_rows, SIZES.blocks)
        self._free = count()

    def table(self, n_tokens: int) -> tuple[int, ...]:
        return tuple(next(self._free) for _ in range(blocks_for(n_tokens)))

    def read(self, slot: int, text: tuple[int, ...], blocks: tuple[int, ...], skipped: tuple[int, ...] = ()) -> None:
        for at in range(0, len(text), PIECE):
            self.executor.submit(StepPlan((Row(slot, text[at : at + PIECE], at, blocks),), (), skipped)).finish()

    def leave(self, slot: int, like: tuple[int, ...], skipped: tuple[int, ...]) -> None:
        """Another conversation of OTHER tokens, with the content of one that was read: computing it would take longer."""
        blocks = self.table(OTHER + 1)
        shelf = Shelf()
        self.executor.attach(shelf)
        saves = tuple(Save(block, block.to_bytes(4, "big")) for block in like)
        loads = tuple(Load(op.key, block) for op, block in zip(saves, blocks, strict=False))
        self.executor.submit(StepPlan((), (*saves, *loads))).finish()
        self.executor.submit(StepPlan((Row(slot, (5,), OTHER, blocks),), (), skipped)).finish()

    def step(self, slot: int, start: int, blocks: tuple[int, ...], n_tokens: int = 1) -> Callable[[], object]:
        """Each call is the step behind the one before."""
        starts = count(start, n_tokens)

        def run() -> None:
            row = Row(slot, tokens(n_tokens, 2), next(starts), blocks, logits_indices=(n_tokens - 1,), targets=(5,))
            self.executor.submit(StepPlan((row,))).finish()

        return run


def tokens(count: int, seed: int) -> tuple[int, ...]:
    return tuple((i * 7919 + seed * 104729) % 40000 + 5 for i in range(count))


def times_ms(repeats: int, run: Callable[[], object]) -> list[float]:
    out = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        out.append((time.process_time() - began) * 1e3)
    return out


def beside_others(path: Path, repeats: int, *, stays: bool) -> dict[str, float]:
    """A decode step of a conversation of OWN tokens: alone, and beside OTHERS conversations of OTHER tokens that ended."""
    session = Session(path, PLAIN, stays=stays)
    own, first = session.table(OWN + 5 * repeats + 40), session.table(OTHER)
    session.read(1, tokens(OTHER, 1), first)
    session.read(0, tokens(OWN, 1), own)
    step = session.step(0, OWN, own)
    figures = {"step alone": statistics.median(times_ms(repeats, step))}
    for slot in range(1, 1 + OTHERS):
        session.leave(slot, first, (0,))
    after = times_ms(3 * repeats + 20, step)
    figures[f"step beside {OTHERS * OTHER} tokens that others left"] = statistics.median(after[-repeats:])
    figures["longest step since then"] = max(after)
    session.executor.close()
    return figures


def prefix_back(path: Path) -> dict[str, float]:
    """The first step behind a prefix of PREFIX tokens: computed, still there, and moved out before."""
    session = Session(path, PLAIN)
    prefix, other = session.table(PREFIX), session.table(64)

    def behind() -> float:
        return times_ms(1, session.step(1, PREFIX, (*prefix, *session.table(1))))[0]

    def another() -> float:
        return times_ms(1, session.step(0, 0, other, 16))[0]

    figures = {"computing it": times_ms(1, lambda: session.read(0, tokens(PREFIX, 1), prefix))[0]}
    behind()
    figures |= {"a step behind it, still there": behind(), "16 tokens of another, which move it out": another()}
    figures |= {"a step behind it, brought back": behind(), "16 tokens of another, when it is saved": another()}
    session.executor.close()
    return figures


def attention(path: Path, kind: Attention, repeats: int) -> dict[str, float]:
    """Prefill, and steps of one and eight tokens behind 512 and behind 2,048."""
    session = Session(path, kind)
    figures = {}
    for length in (512, 2048):
        blocks = session.table(length + 9 * repeats)
        figures[f"prefill of {length}"] = times_ms(1, lambda: session.read(0, tokens(length, 1), blocks))[0]  # noqa: B023
        figures[f"1 behind {length}"] = statistics.median(times_ms(repeats, session.step(0, length, blocks)))
        eight = session.step(0, length + repeats, blocks, 8)
        figures[f"8 behind {length}"] = statistics.median(times_ms(repeats, eight))
    session.executor.close()
    return figures


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(min(run[key] for run in runs), 2) for key in runs[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    path = options.model or find_model()
    repeats, rounds = options.repeats, range(options.rounds)
    found = {name: best([beside_others(path, repeats, stays=name == "stays") for _ in rounds]) for name in ("stays", "moved")}
    table(("ms", *found), [(key, *(f"{found[name][key]:.1f}" for name in found)) for key in found["stays"]])
    back = best([prefix_back(path) for _ in rounds])
    table((f"a prefix of {PREFIX} tokens", "ms"), [(key, f"{value:.1f}") for key, value in back.items()])
    forms = {name: best([attention(path, kind, repeats) for _ in rounds]) for name, kind in KINDS.items()}
    table(("ms", *forms), [(key, *(f"{forms[name][key]:.1f}" for name in forms)) for key in forms["plain products"]])
    if options.model is None:
        write("llama_context", {"beside others": found, "prefix": back, "attention": forms, "rounds": options.rounds})
    return 0


if __name__ == "__main__":
    sys.exit(main())
