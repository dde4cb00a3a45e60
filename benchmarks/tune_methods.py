"""Every method of training, end to end, on the log of a simulated user of real MCP tools.

usage: python benchmarks/tune_methods.py prepare --tools DIR --work DIR [--questions 6500] [--bfcl 400]
       python benchmarks/tune_methods.py log     --work DIR --model FILE [--part 1/3] [--minutes M] [--device cuda] [--small]
       python benchmarks/tune_methods.py run     --work DIR --out DIR --model FILE [--only METHOD]... [--device cuda]
                                                 [--minutes 8] [--small]
       python benchmarks/tune_methods.py memory  --out DIR
       python benchmarks/tune_methods.py report  --out DIR... [--name tune_methods]

`prepare` makes questions over the tool lists of a folder, as prompts of `serve`, and takes BFCL's besides; everything that
the rest needs lies in `--work` then. `log` has the default adapter answer the questions (temperature 1, under the grammar):
what it did rightly the user kept, what it did wrongly the user denied and put right. Several processes may each take a part.

Of the questions with a wrong answer 250 are held out and 120 judge betas. The rest are divided as time would: SFT trains on the
earlier quarter of the log, then DPO, IPO and KTO on the pairs of the later part, which SFT has not seen (of a pair whose
better answer it was taught there is little left to learn). `more` is what tells whether the method did it, or the rows: SFT
goes on with the better answers of those same pairs. GRPO goes on with questions.

`run` takes the methods one after another, or those of `--only`: sft first, which the others begin with; then each may have a
process and an `--out` of its own. `memory` takes the peaks of training an 8B-shaped model of random weights in full, with LoRA
over bfloat16, and over NF4. `report` judges BFCL's answers and writes the figures. What is known is written as it comes; a run
that was cut short goes on from the log and the SFT adapter in `--work` and leaves out what `--out` knows.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

CALLS = ("simple_python", "multiple", "live_simple", "live_multiple")
ANSWERABLE = "answerable"  # the first half of simple_python's, where not calling is a choice as well
SECTIONS = (*CALLS, "irrelevance", ANSWERABLE)
METHODS = ("sft", "dpo", "kto", "ipo", "more", "default", "grpo")
SEED = 20261130
OF_8B = {
    "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
}  # fmt: skip
SMALL = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
HELD_OUT, VALIDATION = 250, 120  # questions with a wrong answer
AT_ONCE = 384  # questions between two looks at the clock


def is_later(question: str) -> bool:
    """Is it in the later part of the log, three quarters of it?"""
    return hashlib.sha256(question.encode()).digest()[0] < 192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    ready = steps.add_parser("prepare")
    ready.add_argument("--tools", type=Path, required=True, help="a folder with a tools/list answer a server")
    ready.add_argument("--questions", type=int, default=6500)
    ready.add_argument("--bfcl", type=int, default=400, help="of each section")
    log = steps.add_parser("log")
    log.add_argument("--part", default="1/1", help="of the questions, as 2/3")
    runs = steps.add_parser("run")
    runs.add_argument("--only", action="append", default=[], choices=METHODS, help="default: all, in this order")
    runs.add_argument("--sft-weight", type=float, default=None, help="default: the package's")
    runs.add_argument("--epochs", type=float, default=2.0, help="of dpo, ipo and kto")
    runs.add_argument("--rate", type=float, default=5e-5, help="of dpo, ipo and kto")
    for parser_ in (log, runs):
        parser_.add_argument("--model", type=Path, required=True)
        parser_.add_argument("--device", default="cuda")
        parser_.add_argument("--minutes", type=float, default=8.0, help="what is not begun by then is left out")
        parser_.add_argument("--start", type=Path, help="the adapter that the user has at first; default: the package's own")
        parser_.add_argument("--longest", type=int, default=900, help="tokens of a prompt: a larger catalog adds length alone")
        parser_.add_argument("--answer", type=int, default=200, help="tokens of an answer")
        parser_.add_argument("--small", action="store_true", help="a hundredth of it, to see that it works")
    memory = steps.add_parser("memory")
    memory.add_argument("--small", action="store_true", help="a tiny shape on the CPU, without NF4")
    report = steps.add_parser("report")
    for parser_ in (ready, log, runs):
        parser_.add_argument("--work", type=Path, required=True)
    for parser_ in (runs, memory):
        parser_.add_argument("--out", type=Path, required=True)
    report.add_argument("--out", type=Path, nargs="+", required=True, help="of each run")
    report.add_argument("--name", default="tune_methods", help="of the result")
    args = parser.parse_args()
    {"prepare": prepare, "log": write_log, "run": run, "memory": peaks, "report": judge_all}[args.step](args)


# -- where the product's prompts are at hand


def prepare(args: argparse.Namespace) -> None:
    from model_quality import questions_of
    from portico_engine import Tool
    from portico_engine.tune.data.overlap import Overlap
    from portico_engine.tune.data.row_checks import RowChecks
    from portico_engine.tune.data.row_file import write_rows
    from portico_engine.tune.data.sources.tool_lists import listed_tools
    from portico_engine.tune.data.tool_questions import Origin, questions_over
    from portico_gateway.tuning.prompts import serve_system

    args.work.mkdir(parents=True, exist_ok=True)
    evaluated = {section: questions_of(section, 0, args.bfcl) for section in SECTIONS}
    asked = [case.messages[-1]["content"] for found in evaluated.values() for case in found]
    overlap, checks = Overlap(asked), RowChecks()
    made = questions_over(
        list(listed_tools(args.tools)),
        serve_system,
        args.questions,
        seed=SEED,
        origin=Origin("tools/list of MCP servers", "MIT"),
    )
    rows = [row for row in checks.sound(made) if overlap.found(row.question) is None]
    print(f"{len(rows)} rows; faulty: {dict(checks.faults)}")
    write_rows(args.work / "rows.jsonl", rows)
    lines = []
    for section, found in evaluated.items():
        for case in found:
            tools = [
                Tool(t["function"]["name"], t["function"].get("description") or "", t["function"]["parameters"])
                for t in case.tools
            ]
            note = serve_system(tools)
            first, *rest = case.messages
            messages = (
                [first | {"content": f"{note}\n\n{first['content']}"}, *rest]
                if first["role"] == "system"
                else [{"role": "system", "content": note}, *case.messages]
            )
            lines.append(
                {
                    "id": case.id,
                    "section": section,
                    "messages": messages,
                    "tools": [[t.name, t.description, t.parameters] for t in tools],
                }
            )
    with gzip.open(args.work / "bfcl.json.gz", "wt", encoding="utf-8") as file:
        json.dump(lines, file)
    print(f"{len(lines)} questions of BFCL")


# -- where the accelerator is


class Budget:
    """What is left of the time, and what is known so far, in a file."""

    def __init__(self, out: Path, minutes: float) -> None:
        self.began, self.minutes, self.out = time.monotonic(), minutes, out
        self.known: dict[str, Any] = {"command": " ".join(["python", "benchmarks/tune_methods.py", *sys.argv[1:]])}
        out.mkdir(parents=True, exist_ok=True)
        if (out / "figures.json").exists():
            self.known = json.loads((out / "figures.json").read_text(encoding="utf-8")) | self.known

    def lacks(self, method: str) -> bool:
        """Is there time for a method that no run before this one has finished?"""
        return f"bfcl_{method}" not in self.known and self.left() > 60

    def left(self) -> float:
        """Seconds."""
        return 60 * self.minutes - (time.monotonic() - self.began)

    def tell(self, **found: Any) -> None:
        self.known |= found | {"seconds": round(time.monotonic() - self.began)}
        (self.out / "figures.json").write_text(json.dumps(self.known, indent=1) + "\n", encoding="utf-8")
        print(f"[{self.known['seconds']} s] {json.dumps(found)[:400]}", flush=True)


class Desk(NamedTuple):
    """What answers questions: a caller with the engine in it, and the questions as tasks."""

    caller: Any
    tasks: list[Any]
    rows: list[Any]


def desk(args: argparse.Namespace, part: slice = slice(None), only: Set[str] | None = None) -> Desk:
    """With tasks of a part of the rows, or of those whose questions are in `only`."""
    from portico_engine import load_engine
    from portico_engine.tune.calling.caller import ToolCaller
    from portico_engine.tune.calling.task import tasks_of
    from portico_engine.tune.data.row_file import read_rows
    from portico_engine.tune.training.base_model import decoder_config

    cuda = args.device == "cuda"
    engine = load_engine(
        args.model, executor="torch-cuda" if cuda else "torch-cpu", context=2 * args.longest + 248,
        max_rows=128 if cuda else 16, kv_tokens=262_144 if cuda else 16_384, adapters=1, adapter_rank=64,
    )  # fmt: skip
    rows = read_rows(args.work / "rows.jsonl")[: 24 if args.small else None][part]
    caller = ToolCaller(engine, decoder_config(args.model), max_tokens=args.answer)
    asked = rows if only is None else [row for row in rows if row.question in only]
    return Desk(caller, list(tasks_of(asked, engine, longest=args.longest)), rows)


def write_log(args: argparse.Namespace) -> None:
    """This part's rows that were kept and pairs that were put right, a few hundred questions at a time until the time is up."""
    from portico_engine import default_adapter
    from portico_engine.tune.calling.own_answers import own_answers
    from portico_engine.tune.data.row_file import PairRow, write_rows

    began = time.monotonic()
    at, _, of = args.part.partition("/")
    made = desk(args, slice(int(at) - 1, None, int(of)))
    made.caller.use_file(args.start or default_adapter())
    found: list[Any] = []
    for first in range(0, len(made.tasks), AT_ONCE):
        if time.monotonic() - began > 60 * args.minutes:
            print(f"the time is up: {first} of {len(made.tasks)} questions were answered", flush=True)
            break
        found += own_answers(made.caller, made.tasks[first : first + AT_ONCE], made.rows, each=3, seed=SEED + int(at) + first)
    for name, edited in (("kept", False), ("edited", True)):
        rows = [row for row in found if isinstance(row, PairRow) == edited]
        print(f"{len(rows)} answers {name} in {time.monotonic() - began:.0f} s", flush=True)
        if rows:
            write_rows(args.work / f"{name}-{at}.jsonl", rows)


def logged(work: Path, name: str) -> list[Any]:
    """All parts' rows; pairs in random order."""
    from portico_engine.tune.data.row_file import read_rows

    rows = [row for file in sorted(work.glob(f"{name}-*.jsonl")) for row in read_rows(file)]
    if name == "edited":
        random.Random(SEED).shuffle(rows)
    return rows


def run(args: argparse.Namespace) -> None:
    import torch

    from portico_engine import default_adapter
    from portico_engine.tune.rendering import ChatRenderer
    from portico_engine.tune.training.base_model import decoder_config
    from portico_engine.tune.training.loop import Settings

    torch.set_float32_matmul_precision("high")
    budget = Budget(args.out, args.minutes)
    cuda = args.device == "cuda"
    start = args.start or default_adapter()
    kept, pairs = logged(args.work, "kept"), logged(args.work, "edited")
    if not kept or not pairs:
        raise SystemExit(f"there is no log in {args.work}: `log` writes it")
    methods = args.only or METHODS
    made = desk(args, only=None if "grpo" in methods else {pair.question for pair in pairs[:HELD_OUT]})
    budget.tell(
        device=torch.cuda.get_device_name() if cuda else "cpu", torch=torch.__version__, questions=len(made.rows),
        log={"kept": len(kept), "edited": len(pairs)},
    )  # fmt: skip
    dtype = torch.bfloat16 if cuda else torch.float32
    world = World(args, ChatRenderer(args.model), decoder_config(args.model), dtype, budget, made.caller)
    world.divide(kept, pairs, made.tasks)
    settings = Settings(rank=32, alpha=64.0, epochs=2, batch_tokens=16_384 if cuda else 4096, learning_rate=2e-4, seed=1)
    later = replace(settings, epochs=args.epochs, learning_rate=args.rate)
    sft = args.work / "sft"
    for method in methods:
        if not budget.lacks(method):
            continue
        if method == "default":
            world.known(method, start, settings)
            world.bfcl(method, start)
        elif method == "sft":
            if not (sft / "adapter_model.safetensors").exists():
                world.supervised("sft", start, world.good, settings)
                shutil.copytree(args.out / "sft", sft, dirs_exist_ok=True)
            else:
                world.known("sft", sft, settings)
            world.bfcl("sft", sft)
        elif method == "more":
            world.bfcl(method, world.supervised(method, sft, world.later_good, later))
        elif method == "grpo":
            world.bfcl(method, world.grpo(sft, settings))
        else:
            world.bfcl(method, world.preference(method, sft, later))
    budget.tell(done=True)


class World:
    """What all methods of a run share."""

    def __init__(self, args: argparse.Namespace, renderer: Any, config: Any, dtype: Any, budget: Budget, caller: Any) -> None:
        self.args, self.renderer, self.config, self.dtype, self.budget, self.caller = (
            args,
            renderer,
            config,
            dtype,
            budget,
            caller,
        )
        self.cases = json.loads(gzip.decompress((args.work / "bfcl.json.gz").read_bytes()))[:: 100 if args.small else 1]
        self.answered = args.out / "bfcl-answers.json.gz"
        self.answers: dict[str, Any] = json.loads(gzip.decompress(self.answered.read_bytes())) if self.answered.exists() else {}

    def divide(self, kept: Sequence[Any], pairs: Sequence[Any], tasks: Sequence[Any]) -> None:
        """Pairs that are held out, that betas are tried on, and those of the log's earlier and later part that are trained on:
        no question is in two of them.
        """
        from portico_engine.tune.preference.answers import TokenPair

        n_held, n_tried = (1, 1) if self.args.small else (HELD_OUT, VALIDATION)
        held_questions = {pair.question for pair in pairs[:n_held]}
        tried_questions = {pair.question for pair in pairs[n_held : n_held + n_tried]} - held_questions
        tokens = [
            (pair, TokenPair(self.renderer.row(pair.prompt, pair.chosen), self.renderer.row(pair.prompt, pair.rejected)))
            for pair in pairs
        ]
        self.held = [made for pair, made in tokens if pair.question in held_questions]
        self.tried = [made for pair, made in tokens if pair.question in tried_questions]
        unseen = held_questions | tried_questions
        self.train = [made for pair, made in tokens if pair.question not in unseen and is_later(pair.question)]
        self.later_good = list(dict.fromkeys(pair.chosen for pair in self.train))
        good = {(row.prompt[0]["content"], row.question): row for row in kept}
        self.good = [
            self.renderer.row(row.prompt, row.completion)
            for row in good.values()
            if row.question not in unseen and not is_later(row.question)
        ]
        self.good += [made.chosen for pair, made in tokens if pair.question not in unseen and not is_later(pair.question)]
        self.good = list(dict.fromkeys(self.good))
        self.tasks = [task for task in tasks if task.question not in unseen]
        self.held_tasks = [task for task in tasks if task.question in held_questions]
        self.budget.tell(
            pairs={"train": len(self.train), "validation": len(self.tried), "held_out": len(self.held)}, sft_rows=len(self.good)
        )

    def base(self) -> Any:
        from portico_engine.tune.training.base_model import load_base

        return load_base(self.args.model, self.args.device, self.dtype)

    def save(self, name: str, adapter: Mapping[str, Any], rank: int) -> Path:
        from portico_engine.tune.export.peft_folder import save_peft

        matrices = {key: (module.a, module.b) for key, module in adapter.items()}
        folder = self.args.out / name
        told = {"base": "HuggingFaceTB/SmolLM2-135M-Instruct", "prompts": "serve, parameters explained"}
        save_peft(folder, matrices, rank=rank, alpha=64.0, **told)
        return folder

    def supervised(self, name: str, start: Path, rows: Sequence[Any], settings: Any) -> Path:
        from portico_engine.tune.sft import Trainer
        from portico_engine.tune.training.start import begin_at, read_start

        trainer = Trainer(self.base(), rows, settings)
        begin_at(trainer.adapter, read_start(start, self.config))
        history = trainer.run()
        folder = self.save(name, trainer.adapter, settings.rank)
        self.measure(name, trainer.model, folder, history, settings)
        return folder

    def known(self, name: str, folder: Path, settings: Any) -> None:
        """What an adapter of the run before is worth."""
        from portico_engine.tune.training.loop import History
        from portico_engine.tune.training.low_rank import with_adapter
        from portico_engine.tune.training.start import begin_at, read_start

        model = self.base()
        begin_at(with_adapter(model, settings.rank, settings.alpha, 1), read_start(folder, self.config))
        self.measure(name, model, folder, History(), settings)

    def preference(self, method: Any, start: Path, settings: Any) -> Path:
        from portico_engine.tune.preference.beta_sweep import DEFAULT_BETA, sweep
        from portico_engine.tune.preference.train import SFT_WEIGHT, PreferenceTrainer
        from portico_engine.tune.training.start import read_start

        weight = SFT_WEIGHT if self.args.sft_weight is None else self.args.sft_weight
        stored = read_start(start, self.config)
        trainer = PreferenceTrainer(self.base(), self.train, settings, start=stored, sft_weight=weight)
        best, tried = sweep(trainer, method, self.tried, DEFAULT_BETA[method], print)
        history = trainer.run(method, best.beta)
        folder = self.save(method, trainer.adapter, trainer.settings.rank)
        betas = [one._asdict() for one in tried]
        self.measure(method, trainer.model, folder, history, settings, betas=betas, beta=best.beta, sft_weight=weight)
        return folder

    def measure(self, name: str, model: Any, folder: Path, history: Any, settings: Any, **more: Any) -> None:
        """On the held-out pairs, and on their questions through the engine."""
        from portico_engine.tune.calling.figures import figures
        from portico_engine.tune.training.likelihood import likelihoods

        device = next(model.parameters()).device
        chosen, rejected = (
            likelihoods(model, [pair[side] for pair in self.held], device, settings.batch_tokens).per_token for side in (0, 1)
        )
        self.caller.use_file(folder)
        answers = [one[0] for one in self.caller.ask(self.held_tasks)]
        found = {
            "preferred": round(100 * float((chosen > rejected).float().mean()), 1),
            "preferred_of": (chosen > rejected).tolist(),
            "log_p_chosen": round(float(chosen.mean()), 4), "log_p_rejected": round(float(rejected.mean()), 4),
            "held_out_calls": {kind: one._asdict() for kind, one in figures(self.held_tasks, answers).items()},
            "seconds": round(history.seconds, 1), "steps": history.steps,
            "points": history.points[:: max(1, len(history.points) // 40)],
            "settings": asdict(settings) | {"most_seconds": None}, **more,
        }  # fmt: skip
        self.budget.tell(**{name: found})

    def grpo(self, start: Path, settings: Any) -> Path:
        from portico_engine.tune.reinforcement.grpo import GRPOTrainer
        from portico_engine.tune.reinforcement.reward_model import RewardModel
        from portico_engine.tune.training.start import read_start

        stored = read_start(start, self.config)
        small = self.args.small
        reward = RewardModel(self.base(), replace(settings, epochs=1.0, learning_rate=1e-4), stored)
        history = reward.train(self.train)
        self.budget.tell(
            reward_model={"held_out_right": round(100 * reward.share_right(self.held), 1), "seconds": round(history.seconds, 1)}
        )
        seconds = max(30.0, min(150.0, self.budget.left() - 45))
        steps = replace(
            settings,
            epochs=1.0,
            learning_rate=1e-4,
            batch_tokens=49_152 if self.args.device == "cuda" else 12_000,
            warmup=0.1,
            most_seconds=seconds,
        )
        trainer = GRPOTrainer(
            self.base(),
            self.tasks[: 6 if small else None],
            steps,
            start=stored,
            caller=self.caller,
            scorer=reward if self.train else None,
            group=4 if small else 8,
        )
        history = trainer.run()
        folder = self.save("grpo", trainer.adapter, settings.rank)
        self.measure("grpo", trainer.model, folder, history, steps, curve=history.points)
        return folder

    def bfcl(self, name: str, adapter: Path) -> None:
        """Its answers, to be judged where BFCL's checker is."""
        from portico_engine import Tool
        from portico_engine.errors import EngineError
        from portico_engine.grammar import compile_tool_calls
        from portico_engine.tune.calling.task import Task

        self.caller.use_file(adapter)
        tasks, ids = [], []
        for case in self.cases:
            tools = tuple(Tool(*one) for one in case["tools"])
            try:
                grammar = compile_tool_calls(tools, choice="required" if case["section"] in CALLS else "auto")
                prompt = self.caller.engine.render_chat(case["messages"])
            except EngineError:
                continue
            if len(prompt) < 2 * self.args.longest:
                tasks.append(Task(case["messages"][-1]["content"], prompt, tools, (), grammar))
                ids.append(case["id"])
        answers = self.caller.ask(tasks)
        self.answers[name] = {at: [list(call) for call in one[0].calls or ()] for at, one in zip(ids, answers, strict=True)}
        with gzip.open(self.answered, "wt", encoding="utf-8") as file:
            json.dump(self.answers, file)
        self.budget.tell(
            **{f"bfcl_{name}": {"asked": len(ids), "no_call": sum(not calls for calls in self.answers[name].values())}}
        )


# -- memory


def peaks(args: argparse.Namespace) -> None:
    """A training step of each kind: 2 rows of 1,024 tokens, gradient checkpointing."""
    import torch

    budget = Budget(args.out, 9)
    for kind in ("qlora", "lora", "full"):
        if args.small and kind == "qlora":
            continue
        try:
            found = one_step(kind, small=args.small)
        except torch.OutOfMemoryError as error:
            found = {"out_of_memory": str(error).splitlines()[0][:300]}
        budget.tell(**{kind: found})
    if not args.small:
        for limit in (24, 80):
            for kind in ("qlora", "lora", "full"):
                budget.tell(**{f"{kind}_within_{limit}_gib": fits(kind, limit)})


def fits(kind: str, gib: int) -> bool:
    """Does a step of this kind fit into so much memory? Measured by not giving it more."""
    import gc

    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(gib * 2**30 / torch.cuda.get_device_properties(0).total_memory)
    try:
        one_step(kind, small=False)
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return True


def one_step(kind: str, *, small: bool) -> dict[str, Any]:
    import gc

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from portico_engine.tune.training.base_model import quantize_nf4
    from portico_engine.tune.training.low_rank import with_adapter

    gc.collect()
    device = "cpu" if small else "cuda"
    if not small:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    shape = SMALL if small else OF_8B
    config = LlamaConfig(
        **shape, num_key_value_heads=2 if small else 8, max_position_embeddings=8192, tie_word_embeddings=False
    )
    began = time.monotonic()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if kind == "full" else torch.bfloat16)
    try:
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
        model = filled(model, device, nf4=kind == "qlora", quantize=quantize_nf4)
    finally:
        torch.set_default_dtype(torch.float32)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    if kind == "full":
        parameters = list(model.parameters())
    else:
        adapter = with_adapter(model, 16, 32.0, 0)
        parameters = [p for module in adapter.values() for p in (module.a, module.b)]
    if kind == "qlora":
        import bitsandbytes

        optimizer = bitsandbytes.optim.PagedAdamW32bit(parameters, lr=1e-4)
    else:
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=not small)
    ids = torch.randint(0, shape["vocab_size"], (2, 64 if small else 1024), device=device)
    losses = []
    for _ in range(2):
        with torch.autocast("cuda", torch.bfloat16, enabled=kind == "full" and not small):
            hidden = (
                model.model(input_ids=ids, use_cache=False).last_hidden_state[:, -65:-1]
                if not small
                else model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
            )
            logits = model.lm_head(hidden).float()
        targets = ids[:, -64:] if not small else ids[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(round(float(loss), 4))
    peak = None if small else round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return {
        "peak_gib": peak,
        "losses": losses,
        "trained": sum(p.numel() for p in parameters),
        "seconds": round(time.monotonic() - began, 1),
    }


def filled(model: Any, device: str, *, nf4: bool, quantize: Any) -> Any:
    """Random weights, a layer at a time, so that no more than one stands there unquantized."""
    import torch

    def fill(module: Any) -> None:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.02)

    for layer in model.model.layers:
        layer.to_empty(device=device)
        fill(layer)
        if nf4:
            quantize(layer, device)
    for module in (model.model.embed_tokens, model.model.norm, model.lm_head):
        module.to_empty(device=device)
        fill(module)
    with torch.device(device):
        model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    return model


# -- where BFCL's checker is


def judge_all(args: argparse.Namespace) -> None:
    from bfcl_cases import judge
    from model_quality import interval, questions_of
    from report import paired, table, write

    known = {case.id: (section, case) for section in SECTIONS for case in questions_of(section, 0, 400)}
    figures: dict[str, Any] = {}
    rights: dict[str, dict[str, bool]] = {}
    for folder in args.out:
        figures |= json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        if not (folder / "bfcl-answers.json.gz").exists():  # a run that was cut short
            continue
        for name, answers in json.loads(gzip.decompress((folder / "bfcl-answers.json.gz").read_bytes())).items():
            rights[name] = {
                at: not calls if known[at][0] == "irrelevance" else judge(known[at][1], [tuple(call) for call in calls]).call
                for at, calls in answers.items()
            }
    bfcl: dict[str, Any] = {}
    for name, right in rights.items():
        bfcl[name] = {}
        for section in SECTIONS:
            of = [value for at, value in right.items() if known[at][0] == section]
            if of:
                share = round(100 * sum(of) / len(of), 1)
                bfcl[name][section] = {"questions": len(of), "call": share, "interval": interval(sum(of), len(of))}
        bfcl[name] |= {"calls": mean_of(bfcl[name], CALLS), "mean": mean_of(bfcl[name], SECTIONS[:-1])}
    for name in (name for name in bfcl if name != "sft" and "sft" in bfcl):
        shared = [at for at in rights[name] if at in rights["sft"] and known[at][0] in CALLS]
        bfcl[name]["against_sft"] = paired([rights["sft"][at] for at in shared], [rights[name][at] for at in shared])
        if name in figures:
            figures[name]["against_sft"] = paired(figures["sft"]["preferred_of"], figures[name]["preferred_of"])
    rows = [
        [name, figures.get(name, {}).get("preferred", "")]
        + [of.get(section, {}).get("call", "") for section in SECTIONS]
        + [of["calls"], of["mean"]]
        for name, of in bfcl.items()
    ]
    table(["", "preferred", *SECTIONS, "calls", "mean"], rows)
    for name in bfcl:
        for what, of in (("preferred", figures.get(name, {})), ("BFCL's calls", bfcl[name])):
            if "against_sft" in of:
                print(
                    f"{name} against sft, {what}: {of['against_sft']['points']:+.1f} points ({of['against_sft']['interval']})"
                )
    memory = args.out[0] / "memory" / "figures.json"
    if memory.exists():
        figures["memory"] = json.loads(memory.read_text(encoding="utf-8"))
    for name in (name for name in METHODS if name in figures and name not in bfcl and "sft" in figures):
        figures[name]["against_sft"] = paired(figures["sft"]["preferred_of"], figures[name]["preferred_of"])
        print(f"{name} (BFCL not asked) against sft, preferred: {figures[name]['against_sft']['points']:+.1f} points")
    write(args.name, {**figures, "bfcl": bfcl})


def mean_of(sections: Mapping[str, Any], names: Sequence[str]) -> float:
    """Of the sections that were asked."""
    found = [sections[name]["call"] for name in names if name in sections]
    return round(sum(found) / max(len(found), 1), 2)


if __name__ == "__main__":
    main()
