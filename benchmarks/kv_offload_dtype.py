"""What 8-bit keys and values below memory change in what the default model says, on real text.

    python benchmarks/kv_offload_dtype.py [--windows 16] [--known 768] [--read 256] [--threads 1] [--no-write]

Windows of this repository's own prose are computed twice behind the same beginning: with its keys and values as they were
computed, and as they come back from below. The Kullback-Leibler divergence of the next token's distributions, in nats, the
share of tokens whose likeliest is the same, and what the text's perplexity becomes. Beside it two other ways to scale 8 bits,
and what rounding does anyway: the same text with its beginning computed in other chunks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kv_trace_inputs import Text
from portico_engine import find_model
from portico_engine.executors.protocol import Sizes
from portico_engine.executors.torch.cpu_executor import TorchCPUExecutor
from portico_engine.executors.torch.kv_codec import Int8Codec
from portico_engine.plan import BLOCK_TOKENS, Row, StepPlan, blocks_for
from portico_engine.weights.gguf_file import GGUFFile
from report import table, write

CHUNK, OTHER_CHUNK = 256, 48
Logits = npt.NDArray[np.float32]
Change = Callable[[Tensor], Tensor]  # a block [places, 2 kv_heads, BLOCK_TOKENS, head_dim], there and back


def scaled(dims: tuple[int, ...], key_dims: tuple[int, ...] | None = None) -> Change:
    """Symmetric 8 bits with a scale over these dimensions of a block; `key_dims`: of the keys', where they have others."""

    def rounded(values: Tensor, over: tuple[int, ...]) -> Tensor:
        scale = values.abs().amax(over, keepdim=True).div_(127).clamp_min(1e-30)
        return (values / scale).round_() * scale

    def change(block: Tensor) -> Tensor:
        keys, values = block.float().chunk(2, dim=1)
        return torch.cat([rounded(keys, key_dims or dims), rounded(values, dims)], dim=1).bfloat16()

    return change


class Reader:
    """The default model, and texts in its blocks."""

    def __init__(self, n_tokens: int) -> None:
        sizes = Sizes(n_tokens, n_tokens, 1)
        self.executor = TorchCPUExecutor.load(GGUFFile(find_model()), sizes, kernels=False)  # keys lie by position, as here
        self.codec = Int8Codec(self.executor._decoder.config)
        self._table = tuple(range(blocks_for(n_tokens)))

    def compute(self, tokens: tuple[int, ...], chunk: int) -> None:
        """Keys and values of a text's beginning."""
        for at in range(0, len(tokens), chunk):
            self.executor.submit(StepPlan((Row(0, tokens[at : at + chunk], at, self._table),))).finish()

    def read(self, tokens: tuple[int, ...], start: int) -> Logits:
        """float32 [tokens, vocabulary] of those that follow."""
        every = tuple(range(len(tokens)))
        step = self.executor.submit(StepPlan((Row(0, tokens, start, self._table, every, None, tokens),)))
        return step.logits.copy()

    def change(self, n_tokens: int, change: Change) -> None:
        """Blocks go down and come back."""
        for block in range(n_tokens // BLOCK_TOKENS):
            at = self._block(block)
            at.copy_(change(at.clone()))

    def kept(self, n_tokens: int) -> Tensor:
        return self.executor._kv.tensor[:, :, :n_tokens].clone()

    def restore(self, kept: Tensor) -> None:
        self.executor._kv.tensor[:, :, : kept.shape[2]] = kept

    def through_codec(self, block: Tensor) -> Tensor:
        """As the executor moves it."""
        out = torch.empty_like(block)
        self.codec.decode(self.codec.encode(block), out)
        return out

    def _block(self, block: int) -> Tensor:
        return self.executor._kv.tensor[:, :, block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]


def compared(exact: Logits, other: Logits, following: tuple[int, ...]) -> dict[str, float]:
    """Sums over one window."""
    p, q = (torch.from_numpy(logits).double().log_softmax(-1) for logits in (exact, other))
    said = torch.tensor(following).unsqueeze(1)
    n = len(following)
    return {
        "kl": float((p.exp() * (p - q)).sum(-1).mean()),
        "same": float((p.argmax(-1) == q.argmax(-1)).double().mean()),
        "nats": float(-q[:n].gather(1, said).mean()),
    }


def main() -> None:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--known", type=int, default=768, help="tokens whose keys and values were below")
    parser.add_argument("--read", type=int, default=256, help="tokens behind them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reader, text = Reader(args.known + args.read), Text(3)
    ways: dict[str, Change] = {
        "a scale a head of a block (what runs)": reader.through_codec,
        "a scale a head and token": scaled((3,)),
        "keys a scale a channel, values a token": scaled((3,), (2,)),
    }
    sums: dict[str, list[dict[str, float]]] = {name: [] for name in ("as computed", *ways, "the beginning in other chunks")}
    for _ in range(args.windows):
        window = text.prose(args.known + args.read + 1, args.known + args.read + 1)
        known, following = window[: args.known], window[args.known :]
        reader.compute(known, CHUNK)
        kept = reader.kept(args.known)
        exact = reader.read(following[:-1], args.known)
        sums["as computed"].append(compared(exact, exact, following[1:]))
        for name, change in ways.items():
            reader.restore(kept)
            reader.change(args.known, change)
            sums[name].append(compared(exact, reader.read(following[:-1], args.known), following[1:]))
        reader.compute(known, OTHER_CHUNK)
        other = reader.read(following[:-1], args.known)
        sums["the beginning in other chunks"].append(compared(exact, other, following[1:]))
    found = {name: {key: float(np.mean([one[key] for one in each])) for key in each[0]} for name, each in sums.items()}
    for one in found.values():
        one["perplexity"] = float(np.exp(one.pop("nats")))
    block_us = timed(reader)
    rows = [(name, f"{one['kl']:.2e}", f"{one['same']:.2%}", f"{one['perplexity']:.3f}") for name, one in found.items()]
    table(("keys and values", "KL, nats", "same likeliest", "perplexity"), rows)
    whole = reader.executor._decoder.config.kv_bytes_per_token * BLOCK_TOKENS
    print(
        f"a block: {reader.codec.block_bytes} bytes of {whole}; {block_us['encode']:.0f} us down, {block_us['decode']:.0f} up"
    )
    if not args.no_write:
        figures: dict[str, Any] = {name: getattr(args, name) for name in ("windows", "known", "read", "threads")}
        bytes_ = {"int8": reader.codec.block_bytes, "bf16": whole}
        write("kv_offload_dtype", {**figures, "ways": found, "block_bytes": bytes_, "block_us": block_us})


def timed(reader: Reader) -> dict[str, float]:
    """Microseconds of encoding and decoding a block here."""
    block = reader._block(0).clone()
    content = reader.codec.encode(block)
    found = {}
    for name, run in (("encode", lambda: reader.codec.encode(block)), ("decode", lambda: reader.codec.decode(content, block))):
        times = []
        for _ in range(50):
            started = perf_counter()
            run()
            times.append(perf_counter() - started)
        found[name] = float(np.median(times)) * 1e6
    return found


if __name__ == "__main__":
    main()
