"""Formats: the language, the check, and the official suite's cases agree."""

from __future__ import annotations

import json

import pytest
from tests.engine.grammar.schemas import DATA

from portico_engine.grammar.regular.automata import is_empty, matches
from portico_engine.grammar.schema.formats import PATTERNS, conforms, format_language

FORMATS = DATA / "json-schema-test-suite" / "tests" / "draft2020-12" / "optional" / "format"
TABLE = [
    ("date", ["2024-02-29", "2000-02-29", "1999-12-31"], ["2023-02-29", "1900-02-29", "2024-13-01", "2024-04-31", "24-01-01"]),
    ("time", ["23:59:59Z", "00:00:00.5+01:30", "23:59:60Z"], ["24:00:00Z", "12:00:00", "12:60:00Z"]),
    ("date-time", ["2024-01-01T00:00:00Z", "2024-01-01t00:00:00.123-08:00"], ["2024-01-01", "2024-01-01 00:00:00Z"]),
    ("duration", ["P1D", "PT36H", "P4W", "P1Y2M3DT4H5M6S"], ["P", "PT", "1D", "P1W1D", "P1H"]),
    ("email", ["a@b.example", "a.b+c@x-y.org", '"a b"@c.de', "a@[127.0.0.1]"], ["a", "@b", "a..b@c.de", "a@-b.de"]),
    ("hostname", ["localhost", "a-b.example"], ["-a", "a_b", "a..b", "x" * 64, ""]),
    ("ipv4", ["127.0.0.1", "255.255.255.255"], ["256.0.0.1", "1.2.3", "01.2.3.4"]),
    ("ipv6", ["::1", "2001:db8::8:800:200c:417a", "::ffff:1.2.3.4", "::"], [":::", "1::2::3", "12345::", "1:2:3:4:5:6:7"]),
    ("uri", ["https://a.b/c?d=e#f", "urn:x:y", "mailto:a@b.c"], ["/a", "a b:c", "http://a b"]),
    ("uri-reference", ["/a/b", "?q", "#f", "a/b:c", "//h/p"], ["\\\\x", "a b"]),
    (
        "uuid",
        ["2eb8aa08-aa98-11ea-b4aa-73b441d16380"],
        ["2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638"],
    ),
    ("json-pointer", ["", "/a~0b/~1", "/"], ["a", "/~2", "/a~"]),
]


@pytest.mark.parametrize(("name", "good", "bad"), TABLE)
def test_a_format_accepts_and_refuses(name: str, good: list[str], bad: list[str]) -> None:
    node = format_language(name)
    assert node is not None
    assert [text for text in good if not (matches(node, text) and conforms(name, text))] == []
    assert [text for text in bad if matches(node, text) or conforms(name, text)] == []


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_format_has_strings(name: str) -> None:
    node = format_language(name)
    assert node is not None
    assert not is_empty(node)


def test_an_unknown_format_asserts_nothing() -> None:
    assert format_language("colour") is None
    assert conforms("colour", "anything")


def test_a_regex_is_checked_afterwards_only() -> None:
    assert format_language("regex") is None
    assert conforms("regex", "^a+$")
    assert not conforms("regex", "(")


# Beyond a regular language that one would read: punycode's own rules, and leap seconds of other offsets than UTC's.
_KNOWN = {"hostname": "xn--", "time": ":60", "date-time": ":60", "regex": "\\a"}


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the official suite is not in ../shared/data")
def test_the_official_suite_s_format_cases_are_decided_as_it_says() -> None:
    wrong = []
    for name in (*PATTERNS, "regex"):
        for group in json.loads((FORMATS / f"{name}.json").read_text(encoding="utf-8")):
            for clause in group["tests"]:
                text = clause["data"]
                known = _KNOWN.get(name)
                if isinstance(text, str) and conforms(name, text) != clause["valid"] and not (known and known in text.lower()):
                    wrong.append((name, text, clause["valid"]))
    assert wrong == []
