"""Libraries on the web: found through llms.txt and sitemaps, refreshed only where they changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.servers.docs.loopback import Site

from portico_servers.docs.config import DocsConfig
from portico_servers.docs.errors import SourceError
from portico_servers.docs.index.web_refresh import RefreshOutcome, refresh
from portico_servers.docs.ingest.web import Fetcher
from portico_servers.docs.ingest.web_paths import page_path, page_url
from portico_servers.docs.service import Service


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.pages["/llms.txt"] = (
            200,
            "text/plain",
            "# Parcels\n\n> Sending things.\n\n- [Guide](/guide.md): how\n- [FAQ](faq/)\n- [Gone](/gone.md)\n- [Else](https://elsewhere.example/x)\n",
        )
        site.pages["/guide.md"] = (200, "text/plain; charset=utf-8", "# Guide\n\n## Tape\n\nUse brown tape.\n")
        site.pages["/faq/"] = (200, "text/html; charset=iso-8859-1", "<main><h1 id=faq>FAQ</h1><p>Caf\u00e9 hours</main>")
        site.etags["/guide.md"] = '"v1"'
        yield site


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with closing(Service(DocsConfig((), tmp_path / "cache", watch=False))) as service:
        yield service


def _refresh(service: Service, site: Site, source: str = "/llms.txt") -> RefreshOutcome:
    library_version = service.store.add_library_version("parcels", "latest", "url", f"{site.url}{source}")
    with Fetcher(trusted_for_tests=[site.host]) as fetcher:
        return refresh(service.store, library_version, fetcher)


def test_the_pages_of_an_llms_txt_become_a_library(service: Service, site: Site) -> None:
    outcome = _refresh(service, site)
    assert (outcome.read, outcome.elsewhere, list(outcome.skipped)) == (3, 1, [f"{site.url}/gone.md"])
    service.indexer.update(service.library.library_versions())
    hit = service.library.search("brown tape").hits[0]
    assert (hit.path, hit.anchor) == ("guide.md", "tape")
    assert service.library.read(hit.citation).source == f"{site.url}/guide.md#tape"
    assert "elsewhere" not in str([request for request, _ in site.requests])


def test_a_second_refresh_asks_with_what_it_has_and_reads_only_what_changed(service: Service, site: Site) -> None:
    _refresh(service, site)
    site.requests.clear()
    site.pages["/faq/"] = (200, "text/html", "<main><h1>FAQ</h1><p>New hours</main>")
    outcome = _refresh(service, site)
    asked = dict(site.requests)
    assert asked["/guide.md"]["If-None-Match"] == '"v1"'
    # The guide by its etag, the list by its content.
    assert (outcome.read, outcome.unchanged) == (1, 2)
    assert "New hours" in service.library.read("faq/index").text


def test_what_the_site_no_longer_has_is_dropped(service: Service, site: Site) -> None:
    _refresh(service, site)
    site.pages["/llms.txt"] = (200, "text/plain", "# Parcels\n\n- [FAQ](faq/)\n")
    del site.pages["/guide.md"]
    assert _refresh(service, site).gone == 1
    assert [row[0] for row in service.store.page_list(service.store.library_versions()[0].id)] == ["faq/index", "llms.txt"]


def test_a_sitemap_index_is_followed(service: Service, site: Site) -> None:
    site.pages["/sitemap.xml"] = (
        200,
        "text/xml",
        f"<sitemapindex><sitemap><loc>{site.url}/s1.xml</loc></sitemap></sitemapindex>",
    )
    site.pages["/s1.xml"] = (
        200,
        "text/xml",
        f"<urlset><url><loc>{site.url}/guide.md</loc></url><url><loc> {site.url}/faq/ </loc></url></urlset>",
    )
    assert _refresh(service, site, "/sitemap.xml").read == 2


def test_a_source_that_can_not_be_had_changes_nothing(service: Service, site: Site) -> None:
    _refresh(service, site)
    site.pages["/llms.txt"] = (500, "text/plain", "")
    with pytest.raises(SourceError, match="500"):
        _refresh(service, site)
    assert len(service.store.page_list(service.store.library_versions()[0].id)) == 3


def test_pages_that_may_not_be_had_are_left_out_with_the_reason_and_the_others_are_read(service: Service, site: Site) -> None:
    site.pages["/robots.txt"] = (200, "text/plain", "User-agent: *\nDisallow: /private/\n")
    site.pages["/llms.txt"] = (
        200,
        "text/plain",
        "- [G](/guide.md)\n- [P](/private/x.md)\n- [R](/inside)\n- [A](/app)\n",
    )
    site.pages["/private/x.md"] = (200, "text/plain", "# Private\n")
    site.pages["/app"] = (200, "text/html", "<body><div id=root></div><script>go()</script></body>")
    site.redirects["/inside"] = "http://10.1.2.3/secret"
    outcome = _refresh(service, site)
    assert outcome.read == 2
    reasons = {address.removeprefix(site.url): why for address, why in outcome.skipped.items()}
    assert "robots.txt does not allow it" in reasons["/private/x.md"]
    assert "10.1.2.3, which is not a public address" in reasons["/inside"]
    assert f"{site.url}/app: no text in it" in reasons["/app"]
    assert service.store.library_versions()[0].note == "3 pages could not be read"
    assert [row[0] for row in service.store.page_list(service.store.library_versions()[0].id)] == ["guide.md", "llms.txt"]


def test_a_list_that_has_moved_to_another_host_says_where_to(service: Service, site: Site) -> None:
    site.redirects["/llms.txt"] = f"http://localhost:{site.port}/moved/llms.txt"
    site.pages["/moved/llms.txt"] = (200, "text/plain", "# P\n\n- [G](/guide.md)\n")
    library_version = service.store.add_library_version("parcels", "latest", "url", f"{site.url}/llms.txt")
    trusted = [site.host, f"localhost:{site.port}"]
    with Fetcher(trusted_for_tests=trusted) as fetcher, pytest.raises(SourceError, match=r"has moved to http://localhost:"):
        refresh(service.store, library_version, fetcher)


def test_a_page_of_another_charset_is_read_and_an_image_is_not(service: Service, site: Site) -> None:
    assert _refresh(service, site, "/faq/").read == 1
    site.pages["/x.png"] = (200, "image/png", "x")
    service.store.remove_library_version(service.store.library_versions()[0].id)
    with pytest.raises(SourceError, match="image/png"):
        _refresh(service, site, "/x.png")


@pytest.mark.parametrize("path", ["/", "/guide/", "/guide/a.html", "/a?b=c"])
def test_a_pages_name_leads_back_to_its_address(path: str) -> None:
    address = f"https://docs.example{path}"
    assert page_url("https://docs.example/llms.txt", page_path(address)) == address
