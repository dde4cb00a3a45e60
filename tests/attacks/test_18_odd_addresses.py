"""Links, redirects and character sets of a page that are none cost themselves, in time that grows with the page."""

from __future__ import annotations

import time

import pytest

from portico_servers.docs.errors import SourceError
from portico_servers.docs.index import web_refresh
from portico_servers.docs.index.web_refresh import RefreshOutcome, page_addresses
from portico_servers.docs.ingest.sources import source_of
from portico_servers.docs.ingest.web import Fetched, joined

pytestmark = pytest.mark.attack("18 SSRF")
SITE = "https://docs.example.org"


class OneList:
    """A fetcher that has one page."""

    def __init__(self, body: str) -> None:
        self._body = body

    def get(self, url: str, *, etag: str = "", modified: str = "") -> Fetched:
        return Fetched(url, 200, "text/plain", self._body.encode(), "", "")


def test_a_link_that_is_no_address_costs_itself() -> None:
    links = f'[a](/a.md) [bad](http://[x) [b]({SITE}/b.md "title") [c](<{SITE}/c.md>) [bad]({SITE}:99999/x)'
    found = page_addresses(f"{SITE}/llms.txt", OneList(links), RefreshOutcome())  # type: ignore[arg-type]
    assert found == [f"{SITE}/llms.txt", f"{SITE}/a.md", f"{SITE}/b.md", f"{SITE}/c.md"]
    sitemap = f"<urlset><loc>http://[x</loc><loc> {SITE}/a?x=1&amp;y=2 </loc></urlset>"
    assert page_addresses(f"{SITE}/s.xml", OneList(sitemap), RefreshOutcome()) == [f"{SITE}/a?x=1&y=2"]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["llms.txt", "sitemap.xml"])
@pytest.mark.parametrize("piece", ["[", "[a](", "<loc>", "[](<", '](x "'])
def test_beginnings_without_ends_are_read_once(name: str, piece: str) -> None:
    began = time.thread_time()
    page_addresses(f"{SITE}/{name}", OneList(piece * (400_000 // len(piece))), RefreshOutcome())  # type: ignore[arg-type]
    assert time.thread_time() - began < 20  # to the end from each of them: minutes


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", "hex", "no-such", "utf-7", "utf-16"])
def test_a_character_set_is_one_that_pages_have(charset: str) -> None:
    body = b"a-" * 50_000
    began = time.thread_time()
    read = web_refresh._as_utf8(Fetched(SITE, 200, f"text/plain; charset={charset}", body, "", ""))
    assert read.decode()
    assert time.thread_time() - began < 20


def test_where_a_redirect_leads_is_an_address_or_nothing() -> None:
    assert joined(f"{SITE}/a/b", "../c") == f"{SITE}/c"
    assert joined(f"{SITE}/a/b", "http://[x") is None


def test_a_source_that_is_no_address_is_named() -> None:
    with pytest.raises(SourceError, match="not an address"):
        source_of("http://[x")
