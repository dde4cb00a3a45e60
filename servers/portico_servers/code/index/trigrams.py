"""Which three bytes follow each other in a file, as a signature of fixed size; and what a pattern needs of them. Pure.

A file can match a pattern only if it holds the trigrams that the pattern requires, so ripgrep need read no other file. The
idea is Russ Cox's, "Regular Expression Matching with a Trigram Index", 2012; see `regex_info` for his construction. Instead of
lists of files by trigram a file has a bitmap over hashed trigrams: a collision only adds a candidate, and a changed file
replaces one row.

Text is folded before it's cut, so that one index serves patterns of either case: `fold` maps everything that Unicode's simple
case folding equates with an ASCII letter to that letter in lower case, and leaves other bytes alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# Of a bitmap: the narrowest one that a file's trigrams fill by an eighth at most, or the widest. A source file of 10 kB has
# about 700 distinct ones, one of 100 kB some 6,000.
WIDTHS = (1 << 11, 1 << 13, 1 << 15)
_WIDEST = WIDTHS[-1]
_FILL = 8
_HASH = np.uint32(2_654_435_761)  # Knuth's multiplicative hash; the upper bits are the good ones
_MASKS = np.uint8(1) << np.arange(7, -1, -1, dtype=np.uint8)  # of a bit within its byte, as np.packbits orders them
_MOST = 16  # trigrams of one string that are asked for: more would hardly narrow, and each costs a look at every file

Bitmaps = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TrigramQuery:
    """What a matching file must hold: all of `trigrams`, and for each group of `either` what one of its members needs.
    Without either, any file may match. `size` counts the trigrams."""

    trigrams: frozenset[bytes] = frozenset()
    either: tuple[tuple[TrigramQuery, ...], ...] = ()
    size: int = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.trigrams) + sum(member.size for group in self.either for member in group)
        object.__setattr__(self, "size", size)

    def __bool__(self) -> bool:
        return self.size > 0


ANYTHING = TrigramQuery()


def fold(data: bytes) -> bytes:
    """Lower case for ASCII letters, and for the two other characters that fold to one: the Kelvin sign and the long s."""
    data = data.lower()
    if data.isascii():
        return data
    return data.replace("\N{KELVIN SIGN}".encode(), b"k").replace("\N{LATIN SMALL LETTER LONG S}".encode(), b"s")


def string_query(text: bytes) -> TrigramQuery:
    """What a file that holds `text` (folded) must hold."""
    found = list(dict.fromkeys(text[at : at + 3] for at in range(len(text) - 2)))
    return TrigramQuery(frozenset(found if len(found) <= _MOST else found[:: -(-len(found) // _MOST)]))


def signature(text: bytes) -> bytes:
    """The compressed bitmap of a file's trigrams; `text` is all of it, UTF-8."""
    bits = np.zeros(_WIDEST, np.bool_)
    codes = np.frombuffer(fold(text), np.uint8).astype(np.uint32)
    if len(codes) > 2:
        bits[_slots((codes[:-2] << np.uint32(16)) | (codes[1:-1] << np.uint32(8)) | codes[2:], _WIDEST)] = True
    count = int(bits.sum())
    width = next((width for width in WIDTHS if count * _FILL <= width), _WIDEST)
    return zlib.compress(np.packbits(bits.reshape(width, -1).any(axis=1)).tobytes(), 1)


def bitmap(compressed: bytes) -> Bitmaps:
    """uint8 [width / 8], the bitmap of a `signature`."""
    return np.frombuffer(zlib.decompress(compressed), np.uint8)


def matching_rows(query: TrigramQuery, bitmaps: Bitmaps, among: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of the row numbers `among`, those whose bitmap in `bitmaps` [n, width / 8] has what the query asks for."""
    trigrams = np.array([int.from_bytes(trigram, "big") for trigram in sorted(query.trigrams)], np.uint32)
    slots = _slots(trigrams, 8 * bitmaps.shape[1])
    for byte, bit in zip((slots >> 3).tolist(), (slots & 7).tolist(), strict=True):
        among = among[(bitmaps[among, byte] & _MASKS[bit]) != 0]
    for group in query.either:
        among = _union(matching_rows(member, bitmaps, among) for member in group)
    return among


def _union(parts: Iterable[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    return np.unique(np.concatenate(list(parts)))


def _slots(trigrams: npt.NDArray[np.uint32], width: int) -> npt.NDArray[np.uint32]:
    """Where a bitmap has them: the hash's upper bits, so that of a narrower bitmap they are the same, with some off the end."""
    return (trigrams * _HASH) >> np.uint32(33 - width.bit_length())
