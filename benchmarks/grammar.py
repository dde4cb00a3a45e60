"""The grammar compiler and matcher: coverage, exactness and times, beside llguidance's JSON mode and llama.cpp's
converter.

    python benchmarks/grammar.py [SECTION...] [--limit N] [--llama-bpe ggml-vocab-llama-bpe.gguf]

Sections: tools, maskbench, suite, masks, threads, bfcl (all without an argument). Times of compiling are wall
clock of one run; "cpu" are of the process. Peers run in the same process on the same inputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import llguidance
import numpy as np

from grammar_inputs import Case, bfcl_gold, maskbench, mcp_tools, suite, suite_remotes, vocabulary
from portico_engine.errors import EngineError, Unsatisfiable
from portico_engine.grammar import compile_schema, compile_tool_calls, tool_to_ir
from portico_engine.grammar.backend import enforced_text
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.llguidance.factory import LLGuidanceFactory
from portico_engine.grammar.schema.order import canonical_text
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.tool import Tool
from report import write

Figures = dict[str, Any]


def centiles(values: list[float], scale: float = 1e3) -> Figures:
    """p50, p95, p99, mean and maximum, scaled (milliseconds by default)."""
    if not values:
        return {}
    array = np.array(values) * scale
    p50, p95, p99 = np.percentile(array, [50, 95, 99])
    figures = {"p50": p50, "p95": p95, "p99": p99, "mean": array.mean(), "max": array.max()}
    return {name: round(float(value), 3) for name, value in figures.items()} | {"n": len(values)}


class Peers:
    """llguidance's own JSON mode (compact) and llama.cpp's converter."""

    def __init__(self, factory: LLGuidanceFactory) -> None:
        self.tokenizer = factory._tokenizer.with_slices(llguidance.LLTokenizer.json_slices())  # its own setting

    def llguidance(self, schema: Any) -> tuple[Any, float]:
        began = time.perf_counter()
        options = {"whitespace_flexible": False}
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=options)
            matcher = llguidance.LLMatcher(self.tokenizer, grammar, log_level=0)
        except ValueError:
            return None, time.perf_counter() - began
        return (None if matcher.is_error() else matcher), time.perf_counter() - began

    @staticmethod
    def llama_cpp(schema: Any) -> bool:
        """Does the converter make a grammar? (Whether it means the schema is another question.)"""
        from llama_cpp.llama_grammar import json_schema_to_gbnf

        try:
            return bool(json_schema_to_gbnf(json.dumps(schema)))
        except Exception:  # noqa: BLE001 - a peer's converter raises whatever it likes
            return False


class Bench:
    def __init__(self, limit: int | None, llama_bpe: Path | None) -> None:
        self.limit = limit
        self.llama_bpe = llama_bpe
        self.tokenizer = vocabulary()
        self.factory = LLGuidanceFactory(self.tokenizer)
        self.peers = Peers(self.factory)

    def takes(self, prototype: Any, text: str) -> bool:
        ids = self.tokenizer.encode_bytes(text.encode("utf-8", "surrogatepass"))
        matcher = prototype.deep_copy()
        return bool(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())

    # --- sections ----------------------------------------------------------------------------------------------------------

    def tools(self) -> Figures:
        """Every real tool, alone and in one catalog."""
        listed = mcp_tools()
        alone: list[float] = []
        state: Counter[str] = Counter()
        for tool in listed:
            began = time.perf_counter()
            grammar, report = tool_to_ir(tool.schema, tool=tool.name)
            state["failed"] += bool(report.failed)
            state["loosened"] += bool(report.loosened)
            if grammar is not None:
                self.factory.matcher(CompiledGrammar(enforced_text(grammar).text, report, grammar))
                state["compiled"] += 1
            alone.append(time.perf_counter() - began)
            peer, _ = self.peers.llguidance(tool.schema)
            state["llguidance compiled"] += peer is not None
            state["loosened though llguidance compiles it"] += bool(report.loosened) and peer is not None
            state["llama.cpp converted"] += self.peers.llama_cpp(tool.schema)
        catalog = [Tool(tool.name, "", tool.schema) for tool in listed[:260]]
        began = time.perf_counter()
        joined = compile_tool_calls(catalog)
        compiled = time.perf_counter()
        self.factory.matcher(joined)
        done = time.perf_counter()
        return {
            "tools": len(listed),
            **state,
            "compile_alone_ms": centiles(alone),
            "catalog_of_260_ms_per_tool": round((done - began) * 1e3 / len(catalog), 3),
            "of_which_matcher_ms": round((done - compiled) * 1e3, 1),
        }

    def maskbench(self) -> Figures:
        """Instances of MaskBench's sample: accepted where valid, refused where not."""
        state: Counter[str] = Counter()
        times: dict[str, list[float]] = {"ours": [], "ours_cpu": [], "llguidance": []}
        for case in maskbench()[: self.limit]:
            state["schemas"] += 1
            peer, took = self.peers.llguidance(case.schema)
            times["llguidance"].append(took)
            began, cpu = time.perf_counter(), time.process_time()
            try:
                grammar = compile_schema(case.schema, bounds=None)
                prototype = self.factory.matcher(grammar).ll
            except Unsatisfiable:
                grammar, prototype = None, None
            except EngineError as error:
                state[f"refused: {type(error).__name__}"] += 1
                state["refused"] += 1
                self._judge_peer(case, peer, state)
                continue
            times["ours"].append(time.perf_counter() - began)
            times["ours_cpu"].append(time.process_time() - cpu)
            loosened = grammar is not None and bool(grammar.report.loosened)
            state["loosened"] += loosened
            whole = True
            for description, valid, data in case.tests:
                state["valid" if valid else "invalid"] += 1
                accepted = prototype is not None and self.takes(prototype, canonical_text(case.schema, data))
                whole &= accepted or not valid
                if accepted and not valid:
                    state["wrongly accepted, reported" if loosened else "wrongly accepted, UNREPORTED"] += 1
                    print(f"  accepted although invalid: {case.name}: {description} (loosened: {loosened})")
            state["passed"] += whole
            self._judge_peer(case, peer, state)
        return {**state, **{f"compile_{name}_ms": centiles(values) for name, values in times.items()}}

    def _judge_peer(self, case: Case, peer: Any, state: Counter[str]) -> None:
        if peer is None:
            state["llguidance refused"] += 1
        else:
            accepted = [(valid, self.takes(peer, _text(case.schema, data))) for _, valid, data in case.tests]
            state["llguidance passed"] += all(taken for valid, taken in accepted if valid)
            state["llguidance wrongly accepted"] += sum(taken for valid, taken in accepted if not valid)
        state["llama.cpp converted"] += self.peers.llama_cpp(case.schema)

    def suite(self) -> Figures:
        """The official suite's required cases, by keyword."""
        remotes = suite_remotes()
        table: dict[str, Counter[str]] = {}
        for keyword, case in suite():
            row = table.setdefault(keyword, Counter())
            try:
                grammar = compile_schema(case.schema, bounds=None, resources=remotes)
                prototype = self.factory.matcher(grammar).ll
                loosened = bool(grammar.report.loosened)
            except Unsatisfiable:
                prototype, loosened = None, False
            except EngineError:
                row["schema refused"] += len(case.tests)
                continue
            for description, valid, data in case.tests:
                try:
                    accepted = prototype is not None and self.takes(
                        prototype, canonical_text(case.schema, data, resources=remotes)
                    )
                except EngineError:
                    row["schema refused"] += 1
                    continue
                row["right"] += accepted == valid
                row["valid refused"] += valid and not accepted
                if accepted and not valid:
                    row["wrong, reported" if loosened else "wrong, UNREPORTED"] += 1
                    if not loosened:
                        print(f"  accepted although invalid: {keyword}: {case.name}: {description}")
        total = sum(table.values(), Counter())
        for keyword, row in table.items():
            print(f"  {keyword:24}", dict(row))
        return {"by_keyword": {keyword: dict(row) for keyword, row in table.items()}, "total": dict(total)}

    def masks(self) -> Figures:
        """One mask a token along valid instances, for each vocabulary; llguidance's JSON mode on the same texts."""
        out: Figures = {}
        vocabularies: dict[str, Tokenizer] = {"SmolLM2": self.tokenizer}
        if self.llama_bpe is not None:
            vocabularies["llama-bpe"] = vocabulary(self.llama_bpe)
        for name, tokenizer in vocabularies.items():
            factory = LLGuidanceFactory(tokenizer)
            peers = Peers(factory)
            ours: list[float] = []
            theirs: list[float] = []
            row = np.zeros((1, factory.words), dtype=np.int32)
            for case in maskbench()[: self.limit]:
                valid = [data for _, is_valid, data in case.tests if is_valid][:1]
                if not valid:
                    continue
                try:
                    matcher = factory.matcher(compile_schema(case.schema))
                except EngineError:
                    continue
                ids = tokenizer.encode_bytes(_text(case.schema, valid[0]).encode("utf-8", "surrogatepass"))
                ours += _mask_times(lambda: matcher.ll, matcher.accept_token, row, ids)  # noqa: B023 - called in this turn
                peer, _ = peers.llguidance(case.schema)
                if peer is not None:
                    theirs += _mask_times(lambda: peer, lambda token: peer.try_consume_tokens([token]) == 1, row, ids)  # noqa: B023
            out[name] = {"ours_us": centiles(ours, 1e6), "llguidance_json_us": centiles(theirs, 1e6)}
        return out

    def threads(self) -> Figures:
        """Masks in parallel on two threads, beside hashing on two threads in the same run."""
        grammar = compile_schema(
            {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^(?=.*\d)[\w .,-]+$"}}
        )
        bitmask = np.zeros((64, self.factory.words), dtype=np.int32)

        def masks(threads: int) -> float:
            rows = []
            for i in range(64):
                matcher = self.factory.matcher(grammar)
                for token in self.tokenizer.encode_bytes(f'{{"{"k" * (i + 1)}":"'.encode()):
                    assert matcher.accept_token(token)
                rows.append((i, matcher, None))
            began = time.perf_counter()
            self.factory.fill_bitmasks(bitmask, rows, threads=threads)
            return time.perf_counter() - began

        block = b"x" * 4_000_000

        def hashing(threads: int) -> float:
            began = time.perf_counter()
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda _: hashlib.sha256(block).digest(), range(16)))
            return time.perf_counter() - began

        gains = {}
        for name, run in (("masks", masks), ("hashing", hashing)):
            gains[name] = statistics.median(_ratio(run) for _ in range(7))
        return {
            "one_mask_us": round(masks(1) / 64 * 1e6, 1),
            "masks_speedup": round(gains["masks"], 3),
            "hashing_speedup": round(gains["hashing"], 3),
            "of_control": round(gains["masks"] / gains["hashing"], 3),
        }

    def bfcl(self) -> Figures:
        """Gold calls written under the grammar: how many tokens are forced, and how many steps sampled."""
        envelopes: dict[str, Callable[[str, str], tuple[str, str]]] = {
            "bare arguments": lambda name, _: ("", ""),
            "with the name": lambda name, _: (f'{{"name":{json.dumps(name)},"arguments":', "}"),
            "openai wrapper": lambda name, _: (
                f'{{"type":"function","function":{{"name":{json.dumps(name)},"arguments":',
                "}}",
            ),
        }
        from portico_engine.grammar import ir

        out: Figures = {}
        for label, wrap in envelopes.items():
            sampled: list[int] = []
            total = refused = 0
            for call in bfcl_gold()[: self.limit]:
                before, after = wrap(call.name, "")
                grammar, _ = tool_to_ir(call.parameters, tool=call.name, prefix="a-")
                if grammar is None:
                    refused += 1
                    continue
                whole = ir.Grammar({"root": ir.seq(ir.text(before), ir.Ref(grammar.start), ir.text(after)), **grammar.rules})
                text = before + canonical_text(call.parameters, call.arguments) + after
                steps = self._replay(CompiledGrammar(enforced_text(whole).text, ir=whole), text)
                if steps is None:
                    refused += 1
                    continue
                sampled.append(steps[0])
                total += steps[1]
            out[label] = {
                "calls": len(sampled),
                "refused": refused,
                "sampled_steps_mean": round(statistics.mean(sampled), 2),
                "forced_share": round(1 - sum(sampled) / total, 3),
            }
        return out

    def _replay(self, grammar: CompiledGrammar, text: str) -> tuple[int, int] | None:
        """(sampled, all) tokens of a model that would write `text`; None where the grammar refuses it."""
        matcher, at, sampled, count = self.factory.matcher(grammar), 0, 0, 0
        data = text.encode()
        while not matcher.is_terminated() and at < len(data):
            run = matcher.forced_tokens()
            if not run:
                run = self.tokenizer.encode_bytes(data[at:])[:1]
                sampled += 1
            for token in run:
                if not matcher.accept_token(token):
                    return None
                at += len(self.tokenizer.token_bytes[token])
                count += 1
        return (sampled, count) if matcher.is_accepting() and at == len(data) else None


def _text(schema: Any, data: Any) -> str:
    try:
        return canonical_text(schema, data)
    except EngineError:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _mask_times(ll: Callable[[], Any], accept: Callable[[int], bool], row: np.ndarray, ids: list[int]) -> list[float]:
    """Seconds of the mask before each token of a text; stops where it is refused."""
    times = []
    pointer, size = row.ctypes.data, row.size * 4
    for token in ids:
        began = time.perf_counter()
        ll().unsafe_compute_mask_ptr(pointer, size)
        times.append(time.perf_counter() - began)
        if not accept(token):
            break
    return times


def _ratio(run: Callable[[int], float]) -> float:
    return run(1) / run(2)


SECTIONS = ("tools", "maskbench", "suite", "masks", "threads", "bfcl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--limit", type=int, help="inputs of each section")
    parser.add_argument(
        "--llama-bpe", type=Path, help="a vocab-only GGUF of Llama 3's 128k tokens (llama.cpp's models/ has one)"
    )
    options = parser.parse_args()
    bench = Bench(options.limit, options.llama_bpe)
    figures: Figures = {}
    for section in options.section or SECTIONS:
        began = time.perf_counter()
        figures[section] = getattr(bench, section)()
        print(f"{section} ({time.perf_counter() - began:.0f} s)")
        for name, value in figures[section].items():
            if name != "by_keyword":
                print(f"  {name}: {value}")
    if options.limit is None:
        whole = not options.section
        write("grammar" if whole else "grammar-" + "-".join(options.section), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
