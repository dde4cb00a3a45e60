"""Numbers as people write them: `$1,000.50`, `20%`, `5k`, `half a million`, `twenty-five`, `twice`. It knows English alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

Number = int | float

_UNITS = {
    word: n
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen".split()
    )
}
_TENS = {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SMALL_NUMBERS = {**_UNITS, **_TENS}
_SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}
_OTHERS: dict[str, Number] = {"once": 1, "twice": 2, "thrice": 3, "dozen": 12, "half": 0.5, "quarter": 0.25, "pair": 2}
_WORD = "|".join(sorted([*_UNITS, *_TENS, *_SCALES, *_OTHERS], key=len, reverse=True))
IN_WORDS = rf"(?:(?:half|quarter)\s+(?:of\s+)?)?(?:an?\s+)?(?:{_WORD})(?:(?:\s+and\s+|[\s-]+)(?:a\s+)?(?:{_WORD}))*"
IN_DIGITS = (
    r"(?P<sign>(?<![\w)])[-−+])?(?P<currency>[$€£¥₹])?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<exponent>[eE][-+]?\d+)?(?:(?P<percent>\s?%|\s+percent\b)|\s?(?P<scale>thousand|million|billion|trillion)\b"
    r"|(?P<suffix>[kKmMbB]|[bm]n)\b)?"
)
_DIGITS = re.compile(IN_DIGITS)


class WrittenNumber(NamedTuple):
    """What a text may stand for, the likeliest first; `percent`: the text says per cent, `values` are (20, 0.2)."""

    values: tuple[Number, ...]
    percent: bool = False


def read_number(text: str) -> WrittenNumber | None:
    """The number that a whole text is, or None."""
    match = _DIGITS.fullmatch(text.strip())
    return _of_digits(match) if match else _of_words(re.findall(r"[a-z]+", text.lower()))


def _of_digits(match: re.Match[str]) -> WrittenNumber | None:
    try:
        value = Decimal(match["digits"].replace(",", "") + (match["exponent"] or ""))
    except InvalidOperation:
        return None
    if not -30 < value.adjusted() < 30:
        return None
    value *= _SCALES.get(match["scale"] or "", 1) * (-1 if match["sign"] in ("-", "−") else 1)
    suffix = match["suffix"] or ""
    scaled = plain(value * _SUFFIXES.get(suffix.lower(), 1))
    if suffix and not match["currency"] and suffix not in ("k", "M", "B", "bn", "mn"):
        return WrittenNumber((plain(value), scaled))  # "298K" and "1.75m" are more likely units
    if suffix:
        return WrittenNumber((scaled, plain(value)))
    if match["percent"]:
        return WrittenNumber((plain(value), plain(value / 100)), percent=True)
    return WrittenNumber((plain(value),))


def _of_words(words: Sequence[str]) -> WrittenNumber | None:
    """Scales multiply what stands before them: "two hundred and fifty thousand"."""
    total, part, seen = Decimal(0), Decimal(0), False
    factor = Decimal(1)
    for word in words:
        if word in ("a", "an", "and", "of"):
            continue
        if word in ("half", "quarter") and not seen and len(words) > 1:
            factor = Decimal(str(_OTHERS[word]))
            continue
        if word in _SCALES or word == "dozen":
            scale = Decimal(_SCALES.get(word, 12))
            part = (part or Decimal(1)) * scale
            if scale >= 1000:
                total, part = total + part, Decimal(0)
        elif word in _UNITS or word in _TENS or word in _OTHERS:
            part += Decimal(str(_UNITS.get(word, _TENS.get(word, _OTHERS.get(word, 0)))))
        else:
            return None
        seen = True
    return WrittenNumber((plain((total + part) * factor),)) if seen else None


def plain(value: Decimal) -> Number:
    """An integer where it is one."""
    return int(value) if value == value.to_integral_value() else float(value)
