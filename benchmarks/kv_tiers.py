"""What a prefix costs from nothing, from memory and from disk, and what keeping it costs, on the default model.

    python benchmarks/kv_tiers.py [--tokens 2000] [--repeats 5] [--threads N]

Every repeat is two fresh processes over an empty folder: the first computes the prefix, asks again from memory and saves; the
second finds it on disk (in the operating system's page cache, as after a recent run). The question behind the prefix is another
one each time. Times are wall clock, medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from portico_engine import Delta, Request, SamplingParams, find_model, load_engine
from report import table, write

DECODED = 24  # tokens of an answer that is decoded beside the writing thread
QUESTIONS = ("Why is the sky blue?", "Where do rivers end?", "How old is the moon?")


class Process:
    """One process's part: an engine over `folder`, and prompts with the same prefix."""

    def __init__(self, folder: Path, n_tokens: int, threads: int) -> None:
        torch.set_num_threads(threads)
        self.engine = load_engine(find_model(), context=n_tokens + 512, kv_dir=folder)
        text = " ".join(f"Tool {i} finds things of the kind {i}." for i in range(n_tokens))
        self.prefix = self.engine.render_chat([{"role": "system", "content": text}], add_generation_prompt=False)[:n_tokens]
        self.n_asked = 0

    def ask(self, question: str, new: int = 1) -> Delta:
        ending = f"<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt = (*self.prefix, *self.engine.tokenizer.encode(ending, special=True))
        self.n_asked += 1
        greedy = SamplingParams(temperature=0)
        request = Request(str(self.n_asked), prompt, greedy, max_tokens=new, keep=len(self.prefix))
        return list(self.engine.generate(request))[-1]

    def first(self) -> dict[str, float]:
        """Cold, then from memory, then saving."""
        cold = self.ask(QUESTIONS[0])
        started = perf_counter()
        while self.engine.has_work:
            self.engine.step()
        on_thread = perf_counter() - started
        beside = self.ask(QUESTIONS[1], DECODED)
        tier = self.engine._kv.pool.tier
        assert tier is not None
        tier.flush(60)
        quiet = self.ask(QUESTIONS[2], DECODED)
        self.engine.close()
        return {
            "prompt_tokens": _usage(cold)["prompt_tokens"],
            "cold_s": _usage(cold)["time_to_first_token"],
            "memory_s": _usage(quiet)["time_to_first_token"],
            "memory_beside_writing_s": _usage(beside)["time_to_first_token"],
            "memory_cached_tokens": _usage(quiet)["cached_tokens"],
            "saving_engine_s": on_thread,
            "decode_token_s": _per_token(quiet),
            "decode_token_beside_writing_s": _per_token(beside),
            "saved_blocks": self.engine.stats()["kv_saves"],
            "block_bytes": self.engine._executor.caps.block_bytes,
        }

    def second(self) -> dict[str, float]:
        """From disk."""
        found = self.ask(QUESTIONS[2])
        stats = self.engine.stats()
        self.engine.close()
        return {
            "disk_s": _usage(found)["time_to_first_token"],
            "disk_cached_tokens": _usage(found)["cached_tokens"],
            "disk_read_s": stats["kv_load_seconds"],
        }


def _usage(delta: Delta) -> dict[str, float]:
    assert delta.usage is not None
    return {name: float(getattr(delta.usage, name)) for name in delta.usage.__slots__}


def _per_token(delta: Delta) -> float:
    usage = _usage(delta)
    return usage["decode_seconds"] / (usage["completion_tokens"] - 1)


def fresh(part: str, folder: str, tokens: int, threads: int) -> dict[str, float]:
    """Run a part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", folder, "--tokens", str(tokens), "--threads", str(threads)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def measure(tokens: int, repeats: int, threads: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Medians over the repeats, and every one."""
    runs: list[dict[str, float]] = []
    for i in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(fresh("first", folder, tokens, threads) | fresh("second", folder, tokens, threads))
            on_disk = sum(path.stat().st_size for path in Path(folder).rglob("*.kv"))
            runs[-1]["disk_bytes_per_token"] = on_disk / (16 * runs[-1]["saved_blocks"])
        print(f"repeat {i + 1} of {repeats}", file=sys.stderr)
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}, runs


def main() -> None:
    """Measure, print a table, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--part", choices=("first", "second"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        process = Process(Path(args.folder), args.tokens, args.threads)
        print(json.dumps(process.first() if args.part == "first" else process.second()))
        return
    median, runs = measure(args.tokens, args.repeats, args.threads)
    rows: list[tuple[Any, ...]] = [
        ("first token, cold", f"{median['cold_s'] * 1e3:.0f} ms", f"0 of {median['prompt_tokens']:.0f} tokens cached"),
        ("first token, prefix in memory", f"{median['memory_s'] * 1e3:.0f} ms", f"{median['memory_cached_tokens']:.0f} cached"),
        ("the same, right after saving began", f"{median['memory_beside_writing_s'] * 1e3:.0f} ms", ""),
        ("first token, prefix on disk", f"{median['disk_s'] * 1e3:.0f} ms", f"{median['disk_cached_tokens']:.0f} cached"),
        ("of that, reading and checking", f"{median['disk_read_s'] * 1e3:.0f} ms", ""),
        ("saving, on the engine's thread", f"{median['saving_engine_s'] * 1e3:.0f} ms", f"{median['saved_blocks']:.0f} blocks"),
        ("a decoded token beside the writing", f"{median['decode_token_beside_writing_s'] * 1e3:.1f} ms", ""),
        ("a decoded token otherwise", f"{median['decode_token_s'] * 1e3:.1f} ms", ""),
        ("on disk", f"{median['disk_bytes_per_token']:.0f} bytes", "a token"),
    ]
    table(("", "median", ""), rows)
    write("kv_tiers", {"tokens": args.tokens, "threads": args.threads, "median": median, "runs": runs})


if __name__ == "__main__":
    main()
