"""BFCL's questions, their tools and accepted answers, from the package bfcl-eval, and its own check of a call's syntax tree.

The package's checker imports every vendor's client for a table of model names; that table alone is replaced here.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grammar_inputs import as_json_schema

CATEGORIES = ("simple_python", "multiple", "live_simple", "live_multiple")  # one call each
SEVERAL, NONE = "parallel", "irrelevance"  # several calls; no tool fits


class Case(NamedTuple):
    """One question. `functions` are BFCL's own descriptions, `tools` the same as an OpenAI client would send them."""

    id: str
    category: str
    messages: list[dict[str, str]]
    functions: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    accepted: list[dict[str, dict[str, list[Any]]]]

    @property
    def name(self) -> str:
        """The function that is right."""
        return next(iter(self.accepted[0]))


class Verdict(NamedTuple):
    """Of one call: whether the function is the right one, and whether all of the call is."""

    name: bool
    call: bool
    error: str


def cases(category: str, first: int, count: int) -> list[Case]:
    """So many of a category's questions, in the package's order."""
    known = () if category == NONE else _rows(f"possible_answer/BFCL_v4_{category}.json")
    accepted = {row["id"]: row["ground_truth"] for row in known}
    found = []
    for row in _rows(f"BFCL_v4_{category}.json")[first : first + count]:
        functions = row["function"]
        tools = [
            {"type": "function", "function": {**function, "parameters": as_json_schema(function["parameters"])}}
            for function in functions
        ]
        found.append(Case(row["id"], category, row["question"][0], functions, tools, accepted.get(row["id"], [])))
    return found


def _rows(name: str) -> list[dict[str, Any]]:
    files = {str(f): f for f in importlib.metadata.files("bfcl-eval") or ()}
    text = Path(str(files[f"bfcl_eval/data/{name}"].locate())).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def judge(case: Case, calls: Sequence[tuple[str, dict[str, Any]]]) -> Verdict:
    """What BFCL's checker says of an answer's calls."""
    check, language = _checker()
    named = bool(calls) and calls[0][0] == case.name
    try:
        said = check(
            case.functions,
            [{name: arguments} for name, arguments in calls],
            case.accepted,
            language.PYTHON,
            case.category,
            "any",
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:  # it trips over values of types that it does not expect
        return Verdict(named, False, repr(error))
    return Verdict(named, bool(said["valid"]), "" if said["valid"] else str(said.get("error")))


def _checker() -> tuple[Any, Any]:
    name = "bfcl_eval.constants.model_config"
    if name not in sys.modules:
        table = types.ModuleType(name)
        table.MODEL_CONFIG_MAPPING = {"any": types.SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
        sys.modules[name] = table
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    return ast_checker, Language
