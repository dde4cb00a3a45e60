"""Which characters of a rendered chat came from outside: those of them that a control token could be spelt with are replaced by
stand-ins while the template runs.

It owns the stand-ins and the string type that a template sees, which compares, splits and strips as if it held the real
characters. It knows neither templates nor tokens. Stand-ins are lone surrogates, which no text from outside holds once it is
`clean_text`. Provenance thus lies in the characters: whatever a template does with them (filters, slices, JSON, macros),
nothing that came from outside can turn into the template's own text. Where the string type is lost on the way, a comparison may
miss; a control token is never made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, SupportsIndex

_FIRST, _LAST = 0xD800, 0xDFFF
_STAND_IN = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]+")
_MEANING = '"\\'  # characters that JSON escapes are left alone, as white space is: templates cut and print by them
_SHORT = 64  # characters: longer than the inside of any marker
_KEPT_KEYS = 4096  # hidden names of arguments: the same ones come with every request
# Texts that are kept in both forms: instructions and tools come again with each request, as in the tokenizer.
_KEPT_LENGTHS = range(256, 1 << 15)
_KEPT_TEXTS = 64


def clean_text(text: str) -> str:
    """Text that is Unicode: pairs of surrogates become their character, lone ones U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Disguise:
    """Stand-ins for the characters of `texts`, those that must not be forged.

    A short string is hidden wholly: a template may print a name between `<|` and `|>`. Of a longer one, for speed, all but the
    letters and digits inside of a text that must not be forged: its ends can't be made of any other.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        texts = [text for text in texts if text]
        alphabet = _usable(chain.from_iterable(texts))
        stand_ins = dict(zip(map(ord, alphabet), range(_FIRST, _LAST + 1), strict=False))
        self._stand_ins: Mapping[int, int] = stand_ins
        self._chars: Mapping[int, int] = {stand_in: char for char, stand_in in stand_ins.items()}
        ends = {text[at] for text in texts for at in (0, -1)}
        telling = "".join(map(re.escape, _usable(ends | {char for char in alphabet if not char.isalnum()})))
        self._telling = re.compile(f"[{telling}]+") if telling else re.compile("(?!)")
        self._key = lru_cache(_KEPT_KEYS)(self._hide)
        self._kept_hidden = lru_cache(_KEPT_TEXTS)(self._hide)
        self._kept_shown = lru_cache(_KEPT_TEXTS)(self._show)

    def hide(self, text: str) -> UntrustedText:
        """Text from outside, as a template may see it."""
        text = clean_text(text)
        return self._kept_hidden(text) if len(text) in _KEPT_LENGTHS else self._hide(text)

    def _hide(self, text: str) -> UntrustedText:
        if len(text) <= _SHORT:
            return UntrustedText(text.translate(self._stand_ins), self)
        return UntrustedText(self._telling.sub(lambda found: found.group().translate(self._stand_ins), text), self)

    def hide_all(self, value: Any) -> Any:
        """JSON from outside, names of its objects' members among it."""
        match value:
            case str():
                return self.hide(value)
            case Mapping():
                return {self._key(clean_text(k)) if isinstance(k, str) else k: self.hide_all(v) for k, v in value.items()}
            case list() | tuple():
                return [self.hide_all(item) for item in value]
        return value

    def show(self, text: str) -> str:
        """The text with its real characters."""
        return self._kept_shown(str.__str__(text)) if len(text) in _KEPT_LENGTHS else self._show(text)

    def _show(self, text: str) -> str:
        return _STAND_IN.sub(lambda found: found.group().translate(self._chars), text)

    def pattern(self, text: str) -> str:
        """A regular expression for the text, wherever its characters came from."""
        return "".join(
            f"[{re.escape(char)}{chr(self._stand_ins[ord(char)])}]" if ord(char) in self._stand_ins else re.escape(char)
            for char in text
        )

    def traced(self, value: Any) -> Any:
        """A string that holds stand-ins, as a template may see it; anything else as it is."""
        return UntrustedText(value, self) if type(value) is str and _STAND_IN.search(value) else value

    def recased(self, before: str, plain: str) -> UntrustedText:
        """What came of a text whose letters were changed: its characters keep their origins, where they can be told."""
        if len(plain) != len(before):
            return self._hide(plain)
        pairs = zip(before, plain, strict=True)
        return UntrustedText(
            "".join(new.translate(self._stand_ins) if _STAND_IN.match(old) else new for old, new in pairs), self
        )


def _usable(chars: Iterable[str]) -> list[str]:
    """Those that can be replaced: templates cut and print by the others."""
    return sorted({char for char in chars if char.isprintable() and not char.isspace() and char not in _MEANING})


class UntrustedText(str):
    """Text some of whose characters are stand-ins. It compares, and is cut, by its real characters."""

    _disguise: Disguise
    _shown: str | None

    def __new__(cls, hidden: str, disguise: Disguise) -> UntrustedText:
        self = super().__new__(cls, hidden)
        self._disguise = disguise
        self._shown = None
        return self

    @property
    def _plain(self) -> str:
        if self._shown is None:
            self._shown = self._disguise.show(self)
        return self._shown

    def _same(self, hidden: str) -> UntrustedText:
        return UntrustedText(hidden, self._disguise)

    def _slice(self, start: int, end: int) -> UntrustedText:
        return self._same(str.__getitem__(self, slice(start, end)))

    def __str__(self) -> str:
        return self

    def __repr__(self) -> str:
        return self._disguise.hide(repr(self._plain))

    def __hash__(self) -> int:
        return hash(self._plain)

    def __eq__(self, other: object) -> bool:
        return bool(self._plain == _plain(other))

    def __ne__(self, other: object) -> bool:
        return bool(self._plain != _plain(other))

    def __lt__(self, other: str) -> bool:
        return bool(self._plain < _plain(other))

    def __le__(self, other: str) -> bool:
        return bool(self._plain <= _plain(other))

    def __gt__(self, other: str) -> bool:
        return bool(self._plain > _plain(other))

    def __ge__(self, other: str) -> bool:
        return bool(self._plain >= _plain(other))

    def __contains__(self, other: object) -> bool:
        return _plain(other) in self._plain

    def __iter__(self) -> Iterator[str]:
        return (self._same(char) for char in str.__iter__(self))

    def __getitem__(self, at: SupportsIndex | slice) -> UntrustedText:
        return self._same(str.__getitem__(self, at))

    def __add__(self, other: str) -> UntrustedText:
        return self._same(str.__add__(self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> UntrustedText:
        return self._same(str.__add__(other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> UntrustedText:
        return self._same(str.__mul__(self, times))

    __rmul__ = __mul__

    def join(self, parts: Iterable[str]) -> UntrustedText:
        return self._same(str.join(self, parts))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        if not sep:
            return [self._same(piece) for piece in str.split(self, sep, maxsplit)]
        return self._pieces(self._plain.split(_plain(sep), maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        if not sep:
            return [self._same(piece) for piece in str.rsplit(self, sep, maxsplit)]
        return self._pieces(self._plain.rsplit(_plain(sep), maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        return [self._same(line) for line in str.splitlines(self, keepends)]

    def _pieces(self, plain: list[str], sep: str) -> list[str]:
        """Pieces and separators are the text again."""
        out: list[str] = []
        at = 0
        for piece in plain:
            out.append(self._slice(at, at + len(piece)))
            at += len(piece) + len(sep)
        return out

    def partition(self, sep: str) -> tuple[str, str, str]:
        return self._parted(self.find(sep), sep) or (self, self._same(""), self._same(""))

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        return self._parted(self.rfind(sep), sep) or (self._same(""), self._same(""), self)

    def _parted(self, at: int, sep: str) -> tuple[str, str, str] | None:
        end = at + len(sep)
        return None if at < 0 else (self._slice(0, at), self._slice(at, end), self._slice(end, len(self)))

    def strip(self, chars: str | None = None) -> UntrustedText:
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None) -> UntrustedText:
        return self._slice(len(self) - len(self._plain.lstrip(_plain(chars))), len(self))

    def rstrip(self, chars: str | None = None) -> UntrustedText:
        return self._slice(0, len(self._plain.rstrip(_plain(chars))))

    def removeprefix(self, prefix: str, /) -> UntrustedText:
        return self._slice(len(prefix) if self.startswith(prefix) else 0, len(self))

    def removesuffix(self, suffix: str, /) -> UntrustedText:
        return self._slice(0, len(self) - len(suffix) if suffix and self.endswith(suffix) else len(self))

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> UntrustedText:
        if not old:
            return self._same(str.replace(self, old, new, count))
        return self._same(str.join(new, self.split(old, count)))

    def _recased(self, plain: str) -> UntrustedText:
        return self._disguise.recased(str.__getitem__(self, slice(None)), plain)

    def upper(self) -> UntrustedText:
        return self._recased(self._plain.upper())

    def lower(self) -> UntrustedText:
        return self._recased(self._plain.lower())

    def title(self) -> UntrustedText:
        return self._recased(self._plain.title())

    def capitalize(self) -> UntrustedText:
        return self._recased(self._plain.capitalize())

    def casefold(self) -> UntrustedText:
        return self._recased(self._plain.casefold())

    def swapcase(self) -> UntrustedText:
        return self._recased(self._plain.swapcase())

    def __int__(self) -> int:
        return int(self._plain)

    def __float__(self) -> float:
        return float(self._plain)


def _plain(value: Any) -> Any:
    """A string's real characters, in a tuple too; anything else as it is."""
    if isinstance(value, UntrustedText):
        return value._plain
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _asked_of_plain(name: str) -> Callable[..., Any]:
    """A method of `str` whose answer is no text."""
    method = getattr(str, name)

    def asked(self: UntrustedText, *arguments: Any) -> Any:
        return method(self._plain, *map(_plain, arguments))

    asked.__name__ = name
    return asked


for _name in (
    *("startswith", "endswith", "find", "rfind", "index", "rindex", "count"),
    *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable"),
    *("isspace", "istitle", "isupper"),
):
    setattr(UntrustedText, _name, _asked_of_plain(_name))
