"""What does guessing from the text before save? Greedy answers of the default model on a CPU, with 0, 4 and 8 guesses a step.

    python benchmarks/speculation.py

Three texts: one that is to be copied, free prose, and tool calls under a grammar whose values stand in the question. Prints
tokens a second, steps and the share of guesses that were right, and records them; answers are compared with those without.
"""

from __future__ import annotations

import time

from portico_engine import Engine, Request, SamplingParams, find_model, load_engine
from portico_engine.grammar import CompiledGrammar, compile_schema
from report import table, write

ROW = '{"id": %d, "customer": "Miller and Sons", "status": "cancelled", "total": 129.90, "items": ["lamp", "table"]}'
COPY = "Repeat this text exactly.\n\n" + "\n".join(ROW % i for i in range(6)) + "\n"
PROSE = "Write a short story about a lighthouse keeper who finds a letter in a bottle."
CALL = (
    "Create the customer 'Northwind Traders International', city 'Frankfurt am Main', note 'Northwind Traders International'."
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "city": {"type": "string"}, "note": {"type": "string"}},
    "required": ["name", "city", "note"],
    "additionalProperties": False,
}
REPEATS = 3


def main() -> None:
    """Measure, print, record."""
    rows: list[dict[str, object]] = []
    answers: dict[tuple[str, int], list[int]] = {}
    for guesses in (0, 4, 8):
        engine = load_engine(find_model(), executor="torch-cpu", context=2048, speculation=guesses)
        for name, question, grammar in (
            ("copy", COPY, None),
            ("prose", PROSE, None),
            ("call", CALL, compile_schema(SCHEMA)),
        ):
            rows.append({"text": name, "guesses": guesses, **measure(engine, question, grammar, answers, (name, guesses))})
        engine.close()
    for row in rows:
        plain, own = answers[str(row["text"]), 0], answers[str(row["text"]), int(str(row["guesses"]))]
        row["same_as_without"] = plain == own
    table(list(rows[0]), [list(row.values()) for row in rows])
    write("speculation", {"rows": rows})


def measure(
    engine: Engine,
    question: str,
    grammar: CompiledGrammar | None,
    answers: dict[tuple[str, int], list[int]],
    key: tuple[str, int],
) -> dict[str, object]:
    """The best of several runs, prefill left out."""
    prompt = engine.render_chat([{"role": "user", "content": question}])
    best = 0.0
    before = engine.stats()
    for i in range(REPEATS):
        request = Request(f"{key}{i}", prompt, SamplingParams(temperature=0), 150, grammar=grammar)
        begun, tokens = 0.0, []
        for delta in engine.generate(request):
            begun = begun or time.perf_counter()
            tokens += delta.tokens
        best = max(best, (len(tokens) - 1) / (time.perf_counter() - begun))
        answers[key] = tokens
    after = engine.stats()
    drafted, accepted = (after[name] - before[name] for name in ("drafted_tokens", "accepted_drafts"))
    return {
        "tokens": len(answers[key]),
        "tokens_per_second": round(best, 1),
        "steps": int((after["steps"] - before["steps"]) / REPEATS),
        "right_share": round(accepted / drafted, 2) if drafted else 0,
    }


if __name__ == "__main__":
    main()
