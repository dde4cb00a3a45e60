"""Secrets and personal data in what people asked: personal values become others of their kind, secrets are told of.

It owns the rules. A value becomes the same stand-in wherever it stands, so that a call still says what its question says. A
rule can't know a name: whoever writes the rows is shown them first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from portico_gateway.safe_output.redaction import redacted


class _Rule(NamedTuple):
    """What is looked for, what a number makes of it, and whether a match is one."""

    kind: str
    pattern: re.Pattern[str]
    stand_in: str  # with the number of the value
    group: int = 0
    holds: Callable[[str], bool] = lambda text: True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_card(text: str) -> bool:
    """Luhn's sum, as ISO/IEC 7812 has it."""
    digits = [int(digit) for digit in _digits(text)][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: the remainder by 97 is 1."""
    flat = text.replace(" ", "").upper()
    moved = flat[4:] + flat[:4]
    return 15 <= len(flat) <= 34 and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _is_phone(text: str) -> bool:
    """By its length, unless it is a date."""
    return 8 <= len(_digits(text)) <= 15 and not re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{2}[-/]\d{2}[-/]\d{4}", text)


_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,4})?\b")
_PHONE = re.compile(
    r"(?<![\w.-])(?:\+\d{1,3}[ -]?)?(?:\(\d{1,5}\)[ -]?)?\d{2,7}(?:[ /-]\d{2,7}){1,4}(?![\w-])|(?<!\w)\+\d{8,15}\b"
)


_RULES = (
    _Rule("e-mail address", re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), "user{}@example.com"),
    _Rule("IBAN", _IBAN, "IBAN-{}", holds=_is_iban),
    _Rule("card number", re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), "card-{}", holds=_is_card),
    _Rule("social security number", re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), "000-00-{:04d}"),
    _Rule("IP address", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "192.0.2.{}"),
    _Rule("phone number", _PHONE, "+1 555 010 {:04d}", holds=_is_phone),
    _Rule("name of a home folder", re.compile(r"(?:/home/|/Users/|C:\\Users\\)([^/\\\s\"']{1,64})"), "user{}", group=1),
)  # fmt: skip


class Masking:
    """For one set of rows. `counts`: values found, by kind; `replaced`: each value's stand-in."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.replaced: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """The text with stand-ins."""
        for rule in _RULES:
            text = rule.pattern.sub(lambda match, rule=rule: self._masked(match, rule), text)  # type: ignore[misc]
        return text

    def value(self, value: Any) -> Any:
        """A call's arguments, or a part of them, with stand-ins in their texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value

    def _masked(self, match: re.Match[str], rule: _Rule) -> str:
        found = match[rule.group]
        if not rule.holds(found):
            return match[0]
        if found in self.replaced.values():  # a stand-in already
            return match[0]
        if found not in self.replaced:
            self._numbers[rule.kind] += 1
            self.replaced[found] = rule.stand_in.format(self._numbers[rule.kind])
        self.counts[rule.kind] += 1
        return match[0].replace(found, self.replaced[found])


def holds_secret(value: Any) -> bool:
    """Does a text, or one anywhere in the arguments, hold what looks like a secret?"""
    if isinstance(value, str):
        return "[redacted]" in value or redacted(value) != value
    if isinstance(value, dict):
        return any(holds_secret(item) for item in value.values()) or any(
            redacted(f"{key}={item}") != f"{key}={item}" for key, item in value.items() if isinstance(item, str)
        )
    return isinstance(value, list) and any(map(holds_secret, value))


def shortened(value: str) -> str:
    """A personal value as it may be shown: recognizable by whoever knows it."""
    return f"{value[:2]}…{value[-2:]}" if len(value) > 6 else f"{value[:1]}…"
