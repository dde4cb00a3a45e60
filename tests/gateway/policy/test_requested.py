"""What counts as asked for: the tool's verb and every value, in the person's own words."""

from __future__ import annotations

from typing import Any

import pytest

from portico_gateway.policy.requested import is_requested

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "amount": {"type": "number"}, "monthly": {"type": "boolean", "default": False}},
}
SAID = "Please send $1,250.50 to ann@good.example (IBAN GB29NWBK), subject 'The rent', on 2024-05-19 at 10:00."


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("send_money", {"to": "ann@good.example", "amount": 1250.5}),
        ("send_money", {"to": "ANN@good.example", "amount": 1250.5, "monthly": False}),
        ("sendMoney", {"to": "GB29NWBK"}),
        ("pay-bill", {"to": "GB29NWBK", "subject": "the  rent"}),
        ("send_email", {"recipients": ["ann@good.example"], "cc": [], "bcc": None}),
        ("send_later", {"at": "2024-05-19 10:00"}),
        ("send_rent", {}),
    ],
)
def test_what_the_words_name_is_asked_for(tool: str, arguments: dict[str, Any]) -> None:
    assert is_requested(tool, SCHEMA, arguments, SAID)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("delete_file", {"to": "ann@good.example"}),  # another verb
        ("send_money", {"to": "eve@evil.example", "amount": 1250.5}),
        ("send_money", {"to": "ann@good.example", "amount": 1250}),
        ("send_money", {"to": "ann@good.example", "amount": 50}),  # a part of a number
        ("send_money", {"to": "ann@good"}),  # a part of an address
        ("send_money", {"to": "n@good.example"}),
        ("send_money", {"to": "GB29"}),
        ("send_money", {"to": "ann@good.example", "monthly": True}),  # a switch has no words
        ("send_email", {"to": "ann@good.example", "body": "Hello Ann"}),  # the model's own words
        ("send_email", {"to": ["ann@good.example", "eve@evil.example"]}),
        ("send_email", {"headers": {"bcc": "ann@good.example"}}),
        ("send_later", {"at": "2024-05-19 11:00"}),
        ("", {"to": "ann@good.example"}),
        ("send_everything", {}),  # no argument that was named, and not by the whole of its name
        ("send_everything", {"monthly": False}),
    ],
)
def test_what_is_not_in_the_words_is_not(tool: str, arguments: dict[str, Any]) -> None:
    assert not is_requested(tool, SCHEMA, arguments, SAID)


def test_nobody_who_said_nothing_has_asked() -> None:
    assert not is_requested("send_anything", SCHEMA, {}, "")


def test_true_is_no_one() -> None:
    assert not is_requested("send_money", {"properties": {"n": {"default": 1}}}, {"n": True}, "send it 1 time")
