"""A library that lives on the web: which pages it has (llms.txt, a sitemap, one page), and bringing the index up to date.

Only `portico-docs add` and `refresh` come here; a running server never fetches. Knows addresses and the store.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urldefrag, urlsplit

from portico_servers.docs.errors import FetchRefused, ReadError, SourceError
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.index.store import DocsIndex
from portico_servers.docs.ingest.chunks import cut
from portico_servers.docs.ingest.readers import KINDS, read_page
from portico_servers.docs.ingest.readers.man import unpack
from portico_servers.docs.ingest.web import Fetched, Fetcher, checked_url, joined
from portico_servers.docs.ingest.web_paths import page_path

MAX_PAGES = 5_000
_MAX_SITEMAPS = 50
# Bounded inside, so that a list of beginnings without ends is not read to its end from each of them.
_LOCATION = re.compile(rb"<loc>([^<]{1,4000})</loc>", re.I)
_LINK = re.compile(r"\]\(\s{0,100}<?([^()\s<>]{1,4000})>?(?:\s{1,100}\"[^\"]{0,1000}\")?\s{0,100}\)")
_NO_CHARSETS = {"idna", "punycode", "undefined"}  # Python's own codecs that no page has, and that fail or take ages on one
_TYPES = {"text/html": "html", "application/xhtml+xml": "html", "text/markdown": "markdown", "application/pdf": "pdf"}
_TYPES |= {"text/x-rst": "rst", "text/prs.fallenstein.rst": "rst", "application/x-ipynb+json": "notebook"}


@dataclass(slots=True)
class RefreshOutcome:
    """What a crawl came to. `skipped` holds addresses with the reason why they weren't read."""

    read: int = 0
    unchanged: int = 0
    gone: int = 0
    elsewhere: int = 0  # links to other hosts, which are not followed
    skipped: dict[str, str] = field(default_factory=dict)


def refresh(
    store: DocsIndex,
    library_version: LibraryVersion,
    fetcher: Fetcher,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RefreshOutcome:
    """Bring a library of kind `url` up to date.

    Raises SourceError if its source can't be had at all: nothing is changed then.
    """
    outcome = RefreshOutcome()
    try:
        addresses = page_addresses(library_version.source, fetcher, outcome)
    except (FetchRefused, ReadError) as error:
        raise SourceError(str(error)) from None
    known = store.stamps(library_version.id)
    kept: set[str] = set()
    for number, address in enumerate(addresses):
        progress(number, len(addresses))
        path = page_path(address)
        if path in kept:
            continue
        kept.add(path)
        page_id, stamp = known.get(path, (0, ""))
        try:
            _refresh_page(store, library_version, fetcher, address, path, page_id, stamp, outcome)
        except (FetchRefused, ReadError) as error:
            outcome.skipped[address] = str(error)
    progress(len(addresses), len(addresses))
    if not known and len(outcome.skipped) == len(kept):
        raise SourceError(next(iter(outcome.skipped.values()), f"{library_version.source}: it names no pages of its own host"))
    gone = [page_id for path, (page_id, _) in known.items() if path not in kept]
    store.drop_pages(gone)
    outcome.gone += len(gone)
    store.mark_library_version(library_version.id, complete=not outcome.skipped, note=_note(outcome))
    return outcome


def page_addresses(source: str, fetcher: Fetcher, outcome: RefreshOutcome) -> list[str]:
    """The pages that `source` stands for: those an llms.txt links to, those of a sitemap, or the page itself."""
    name = urlsplit(source).path.rpartition("/")[2].lower()
    if name == "llms.txt":
        text = _needed(fetcher, source).body.decode("utf-8", errors="replace")
        found = [address for link in _LINK.findall(text) if (address := joined(source, link)) is not None]
        # The list is itself a page: its one-line descriptions are worth searching.
        return _own(source, [source, *found], outcome)
    if name.endswith((".xml", ".xml.gz")):
        return _own(source, _sitemap(source, fetcher), outcome)
    return [source]


def _refresh_page(
    store: DocsIndex,
    library_version: LibraryVersion,
    fetcher: Fetcher,
    address: str,
    path: str,
    page_id: int,
    stamp: str,
    outcome: RefreshOutcome,
) -> None:
    before = json.loads(stamp) if stamp.startswith("{") else {}
    fetched = fetcher.get(address, etag=before.get("etag", ""), modified=before.get("modified", ""))
    if fetched.status == 304:
        outcome.unchanged += 1
        return
    if fetched.status in (404, 410):
        if page_id:
            store.drop_pages([page_id])
            outcome.gone += 1
        raise ReadError(f"{address}: {fetched.status}, there is no such page")
    if fetched.status != 200:
        raise ReadError(f"{address}: answered with status {fetched.status}")
    digest = hashlib.blake2b(fetched.body, digest_size=12).hexdigest()
    after = json.dumps({"etag": fetched.etag, "modified": fetched.modified, "digest": digest})
    if page_id and before.get("digest") == digest:
        store.restamp(page_id, after)
        outcome.unchanged += 1
        return
    page = read_page(address, _as_utf8(fetched), _kind(fetched, path))
    store.put_pages(library_version.id, [(path, after, page, cut(page))])
    outcome.read += 1


def _needed(fetcher: Fetcher, address: str) -> Fetched:
    """A list of pages. One that has moved to another host names that host's pages, whose addresses would not be ours."""
    fetched = fetcher.get(address)
    if urlsplit(fetched.url).netloc != urlsplit(address).netloc:
        raise ReadError(f"{address} has moved to {fetched.url}: add that address")
    if fetched.status != 200:
        raise ReadError(f"{address}: answered with status {fetched.status}")
    return fetched


def _sitemap(source: str, fetcher: Fetcher) -> list[str]:
    pages: list[str] = []
    pending, seen = [source], set[str]()
    while pending and len(seen) < _MAX_SITEMAPS and len(pages) < MAX_PAGES:
        address = pending.pop(0)
        if address in seen:
            continue
        seen.add(address)
        body = unpack(address, _needed(fetcher, address).body)
        found = [html.unescape(raw.decode("utf-8", errors="replace")).strip() for raw in _LOCATION.findall(body)]
        (pending if b"<sitemapindex" in body[:2_000].lower() else pages).extend(found)
    return pages


def _own(source: str, addresses: list[str], outcome: RefreshOutcome) -> list[str]:
    """Those on the source's own host, each once, without fragments."""
    host = urlsplit(source).netloc
    kept: dict[str, None] = {}
    for address in addresses:
        try:
            bare = urldefrag(address).url
            parts = checked_url(bare)
        except (FetchRefused, ValueError):  # one that is no address costs itself
            continue
        if parts.netloc != host:
            outcome.elsewhere += 1
        elif len(kept) < MAX_PAGES:
            kept[bare] = None
    return list(kept)


def _kind(fetched: Fetched, path: str) -> str:
    """What the server says it is; where it says only that it's text, what the name says."""
    declared = fetched.content_type.partition(";")[0].strip().lower()
    by_name = next((kind for suffix, kind in KINDS.items() if path.lower().endswith(suffix)), None)
    if declared in _TYPES:
        return _TYPES[declared]
    if declared in ("text/plain", "application/octet-stream", "", "text/x-markdown"):
        return "markdown" if path.rpartition("/")[2].lower() in ("llms.txt", "llms-full.txt") else by_name or "text"
    if declared == "application/json" and path.endswith(".ipynb"):
        return "notebook"
    raise ReadError(f"{fetched.url}: {declared or 'unknown'} is no kind of documentation that can be read")


def _as_utf8(fetched: Fetched) -> bytes:
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", fetched.content_type, re.I)
    if not found or found[1].lower() in ("utf-8", "utf8") or found[1].lower() in _NO_CHARSETS:
        return fetched.body
    try:
        return fetched.body.decode(found[1], errors="replace").encode("utf-8", errors="replace")
    except (LookupError, UnicodeError):
        return fetched.body


def _note(outcome: RefreshOutcome) -> str:
    parts = []
    if outcome.skipped:
        parts.append(f"{len(outcome.skipped)} pages could not be read")
    if outcome.elsewhere:
        parts.append(f"{outcome.elsewhere} links to other hosts were left out")
    return "; ".join(parts)
