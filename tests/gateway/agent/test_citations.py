from __future__ import annotations

import anyio

from portico_gateway.agent.citations import Citation, confirm, expand_template, holds_quote
from portico_gateway.errors import GatewayError

TEMPLATE = "code://{root}/{+path}"


def test_a_template_is_filled_by_the_fields_of_a_citation() -> None:
    assert expand_template(TEMPLATE, {"root": "my app", "path": "a/b c.py", "other": 1}) == "code://my%20app/a/b%20c.py"
    assert expand_template(TEMPLATE, {"path": "a.py"}) is None


def test_a_quote_must_be_near_its_line() -> None:
    text = "\n".join(f"line {i}" for i in range(1, 200))
    assert holds_quote(text, Citation({}, "x:50", 50, "line 52"))
    assert not holds_quote(text, Citation({}, "x:50", 50, "line 150"))
    assert not holds_quote("", Citation({}, "x", None, ""))


def test_rendered_prose_is_found_in_its_markup() -> None:
    text = "# Install\n\nRun `pip install x`\nand **then** start."
    assert holds_quote(text, Citation({}, "g#install", 1, "Run pip install x and then start."))


def test_only_what_opens_again_is_confirmed() -> None:
    async def read(uri: str) -> str:
        if uri.endswith("gone.py"):
            raise GatewayError("not found")
        return "def free(self):"

    citations = [
        Citation({"root": "r", "path": path}, f"{path}:1", 1, "def free(self):") for path in ("gone.py", "here.py", "here.py")
    ]
    citations.append(Citation({"root": "r", "path": "here.py"}, "here.py:9", 1, "def moved(self):"))
    found = anyio.run(confirm, "code", citations, [TEMPLATE], read)
    assert [(s.label, s.uri) for s in found] == [("here.py:1", "code://r/here.py")]
