"""The load of constrained tool calls that servers are measured under: twelve tools, clients that ask question after question.

What a server is, who started it and what becomes of the figures is the programs' that call `load`. A call is asked for by
`tools` with `tool_choice: required`, or, where a server holds no answer to its tools, by a JSON Schema of all twelve calls with
the tools written into the instructions. Either way each answer is checked here: one call of a known tool, with arguments that
its schema takes.
"""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any, Literal, NamedTuple

import jsonschema

from report import percentile

Way = Literal["tools", "json_schema", "json_object"]  # the last as llama-cpp-python spells a schema
ANSWER_SECONDS = 300  # an answer that takes longer is a failure
MAX_TOKENS = 96
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
THINGS = {
    "meeting": "a meeting in the shared calendar",
    "ticket": "a ticket of the help desk",
    "invoice": "an invoice in the ledger",
    "parcel": "a parcel in the warehouse",
}
QUESTIONS = (
    "What is on for Thursday?",
    "Move number 17 to Monday, please.",
    "Is anything overdue since last week?",
    "Open 204 and show me who wrote it.",
    "Which ones are marked urgent?",
)
INSTRUCTIONS = (
    "You work at the front desk of a small company and answer with exactly one call of one tool. Numbers are those that the "
    "question names. Where a question names a day, the call names it too. Nothing is changed unless that is asked for. "
) * 4


def function(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def catalog() -> list[dict[str, Any]]:
    """Twelve tools whose calls are bounded, so that random weights end them too."""
    number = {"type": "integer", "minimum": 1, "maximum": 9999}
    day = {"type": "string", "enum": [*DAYS]}
    tools = []
    for thing, what in THINGS.items():
        state = {"type": "string", "enum": ["open", "done", "urgent", "overdue"]}
        tools += [
            function(f"find_{thing}", f"Find {what} by its state and day, the newest first.", {
                "state": state, "day": day, "limit": {"type": "integer", "minimum": 1, "maximum": 25}}),
            function(f"read_{thing}", f"Read {what} by its number, with who wrote it if that is wanted.", {
                "number": number, "with_author": {"type": "boolean"}}),
            function(f"move_{thing}", f"Move {what} to another day and tell those whom it concerns.", {
                "number": number, "day": day, "notify": {"type": "boolean"}}),
        ]  # fmt: skip
    return tools


TOOLS = catalog()
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}

ANY_CALL = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": schema},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name, schema in SCHEMAS.items()
    ]
}


class Server(NamedTuple):
    """Where the load goes, and how a call is asked for there."""

    host: str
    port: int
    path: str
    model: str
    way: Way = "tools"


class Answer(NamedTuple):
    """What came of one question. `problem` says why the call is no valid one; tokens are the server's own count."""

    seconds: float
    answered: bool
    problem: str | None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Level(NamedTuple):
    """What came of one number of clients."""

    clients: int
    seconds: float
    answers: Sequence[Answer]

    @property
    def problem(self) -> str | None:
        return next((answer.problem for answer in self.answers if answer.problem), None)


def load(
    server: Server,
    clients: int,
    calls: int | None = None,
    processes: int = 1,
    *,
    seconds: float = math.inf,
    level: int | None = None,
) -> Level:
    """So many calls by so many clients, in as many processes as there are clients at most.

    After `seconds` no further call is begun; those that run are waited for, and counted. Without `calls` they alone end it.
    Questions differ between levels, which are numbered by their clients if not otherwise.
    """
    processes = min(processes, clients)
    first = 100_000 * (clients if level is None else level)
    each = calls // processes if calls is not None else None
    shares = [(clients // processes + (i < clients % processes), each, first + i, processes) for i in range(processes)]
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes + 1)
    results = context.Queue()
    workers = [context.Process(target=work, args=(server, *share, seconds, start, results), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    answers = [answer for _ in workers for answer in results.get()]
    taken = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return Level(clients, taken, answers)


def work(
    server: Server, clients: int, calls: int | None, first: int, step: int, seconds: float, start: Any, results: Any
) -> None:
    """One process: its clients as threads, each with a connection of its own, take one question after the other."""
    questions = itertools.islice(itertools.count(first, step), calls)
    answers: list[Answer] = []

    def client() -> None:
        connection = HTTPConnection(server.host, server.port, timeout=ANSWER_SECONDS)
        for i in questions:
            if time.perf_counter() > until:
                return
            answers.append(ask(connection, server, i))

    start.wait()
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client) for _ in range(clients)]:
            done.result()
    results.put(answers)


def ask(connection: HTTPConnection, server: Server, i: int) -> Answer:
    """Question `i`, at temperature 0.7."""
    began = time.perf_counter()
    try:
        connection.request(
            "POST", f"{server.path}/chat/completions", json.dumps(body(server, i)), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        said = response.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return Answer(time.perf_counter() - began, False, f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - began
    if response.status != 200:
        return Answer(seconds, False, f"{response.status}: {said[:200]!r}")
    return Answer(seconds, True, wrong_with(said, server.way), *tokens(said))


def tokens(answer: bytes) -> tuple[int, int]:
    """Of prompt and answer, zeros where the server doesn't say."""
    try:
        usage = json.loads(answer)["usage"]
        return int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (KeyError, TypeError, ValueError):
        return 0, 0


def body(server: Server, i: int) -> dict[str, Any]:
    """The request's."""
    instructions, asked = INSTRUCTIONS, f"({i}) {QUESTIONS[i % len(QUESTIONS)]}"
    held: dict[str, Any]
    if server.way == "tools":
        held = {"tools": TOOLS, "tool_choice": "required"}
    else:
        instructions += "\nTools: " + json.dumps(TOOLS)
        held = {"response_format": {"type": "json_object", "schema": ANY_CALL}}
        if server.way == "json_schema":
            held = {
                "response_format": {"type": "json_schema", "json_schema": {"name": "call", "strict": True, "schema": ANY_CALL}}
            }
    turns = [{"role": "system", "content": instructions}, {"role": "user", "content": asked}]
    return {"model": server.model, "messages": turns, "max_tokens": MAX_TOKENS, "temperature": 0.7, "seed": i, **held}


def wrong_with(answer: bytes, way: Way) -> str | None:
    """Why it is no valid call, with the message that it was, or None."""
    message: Any = None
    try:
        message = json.loads(answer)["choices"][0]["message"]
        if way == "tools":
            (call,) = message["tool_calls"]
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
        else:
            call = json.loads(message["content"])
            name, arguments = call["name"], call["arguments"]
        jsonschema.validate(arguments, SCHEMAS[name])
    except jsonschema.ValidationError as error:
        return f"{error.message} in {json.dumps(message)[:300]}"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return f"{type(error).__name__}: {error} in {json.dumps(message)[:300]}"
    return None


def figures(level: Level) -> dict[str, Any]:
    """Of a level: latencies in milliseconds, rates over the calls that were answered at all."""
    latencies = [answer.seconds for answer in level.answers]
    answered = [answer for answer in level.answers if answer.answered]
    return {
        "clients": level.clients,
        "calls": len(level.answers),
        "valid": sum(answer.problem is None for answer in level.answers),
        "calls_per_s": round(len(answered) / level.seconds, 2),
        "p50_ms": round(1000 * statistics.median(latencies), 1),
        "p95_ms": round(1000 * percentile(latencies, 0.95), 1),
        "prompt_tokens": round(statistics.median(a.prompt_tokens for a in answered)) if answered else 0,
        "completion_tokens": round(statistics.fmean(a.completion_tokens for a in answered), 1) if answered else 0.0,
    }
