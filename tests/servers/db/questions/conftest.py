"""The clinic, its reader and its value index, once a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.db.questions.clinic import Clinic, write_clinic

from portico_servers.db.databases.databases import Databases
from portico_servers.db.questions.linking.value_index import build_value_index
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.sources import parse_sources


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    path = write_clinic(tmp_path_factory.mktemp("clinic"))
    databases = Databases(parse_sources([str(path)]))
    databases.snapshot()
    database = databases.all[0]
    yield Clinic(path, databases, QuestionReader(database.schema), build_value_index(database, database.schema))
    databases.close()
