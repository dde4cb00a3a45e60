"""What search sees of a passage: the words of the full-text index, the text that is embedded, what makes two the same.

Pure functions over text. Every pattern here takes time linear in the text, whatever a document holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

_SPACES = re.compile(r"\s+")
_MARKUP = re.compile(r":[\w:.+-]+:(?=`)|^[ \t]*\.\. [\w:+-]+::|[`*|]+", re.M)
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_IDENTIFIER = re.compile(r"\b[A-Za-z][a-z0-9]*[A-Z][A-Za-z0-9]*\b")


def digest(text: str) -> bytes:
    """The same for passages that differ only in white space and case."""
    return hashlib.blake2b(_SPACES.sub(" ", text).strip().lower().encode("utf-8", "surrogatepass"), digest_size=12).digest()


def lexical_row(path: str, title: str, anchor: str, trail: Sequence[str], text: str) -> tuple[str, str, str, str]:
    """What the full-text index sees of a passage: title, trail, names, body.

    `names` holds the path's and anchor's parts and the words inside CamelCase names, so that "thread pool" finds
    `ThreadPoolExecutor`; the tokenizer itself parts `snake_case` and `dotted.names`.
    """
    body = plain(text)
    camel = [" ".join(_CAMEL.findall(name)) for name in dict.fromkeys(_IDENTIFIER.findall(f"{title} {anchor} {body}"))]
    return plain(title), plain(" ".join(trail[:-1])), " ".join((path, anchor, *camel)), body


def plain(text: str) -> str:
    return _MARKUP.sub(" ", text)
