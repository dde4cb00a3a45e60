"""No schema or grammar costs more than its bound: 2 s of the processor, 256 MB, and no other's step over 100 ms."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.bomb_engine import GAPS, load_paced
from tests.attacks.bombs import GRAMMARS, SCHEMAS

from portico_engine import Request, SamplingParams, Tool
from portico_engine.errors import EngineError, GrammarTooLarge
from portico_engine.grammar import CompiledGrammar, compile_gbnf_isolated, compile_schema_isolated, compile_tool_calls_isolated
from portico_engine.grammar.isolated import child, compile_process, workers
from portico_engine.process.client import EngineProcess

pytestmark = [pytest.mark.attack("2 a schema or grammar costs its bound"), pytest.mark.anyio, pytest.mark.alone]

_PAUSE = 0.1  # seconds that a stream may pause
_STEP = 0.15  # seconds of the processor that one step may take: 0.05 at most on two busy cores, and machines differ by three
_BUSY = 5  # times as long a wall clock may say on a machine with other work

# Compiles one bomb as the gateway does and says what that cost: seconds and bytes of the whole tree of processes.
_MEASURE = """
import asyncio, json, sys, time
from tests.attacks.bombs import GRAMMARS, SCHEMAS
from portico_engine.errors import EngineError
from portico_engine.grammar import compile_gbnf_isolated, compile_schema_isolated
from portico_engine.grammar.isolated import workers

def status(pid, name):
    with open(f"/proc/{pid}/status") as file:
        return int(file.read().split(name + ":")[1].split()[0]) / 1024

async def main():
    await compile_schema_isolated({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}})
    await compile_schema_isolated({"type": "string", "minLength": 2000})  # starts a process
    for kind, name in json.loads(sys.argv[1]):
        bomb = (SCHEMAS if kind == "schema" else GRAMMARS)[name]()
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before, began = status("self", "VmRSS"), time.perf_counter()
        try:
            await (compile_schema_isolated(bomb) if kind == "schema" else compile_gbnf_isolated(bomb))
            outcome = "compiled"
        except EngineError as error:
            outcome = f"refused: {error}"
        print(json.dumps([kind, name, outcome, status("self", "VmHWM") - before, time.perf_counter() - began]), flush=True)

asyncio.run(main())
"""
ALL = [*(("schema", name) for name in SCHEMAS), *(("gbnf", name) for name in GRAMMARS)]


def test_there_are_sixty_bombs_and_more() -> None:
    assert len(ALL) >= 60


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def costs() -> dict[tuple[str, str], tuple[str, float, float]]:
    """What each bomb came to, in a process under a limit of memory: (outcome, MB grown, seconds)."""
    root = Path(__file__).resolve().parents[2]
    limited = subprocess.run(
        ["bash", "-c", f'ulimit -v {6 << 20}; exec "$@"', "bash", sys.executable, "-c", _MEASURE, json.dumps(ALL)],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), *sys.path]))},
        timeout=900,
        check=False,
    )
    assert limited.returncode == 0, limited.stderr[-2000:]
    rows = [json.loads(line) for line in limited.stdout.splitlines()]
    return {(kind, name): (outcome, grown, seconds) for kind, name, outcome, grown, seconds in rows}


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_bomb_is_compiled_or_refused_within_its_bound(
    kind: str, name: str, costs: dict[tuple[str, str], tuple[str, float, float]]
) -> None:
    outcome, grown, seconds = costs[kind, name]
    assert outcome == "compiled" or len(outcome) > 30, "a refusal says why"
    assert grown < 256, f"{grown:.0f} MB"
    assert seconds < child.SECONDS * _BUSY, f"{seconds:.2f} s"  # of the wall clock; of the processor the system counts two


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (SCHEMAS["minLength of a billion"], "1,000,000,0"),
        (SCHEMAS["minItems of a billion"], "smallest lengths and counts"),
        (SCHEMAS["an enum of 100,000"], "100,000 values"),
        (SCHEMAS["a limit of a million digits"], "digits"),
        (SCHEMAS["$defs doubling by not"], "2 s"),
    ],
)
async def test_a_refusal_names_what_is_too_large(schema: Any, named: str) -> None:
    with pytest.raises(GrammarTooLarge) as error:
        await compile_schema_isolated(schema())
    assert named in str(error.value)


async def test_a_bomb_that_is_sent_again_costs_nothing() -> None:
    for _ in range(2):
        began = time.perf_counter()
        with pytest.raises(GrammarTooLarge):
            await compile_schema_isolated(SCHEMAS["$defs doubling by not"]())
    assert time.perf_counter() - began < child.SECONDS / 2


async def test_one_bomb_among_tools_costs_that_tool() -> None:
    tools = [
        Tool("good", "", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
        Tool("bomb", "", {"type": "object", **SCHEMAS["$defs doubling by not"]()}),
    ]
    compiled = await compile_tool_calls_isolated(tools)
    assert [(failed.tool, failed.degraded) for failed in compiled.report.failed] == [("bomb", True)]


async def test_a_client_that_leaves_ends_its_compilation() -> None:
    schema = {"$comment": "another digest", **SCHEMAS["a oneOf of 2,000 patterns"]()}
    began = time.perf_counter()
    task = asyncio.create_task(compile_schema_isolated(schema))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - began < child.SECONDS
    compiled = await compile_schema_isolated({"type": "string", "minLength": 2001})  # others go on
    assert compiled.text


async def test_what_compiles_is_behind_the_engine_for_the_processor_from_its_start() -> None:
    """By its nice value, which Linux heeds among the processes of one session only."""
    process = compile_process.CompileProcess()
    try:
        assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
        assert os.getsid(process.pid) == os.getsid(0)
        assert os.getpgid(process.pid) == process.pid, "Ctrl-C is for the parent"
    finally:
        process.close()


async def test_where_no_process_can_be_started_things_are_compiled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no process")

    monkeypatch.setattr(compile_process.subprocess, "Popen", fails)
    monkeypatch.setattr(workers, "_idle", [])
    assert (await compile_schema_isolated({"type": "string", "minLength": 2002})).text


async def test_a_stream_beside_the_bombs_never_pauses_and_the_engine_stays_the_same_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses are told by the processor time that the engine's thread spent between two steps: what the bombs cost it. By the
    clock, other work on this machine counts too, and what is left for it is generous."""
    notes = tmp_path / "gaps"
    monkeypatch.setenv(GAPS, str(notes))
    engine = await EngineProcess.open(load_paced)
    done = asyncio.Event()

    async def stream() -> None:
        number = 0
        while not done.is_set():
            number += 1
            request = Request(f"s{number}", (5, 6), SamplingParams(seed=number), max_tokens=2000)
            async for _ in engine.generate(request):
                pass

    try:
        pid = engine.pid
        streaming = asyncio.create_task(stream())
        for number, (kind, name) in enumerate(ALL[::3]):  # of every kind some; each alone is tried above
            await _answered(engine, number, kind, name)
        done.set()
        await streaming
        await engine.stats()
        assert engine.pid == pid
        os.kill(pid, 0)
    finally:
        done.set()
        await engine.aclose()
    gaps = [tuple(map(float, line.split())) for line in notes.read_text().splitlines()]
    assert len(gaps) > 200
    assert max(spent for _, spent in gaps) < _STEP, sorted(spent for _, spent in gaps)[-5:]
    late = sorted(clock for clock, _ in gaps)
    assert late[int(len(late) * 0.999)] < _PAUSE * _BUSY, late[-10:]


async def _answered(engine: EngineProcess, number: int, kind: str, name: str) -> None:
    bomb = (SCHEMAS if kind == "schema" else GRAMMARS)[name]()
    try:
        compiled: CompiledGrammar = await (compile_schema_isolated(bomb) if kind == "schema" else compile_gbnf_isolated(bomb))
        request = Request(f"b{number}", (7, 8), SamplingParams(seed=1), max_tokens=40, grammar=compiled)
        async for _ in engine.generate(request):
            pass
    except EngineError:
        pass
