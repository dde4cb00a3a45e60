"""What an adapter made its model forget: perplexity of plain text, and the first words of the answers to ordinary turns.

usage: python benchmarks/adapter_capability.py [--adapter DIR] [--device cpu] [--model FILE] [--name NAME] [--no-write]

The check of `portico tune eval`, alone: four texts and fifty turns of our own, without tools. An adapter beyond the limits is
not installed. 95% intervals are Wilson's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from portico_engine import default_adapter, find_model
from portico_engine.tune.calling.figures import wilson
from portico_engine.tune.runs.evaluation import LEAST_SAME, MOST_PERPLEXITY, Evaluator
from portico_gateway.tuning.judging import CONVERSATIONS, TEXTS
from report import table, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=None, help="default: the package's own")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--name", default="adapter_capability", help="of the result")
    parser.add_argument("--no-write", action="store_true", help="print the figures alone")
    args = parser.parse_args()
    evaluator = Evaluator(args.model or find_model(), device=args.device, texts=TEXTS, conversations=CONVERSATIONS, longest=768)
    base, adapted = (evaluator.capability(one) for one in (None, args.adapter or default_adapter()))
    evaluator.close()
    same = base.same(adapted)
    low, high = wilson(round(same * len(CONVERSATIONS)), len(CONVERSATIONS))
    figures = {
        "texts": len(TEXTS), "perplexity": [round(base.perplexity, 2), round(adapted.perplexity, 2)],
        "perplexity_ratio": round(adapted.perplexity / base.perplexity, 4), "most_ratio": MOST_PERPLEXITY,
        "conversations": len(CONVERSATIONS), "begin_alike": round(100 * same, 1),
        "interval": f"{100 * low:.1f}-{100 * high:.1f}", "least_alike": round(100 * LEAST_SAME, 1),
        "kept": adapted.perplexity <= MOST_PERPLEXITY * base.perplexity and same >= LEAST_SAME,
    }  # fmt: skip
    table(
        ["", "base", "adapter", "limit"],
        [
            ["perplexity of plain text", *figures["perplexity"], f"{MOST_PERPLEXITY:g} times"],
            ["turns that begin alike", "", f"{100 * same:.0f}% ({figures['interval']})", f"{100 * LEAST_SAME:.0f}%"],
        ],
    )
    if not args.no_write:
        command = " ".join(["python", "benchmarks/adapter_capability.py", *sys.argv[1:]])
        write(
            args.name,
            {"command": command, "adapter": "default" if args.adapter is None else args.adapter.name, **figures},
        )


if __name__ == "__main__":
    main()
