"""Jupyter notebooks -> Page: Markdown cells as they stand, code cells fenced with their text output; nothing is executed.

Anchors are those of Jupyter's own pages: the heading's text with hyphens for spaces, case kept.
"""

from __future__ import annotations

import json
from typing import Any

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page
from portico_servers.docs.ingest.readers.markdown import read_markdown

_MAX_OUTPUT = 2_000


def read_notebook(path: str, text: str) -> Page:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadError(f"{path}: not a notebook: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(cells := _cells(notebook), list):
        raise ReadError(f"{path}: not a notebook: it has no list of cells")
    language = _language(notebook)
    lines: list[str] = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source = _joined(cell.get("source", cell.get("input", "")))
        kind = cell.get("cell_type")
        if kind == "code":
            if source.strip():
                lines += [f"```{language}", *source.split("\n"), "```"]
            if output := _output(cell):
                lines += ["```", *output.split("\n"), "```"]
        elif kind == "heading":  # nbformat 3
            lines.append(f"{'#' * min(max(int(cell.get('level') or 1), 1), 6)} {source}")
        else:
            lines += source.split("\n")
        lines.append("")
    body = "\n".join(lines).rstrip("\n") + "\n"
    read = read_markdown(body)
    seen: dict[str, int] = {}
    headings = [
        Heading(s.level, s.title, _anchor(s.title, seen), s.line, aliases=(s.anchor, *s.aliases))
        for s in read.sections
        if s.anchor
    ]
    return make_page(read.title, body, "notebook", headings)


def _cells(notebook: dict[str, Any]) -> Any:
    if "cells" in notebook:
        return notebook["cells"]
    sheets = notebook.get("worksheets")
    return [c for s in sheets if isinstance(s, dict) for c in s.get("cells", ())] if isinstance(sheets, list) else None


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name if isinstance(name, str) and name.isalnum() else "python"


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _output(cell: dict[str, Any]) -> str:
    """What the code printed, as text; pictures and HTML are left out."""
    parts = []
    for output in cell.get("outputs") or ():
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        plain = data.get("text/plain") if isinstance(data, dict) else None
        parts.append(_joined(output.get("text") if output.get("output_type") == "stream" else plain))
    text = "".join(part if part.endswith("\n") or not part else part + "\n" for part in parts).rstrip("\n")
    return text if len(text) <= _MAX_OUTPUT else text[:_MAX_OUTPUT] + "…"


def _anchor(title: str, seen: dict[str, int]) -> str:
    anchor = title.replace(" ", "-")
    seen[anchor] = seen.get(anchor, 0) + 1
    return anchor if seen[anchor] == 1 else f"{anchor}-{seen[anchor]}"
