"""The short text beside a structured result."""

from __future__ import annotations

import re

from portico_servers.code.tools.results import Hits, hits_text
from portico_servers.code.tools.search import search
from portico_servers.code.workspace import Workspace


def test_the_text_of_an_answer_keeps_to_its_budget(workspace: Workspace) -> None:
    result = search(workspace, "block pool session server listen")
    text = hits_text(result, nothing="not found")
    assert len(text) <= 1_200
    assert text.split("\n")[0] == "{0.path}:{0.start_line} {0.kind} {0.symbol}".format(result.hits[0])
    shown, cursor = re.findall(r"\(\+\d+ more, with cursor (\d+)(\.\w+)\)$", text)[0]
    following = search(workspace, "block pool session server listen", cursor=shown + cursor)
    assert (
        following.hits[0]
        == result.hits[text.count("\n  ") and sum(f"{hit.path}:{hit.start_line} " in text for hit in result.hits)]
    )
    assert hits_text(Hits(hits=[], note="no file matches"), nothing="not found: x") == "not found: x (no file matches)"
