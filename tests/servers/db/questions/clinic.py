"""A small database for the tests of questions: a clinic with lookups, a link table, flags, missing values and several dates."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from portico_servers.db.databases.databases import Databases
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.linking.value_index import ValueIndex
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.statements.cancellation import Cancellation
from portico_servers.db.tools.rows import answer_rows

SCHEMA = """
CREATE TABLE countries (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE towns (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country_id INTEGER NOT NULL REFERENCES countries);
CREATE TABLE doctors (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, salary INTEGER NOT NULL,
  hired DATE NOT NULL, mentor_id INTEGER REFERENCES doctors, access_token TEXT);
CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town_id INTEGER REFERENCES towns, born DATE NOT NULL,
  email TEXT, smoker INTEGER NOT NULL, registered_at INTEGER NOT NULL);
CREATE TABLE drugs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price NUMERIC NOT NULL, kind TEXT NOT NULL);
CREATE TABLE visits (id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients,
  doctor_id INTEGER REFERENCES doctors, held DATE NOT NULL, due DATE NOT NULL, minutes INTEGER NOT NULL, fee NUMERIC NOT NULL,
  outcome TEXT NOT NULL);
CREATE TABLE visit_drugs (visit_id INTEGER NOT NULL REFERENCES visits, drug_id INTEGER NOT NULL REFERENCES drugs,
  PRIMARY KEY (visit_id, drug_id));
CREATE TABLE rooms (id INTEGER PRIMARY KEY, code TEXT NOT NULL, seats INTEGER NOT NULL);
CREATE TABLE notes (note_id INTEGER PRIMARY KEY, visit_id INTEGER NOT NULL, body TEXT);
CREATE VIEW fees_by_outcome AS SELECT outcome, SUM(fee) AS fees FROM visits GROUP BY outcome;
INSERT INTO countries VALUES (1, 'Brazil'), (2, 'Côte d''Ivoire');
INSERT INTO towns VALUES (1, 'Recife', 1), (2, 'Abidjan', 2);
INSERT INTO doctors VALUES (1, 'Ada', 'Quist', 90, '2010-05-01', NULL, 'Recife'),
  (2, 'Ben', 'Moreau', 80, '2015-01-01', 1, 'b'),
  (3, 'Cid', 'Quist', 70, '2020-01-01', 1, 'c');
INSERT INTO patients VALUES (1, 'Elin', 1, '1950-01-01', 'elin@x.test', 1, 1672531200),
  (2, 'Fay', 2, '1990-01-01', NULL, 0, 1704067200),
  (3, 'Gil', NULL, '1980-01-01', NULL, 0, 1717200000);
INSERT INTO drugs VALUES (1, 'AC/DC Forte', 12.5, 'pain-killer'), (2, 'Zolin', 3, 'antibiotic'),
  (3, 'Rare', 99, 'antibiotic');
INSERT INTO visits VALUES (1, 1, 1, '2024-01-10', '2024-01-09', 30, 100, 'cured'),
  (2, 1, 2, '2024-02-10', '2024-02-10', 20, 50.5, 'referred'),
  (3, 2, 1, '2024-05-01', '2024-05-03', 10, 20, 'cured'), (4, 2, NULL, '2025-05-01', '2025-05-01', 45, 80, 'missed');
INSERT INTO visit_drugs VALUES (1, 1), (2, 2), (3, 2);
INSERT INTO rooms VALUES (1, 'M-103', 30);
INSERT INTO notes VALUES (1, 1, 'well');
"""


def write_clinic(folder: Path) -> Path:
    path = folder / "clinic.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


class Clinic(NamedTuple):
    path: Path
    databases: Databases
    reader: QuestionReader
    index: ValueIndex

    def best(self, question: str) -> Draft:
        return self.reader.read(question, self.index)[0]

    def rows(self, draft: Draft) -> list[list[Any]]:
        answer = answer_rows(self.databases, {"ask": draft.arguments()}, StatementLimits(), Cancellation())
        found: list[list[Any]] = answer.structured["rows"]
        return found

    def sql(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


def columns(rows: Any) -> list[list[str]]:
    return [sorted(map(str, column)) for column in zip(*rows, strict=True)]
