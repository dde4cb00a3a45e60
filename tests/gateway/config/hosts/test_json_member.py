"""A member put into a JSON text that people write, and taken out: every other character stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_gateway.config.hosts.json_member import parsed, with_member, without_member
from portico_gateway.errors import ConfigError

FILE = Path("mcp.json")
ENTRY = {"command": "/bin/portico", "args": ["stdio"]}


def added(text: str) -> str:
    return with_member(text, "mcpServers", "portico", ENTRY, FILE)


def removed(text: str) -> str:
    return without_member(text, "mcpServers", "portico", FILE)


COMMENTED = """// my servers
{
    "mcpServers": {
        // the one for tickets
        "tickets": {"url": "http://x"}, /* keep */
        "old": {"command": "y"} // its last line
    },
    "theme": "dark", // a trailing comma follows
}
"""


def test_comments_and_trailing_commas_stay_where_they_are() -> None:
    after = added(COMMENTED)
    assert after == COMMENTED.replace(
        '"old": {"command": "y"} // its last line\n',
        '"old": {"command": "y"}, // its last line\n        "portico": {\n            "command": "/bin/portico",\n            '
        '"args": [\n                "stdio"\n            ]\n        }\n',
    )
    assert removed(after) == COMMENTED


def test_the_same_again_changes_nothing() -> None:
    after = added(COMMENTED)
    assert added(after) == after
    assert removed(COMMENTED) == COMMENTED


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{\n}\n",
        '{"mcpServers": {}}',
        '{"mcpServers": {"a": {}}}',
        '{\n  "mcpServers": {\n    "a": {},\n  },\n}\n',
        '{\r\n\t"mcpServers": {\r\n\t\t"a": {}\r\n\t}\r\n}\r\n',
        '{"a": 1} // at the end',
        '{ // at the beginning\n  "a": [1, {"mcpServers": {}}]\n}',
        '{"mcpServers": {"portico": {"command": "old"}, "b": {}}}',
        '{"mcpServers": {"b": {} , "portico": {"command": "old"}}}',
        '{"a": "}", "mcpServers": { /* none */ }, "b": "{//"}',
        '{"mcpServers": {"a": {}}, "mcpServers": {"b": {}}}',
    ],
)
def test_whatever_the_layout_the_document_differs_in_the_member_alone(text: str) -> None:
    before = parsed(text, FILE)
    after = added(text)
    assert parsed(after, FILE) == {**before, "mcpServers": {**before.get("mcpServers", {}), "portico": ENTRY}}
    assert added(after) == after
    gone = parsed(removed(after), FILE)
    assert gone["mcpServers"] == {name: each for name, each in before.get("mcpServers", {}).items() if name != "portico"}
    if "\r\n" in text:
        assert "\n" not in after.replace("\r\n", "")
        assert '\r\n\t\t"portico": {\r\n\t\t\t"command"' in after


def test_an_empty_file_becomes_a_whole_one_and_its_comments_stay() -> None:
    assert json.loads(added("")) == {"mcpServers": {"portico": ENTRY}}
    assert added("// mine\n").startswith("// mine\n{")


@pytest.mark.parametrize(
    ("text", "line"), [('{\n"a": 1,,\n"b": 2}', 2), ("[]", 1), ('{\n\n"mcpServers": []}', 3), ('{"a": tru}', 1), ('{"a": 1', 1)]
)
def test_what_cannot_be_edited_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=rf"^mcp.json:{line}: .*nothing was changed"):
        added(text)


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(names, values, max_size=4),
    st.dictionaries(names, values, max_size=3),
    st.sampled_from([None, 2, 4, "\t"]),
    st.booleans(),
)
def test_any_document_gets_the_member_and_loses_it_again(
    document: dict[str, object], servers: dict[str, object], indent: int | str | None, has_servers: bool
) -> None:
    whole = {**document, **({"mcpServers": servers} if has_servers else {})}
    if not isinstance(whole.get("mcpServers", {}), dict):
        return
    text = json.dumps(whole, indent=indent, ensure_ascii=False)
    after = added(text)
    assert parsed(after, FILE)["mcpServers"]["portico"] == ENTRY
    before = whole.get("mcpServers", {})
    left = {name: each for name, each in before.items() if name != "portico"}  # type: ignore[attr-defined]
    assert parsed(removed(after), FILE) == {**whole, "mcpServers": left}
