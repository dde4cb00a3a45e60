"""What a host and the local model must read: bounded in SmolLM2's tokens, for a schema of 11 tables and 64 columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portico_engine import Tokenizer, Tool, find_model
from portico_engine.grammar import check_arguments, compile_schema, matcher_factory
from portico_engine.grammar.protocol import MatcherFactory
from portico_engine.weights.gguf_file import GGUFFile
from portico_gateway.agent.tool_signatures import signature
from portico_servers.db.databases.databases import Databases
from portico_servers.db.rows.input_schema import ROOT
from portico_servers.db.sources import parse_sources
from portico_servers.db.tools.registry import BUILT_IN

# A record shop of the size that the budget is about: 11 tables, 64 columns.
BIG = """
CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name NVARCHAR(120));
CREATE TABLE Album (AlbumId INTEGER PRIMARY KEY, Title NVARCHAR(160), ArtistId INTEGER REFERENCES Artist);
CREATE TABLE Employee (
  EmployeeId INTEGER PRIMARY KEY, LastName TEXT, FirstName TEXT, Title TEXT, ReportsTo INTEGER REFERENCES Employee,
  BirthDate DATETIME, HireDate DATETIME, Address TEXT, City TEXT, State TEXT, Country TEXT, PostalCode TEXT, Phone TEXT,
  Fax TEXT, Email TEXT
);
CREATE TABLE Customer (
  CustomerId INTEGER PRIMARY KEY, FirstName TEXT, LastName TEXT, Company TEXT, Address TEXT, City TEXT, State TEXT,
  Country TEXT, PostalCode TEXT, Phone TEXT, Fax TEXT, Email TEXT, SupportRepId INTEGER REFERENCES Employee
);
CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY, Name TEXT);
CREATE TABLE MediaType (MediaTypeId INTEGER PRIMARY KEY, Name TEXT);
CREATE TABLE Playlist (PlaylistId INTEGER PRIMARY KEY, Name TEXT);
CREATE TABLE Invoice (
  InvoiceId INTEGER PRIMARY KEY, CustomerId INTEGER REFERENCES Customer, InvoiceDate DATETIME, BillingAddress TEXT,
  BillingCity TEXT, BillingState TEXT, BillingCountry TEXT, BillingPostalCode TEXT, Total NUMERIC(10, 2)
);
CREATE TABLE Track (
  TrackId INTEGER PRIMARY KEY, Name TEXT, AlbumId INTEGER REFERENCES Album, MediaTypeId INTEGER REFERENCES MediaType,
  GenreId INTEGER REFERENCES Genre, Composer TEXT, Milliseconds INTEGER, Bytes INTEGER, UnitPrice NUMERIC(10, 2)
);
CREATE TABLE InvoiceLine (
  InvoiceLineId INTEGER PRIMARY KEY, InvoiceId INTEGER REFERENCES Invoice, TrackId INTEGER REFERENCES Track,
  UnitPrice NUMERIC(10, 2), Quantity INTEGER
);
CREATE TABLE PlaylistTrack (
  PlaylistId INTEGER REFERENCES Playlist, TrackId INTEGER REFERENCES Track, PRIMARY KEY (PlaylistId, TrackId)
);
"""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_gguf(GGUFFile(find_model(None)).metadata)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    path = tmp_path_factory.mktemp("big") / "records.db"
    connection = sqlite3.connect(path)
    connection.executescript(BIG)
    connection.close()
    databases = Databases(parse_sources([str(path)]))
    tables = databases.snapshot().tables.values()
    assert (len(tables), sum(len(named.table.columns) for named in tables)) == (11, 64)
    yield databases
    databases.close()


@pytest.fixture
def count(tokenizer: Tokenizer) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text))


def listed(databases: Databases) -> list[dict[str, Any]]:
    tools = [spec.tool(databases.snapshot(), list(databases.by_name)) for spec in BUILT_IN]
    return [{"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema} for tool in tools]


def test_all_tools_on_the_wire_take_at_most_4000_tokens(big: Databases, count: Callable[[str], int]) -> None:
    assert count(json.dumps(listed(big), separators=(",", ":"))) <= 4_000


def test_the_signatures_that_the_local_model_reads_take_at_most_800_tokens(big: Databases, count: Callable[[str], int]) -> None:
    tools = [Tool(f"db__{tool['name']}", tool["description"], tool["inputSchema"]) for tool in listed(big)]
    assert count("\n".join(signature(tool) for tool in tools)) <= 800


def test_the_schema_of_rows_compiles_without_loosening(big: Databases) -> None:
    report = compile_schema(big.snapshot().rows_schema.input_schema, tool="rows").report
    assert report.loosened == ()
    assert report.failed == ()


def test_the_grammar_takes_every_question_of_the_benchmark_and_no_wrong_column(
    samples: dict[str, Path], tokenizer: Tokenizer
) -> None:
    path = Path(__file__).parents[4] / "benchmarks/data/db_questions.jsonl"
    questions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    factory = matcher_factory(tokenizer)
    for name, file in samples.items():
        databases = Databases(parse_sources([str(file)]))
        schema = databases.snapshot().rows_schema.input_schema
        grammar = compile_schema(schema)
        for ask in (item["ask"] for item in questions if item["database"] == name):
            assert check_arguments(schema, {ROOT: ask}) == []
            assert accepted(factory, grammar, tokenizer, {ROOT: ask}), ask
        first = next(iter(databases.snapshot().tables))
        assert not accepted(factory, grammar, tokenizer, {ROOT: {"table": first, "aggregate": "sum", "columns": ["nothing"]}})
        databases.close()


def accepted(factory: MatcherFactory, grammar: Any, tokenizer: Tokenizer, value: Any) -> bool:
    matcher = factory.matcher(grammar)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return all(matcher.accept_token(token) for token in tokenizer.encode(text)) and matcher.is_accepting()


def test_past_its_budget_parents_columns_go_first_then_columns_become_plain_strings(samples: dict[str, Path]) -> None:
    from portico_servers.db.rows.input_schema import build_rows_schema

    databases = Databases(parse_sources([str(samples["tracker"])]))
    named = tuple(databases.snapshot().tables.values())
    full = build_rows_schema(named)
    size = len(json.dumps(full.input_schema, separators=(",", ":")))
    fewer = build_rows_schema(named, budget=size - 1)
    assert fewer.note is not None
    assert sum(map(len, fewer.column_refs.values())) < sum(map(len, full.column_refs.values()))
    own = next(
        small
        for budget in range(size, 0, -50)
        if "reporter.login" not in str((small := build_rows_schema(named, budget=budget)).input_schema)
    )
    assert [field.path for field in own.column_refs["users"]] == [
        "login",
        "team",
        "joined",
        "joined.year",
        "joined.month",
        "id",
    ]
    assert all(field.join is None for found in own.column_refs.values() for field in found)
    loose = build_rows_schema(named, budget=500)
    assert loose.note is not None
    assert "login" not in json.dumps(loose.input_schema)
    assert loose.column_refs == full.column_refs
    databases.close()
