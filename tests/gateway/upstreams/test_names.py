from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portico_gateway.upstreams.names import MAX_NAME, inward_uri, namespaced, outward_uri

NAME = st.text(st.sampled_from("ab_-0/.é"), min_size=1, max_size=8) | st.text(min_size=1, max_size=80)


def test_an_ordinary_pair_reads_as_server_and_tool() -> None:
    assert namespaced("code", "find_symbol") == "code__find_symbol"


@given(NAME, NAME)
def test_every_name_is_one_that_hosts_accept(server: str, tool: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", namespaced(server, tool))
    assert len(namespaced(server, tool)) <= MAX_NAME


@given(NAME, NAME, NAME, NAME)
@example("a", "b__c", "a__b", "c")
@example("a_", "b", "a", "_b")
@example("s", "x" * 80, "s", "x" * 81)
@example("s", "x", "s", "x_0123456789")
@example("a.b", "c", "a_b", "c")
def test_different_pairs_never_share_a_name(server: str, tool: str, other_server: str, other_tool: str) -> None:
    if (server, tool) != (other_server, other_tool):
        assert namespaced(server, tool) != namespaced(other_server, other_tool)


def test_a_readable_name_cannot_imitate_a_shortened_one() -> None:
    shortened = namespaced("s", "x" * 80)
    server, _, tool = shortened.partition("__")
    assert namespaced(server, tool) != shortened


@given(NAME, st.text(min_size=1))
def test_a_resource_keeps_its_own_uri_behind_the_gateways(server: str, uri: str) -> None:
    assert inward_uri(outward_uri(server, uri)) == (server, uri)


def test_a_template_stays_a_template() -> None:
    assert outward_uri("code", "code://{root}/{+path}") == "portico://code/code://{root}/{+path}"


@pytest.mark.parametrize("uri", ["code://main/x", "portico://", "portico://code", "portico://code/", "portico:///x"])
def test_a_foreign_uri_has_no_owner(uri: str) -> None:
    assert inward_uri(uri) is None
