"""The workspaces that the default adapter's questions are about: no evaluation's, and told as they are."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from server_workspaces import PACKAGES
from training_databases import DATABASES, read_tables, write_database
from training_documentation import NAMES, documentation, topics
from training_symbols import symbols

from answers_material.workspaces import DATABASES as EVALUATED
from answers_material.workspaces import TREES
from server_questions_material import _PARTS, WORKSPACES


def test_none_is_asked_about_by_an_evaluation() -> None:
    evaluated = {part.module for parts in _PARTS.values() for part in parts} | {name.replace("-", "_") for name in TREES}
    assert not evaluated & set(PACKAGES)
    assert not ({*EVALUATED, *WORKSPACES} & set(DATABASES))


def test_what_is_told_of_a_database_is_what_is_in_it(tmp_path: Path) -> None:
    told = write_database(tmp_path / "zoo.db", DATABASES["zoo"], random.Random(1))
    database = sqlite3.connect(tmp_path / "zoo.db")
    for table in told:
        own = {name: column for name, column in table["columns"].items() if not column["of"]}
        assert {row[1] for row in database.execute(f"PRAGMA table_info({table['name']})")} == {"id", *own}
        for name, column in own.items():
            held = {row[0] for row in database.execute(f"SELECT {name} FROM {table['name']}")}
            assert column["values"] or column["key"] or column["nullable"]
            assert set(column["values"]) <= held
            assert (None in held) <= column["nullable"]
    assert not list(database.execute("PRAGMA foreign_key_check"))
    database.close()


def test_a_parent_s_columns_are_told_by_path_and_whose_they_are(tmp_path: Path) -> None:
    told = {table["name"]: table for table in write_database(tmp_path / "zoo.db", DATABASES["zoo"], random.Random(1))}
    name = told["animals"]["columns"]["keepers.name"]
    assert (name["of"], name["kind"]) == ("keeper", "text")
    assert set(name["values"]) <= set(told["keepers"]["columns"]["name"]["values"])


def test_a_column_that_is_none_of_the_notation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no column of the notation: weight"):
        read_tables("boats | boats, boat | weight")


def test_names_in_code_have_their_place_and_what_is_done_with_them(tmp_path: Path) -> None:
    text = 'LIMIT_OF = 3\nclass Gate:\n    def open_it(self):\n        """Open the gate. At once."""\n        raise Stuck(1)\n'
    text += "    def __repr__(self): ...\nclass Stuck(Exception): ...\ndef test_it(): ...\n"
    (tmp_path / "gate.py").write_text(text, encoding="utf-8")
    (tmp_path / "use.py").write_text("from gate import Gate\nclass Door(Gate): ...\nDoor().open_it()\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    found = {one["name"]: one for one in symbols(tmp_path)}
    kinds = {"Door": "class", "Gate": "class", "LIMIT_OF": "constant", "Stuck": "class", "open_it": "method"}
    assert {name: one["kind"] for name, one in found.items()} == kinds
    opens = found["open_it"]
    assert (opens["owner"], opens["about"], opens["raises"], opens["line"]) == ("Gate", "Open the gate", ["Stuck"], 3)
    assert opens["uses"] == {"called": ("use.py", 3)}
    assert found["Stuck"]["uses"]["raised"] == ("gate.py", 5)


def test_sentences_of_documentation_tell_what_can_be_asked() -> None:
    page = "# The guide\n\nThe `--tide` option is 3 by default. To moor at night, light a lamp. If the water falls quickly,"
    page += " wait.\nUp to 9 boats fit with `--rows`. See [the map](map.md).\n\n"
    page += "## A heading that goes on for far longer than anybody asks\n"
    found = {(one["kind"], one["said"]) for one in topics({"guide.md": page})}
    wanted = {
        ("heading", "The guide"), ("term", "--tide"), ("default", "--tide"), ("limit", "--rows"), ("aim", "moor at night"),
        ("case", "the water falls quickly"),
    }  # fmt: skip
    assert wanted <= found
    assert not any("longer than anybody" in said for _, said in found)


def test_documentation_is_no_evaluation_s() -> None:
    for name in NAMES:
        for page in documentation(name):
            assert not any(page.startswith(f"{tree}.") for tree in TREES), page
