"""portico-docs takes the addresses that it prints, and its text says how to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import TextContent

from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.errors import PageNotFound
from portico_servers.docs.search.library import citation
from portico_servers.docs.server import build_server
from portico_servers.docs.service import Service

pytestmark = pytest.mark.attack("15 values as they are")

PAGES = {
    "ja.md": "# 手引き\n\nはじめに。\n\n## 認証\n\nトークンを使う。\n",
    "api.md": "# API\n\n## Größe & Maß\n\nUnits.\n\n## 100% sure\n\nYes.\n",
    "a page%20.md": "# Odd name\n\n## Part\n\nText.\n",
    "über.md": "# Über\n\n## Teil\n\nText.\n",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "manual"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def service(root: Path, tmp_path: Path) -> Iterator[Service]:
    shared_embedder().embed(["warm"])
    with closing(Service(DocsConfig((root,), tmp_path / "cache", watch=False))) as made:
        made.indexer.update(made.library.library_versions())
        yield made


@pytest.mark.parametrize(
    ("path", "anchor"),
    [("ja.md", "認証"), ("api.md", "größe--maß"), ("api.md", "100-sure"), ("a page%20.md", "part"), ("über.md", "teil")],
)
def test_an_address_is_taken_in_every_form_that_was_printed(service: Service, path: str, anchor: str) -> None:
    got = service.library.read(f"{path}#{anchor}")
    printed = citation(got.library, got.version, got.path, got.anchor)
    _, _, tail = printed.partition(f"{got.library}/{got.version}/")
    for form in (printed, tail, f"{path}#{tail.partition('#')[2]}", f"{got.library}/{got.version}/{tail}"):
        again = service.library.read(form)
        assert (again.path, again.anchor, again.text) == (path, anchor, got.text), form


def test_the_report_of_a_japanese_section(service: Service) -> None:
    assert service.library.read("ja.md#%E8%AA%8D%E8%A8%BC").text.strip() == "## 認証\n\nトークンを使う。"


@pytest.mark.parametrize(("wanted", "near"), [("API.md", "api.md"), ("JA.MD", "ja.md"), ("ÜBER.md", "über.md")])
def test_a_page_in_another_case_is_offered(service: Service, wanted: str, near: str) -> None:
    with pytest.raises(PageNotFound, match=f"nearest: {re.escape(near)}"):
        service.library.read(wanted)


@asynccontextmanager
async def connected(folder: Path, cache: Path) -> Any:
    async with Client(build_server(DocsConfig((folder,), cache, watch=False))) as client:
        yield client


async def _settle(client: Client) -> None:
    """Until words and meaning are both in the ranking: it stays as it was for a second."""
    before: object = None
    while True:
        result = await client.call_tool("search", {"query": "parcels travel"})
        hits = (result.structured_content or {})["hits"]
        if hits and hits == before:
            return
        before = hits
        await anyio.sleep(1)


@pytest.mark.anyio
@pytest.mark.parametrize("tool", ["search", "list"])
async def test_who_reads_the_text_alone_sees_everything_by_its_cursors(tmp_path: Path, tool: str) -> None:
    folder = tmp_path / "manual"
    folder.mkdir()
    for number in range(150):
        body = f"Parcels of kind {number} travel by road, and their papers with them. " * 3
        (folder / f"page{number}.md").write_text(f"# Parcel kind {number} with a title of its own\n\n{body}\n")
    shared_embedder().embed(["warm"])
    arguments: dict[str, Any] = {"query": "parcels travel", "max_tokens": 8_000} if tool == "search" else {}
    seen: list[str] = []
    async with connected(folder, tmp_path / "cache") as client:
        await _settle(client)
        for _ in range(80):
            result = await client.call_tool(tool, arguments)
            content = result.content[0]
            assert isinstance(content, TextContent)
            if not (result.structured_content or {})["complete"]:
                await anyio.sleep(0.1)
                continue
            assert len(content.text) <= 1_200
            seen += re.findall(r"^(page\d+\.md)", content.text, re.MULTILINE)
            cursor = next(iter(re.findall(r"with cursor (\S+)\)", content.text)), None)
            if cursor is None:
                break
            arguments["cursor"] = cursor
    if tool == "list":
        assert sorted(seen) == sorted(f"page{n}.md" for n in range(150))
    else:
        assert len(set(seen)) > 140  # meaning joins the ranking while this runs: the order may change in between
