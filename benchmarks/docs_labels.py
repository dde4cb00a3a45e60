"""Labels for docs_search.py: the index terms of a real documentation and the anchors they lead to, as its authors wrote them.

A Sphinx documentation's `genindex` lists terms with links. The terms that stand for an object (a function, an option) are
told from those that an author wrote about a place in the text (`index-N` anchors): the second are what a person would ask.
Left out: numbers of PEPs and RFCs (a reference, not a term), and terms with more than three places.

Debian's documentation packages serve: they are fetched with `apt-get download` (nothing is installed), or any directory of
Sphinx HTML with its index is given by hand.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

PACKAGES = {"python": "python3.11-doc", "sqlalchemy": "python-sqlalchemy-doc", "django": "python-django-doc"}
TUNED_ON = ("python", 500)  # of this documentation, that many terms of each kind served to choose the ranking's constants
MAX_PLACES = 3
_REFERENCE = re.compile(r"\b(?:PEP|RFC) \d|Python Enhancement")
_WRITTEN = re.compile(r"#index-\d+$")
_MARK = re.compile(r",? ?\[\d+\]")


class Term(NamedTuple):
    text: str
    places: frozenset[str]  # page#anchor
    kind: str  # concept, object


def fetch(name: str, into: Path) -> Path:
    """The HTML of one of PACKAGES, fetched and unpacked below `into` unless it's there already."""
    target = into / name
    if not target.exists():
        into.mkdir(parents=True, exist_ok=True)
        # As root apt would hand the download to a user who may not write here.
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", PACKAGES[name]]
        try:
            subprocess.run(command, cwd=into, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            why = (getattr(error, "stderr", "") or str(error)).strip()
            raise SystemExit(
                f"{PACKAGES[name]} can't be fetched with apt-get ({why}); give a directory: --docs {name}=DIR"
            ) from None
        archive = next(into.glob(f"{PACKAGES[name]}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    # The package of this name may hold a link to another's directory; the index is in the real one.
    found = [p.parent for p in target.rglob("genindex.html") if not p.is_symlink()]
    if not found:
        raise SystemExit(f"no Sphinx HTML in {target}")
    return found[0]


def terms(html: Path) -> list[Term]:
    """The index terms of the documentation in `html`, shuffled in a fixed order."""
    places: dict[str, set[str]] = defaultdict(set)
    pages = [html / "genindex-all.html"] if (html / "genindex-all.html").exists() else [html / "genindex.html"]
    for page in pages:
        tree = LexborHTMLParser(page.read_text(encoding="utf-8"))
        for cell in tree.css("table.genindextable td"):
            for child in _children(cell, "ul"):
                _note(_entries(child, ""), places)
            for child in _children(cell, "dl"):  # as Sphinx wrote it before its version 1.8, and some themes still do
                _note(_pairs(child, ""), places)
    ordered = sorted(places)
    random.Random(7).shuffle(ordered)
    return [
        Term(text, frozenset(places[text]), "concept" if any(_WRITTEN.search(p) for p in places[text]) else "object")
        for text in ordered
        if len(places[text]) <= MAX_PLACES and not _REFERENCE.search(text)
    ]


def chosen(name: str, found: list[Term], kind: str, count: int) -> list[Term]:
    """The first `count` terms of that kind that had no part in choosing constants."""
    skip = TUNED_ON[1] if name == TUNED_ON[0] else 0
    return [term for term in found if term.kind == kind][skip : skip + count]


def digest(found: list[Term]) -> str:
    text = "\n".join(f"{t.kind}\t{t.text}\t{' '.join(sorted(t.places))}" for t in found)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _entries(items: LexborNode, above: str) -> Iterator[tuple[str, str]]:
    """(term with those above it, href) of a list and the lists in it."""
    for item in _children(items, "li"):
        text, links, inner = "", [], []
        child = item.child
        while child is not None:
            if child.tag == "ul":
                inner.append(child)
            elif child.tag == "-text":
                text += child.text(deep=True) or ""
            else:
                text += child.text() or ""
                links += [child, *child.css("a")] if child.tag == "a" else child.css("a")
            child = child.next
        term = " ".join(f"{above} {_MARK.sub('', text)}".split()).strip(" ,")
        for link in links:
            if href := link.attributes.get("href"):
                yield term, href
        for below in inner:
            yield from _entries(below, term)


def _pairs(items: LexborNode, above: str) -> Iterator[tuple[str, str]]:
    """The same of a definition list, where what stands below a term is in the `dd` after it."""
    term = above
    child = items.child
    while child is not None:
        if child.tag == "dt":
            term = " ".join(f"{above} {_MARK.sub('', child.text() or '')}".split()).strip(" ,")
            for link in child.css("a"):
                if href := link.attributes.get("href"):
                    yield term, href
        elif child.tag == "dd":
            for below in _children(child, "dl"):
                yield from _pairs(below, term)
        child = child.next


def _note(entries: Iterator[tuple[str, str]], places: dict[str, set[str]]) -> None:
    for text, href in entries:
        if "://" not in href and "#" in href:
            places[text].add(href)


def _children(node: LexborNode, tag: str) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        if child.tag == tag:
            yield child
        child = child.next
