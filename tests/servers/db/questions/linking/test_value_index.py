"""The value index: what it keeps, what it leaves out, and how a question's words meet it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.db.questions.clinic import write_clinic

from portico_servers.db.databases.databases import Databases
from portico_servers.db.questions.language.words import read_words
from portico_servers.db.questions.linking.value_index import IndexBounds, ValueIndex, build_value_index
from portico_servers.db.questions.linking.value_probes import with_probes
from portico_servers.db.sources import parse_sources


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    found = Databases(parse_sources([str(write_clinic(tmp_path))]))
    found.snapshot()
    yield found
    found.close()


def built(databases: Databases, **bounds: float) -> ValueIndex:
    database = databases.all[0]
    return build_value_index(database, database.schema, bounds=IndexBounds(**bounds))  # type: ignore[arg-type]


def found(index: ValueIndex, text: str) -> set[str]:
    words = read_words(text).words
    return {f"{one.table}.{one.column}={one.text}" for one in index.find([w.low for w in words], [w.stem for w in words])}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("brazil", "countries.name=Brazil"),
        ("COTE D'IVOIRE", "countries.name=Côte d'Ivoire"),
        ("ac dc forte", "drugs.name=AC/DC Forte"),
        ("antibiotics", "drugs.kind=antibiotic"),
        ("m-103", "rooms.code=M-103"),
    ],
)
def test_case_accents_marks_and_plurals_make_no_difference(databases: Databases, text: str, value: str) -> None:
    assert value in found(built(databases), text)


def test_a_verb_form_is_no_plural(databases: Databases) -> None:
    assert found(built(databases), "referral") == set()
    assert found(built(databases), "cure") == set()


def test_flags_and_ranges_of_numbers_are_known_and_keys_are_not(databases: Databases) -> None:
    ranges = built(databases).ranges
    assert ranges["patients", "smoker"].flag
    assert not ranges["visits", "minutes"].flag
    assert (ranges["visits", "minutes"].least, ranges["visits", "minutes"].greatest) == (10, 45)
    assert ("visits", "patient_id") not in ranges


def test_a_column_of_too_many_values_is_left_out_and_asked_when_a_question_names_one(databases: Databases) -> None:
    index = built(databases, values=2)
    assert ("drugs", "name") in index.left_out
    assert found(index, "Zolin") == set()
    probed = with_probes(index, databases.all[0], read_words("What does Zolin cost?"))
    assert found(probed, "zolin") == {"drugs.name=Zolin"}


def test_no_more_bytes_are_kept_than_allowed(databases: Databases) -> None:
    assert built(databases, bytes=100).bytes < 600


def test_prose_is_no_value(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "prose.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    connection.execute("INSERT INTO t VALUES (1, ?)", ["word " * 100])
    connection.commit()
    connection.close()
    databases = Databases(parse_sources([str(tmp_path / "prose.db")]))
    databases.snapshot()
    assert built(databases).values == {}
    databases.close()
