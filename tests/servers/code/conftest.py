"""A small repository in several languages, and an index of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from portico_servers.code.tools.results import Hits
from portico_servers.code.workspace import Workspace
from portico_servers.common.embeddings import shared_embedder

PYTHON = '''"""Keeps the blocks of a cache."""

import collections
from pathlib import Path

MAX_BLOCKS = 64


class BlockPool:
    """A pool of blocks."""

    def __init__(self, size: int) -> None:
        self.free = collections.deque(range(size))

    def allocate(self) -> int:
        return self.free.popleft()

    def release_block(self, block: int) -> None:
        # give it back to the pool
        self.free.append(block)


def make_pool(path: Path) -> BlockPool:
    pool = BlockPool(MAX_BLOCKS)
    pool.release_block(pool.allocate())
    return pool
'''
GO = """package main

import "fmt"

type Server struct {
	port int
}

func (s *Server) Listen(address string) error {
	fmt.Println("listening on", address)
	return nil
}

func main() {
	server := &Server{port: 80}
	server.Listen("localhost")
}
"""
TYPESCRIPT = """import { readFile } from 'fs';

export interface Session { id: string; }

export class SessionStore {
  private sessions = new Map<string, Session>();

  expireSessions(now: number): void {
    this.sessions.clear();
  }
}

export const openStore = async (path: string) => {
  return new SessionStore();
};
"""
TEST = """from pool import make_pool


def test_release_block_gives_the_block_back():
    pool = make_pool(None)
    assert pool.free
"""


def write_repository(root: Path) -> Path:
    files = {
        "pool.py": PYTHON,
        "server/main.go": GO,
        "web/session.ts": TYPESCRIPT,
        "tests/test_pool.py": TEST,
        "README.md": "# A cache\n\nSee `BlockPool`.\n\n## Running\n\nRun it.\n",
        ".gitignore": "build/\n*.log\n!keep.log\n",
        "build/generated.py": "def generatedthing(): pass\n",
        "debug.log": "generatedthing\n",
        "keep.log": "keptthing\n",
        "web/.gitignore": "vendor.js\n",
        "web/vendor.js": "function vendoredthing() {}\n",
        ".env": "SECRET=hiddenthing\n",
        "image.bin": "binarything\0\0",
        "app.min.js": "var minifiedthing=1;" * 200,
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        os.utime(root / path, (1_700_000_000, 1_700_000_000))  # saved long ago: nobody wonders whether it's still being written
    return root


@pytest.fixture(scope="session", autouse=True)
def _embeddings() -> None:
    """Loaded here once. An index loads them in its thread, where a library's import meets the warnings filter of whatever test
    runs at the time."""
    shared_embedder().embed(["word"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "cache")


@pytest.fixture(scope="session")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("shared") / "cache")


@pytest.fixture(scope="session")
def workspace(shared_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Read-only tests share one index."""
    found = Workspace([shared_repository], tmp_path_factory.mktemp("index"))
    found.start()
    for index in found.indexes.values():
        assert index.ready.wait(30)
    yield found
    found.close()


@pytest.fixture
def git_repository(repository: Path) -> Path:
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "first")
    return repository


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def places(result: Hits) -> list[str]:
    return [f"{hit.path}:{hit.start_line} {hit.kind} {hit.symbol}" for hit in result.hits]
