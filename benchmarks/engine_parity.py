"""Does the engine say what llama.cpp says? Greedy answers and distributions, on the default model.

    python benchmarks/engine_parity.py [--tokens 64] [--prompts 20] [--kernels on|off] [--threads 1]

Greedy: where the two part, the row says by how much llama.cpp, reading its answer in one batch, prefers its own token (nats;
negative: it then prefers the engine's), and the same for a plain float32 decoder.
KL, all reading prompt and llama.cpp's greedy answer, mean over all positions: llama.cpp from the engine, float32 from the
engine, float32 from llama.cpp.

Perplexity: of the first 1,000 tokens of README.md, in pieces of 250 of which each token but the first counts, by the engine in
one step a piece and in steps of one token and of four (which read other forms of the weights), by llama.cpp and in float32.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from llama_reference import LlamaCpp
from portico_engine import Engine, ModelInfo, Request, SamplingParams, find_model
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.plan import Row, StepPlan
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile
from reference_decoder import ReferenceDecoder
from report import write

Row_ = dict[str, Any]
KLS = ("kl", "kl_float32_engine", "kl_float32_llama")
INFO = ModelInfo("parity", "llama", 1024, 49152, 0, "", 0, "torch", "")

QUESTIONS = (
    "What is the capital of France?",
    "Write a haiku about autumn.",
    "Explain what a hash table is.",
    "List three prime numbers larger than 20.",
    "Who wrote Pride and Prejudice?",
    "Write a Python function that reverses a string.",
    "What is the boiling point of water in Celsius?",
    "Summarise the plot of Romeo and Juliet in two sentences.",
    "Translate 'good morning' to Spanish.",
    "How do I make a cup of tea?",
    "What does HTTP status 404 mean?",
    "Give me a recipe for pancakes.",
    "Why is the sky blue?",
    "What is the difference between a list and a tuple in Python?",
    "Describe a sunset at the beach.",
    "How many continents are there?",
    "What is photosynthesis?",
    "Write a short email asking for a day off.",
    "What is SQL used for?",
    "Tell me a fact about octopuses.",
)
README_TOKENS, PIECE = 1000, 250
NEAR_TIE = 0.5  # nats between two tokens: less than two to one


def log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Rows of log-probabilities."""
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def engine_logits(executor: TorchCPUExecutor, tokens: list[int]) -> npt.NDArray[np.float32]:
    """Logits after every token, [tokens, vocab_size]."""
    table = tuple(range(-(-len(tokens) // 16)))
    row = Row(0, tuple(tokens), 0, table, logits_indices=tuple(range(len(tokens))), targets=tuple(tokens))
    return executor.submit(StepPlan((row,))).logits


def divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """KL(p || q) of rows of log-probabilities."""
    out: npt.NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1)
    return out


def engine_steps(executor: TorchCPUExecutor, tokens: list[int], size: int) -> npt.NDArray[np.float32]:
    """The same, read in steps of `size` tokens."""
    table = tuple(range(-(-len(tokens) // 16)))
    out: list[npt.NDArray[np.float32]] = []
    for at in range(0, len(tokens), size):
        piece = tuple(tokens[at : at + size])
        row = Row(0, piece, at, table, logits_indices=tuple(range(len(piece))), targets=piece)
        out.append(executor.submit(StepPlan((row,))).logits.copy())
    return np.concatenate(out)


def perplexities(
    tokens: list[int], executor: TorchCPUExecutor, llama: LlamaCpp, reference: ReferenceDecoder
) -> dict[str, float]:
    """By each way of computing, over pieces of PIECE tokens."""

    def by_llama(piece: list[int]) -> npt.NDArray[np.float32]:
        llama.clear()
        return llama.eval(piece, 0, want_all=True)

    ways: dict[str, Callable[[list[int]], npt.NDArray[np.float32]]] = {
        "engine": lambda piece: engine_logits(executor, piece),
        "engine_steps_of_1": lambda piece: engine_steps(executor, piece, 1),
        "engine_steps_of_4": lambda piece: engine_steps(executor, piece, 4),
        "llama_cpp": by_llama,
        "float32": lambda piece: reference.logits(piece).numpy(),
    }
    out: dict[str, float] = {}
    for name, logits_of in ways.items():
        found = [
            log_softmax(logits_of(piece)[:-1])[np.arange(len(piece) - 1), piece[1:]]
            for piece in (tokens[at : at + PIECE] for at in range(0, len(tokens), PIECE))
        ]
        out[name] = float(np.exp(-np.concatenate(found).mean()))
    return out


def compare(
    question: str, engine: Engine, executor: TorchCPUExecutor, llama: LlamaCpp, reference: ReferenceDecoder, count: int
) -> Row_:
    """One question's figures."""
    prompt = engine.render_chat([{"role": "user", "content": question}])
    theirs = llama.greedy(prompt, count, engine.tokenizer.end_token_ids)
    ours = [
        t for d in engine.generate(Request(question, prompt, SamplingParams(temperature=0), max_tokens=count)) for t in d.tokens
    ]
    tokens = [*prompt, *theirs]
    llama.clear()
    p = log_softmax(llama.eval(tokens, 0, want_all=True))
    q = log_softmax(engine_logits(executor, tokens))
    engine._kv.pool.clear()  # its blocks were written behind its back
    r = log_softmax(reference.logits(tokens).numpy())
    row: Row_ = {
        "prompt": question,
        "of": len(theirs),
        "equal": ours == theirs,
        "same_tokens": next(
            (k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        ),
        "kl": divergence(p, q),
        "kl_float32_engine": divergence(r, q),
        "kl_float32_llama": divergence(r, p),
    }
    if ours != theirs:
        k = int(row["same_tokens"])
        at = len(prompt) + k - 1
        row["gap"] = float(p[at, theirs[k]] - p[at, ours[k]])
        row["gap_float32"] = float(r[at, theirs[k]] - r[at, ours[k]])
        row["float32_says"] = "llama.cpp" if row["gap_float32"] > 0 else "portico"
    return row


def main() -> int:
    """Run, print, record; exit status 1 where the engine is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=len(QUESTIONS))
    parser.add_argument("--kernels", choices=("on", "off"), default="on")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = find_model()
    file = GGUFFile(path)
    executor = TorchCPUExecutor.load(file, Sizes(1024, 1024), kernels=args.kernels == "on")
    engine = Engine(executor, Tokenizer.from_gguf(file.metadata), INFO, chat_template=file.metadata["tokenizer.chat_template"])
    reference = ReferenceDecoder(file)
    llama = LlamaCpp(path, context=1024, threads=args.threads)
    rows: list[Row_] = []
    for question in QUESTIONS[: args.prompts]:
        row = compare(question, engine, executor, llama, reference, args.tokens)
        rows.append(row)
        mark = (
            "equal" if row["equal"] else f"parts at {row['same_tokens']}: {row['gap']:.3f}, float32 {row['gap_float32']:+.3f}"
        )
        kl = "  ".join(f"{row[name].mean():.5f}" for name in KLS)
        print(f"{question[:48]:50}{row['of']:3} tokens  {mark:42} KL {kl}", flush=True)
    figures = {name: float(np.concatenate([row[name] for row in rows]).mean()) for name in KLS}
    parted = [row for row in rows if not row["equal"]]
    summary = {
        "numerics": executor.caps.numerics_id,
        "prompts": len(rows),
        "equal": len(rows) - len(parted),
        "parted_at_a_near_tie": sum(row["gap"] < NEAR_TIE for row in parted),
        "parted_where_llama_cpp_in_one_batch_follows_portico": sum(row["gap"] < 0 for row in parted),
        "parted_and_float32_follows_portico": sum(row["float32_says"] == "portico" for row in parted),
        "mean": figures,
        "kl_max": float(np.concatenate([row["kl"] for row in rows]).max()),
        "positions": sum(len(row["kl"]) for row in rows),
    }
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    summary["perplexity"] = perplexities(engine.tokenizer.encode(text)[:README_TOKENS], executor, llama, reference)
    print(summary)
    write(
        "engine_parity" if args.kernels == "on" else "engine_parity_plain",
        {"summary": summary, "rows": [{k: plain(v) for k, v in row.items()} for row in rows]},
    )
    explained = all(row["gap"] < NEAR_TIE for row in parted)
    return 0 if explained and figures["kl"] < 0.02 else 1


def plain(value: object) -> object:
    """Arrays as their mean."""
    return float(value.mean()) if isinstance(value, np.ndarray) else value


if __name__ == "__main__":
    sys.exit(main())
