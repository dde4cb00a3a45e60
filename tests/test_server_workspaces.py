"""The workspaces that the default adapter's questions are about: no evaluation's, and told as they are."""

from __future__ import annotations

import importlib.util
import random
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from answers_material.workspaces import DATABASES, TREES
from server_questions_material import _PARTS, WORKSPACES

PROGRAM = Path(__file__).resolve().parent.parent / "packaging" / "server_workspaces.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("server_workspaces", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_none_is_asked_about_by_an_evaluation(program: ModuleType) -> None:
    evaluated = {part.module for parts in _PARTS.values() for part in parts} | {name.replace("-", "_") for name in TREES}
    assert not evaluated & set(program.PACKAGES)
    assert not ({*DATABASES, *WORKSPACES} & set(program.DATABASES))


def test_what_is_told_of_a_database_is_what_is_in_it(program: ModuleType, tmp_path: Path) -> None:
    told = program.write_database(tmp_path / "zoo.db", program.DATABASES["zoo"], random.Random(1))
    database = sqlite3.connect(tmp_path / "zoo.db")
    for table in told:
        declared = {row[1]: row[2] for row in database.execute(f"PRAGMA table_info({table['name']})")}
        kinds = {"text": "TEXT", "number": "REAL", "date": "DATE"}
        assert declared == {"id": "INTEGER"} | {column: kinds[kind] for column, kind in table["columns"].items()}
        for column, values in table["values"].items():
            held = {row[0] for row in database.execute(f"SELECT {column} FROM {table['name']}")}
            assert values
            assert set(values) <= held
    database.close()


def test_names_in_code_have_their_kind_and_file_and_tests_are_passed_over(program: ModuleType, tmp_path: Path) -> None:
    text = "LIMIT_OF = 3\nclass Gate:\n    def open_it(self): ...\n    def __repr__(self): ...\n"
    text += "async def shut(): ...\ndef test_it(): ...\n"
    (tmp_path / "gate.py").write_text(text, encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    kinds = {"Gate": "class", "LIMIT_OF": "constant", "open_it": "method", "shut": "function"}
    assert program._symbols(tmp_path) == [(name, kind, "gate.py") for name, kind in sorted(kinds.items())]


def test_terms_are_whole_code_spans_and_headings_short(program: ModuleType) -> None:
    page = "# The guide\n\nGive `--tide 3` or `berth`, and not `a` or `f(x)`.\n\n"
    page += "## A heading that goes on for far longer than anybody would ask\n"
    assert program._terms([page]) == ["--tide 3", "berth"]
    assert program._headings([page]) == ["The guide"]
