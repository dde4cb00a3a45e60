"""What llama.cpp's context holds, and what that costs: steps beside what others left, a prefix that comes back, attention.

    python benchmarks/llama_context.py [--model FILE.gguf] [--repeats 25]

"stays" is the executor with everything left in llama.cpp's context, as it was first made; "moved" is as it is. Both are
measured in turns, in one run, as are the kinds of attention. Of each turn's medians, the best counts; wall clock.
"""

from __future__ import annotations

import argparse
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
from portico_engine.plan import Row, StepPlan, blocks_for
from report import table, write

SIZES = Sizes(4096, 16384, max_rows=16)
OWN, OTHER, OTHERS, PREFIX = 500, 1000, 10, 2000
PIECE = 512
ROUNDS = 3
PLAIN = Attention("off", "f16", "")
KINDS = {"plain products": PLAIN, "flash attention": Attention("on", "f16", ""), "flash, q8_0": Attention("on", "q8_0", "")}


class EverythingStays(SequenceBlocks):
    """Blocks that leave llama.cpp's context only where there is no room."""

    def _let_go_idle(self, running: Collection[int], *, at_once: bool) -> None:
        pass

    def _put_in_order(self, slot: int) -> None:
        pass


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
        began = time.perf_counter()
        run()
        out.append((time.perf_counter() - began) * 1e3)
    return out


def beside_others(path: Path, repeats: int, *, stays: bool) -> dict[str, float]:
    """A decode step of a conversation of OWN tokens: alone, and beside OTHERS conversations of OTHER tokens that ended."""
    session = Session(path, PLAIN, stays=stays)
    own = session.table(OWN + 7 * repeats)
    session.read(0, tokens(OWN, 1), own)
    step = session.step(0, OWN, own)
    figures = {"step alone": statistics.median(times_ms(repeats, step))}
    for i in range(OTHERS):
        session.read(1 + i, tokens(OTHER, 10 + i), session.table(OTHER), (0,))
    after = times_ms(5 * repeats, step)
    figures["step beside 10,000 tokens that others left, when they have been gone for a while"] = statistics.median(
        after[-repeats:]
    )
    figures["longest step meanwhile"] = max(after)
    session.executor.close()
    return figures


def prefix_back(path: Path) -> dict[str, float]:
    """The first step behind a prefix of PREFIX tokens: computed, still there, and moved out before."""
    session = Session(path, PLAIN)
    prefix = session.table(PREFIX)
    began = time.perf_counter()
    session.read(0, tokens(PREFIX, 1), prefix)
    figures = {"prefix computed": (time.perf_counter() - began) * 1e3}
    session.step(0, PREFIX, (*prefix, *session.table(1)))()
    figures["step behind it, still there"] = times_ms(1, session.step(1, PREFIX, (*prefix, *session.table(1))))[0]
    other = session.table(OTHER)
    figures["another's first step, which moves it out"] = times_ms(1, session.step(0, 0, other))[0]
    figures["step behind it, brought back"] = times_ms(1, session.step(1, PREFIX, (*prefix, *session.table(1))))[0]
    figures["another's first step, when it is saved already"] = times_ms(1, session.step(0, 0, other))[0]
    session.executor.close()
    return figures


def attention(path: Path, kind: Attention, repeats: int) -> dict[str, float]:
    """Prefill and steps of one and eight tokens behind 500 and 4,000."""
    session = Session(path, kind)
    blocks = session.table(4000 + 9 * repeats)
    began = time.perf_counter()
    session.read(0, tokens(2048, 1), blocks)
    figures = {"prefill of 2,048": (time.perf_counter() - began) * 1e3}
    short = session.table(OWN + 9 * repeats)
    for length, own in ((4000, blocks), (OWN, short)):
        session.read(0, tokens(length, 3), own)
        one, eight = session.step(0, length, own), session.step(0, length + repeats, own, 8)
        figures[f"1 behind {length}"] = statistics.median(times_ms(repeats, one))
        figures[f"8 behind {length}"] = statistics.median(times_ms(repeats, eight))
    session.executor.close()
    return figures


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(min(run[key] for run in runs), 2) for key in runs[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    path = options.model or find_model()
    beside: dict[str, list[dict[str, float]]] = {"stays": [], "moved": []}
    kinds: dict[str, list[dict[str, float]]] = {name: [] for name in KINDS}
    back = []
    for _ in range(ROUNDS):
        for name, runs in beside.items():
            runs.append(beside_others(path, options.repeats, stays=name == "stays"))
        for name, runs in kinds.items():
            runs.append(attention(path, KINDS[name], options.repeats))
        back.append(prefix_back(path))
    found = {name: best(runs) for name, runs in beside.items()}
    forms = {name: best(runs) for name, runs in kinds.items()}
    table(("ms", *found), [(key, *(f"{found[name][key]:.1f}" for name in found)) for key in found["stays"]])
    table(("ms", *forms), [(key, *(f"{forms[name][key]:.1f}" for name in forms)) for key in forms["plain products"]])
    table((f"a prefix of {PREFIX} tokens", "ms"), [(key, f"{value:.1f}") for key, value in best(back).items()])
    if options.model is None:
        write("llama_context", {"beside others": found, "attention": forms, "prefix": best(back)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
