"""Rules that are passed over where a text has no part of what they look for."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from portico_gateway.safe_output import redaction
from portico_gateway.safe_output.redaction import redacted

_PIECES = (
    *("https://user:pass@host/x", "postgres://u:p@db", "?api_key=abcdef", "&sig=1", "Bearer ab12cd34ef", "token 12345678"),
    *("PASSWORD: hunter2", "--client-secret s3cr3t", "--dsn=x", "connection string = abc", "my-key: 1234", "cookie=abc"),
    *("-----BEGIN RSA PRIVATE KEY----- MII", "sk-abcdefghijklmnop1234", "ghp_abcdefghijklmnopqrst", "AKIAABCDEFGHIJKLMNOP"),
    *("eyJhbGciOiJI.eyJzdWIiOi", "xoxb-1234567890abcdefgh", "portico-" + "a" * 43, "AIza" + "b" * 35, "pypi-" + "c" * 20),
    *("to\u212aen: abcdef", "pa\u017fsword=abcdef", " ", "\n", "a", ":", "=", "-", "é", "12:30:00,123 INFO portico.http: POST"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=6), st.sampled_from((str, str.upper, str.lower)))
def test_nothing_is_left_in_that_a_rule_would_take_out(pieces: list[str], spelled: type[str]) -> None:
    text = spelled("".join(pieces))
    expected = text
    for rule in redaction._RULES:
        expected = rule.pattern.sub(rule.replacement, expected)
    with patch.object(redaction, "_values", {}):  # what other tests have made known
        assert redacted(text) == expected
