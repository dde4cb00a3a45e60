"""Anchors as GitHub and Sphinx write them."""

from __future__ import annotations

import pytest

from portico_servers.docs.ingest.anchors import GithubSlugs, github_slug, sphinx_id


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Getting started", "getting-started"),
        ("What's new in 2.0?", "whats-new-in-20"),
        ("C++ & Rust", "c--rust"),
        ("`snake_case` names", "snake_case-names"),
        ("Größe und Straße", "größe-und-straße"),
        ("日本語 の 見出し", "日本語-の-見出し"),
        ("  padded  ", "padded"),
        ("a - b", "a---b"),
        ("🚀 Launch", "-launch"),
    ],
)
def test_a_heading_gets_githubs_slug(title: str, slug: str) -> None:
    assert github_slug(title.replace("`", "")) == slug


def test_repeated_headings_are_numbered_and_never_collide_with_a_heading_that_ends_in_a_number() -> None:
    slugs = GithubSlugs()
    assert [slugs.make(t) for t in ("Setup", "Setup", "Setup 1", "Setup")] == ["setup", "setup-1", "setup-1-1", "setup-2"]


@pytest.mark.parametrize(
    ("prefix", "term", "expected"),
    [
        ("term", "CPU bound", "term-CPU-bound"),
        ("term", "__slots__", "term-__slots__"),
        ("cmdoption-python", "--no-user-cfg", "cmdoption-python-no-user-cfg"),
        ("cmdoption-json.tool-arg", "infile", "cmdoption-json.tool-arg-infile"),
        ("", "naïve idea", "naive-idea"),
    ],
)
def test_a_domain_object_gets_sphinxs_id(prefix: str, term: str, expected: str) -> None:
    assert sphinx_id(prefix, term) == expected
