"""Who may import whom, as tables: a room a line, and what of its own package it imports.

A room is a folder, or a module that stands beside folders. A room imports only from lines above it, so that no circle can be,
and a reader finds the ground first. The tables are exact: an import that is not in them fails, and so does a line, or a
word of one, that no import needs any more. Imports within functions and for types count like all others.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "portico_engine": ROOT / "engine",
    "portico_gateway": ROOT / "gateway",
    "portico_servers": ROOT / "servers",
}
WEB = {
    "mcp",
    "mcp_types",
    "httpx",
    "httpx2",
    "fastapi",
    "starlette",
    "uvicorn",
    "anyio",
    "pydantic",
    "sqlite_utils",
    "click",
    "rich",
}

TABLES = {
    "portico_engine": """
        errors
        fallbacks
        faults          errors
        priors
        stores          errors
        quantization
        tool
        weights         errors quantization
        grammar         errors faults tool
        request         priors grammar
        repetition      request
        speculation
        sampling        errors request
        plan            sampling
        step_timing     request
        kernels         quantization plan
        linear          quantization kernels
        text            errors tool weights
        models          errors fallbacks quantization weights kernels linear
        adapters        errors faults weights models
        client          tool request adapters
        parallel        errors quantization weights linear models adapters
        executors       errors fallbacks weights grammar request sampling plan kernels linear models adapters parallel
        conversion      errors weights text models executors
        kv              faults request plan executors
        step_runner     faults grammar request sampling plan step_timing executors kv
        request_checks  errors grammar request sampling executors
        scoring         errors plan executors kv step_runner request_checks
        sequence        priors grammar request speculation sampling plan text adapters kv
        fairness        sequence
        settlement      sequence
        scheduled_step  plan kv sequence
        scheduler       executors kv sequence fairness scheduled_step plan
        constraints     faults grammar repetition sampling plan sequence scheduled_step
        answers         faults grammar request sampling plan adapters sequence settlement scheduler
        engine          errors faults priors tool grammar request repetition speculation sampling plan step_timing text adapters
                        executors kv step_runner scoring request_checks sequence scheduled_step scheduler constraints
                        answers
        loading         errors fallbacks stores quantization weights request speculation plan kernels linear text models
                        adapters parallel executors kv engine
        front           errors faults tool grammar request adapters client engine loading
        process         errors faults priors tool grammar request text adapters client executors engine loading front
        tune            errors tool grammar request weights text models adapters engine loading
    """,
    "portico_engine.executors": """
        protocol
        step_result
        host_step    step_result
        kv_ops       protocol
        llama_cpp    protocol host_step kv_ops
        torch        protocol step_result host_step kv_ops
        ranks        protocol torch
    """,
    "portico_engine.grammar": """
        bounds
        cache
        ir
        compiled         ir
        notation         ir
        work_slice
        protocol         compiled work_slice
        regular          ir
        rule_order       ir
        ecma             ir regular
        sample           ir regular
        shortest_length  bounds ir
        gbnf             ir notation regular
        closing          bounds ir compiled protocol regular rule_order work_slice
        schema           bounds cache ir compiled regular ecma shortest_length
        check            ecma schema
        llguidance       bounds cache ir compiled notation protocol regular rule_order work_slice closing
        lark             ir ecma gbnf shortest_length
        backend          bounds ir compiled protocol llguidance
        accept           compiled protocol backend
        compile          bounds ir compiled shortest_length gbnf schema backend
        calls            bounds cache ir compiled regular schema lark compile
        isolated         bounds cache ir compiled closing backend compile calls check
    """,
    "portico_gateway": """
        caller
        guidance
        safe_output
        errors       safe_output
        tracing      errors
        config       safe_output errors tracing
        hub          errors
        model        safe_output errors config
        bench        errors model
        background   safe_output errors config
        upstreams    caller safe_output errors tracing config
        policy       caller safe_output errors tracing config upstreams
        agent        caller guidance errors model upstreams policy
        mcp          caller errors model upstreams policy agent
        http         caller guidance safe_output errors tracing config model upstreams policy agent mcp
        assembly     caller guidance safe_output errors tracing config model upstreams policy agent mcp http
        tuning       safe_output errors config policy agent http assembly
        cli          caller safe_output errors config hub model bench background upstreams policy agent http assembly
                     tuning
    """,
    "portico_gateway.cli": """
        exit_codes
        grammar_input
        interrupt
        options
        process_start
        screen
        trust_prompt
        view
        asking              exit_codes screen view
        ask_background      exit_codes asking
        background_list
        download_line
        models_view
        tokens_view
        audit_replay
        doctor_check
        doctor_places       doctor_check
        doctor_devices      doctor_check
        doctor_kept         doctor_check
        doctor_checks       background_list doctor_check doctor_devices doctor_kept doctor_places
        launch_clients
        launch_server       launch_clients
        server_edits
        top_snapshot
        top_view            top_snapshot
        chat                asking view
        background_process  exit_codes screen asking ask_background background_list
        main                exit_codes
        commands            audit_replay chat download_line models_view tokens_view doctor_check doctor_checks exit_codes
                            grammar_input interrupt launch_clients launch_server options process_start screen
                            trust_prompt asking ask_background background_list
                            background_process server_edits top_snapshot top_view
    """,
    "portico_gateway.http": """
        errors
        identity
        json_text
        draining          errors
        server            draining
        wire
        quotas            errors
        limits            errors quotas
        sse               json_text
        validation        errors
        bodies            errors validation
        approvals         errors identity bodies
        feedback          errors identity bodies
        generation        draining errors identity limits sse
        api               errors wire generation
        openai_shared     errors wire generation api
        anthropic         errors json_text wire sse bodies generation api
        ollama            errors json_text wire sse bodies generation api openai_shared
        decisions         errors identity json_text wire bodies generation api openai_shared
        ranking           errors identity json_text wire bodies generation api openai_shared
        tokens            errors identity json_text wire bodies generation api openai_shared
        server_tools      errors identity wire sse generation
        openai_chat       errors json_text wire sse bodies generation api openai_shared server_tools
        openai_completions  errors json_text wire sse bodies generation api openai_shared
        openai_responses  errors identity json_text wire sse bodies generation api openai_shared server_tools
        apis              errors wire api openai_shared anthropic ollama decisions ranking tokens openai_chat openai_completions
                          openai_responses
        error_handlers    errors json_text apis
        middleware        draining errors identity json_text limits bodies apis
        health            draining json_text middleware
        openapi           wire
        app               draining json_text limits bodies approvals feedback generation apis error_handlers middleware health
                          openapi
    """,
    "portico_gateway.agent.guided": """
        questions
        extraction  questions
        answers     extraction
        calls       questions answers
        part_run    questions answers
        judging     questions extraction answers part_run
        loop        questions answers calls part_run judging
    """,
    "portico_gateway.guidance.copying": """
        text
        text_vectors
        parameter_words   text
        parameters        text parameter_words
        read_text         text
        span_fit          text text_vectors parameter_words parameters read_text
        values            text parameters span_fit
        value_assignment  text parameters span_fit values
        copy_grammar      text parameters values value_assignment
    """,
    "portico_servers": """
        common
        code    common
        db      common
        docs    common
    """,
    "portico_servers.code": """
        config
        errors
        ranking
        result_cache
        syntax
        external      errors
        index         errors ranking syntax external
        workspace     result_cache syntax external index
        tools         errors ranking syntax external index workspace
        prompts       workspace tools
        resources     syntax external workspace tools
        server        config workspace tools prompts resources
    """,
    "portico_servers.docs": """
        config
        errors
        prompts
        ingest     errors
        index      errors ingest
        deadline   errors index
        search     errors ingest index
        tools      index deadline search
        resources  errors index deadline search
        service    config errors ingest index search
        commands   config errors ingest index service
        server     config prompts index deadline search tools resources service
    """,
    "portico_servers.docs.ingest": """
        anchors
        pages
        public_addresses
        web_paths
        chunks            pages
        timed_connections
        web               public_addresses timed_connections
        readers           anchors pages
        sources           readers
        reader_pool       pages chunks readers sources
    """,
    "portico_servers.db": """
        errors
        limits
        schema
        suggestions
        sources      errors
        engines      errors limits schema sources
        secret_columns  schema
        rows         errors schema suggestions engines
        statements   errors limits schema sources engines
        config       errors limits secret_columns statements
        databases    errors limits schema suggestions sources engines rows statements
        questions    errors limits schema secret_columns rows statements databases
        tools        errors limits schema suggestions sources rows statements config databases
        prompts      errors databases tools
        resources    schema databases tools
        server       errors limits suggestions sources secret_columns statements config databases questions tools prompts
                     resources
    """,
    "portico_servers.db.questions": """
        language
        linking    language
        composing  language linking
        reader     language linking composing
        proposals  language linking composing reader
    """,
}


def _folder(package: str) -> Path:
    return SOURCES[package.split(".")[0]].joinpath(*package.split("."))


def _imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """(file, absolute name) of every import below a folder; `from a import b` gives `a.b` too where that is a module."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield file, name.name
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield from ((file, name) for name in _names(node))


def _names(node: ast.ImportFrom) -> list[str]:
    assert node.module is not None
    top = node.module.split(".")[0]
    if top not in SOURCES:
        return [node.module]
    return [f"{node.module}.{name.name}" if _is_module(f"{node.module}.{name.name}") else node.module for name in node.names]


def _is_module(name: str) -> bool:
    if name.split(".")[0] not in SOURCES:
        return False
    place = _folder(name)
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _rooms(package: str) -> set[str]:
    folder = _folder(package)
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    return modules | {child.name for child in folder.iterdir() if (child / "__init__.py").is_file()}


def _arrows(package: str) -> dict[str, set[str]]:
    """Room -> the rooms of the same package that it imports. The package's own face and command are no rooms."""
    folder, rooms = _folder(package), _rooms(package)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for file, name in _imports(folder):
        room = file.relative_to(folder).parts[0].removesuffix(".py")
        target = name.removeprefix(f"{package}.").split(".")[0] if name.startswith(f"{package}.") else None
        if room in rooms and target in rooms and target != room:
            found[room].add(target)
    return found


def _table(text: str) -> dict[str, set[str]]:
    """A line that is set in further than the first goes on from the one above it."""
    lines = re.sub(r"\n +", " ", textwrap.dedent(text)).split("\n")
    return {room: set(allowed) for room, *allowed in map(str.split, filter(None, lines))}


@pytest.mark.parametrize("package", TABLES)
def test_rooms_import_what_their_table_says(package: str) -> None:
    assert _arrows(package) == _table(TABLES[package])


@pytest.mark.parametrize("package", TABLES)
def test_a_room_imports_only_from_lines_above_it(package: str) -> None:
    above: set[str] = set()
    for room, allowed in _table(TABLES[package]).items():
        assert allowed <= above, f"{room} imports {sorted(allowed - above)}, which stand below it"
        above.add(room)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """When they are imported, that is: an import within a function comes later, one for types never."""
    graph: dict[str, set[str]] = {}
    for package, source in SOURCES.items():
        for file in _folder(package).rglob("*.py"):
            module = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
            body = ast.parse(file.read_text(encoding="utf-8")).body
            nodes = [node for node in body if isinstance(node, ast.ImportFrom) and node.module is not None]
            graph[module] = {name for node in nodes for name in _names(node) if _is_module(name)} - {module}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("portico_engine", WEB | {"portico_gateway", "portico_servers"}),
        ("portico_servers", {"torch", "llama_cpp", "llguidance", "gguf", "portico_engine", "portico_gateway"}),
        ("portico_gateway", {"torch", "llama_cpp", "llguidance", "gguf"}),
    ],
)
def test_a_package_imports_nothing_above_or_beside_it(package: str, forbidden: set[str]) -> None:
    found = [
        f"{file.relative_to(ROOT)}: {name}" for file, name in _imports(_folder(package)) if name.split(".")[0] in forbidden
    ]
    assert not found


def test_the_gateway_uses_the_engine_through_its_root_and_its_grammar_package_only() -> None:
    allowed = {
        "portico_engine",
        "portico_engine.errors",
        "portico_engine.grammar",
        "portico_engine.grammar.ir",
        "portico_engine.request",
    }
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file, name in _imports(_folder("portico_gateway"))
        if name.split(".")[0] == "portico_engine" and name not in allowed and not _trains(file, name)
    ]
    assert not found


def _trains(file: Path, name: str) -> bool:
    """The one exception: `portico tune` uses the engine's `tune`, which is no part of what serves."""
    command = _folder("portico_gateway.cli.commands") / "tune.py"
    return name.startswith("portico_engine.tune.") and (
        file == command or file.is_relative_to(_folder("portico_gateway.tuning"))
    )


def test_the_gateway_knows_of_the_servers_their_shared_parts_only() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file, name in _imports(_folder("portico_gateway"))
        if name.startswith("portico_servers.") and not name.startswith("portico_servers.common")
    ]
    assert not found


@pytest.mark.parametrize(
    "module",
    [
        "portico_servers",
        "portico_servers.code.server",
        "portico_servers.docs.server",
        "portico_servers.db.server",
        "portico_gateway.cli.main",
        "portico_gateway.cli.commands.tune",
    ],
)
def test_importing_servers_and_the_command_line_loads_no_model_library(module: str) -> None:
    probe = f"import sys, {module}; print([m for m in ('torch', 'llama_cpp', 'llguidance', 'gguf') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
