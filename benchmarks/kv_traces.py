"""How much memory blocks waste, how much of prompts is found again, and which eviction policy loses least.

    python benchmarks/kv_traces.py [--seed 1] [--shares 0.1 0.2 ...] [--no-write]

Waste: 64 sequences, lognormal between 50 and 4,000 tokens, half of each a prompt, grow token by token; positions without
content beside those that are taken, at every step, and beside a contiguous allocation of the longest for each. Reuse: five
traces over a pool that never evicts, against an unlimited radix tree of tokens at the same moments. Eviction: pools of shares
of what a trace takes at least, under LRU, the cost-aware policy with the gateway's pins, and Belady's, which knows the future.
Scheduler, pool and index are the real ones; answers are written beforehand and steps move a clock (`kv_trace_replay.py`), so
that the figures are the same on every machine. Writes results, docs/kv-cache.svg and docs/kv-cache.md.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

import kv_traces_plot
from kv_trace_inputs import TRACES, Text, Trace, everything, sessions
from kv_trace_replay import ROOT_KEY, Belady, Future, MakePolicy, Replay, Replayed, unlimited
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.eviction import LRU, CostAware
from portico_engine.plan import BLOCK_TOKENS
from report import table, write

SEQUENCES, SHORTEST, LONGEST = 64, 50, 4000
MEDIAN, SPREAD = 447, 1.1  # of their lengths: the middle between both on a logarithmic scale
SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
POLICIES: dict[str, MakePolicy] = {
    "LRU": lambda clock, future, replay: LRU(),
    "cost-aware": lambda clock, future, replay: CostAware(clock),
    "Belady": lambda clock, future, replay: Belady(future, replay),
}


def waste(seed: int) -> dict[str, float]:
    """Shares of positions that hold nothing, over all steps."""
    chance = random.Random(seed)
    lengths = [min(LONGEST, max(SHORTEST, round(chance.lognormvariate(0, SPREAD) * MEDIAN))) for _ in range(SEQUENCES)]
    kv = KVCache(BlockPool(SEQUENCES * (LONGEST // BLOCK_TOKENS + 1)), ROOT_KEY)
    live = []
    for i, length in enumerate(lengths):
        tokens = [i * LONGEST + k for k in range(length)]
        table_ = kv.allocate(tokens[: length // 2])
        live.append((table_, tokens))
    taken = held = reserved = most = 0
    for step in range(LONGEST - LONGEST // 2):
        for table_, tokens in live:
            known = min(len(tokens), len(tokens) // 2 + step)
            assert kv.reserve(table_, known)
            kv.commit(table_, tokens, known)
        of_step = sum(table_.computed for table_, _ in live)
        blocks = sum(len(table_.blocks) for table_, _ in live)
        held, taken, reserved = held + of_step, taken + blocks * BLOCK_TOKENS, reserved + SEQUENCES * (LONGEST + 1)
        most = max(most, blocks)
    kv.check_integrity()
    return {
        "mean_tokens": sum(lengths) / SEQUENCES,
        "paged": 1 - held / taken,
        "contiguous": 1 - held / reserved,
        "paged_mib_of_contiguous_gib": most * BLOCK_TOKENS / (SEQUENCES * LONGEST) * 1024,
    }


def reuse(seed: int) -> list[dict[str, Any]]:
    """Tokens found again, ours and a radix tree's, by trace."""
    found = []
    for name, make in TRACES.items():
        trace = make(Text(seed))
        replayed = Replay(trace, unlimited(trace), radix=True).run()
        found.append(
            {
                "trace": name,
                "requests": len(replayed.admitted),
                "prompt_tokens": replayed.prompt,
                "found": replayed.found,
                "radix": replayed.radix,
                "share": replayed.found / replayed.radix if replayed.radix else 1.0,
            }
        )
    return found


def eviction(trace: Trace, shares: list[float]) -> dict[str, Any]:
    """Shares of prompts' tokens that were found, by policy and size of the pool; `blocks` is what a pool that evicts nothing
    comes to hold, `unlimited` its share."""
    whole = Replay(trace, unlimited(trace))
    best = whole.run()
    blocks = len(whole.kv.pool.index)
    least = max(len(turn.prompt) + len(turn.answer) for one in trace for turn in one.turns) // BLOCK_TOKENS + 2
    found: dict[str, Any] = {"blocks": blocks, "unlimited": best.found / best.prompt, "levels": []}
    for share in shares:
        level: dict[str, Any] = {"share": share, "blocks": max(least, int(share * blocks))}
        for name, policy in POLICIES.items():
            run = Replay(trace, level["blocks"], policy, Future(trace, best.admitted)).run()
            level[name] = _told(run)
        found["levels"].append(level)
    return found


def _told(run: Replayed) -> dict[str, Any]:
    return {
        "found": run.found / run.prompt,
        "computed": run.computed,
        "evictions": run.evictions,
        "preemptions": run.preemptions,
    }


def main() -> None:
    """Measure, print, record, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="sizes of pools")
    parser.add_argument("--no-write", action="store_true", help="write nothing")
    args = parser.parse_args()
    wasted, reused = waste(args.seed), reuse(args.seed)
    table(
        ("waste", ""),
        [
            ("blocks of 16", f"{wasted['paged']:.2%}"),
            (f"{LONGEST} positions for each", f"{wasted['contiguous']:.2%}"),
            ("tokens of a sequence", f"{wasted['mean_tokens']:.0f}"),
        ],
    )
    table(
        ("trace", "requests", "prompt tokens", "found", "radix tree", "share"),
        [(r["trace"], r["requests"], r["prompt_tokens"], r["found"], r["radix"], f"{r['share']:.2%}") for r in reused],
    )
    traces = {"tool-call sessions with pauses": sessions(Text(args.seed)), "all five traces": everything(Text(args.seed))}
    evicted = {name: eviction(trace, args.shares) for name, trace in traces.items()}
    for name, one in evicted.items():
        print(f"{name}: {one['blocks']} blocks in all, {one['unlimited']:.1%} found where nothing is evicted")
        table(("of that", "blocks", *POLICIES), [_row(level) for level in one["levels"]])
    if not args.no_write:
        figures = {"seed": args.seed, "waste": wasted, "reuse": reused, "eviction": evicted}
        write("kv_traces", figures)
        kv_traces_plot.draw(figures)


def _row(level: dict[str, Any]) -> tuple[str, ...]:
    return (f"{level['share']:.0%}", str(level["blocks"]), *(f"{level[name]['found']:.1%}" for name in POLICIES))


if __name__ == "__main__":
    main()
