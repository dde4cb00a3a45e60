"""Jupyter notebooks: prose as it stands, code fenced, text output kept, under Jupyter's own anchors."""

from __future__ import annotations

import json

import pytest

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers import read_page


def _notebook(cells: list[object]) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": cells}).encode()


def test_cells_become_prose_and_fenced_code_with_its_output() -> None:
    page = read_page(
        "n.ipynb",
        _notebook(
            [
                {"cell_type": "markdown", "source": ["# Load Data\n", "Some prose."]},
                {
                    "cell_type": "code",
                    "source": "# no heading\nprint(1)",
                    "outputs": [
                        {"output_type": "stream", "text": ["one\n"]},
                        {"output_type": "execute_result", "data": {"text/plain": "42", "image/png": "AAAA"}},
                    ],
                },
                {"cell_type": "markdown", "source": "## Load Data"},
            ]
        ),
    )
    assert "```python\n# no heading\nprint(1)\n```\n```\none\n42\n```" in page.text
    assert "AAAA" not in page.text
    assert [(s.title, s.anchor) for s in page.sections] == [("Load Data", "Load-Data"), ("Load Data", "Load-Data-2")]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"cells": 3}', b'"x"'])
def test_what_is_no_notebook_is_refused(data: bytes) -> None:
    with pytest.raises(ReadError, match="not a notebook"):
        read_page("n.ipynb", data)


def test_odd_cells_are_passed_over() -> None:
    page = read_page(
        "n.ipynb", _notebook([None, 3, {"cell_type": "code"}, {"cell_type": "markdown", "source": 5}, {"source": "# Left"}])
    )
    assert [s.title for s in page.sections if s.anchor] == ["Left"]
