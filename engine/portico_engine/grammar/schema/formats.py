"""JSON Schema's formats as regular languages, and the check of a value against them: one definition for both.

RFC 3339 dates and times (leap years right; a leap second only as 23:59:60 UTC), its durations, RFC 5321 addresses, RFC 1123
host names, RFC 4291 and RFC 2673 addresses, RFC 3986 URIs, RFC 4122 UUIDs, RFC 6901 pointers. `regex` is no regular
language: strings are checked afterwards only. Other names assert nothing, as JSON Schema says of formats that one doesn't know.
"""

from __future__ import annotations

from functools import lru_cache

import regress

from portico_engine.grammar.ecma.language import pattern_language
from portico_engine.grammar.ir import Node

_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    rf"|{_LEAP_YEAR}-02-29)"
)
_HOUR = r"(?:[01]\d|2[0-3])"
_OFFSET = rf"(?:[Zz]|[+-]{_HOUR}:[0-5]\d)"
_TIME = rf"(?:{_HOUR}:[0-5]\d:[0-5]\d(?:\.\d+)?{_OFFSET}|23:59:60(?:\.\d+)?(?:[Zz]|[+-]00:00))"
_DATE_PART = r"(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)"
_TIME_PART = r"T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = r"[0-9A-Fa-f]{1,4}"
_LS32 = rf"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = (
    "(?:"
    + "|".join(
        (
            rf"(?:{_H16}:){{6}}{_LS32}",
            rf"::(?:{_H16}:){{5}}{_LS32}",
            rf"(?:{_H16})?::(?:{_H16}:){{4}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,1}}{_H16})?::(?:{_H16}:){{3}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,2}}{_H16})?::(?:{_H16}:){{2}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,3}}{_H16})?::{_H16}:{_LS32}",
            rf"(?:(?:{_H16}:){{0,4}}{_H16})?::{_LS32}",
            rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
            rf"(?:(?:{_H16}:){{0,6}}{_H16})?::",
        )
    )
    + ")"
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[ !#-\[\]-~]|\\[ -~])*\")"
_EMAIL = rf"{_LOCAL}@(?:(?=.{{1,253}}$){_HOST}|\[(?:{_IPV4}|IPv6:{_IPV6})\])"
_PCHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_NO_COLON = r"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})"
_NAME = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_AUTHORITY = rf"(?:(?:{_NAME}|:)*@)?(?:\[(?:{_IPV6}|[Vv][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]|{_NAME}*)(?::\d*)?"
_TAIL = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_SLASHED = rf"(?:/{_PCHAR}*)*"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]*:(?://{_AUTHORITY}{_SLASHED}|/(?:{_PCHAR}+{_SLASHED})?|{_PCHAR}+{_SLASHED}|){_TAIL}"
_RELATIVE = rf"(?://{_AUTHORITY}{_SLASHED}|/(?:{_PCHAR}+{_SLASHED})?|{_NO_COLON}+{_SLASHED}|){_TAIL}"
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

PATTERNS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}[Tt]{_TIME}$",
    "duration": rf"^P(?:\d+W|{_DATE_PART}(?:{_TIME_PART})?|{_TIME_PART})$",
    "email": f"^{_EMAIL}$",
    "hostname": rf"^(?=.{{1,253}}$){_HOST}$",
    "ipv4": f"^{_IPV4}$",
    "ipv6": f"^{_IPV6}$",
    "uri": f"^{_URI}$",
    "uri-reference": f"^(?:{_URI}|{_RELATIVE})$",
    "uuid": r"^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
    "json-pointer": f"^{_POINTER}$",
    "relative-json-pointer": rf"^(?:0|[1-9]\d*)(?:#|{_POINTER})$",
}


def format_language(name: str) -> Node | None:
    """The strings of a format; None where it asserts nothing that a grammar could enforce."""
    pattern = PATTERNS.get(name)
    if pattern is None:
        return None
    language = pattern_language(pattern)
    assert not language.loosened, name
    return language.node


def conforms(name: str, value: str) -> bool:
    """Is `value` of the format? True for formats that aren't known."""
    if name == "regex":
        return is_regex(value)
    regex = _compiled(name)
    return regex is None or regex.find(value) is not None


def is_regex(pattern: str) -> bool:
    """Is it an ECMA-262 pattern?"""
    for flags in ("u", ""):
        try:
            regress.Regex(pattern, flags)
        except regress.RegressError:
            continue
        return True
    return False


@lru_cache(maxsize=64)
def _compiled(name: str) -> regress.Regex | None:
    pattern = PATTERNS.get(name)
    return None if pattern is None else regress.Regex(pattern)
