"""What `portico doctor` says of the files that Portico keeps: whether each can be read and written, and is what it should be.

Programs that can't read one go on without what stands there, with a line in a log that few people read. Nothing is changed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from portico_gateway.cli.doctor_check import Check
from portico_gateway.config.config_file import is_there, read_bytes
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.trust import trust_file
from portico_gateway.errors import ConfigError
from portico_gateway.policy.audit import audit_file
from portico_gateway.policy.remembered import choices_file
from portico_gateway.upstreams.definition_pins import pins_file

_MAX_BYTES = 64 << 20
_SQLITE = b"SQLite format 3\0"


def kept_checks(config: PorticoConfig) -> Iterator[Check]:
    """One line for each that is not as it should be, or one for all."""
    problems = [
        ("trusted workspaces", trust_file(), _json_problem(trust_file())),
        ("remembered answers", choices_file(), _json_problem(choices_file())),
        ("tools' first definitions", pins_file(), _json_problem(pins_file())),
        ("log of calls", audit_file(config.audit), _database_problem(audit_file(config.audit))),
    ]
    wrong = [Check(what, "warn", f"{path} {problem}", _mend(path)) for what, path, problem in problems if problem]
    yield from wrong
    if not wrong:
        yield Check("kept files", "ok", "trusted workspaces, remembered answers, tools' first definitions and the log of calls")


def _mend(path: Path) -> str:
    return f"make it yours to read and write, or move it away: {path.name} is then made anew, empty"


def _json_problem(path: Path) -> str:
    """What is wrong with it; "" where it is good, or not there."""
    if problem := _file_problem(path):
        return problem
    try:
        if is_there(path):
            json.loads(read_bytes(path, most=_MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError):
        return "is no JSON, so nothing in it counts"
    except ConfigError:
        return f"can't be read, or has more than {_MAX_BYTES >> 20} MiB"
    return ""


def _database_problem(path: Path) -> str:
    """Likewise."""
    if problem := _file_problem(path):
        return problem
    if is_there(path):
        with path.open("rb") as file:
            begins = file.read(len(_SQLITE))
        if begins not in (b"", _SQLITE):
            return "is no SQLite database, so no call is logged"
    return ""


def _file_problem(path: Path) -> str:
    if not is_there(path):
        return ""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "is no file"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if os.access(path, os.R_OK | os.W_OK) else "can't be read and written by you"
