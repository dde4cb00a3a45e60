"""What `portico bench` found, kept in the user's state folder, and which executor that speaks for.

A record counts for the machine, the model's content and the versions that it was measured with, and for nothing else: any other
is as if it were not there. It measures nothing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.model.machine import describe_machine, library_versions
from portico_gateway.safe_output.private_files import private_opener

log = logging.getLogger(__name__)

_FILE_NAME = "bench.json"
_MAX_RECORDS = 20  # older ones go
_CLEARLY = 1.1  # times as fast as torch another executor has to be: runs differ by less
_LLAMA_CPP_ROWS = 64  # that it takes at most
CALLS_PER_SECOND = "calls_per_second_16"  # what is compared: constrained calls by 16 clients


@dataclass(frozen=True, slots=True)
class BenchRecord:
    """Figures by executor, and what they were measured on. `model` is a digest, `time` is UTC in ISO 8601."""

    machine: str
    model: str
    versions: Mapping[str, str]
    time: str
    quick: bool
    figures: Mapping[str, Mapping[str, float]]


def bench_file() -> Path:
    """Where the records are."""
    return platformdirs.user_state_path("portico", appauthor=False) / _FILE_NAME


def keep_record(record: BenchRecord) -> Path:
    """Add it; executors that were measured on the same before and not now keep their figures. Returns the file, its owner's
    alone. Raises OSError.
    """
    path = bench_file()
    known = _records()
    before = next((each.figures for each in known if _same(each, record)), {})
    record = replace(record, figures={**before, **record.figures})
    records = [each for each in known if not _same(each, record)] + [record]
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
            json.dump({"records": [asdict(each) for each in records[-_MAX_RECORDS:]]}, file, indent=1)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return path


def find_record(path: Path) -> BenchRecord | None:
    """What was measured with the model at `path`, this machine and these versions; None where nothing was. The model is read
    (once, see `model_digest`) only where there is a record of this machine.
    """
    from portico_engine import EngineError, model_digest

    machine, versions = describe_machine(), library_versions()
    here = [each for each in _records() if each.machine == machine and each.versions == versions]
    if not here:
        return None
    try:
        digest = model_digest(path)
    except EngineError:
        return None  # whoever loads it says what is wrong with it
    return next((each for each in reversed(here) if each.model == digest), None)


def follow_bench(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """`load_engine`'s options for the model at `path`, in which executor "auto" became what was found to be the fastest here.

    Where a GPU was measured, torch has it, as "auto" says; on a CPU torch goes unless another one was clearly faster. One line
    in the log says what was found.
    """
    followed = dict(options)
    if options.get("executor", "auto") != "auto" or options.get("adapters"):  # which torch alone can mix
        return followed
    record = find_record(path)
    if record is None or "torch-cuda" in record.figures:
        return followed
    torch, llama = (record.figures.get(name, {}).get(CALLS_PER_SECOND, 0.0) for name in ("torch-cpu", "llama_cpp"))
    faster = 0 < _CLEARLY * torch < llama and (options.get("max_rows") or 0) <= _LLAMA_CPP_ROWS
    if faster:
        followed["executor"] = "llama_cpp"
    if torch and llama:
        log.info(
            "executor auto is %s: portico bench found %.1f calls/s by torch-cpu and %.1f by llama_cpp on %s",
            "llama_cpp" if faster else "torch",
            torch,
            llama,
            record.time,
        )
    return followed


def _same(one: BenchRecord, other: BenchRecord) -> bool:
    return (one.machine, one.model, one.versions) == (other.machine, other.model, other.versions)


def _records() -> list[BenchRecord]:
    """Oldest first; none where the file can't be read."""
    try:
        found = json.loads(bench_file().read_text(encoding="utf-8"))["records"]
        return [_record(each) for each in found]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s can't be read, so that nothing measured counts: %s", bench_file(), error)
        return []


def _record(entry: Mapping[str, Any]) -> BenchRecord:
    figures = {
        str(executor): {str(name): float(value) for name, value in found.items()}
        for executor, found in entry["figures"].items()
    }
    versions = {str(name): str(value) for name, value in entry["versions"].items()}
    return BenchRecord(str(entry["machine"]), str(entry["model"]), versions, str(entry["time"]), bool(entry["quick"]), figures)
