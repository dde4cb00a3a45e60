"""What benchmarks/grammar.py measures on: real tool lists, MaskBench's sample, the official suite, BFCL's gold calls,
vocabularies."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from portico_engine import find_model
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.weights.gguf_file import GGUFFile

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


class NamedSchema(NamedTuple):
    name: str
    schema: Any


class Case(NamedTuple):
    """A schema with instances: (description, valid, data)."""

    name: str
    schema: Any
    tests: list[tuple[str, bool, Any]]


class GoldCall(NamedTuple):
    name: str
    parameters: dict[str, Any]
    arguments: dict[str, Any]


def vocabulary(path: Path | None = None) -> Tokenizer:
    """Of a GGUF file (its weights aren't read); the default model's without a path."""
    return Tokenizer.from_gguf(GGUFFile(path or find_model()).metadata)


def mcp_tools() -> list[NamedSchema]:
    """Every tool of every recorded server."""
    out = []
    for path in sorted((DATA / "mcp-tools").glob("*.json")):
        listed = json.loads(path.read_text(encoding="utf-8"))
        out += [NamedSchema(f"{path.stem}__{tool['name']}", tool["inputSchema"]) for tool in listed["tools"]]
    return out


def maskbench() -> list[Case]:
    with gzip.open(DATA / "maskbench-10pct.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Case(r["name"], r["schema"], [(t["description"], t["valid"], t["data"]) for t in r["tests"]]) for r in rows]


def suite() -> Iterator[tuple[str, Case]]:
    """(file, group) of the required part of the official suite, draft 2020-12."""
    for path in sorted((DATA / "json-schema-test-suite" / "tests" / "draft2020-12").glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            tests = [(t["description"], t["valid"], t["data"]) for t in group["tests"]]
            yield path.stem, Case(group["description"], group["schema"], tests)


def suite_remotes() -> dict[str, Any]:
    """The suite's remote schemas by the address that its cases use."""
    root = DATA / "json-schema-test-suite" / "remotes"
    return {
        f"http://localhost:1234/{path.relative_to(root).as_posix()}": json.loads(path.read_text(encoding="utf-8"))
        for path in root.rglob("*.json")
    }


_BFCL_TYPES = {"dict": "object", "float": "number", "tuple": "array"}


def as_json_schema(value: Any) -> Any:
    """BFCL writes Python's names of types."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: as_json_schema(item) for key, item in value.items()}
    if isinstance(out.get("type"), str):
        if out["type"] == "any":
            del out["type"]
        else:
            out["type"] = _BFCL_TYPES.get(out["type"], out["type"])
    return out


def bfcl_gold(category: str = "simple_python") -> list[GoldCall]:
    """Gold calls with the first acceptable value of each argument; an optional one whose first value is "" is left out."""
    files = {str(f): f for f in importlib.metadata.files("bfcl-eval") or ()}
    name = f"BFCL_v4_{category}.json"
    questions = _lines(Path(str(files[f"bfcl_eval/data/{name}"].locate())))
    answers = {row["id"]: row for row in _lines(Path(str(files[f"bfcl_eval/data/possible_answer/{name}"].locate())))}
    out = []
    for row in questions:
        function = row["function"][0]
        (gold,) = answers[row["id"]]["ground_truth"][0].values()
        arguments = {key: _plain(values[0]) for key, values in gold.items() if values and values[0] != ""}
        out.append(GoldCall(function["name"], as_json_schema(function["parameters"]), arguments))
    return out


def _plain(value: Any) -> Any:
    """Nested answers are lists of acceptable values too."""
    if isinstance(value, dict):
        return {
            key: _plain(item[0]) if isinstance(item, list) and item else item for key, item in value.items() if item != [""]
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
