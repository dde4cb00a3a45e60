"""Do our matcher and llama.cpp's own sampler mean the same by a GBNF grammar? Mutated sentences, decided by both.

    python benchmarks/gbnf_differential.py [--strings 10000] [--seed 1] [--grammar NAME]

Each grammar of tests/engine/grammar/grammars: random sentences, mutated, tokenized with SmolLM2's vocabulary, fed token by
token. A text is accepted where every token is allowed and the end token after them. Also times a mask of the whole vocabulary.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

import report
from llama_reference import LlamaCpp
from portico_engine import find_model
from portico_engine.grammar import CompiledGrammar, compile_gbnf, ir, matcher_factory, sentences
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile

GRAMMARS = Path(__file__).resolve().parents[1] / "tests" / "engine" / "grammar" / "gbnf" / "grammars"


class LlamaGrammar:
    """llama.cpp's grammar sampler over one vocabulary."""

    def __init__(self, vocab: Any, text: str) -> None:
        self.vocab = vocab
        self.end = int(llama_cpp.llama_vocab_eos(vocab))
        self.sampler = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self.sampler:
            raise ValueError("llama.cpp refuses the grammar")

    def refused_at(self, ids: Sequence[int]) -> int | None:
        """Index of the first token that is refused (len(ids): the end is); None where the text is accepted."""
        state = llama_cpp.llama_sampler_clone(self.sampler)
        try:
            for index, token in enumerate([*ids, self.end]):
                if not self._allowed(state, token):
                    return index
                if index < len(ids):
                    llama_cpp.llama_sampler_accept(state, token)
            return None
        finally:
            llama_cpp.llama_sampler_free(state)

    def mask_seconds(self, ids: Sequence[int], vocab_size: int) -> list[float]:
        """Time of one mask over the whole vocabulary at each position of an accepted text."""
        data = (llama_cpp.llama_token_data * vocab_size)()
        view = np.ctypeslib.as_array(data)
        view["id"] = np.arange(vocab_size)
        state = llama_cpp.llama_sampler_clone(self.sampler)
        out = []
        for token in ids:
            view["logit"] = 0.0
            array = llama_cpp.llama_token_data_array(data, vocab_size, -1, False)
            began = time.perf_counter()
            llama_cpp.llama_sampler_apply(state, ctypes.byref(array))
            out.append(time.perf_counter() - began)
            llama_cpp.llama_sampler_accept(state, token)
        llama_cpp.llama_sampler_free(state)
        return out

    def _allowed(self, state: Any, token: int) -> bool:
        one = (llama_cpp.llama_token_data * 1)()
        one[0].id, one[0].logit = token, 1.0
        array = llama_cpp.llama_token_data_array(one, 1, -1, False)
        llama_cpp.llama_sampler_apply(state, ctypes.byref(array))
        return bool(one[0].logit > -1e30)

    def close(self) -> None:
        llama_cpp.llama_sampler_free(self.sampler)


@dataclass
class Comparison:
    """One grammar's outcome."""

    name: str
    strings: int = 0
    accepted: int = 0
    split_characters: list[str] = field(
        default_factory=list
    )  # llama.cpp alone refuses, at a token that ends inside a character
    unexplained: list[str] = field(default_factory=list)
    seconds: tuple[float, float] = (0.0, 0.0)  # deciding, ours and llama.cpp's
    notes: tuple[str, ...] = ()


class Both:
    """The two judges over SmolLM2's vocabulary."""

    def __init__(self) -> None:
        path = find_model(None)
        self.tokenizer = Tokenizer.from_gguf(GGUFFile(path).metadata)
        self.factory = matcher_factory(self.tokenizer)
        self.llama = LlamaCpp(path, vocab_only=True)
        self.vocab = self.llama._vocab

    def compare(self, name: str, text: str, strings: int, seed: int) -> Comparison:
        """Decide `strings` mutated sentences of one grammar by both."""
        compiled = compile_gbnf(text)
        theirs = LlamaGrammar(self.vocab, text)
        out = Comparison(name, notes=compiled.report.notes)
        clock = [0.0, 0.0]
        for sentence in mutated(compiled, 4 * strings, seed):
            ids = self.spell(sentence)
            if ids is None:
                continue
            if out.strings == strings:
                break
            began = time.perf_counter()
            accepted = self._accepts(compiled, ids)
            middle = time.perf_counter()
            refused_at = theirs.refused_at(ids)
            clock = [clock[0] + middle - began, clock[1] + time.perf_counter() - middle]
            out.strings += 1
            out.accepted += accepted
            if accepted != (refused_at is None):
                explained = accepted and refused_at is not None and self._splits_a_character(compiled, ids, refused_at)
                (out.split_characters if explained else out.unexplained).append(sentence)
        out.seconds = (clock[0], clock[1])
        theirs.close()
        return out

    def spell(self, text: str) -> list[int] | None:
        """The text's tokens; None where they don't spell it (SmolLM2 has no token for a few bytes of rare characters)."""
        ids = self.llama.tokenize(text)
        return ids if b"".join(self.tokenizer.token_bytes[token] for token in ids) == text.encode() else None

    def _accepts(self, compiled: CompiledGrammar, ids: Sequence[int]) -> bool:
        matcher = self.factory.matcher(compiled)
        return all(matcher.accept_token(token) for token in ids) and matcher.is_accepting()

    def _splits_a_character(self, compiled: CompiledGrammar, ids: Sequence[int], at: int) -> bool:
        """llama.cpp's known strictness: it refuses a token that ends inside a character where a class excludes another
        character that goes on from the same bytes (`llama_grammar_match_partial_char` answers for all of them at once)."""
        data = b"".join(self.tokenizer.token_bytes[token] for token in ids[: at + 1])
        for size in (1, 2, 3):
            if size > len(data):
                return False
            head = data[-size:]
            if head[0] >= 0xC0:
                missing = (2 if head[0] < 0xE0 else 3 if head[0] < 0xF0 else 4) - size
                return missing > 0 and _some_class_is_torn(compiled, head, missing)
        return False

    def mask_microseconds(self, text: str, sample: Sequence[str]) -> tuple[float, float]:
        """Mean time of one mask, ours and llama.cpp's, along accepted sentences."""
        compiled = compile_gbnf(text)
        theirs = LlamaGrammar(self.vocab, text)
        row = np.zeros((1, (self.tokenizer.vocab_size + 31) // 32), dtype=np.int32)
        ours: list[float] = []
        other: list[float] = []
        for sentence in sample:
            ids = self.spell(sentence)
            if ids is None or theirs.refused_at(ids) is not None or not self._accepts(compiled, ids):
                continue
            ids = ids[:25]
            matcher = self.factory.matcher(compiled)
            for token in ids:
                began = time.perf_counter()
                matcher.fill_bitmask(row, 0)
                ours.append(time.perf_counter() - began)
                matcher.accept_token(token)
            other += theirs.mask_seconds(ids, self.llama.vocab_size)
        theirs.close()
        return 1e6 * sum(ours) / max(1, len(ours)), 1e6 * sum(other) / max(1, len(other))


def _some_class_is_torn(compiled: CompiledGrammar, head: bytes, missing: int) -> bool:
    first = _code(head + b"\x80" * missing)
    last = _code(head + b"\xbf" * missing)
    assert compiled.ir is not None
    return any(
        any(a <= last and b >= first for a, b in node.ranges)
        and any(a <= last and b >= first for a, b in ir.complement(node.ranges))
        for node in _classes(compiled.ir)
    )


def _code(data: bytes) -> int:
    """Code point of UTF-8 bytes, without checking that it is one."""
    value = data[0] & (0xFF >> (len(data) + 1))
    for byte in data[1:]:
        value = value << 6 | byte & 0x3F
    return value


def _classes(grammar: ir.Grammar) -> Iterator[ir.Chars]:
    stack: list[Any] = list(grammar.rules.values())
    while stack:
        node = stack.pop()
        if isinstance(node, ir.Chars):
            yield node
        stack.extend(
            getattr(node, "parts", None) or getattr(node, "options", None) or ([node.item] if hasattr(node, "item") else [])
        )


def mutated(compiled: CompiledGrammar, count: int, seed: int) -> Iterator[str]:
    """Random sentences with 0 to 3 small changes each: characters lost, added, replaced, swapped, or a piece doubled."""
    assert compiled.ir is not None
    rng = random.Random(seed)
    pool = sorted(set("".join(sentences(compiled.ir, 200, seed=seed, size=60))))
    for sentence in sentences(compiled.ir, count, seed=seed, size=60):
        letters = list(sentence)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            at = rng.randrange(len(letters) + 1)
            match rng.randrange(5):
                case 0:
                    del letters[at : at + 1]
                case 1:
                    letters.insert(at, rng.choice(pool))
                case 2:
                    letters[at : at + 1] = [rng.choice(pool)]
                case 3:
                    letters[at : at + 2] = reversed(letters[at : at + 2])
                case 4:
                    letters[at:at] = letters[at : at + rng.randrange(6)]
        yield "".join(letters)


def main() -> None:
    """Compare, print, record. Exit code 1 where a difference is unexplained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=10_000, help="mutated strings of each grammar")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grammar", default="", help="only grammars whose name holds this; nothing is recorded")
    options = parser.parse_args()
    both = Both()
    rows: list[tuple[Any, ...]] = []
    figures: dict[str, Any] = {}
    for path in sorted(GRAMMARS.glob("*.gbnf")):
        if options.grammar not in path.stem:
            continue
        text = path.read_text(encoding="utf-8")
        result = both.compare(path.stem, text, options.strings, options.seed)
        compiled = compile_gbnf(text)
        assert compiled.ir is not None
        ours, theirs = both.mask_microseconds(text, list(sentences(compiled.ir, 12, seed=options.seed, size=60)))
        rows.append(
            (path.stem, result.strings, result.accepted, len(result.split_characters), len(result.unexplained),
             f"{ours:.1f}", f"{theirs:.0f}", "yes" if result.notes else "no")
        )  # fmt: skip
        figures[path.stem] = {
            "strings": result.strings, "accepted": result.accepted, "unexplained": result.unexplained[:20],
            "llama_refuses_split_characters": len(result.split_characters), "mask_us": ours, "llama_mask_us": theirs,
            "decide_seconds": result.seconds, "notes": result.notes,
        }  # fmt: skip
        for sentence in result.unexplained[:5]:
            print(f"  unexplained in {path.stem}: {sentence!r}")
    report.table(
        ("grammar", "strings", "accepted", "split characters", "unexplained", "mask us", "llama.cpp mask us", "small pieces"),
        rows,
    )
    if not options.grammar:
        report.write("gbnf_differential", {"strings": options.strings, "seed": options.seed, "grammars": figures})
    if any(row[4] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
