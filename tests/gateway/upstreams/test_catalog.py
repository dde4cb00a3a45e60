from __future__ import annotations

import mcp_types
import pytest

from portico_gateway.errors import UnknownName
from portico_gateway.upstreams.catalog import Catalog, ServerListing


def tool(name: str, description: str = "") -> mcp_types.Tool:
    return mcp_types.Tool(name=name, description=description, input_schema={"type": "object"})


def listing(*names: str) -> ServerListing:
    return ServerListing(tools=tuple(tool(name) for name in names))


def names(catalog: Catalog) -> list[str]:
    return [entry.name for entry in catalog.tools]


def test_the_order_is_the_configured_one_whoever_comes_first() -> None:
    one, other = Catalog(["a", "b"]), Catalog(["a", "b"])
    one.put("a", listing("z", "y"))
    one.put("b", listing("x"))
    other.put("b", listing("x"))
    other.put("a", listing("z", "y"))
    assert names(one) == names(other) == ["a__z", "a__y", "b__x"]
    assert one.digest == other.digest


def test_a_server_out_of_the_configuration_is_appended() -> None:
    catalog = Catalog(["a"])
    catalog.put("new", listing("x"))
    catalog.put("a", listing("y"))
    assert names(catalog) == ["a__y", "new__x"]


def test_listeners_hear_which_kinds_changed_and_nothing_of_an_equal_listing() -> None:
    catalog = Catalog(["a"])
    heard: list[frozenset[str]] = []
    unsubscribe = catalog.subscribe(heard.append)
    catalog.put("a", listing("x"))
    catalog.put("a", listing("x"))
    template = mcp_types.ResourceTemplate(name="t", uri_template="x://{y}")
    catalog.put("a", ServerListing(tools=(tool("x"),), templates=(template,)))
    assert heard == [frozenset({"tools"}), frozenset({"resources"})]
    unsubscribe()
    catalog.put("a", listing())
    assert len(heard) == 2


def test_the_digest_follows_what_a_model_sees_of_the_tools() -> None:
    catalog = Catalog(["a"])
    catalog.put("a", ServerListing(tools=(tool("x", "one"),)))
    before = catalog.digest
    catalog.put("a", ServerListing(tools=(tool("x", "two"),)))
    assert catalog.digest != before


def test_names_and_uris_lead_back_to_their_servers() -> None:
    catalog = Catalog(["a"])
    resource = mcp_types.Resource(name="r", uri="note://x/y")
    prompt = mcp_types.Prompt(name="p")
    catalog.put("a", ServerListing(tools=(tool("x"),), prompts=(prompt,), resources=(resource,)))
    assert catalog.tool("a__x").tool.name == "x"
    assert catalog.prompt("a__p").prompt is prompt
    assert catalog.resources[0].uri == "portico://a/note://x/y"
    assert catalog.resource_owner("portico://a/note://x/y") == ("a", "note://x/y")


@pytest.mark.parametrize("uri", ["note://x", "portico://b/note://x"])
def test_unknown_names_are_typed_errors_that_say_the_name(uri: str) -> None:
    catalog = Catalog(["a"])
    catalog.put("a", listing("x"))
    with pytest.raises(UnknownName, match="no tool is named 'a__nope'"):
        catalog.tool("a__nope")
    with pytest.raises(UnknownName, match="no prompt is named"):
        catalog.prompt("a__x")
    with pytest.raises(UnknownName, match="no resource is named"):
        catalog.resource_owner(uri)


def test_a_tool_is_found_without_looking_at_the_others() -> None:
    """A call asks several times, and catalogs have hundreds."""
    catalog = Catalog(["a"])
    catalog.put("a", listing(*(f"t{number}" for number in range(500))))
    catalog.tools = ()
    assert catalog.tool("a__t499").tool.name == "t499"
    catalog.put("a", listing("t1"))
    with pytest.raises(UnknownName):
        catalog.tool("a__t499")
    catalog.arrange([])
    with pytest.raises(UnknownName):
        catalog.tool("a__t1")
