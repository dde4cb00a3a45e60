"""A small documentation tree and services over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from portico_servers.common.embeddings import shared_embedder
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.service import Service

GUIDE = """# Packing guide

How to pack a parcel for shipping.

## Choose a box

Take a carton that leaves two fingers of room on every side.

## Fragile goods

Wrap glass in paper first. The `pad_thickness` option sets how much padding ThreadPoolPadder uses.

### Glass bottles

Bottles travel upright.

## Choose a box

The second section of that name: tubes for posters.
"""
REFERENCE = """\
Reference
=========

.. module:: parcel

.. function:: seal(box, *, tape="brown")

   Close the box with tape.

.. class:: Label(text)

   .. method:: print_on(printer)

      Put the label on paper.
"""
PAGE = """<html><body><main><h1 id='faq'>Questions</h1><p>Customs forms are needed abroad.</p>
<h2 id='cost'>Cost</h2><p>Postage depends on weight.</p></main></body></html>"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    root = tmp_path / "parcels" / "docs"
    (root / "more").mkdir(parents=True)
    (root / "guide.md").write_text(GUIDE)
    (root / "reference.rst").write_text(REFERENCE)
    (root / "more" / "faq.html").write_text(PAGE)
    return root


@pytest.fixture
def service(docs: Path, tmp_path: Path) -> Iterator[Service]:
    """Indexed already."""
    shared_embedder().embed(["warm"])
    with closing(Service(DocsConfig((docs,), tmp_path / "cache", watch=False))) as made:
        made.indexer.update(made.library.library_versions())
        yield made
