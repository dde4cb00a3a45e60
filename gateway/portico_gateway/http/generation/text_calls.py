"""The text of a call whose tool takes one text: out of its arguments, whole or as they grow."""

from __future__ import annotations

import json
from dataclasses import dataclass

from portico_engine import TEXT_PARAMETER

_HEAD = f'{{"{TEXT_PARAMETER}":"'


def called_text(arguments: str) -> str:
    """The text of a whole call."""
    return str(json.loads(arguments).get(TEXT_PARAMETER, ""))


def text_arguments(text: str) -> str:
    """The arguments of a call with this text, as the model writes them."""
    return json.dumps({TEXT_PARAMETER: text}, ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class CalledText:
    """A call's text as its arguments grow, which the grammar spells in one way."""

    _raw: str = ""
    _read: int = len(_HEAD)

    def feed(self, arguments: str) -> str:
        """What this piece of the arguments adds to the text."""
        self._raw += arguments
        end = self._end()
        if end <= self._read:
            return ""
        spelled, self._read = self._raw[self._read : end], end
        return str(json.loads(f'"{spelled}"'))

    def _end(self) -> int:
        """Up to where the spelled text is known and holds no half of an escape."""
        at = self._read
        while at < len(self._raw):
            if self._raw[at] == '"':
                return at
            step = 1 if self._raw[at] != "\\" else 6 if self._raw[at + 1 : at + 2] == "u" else 2
            if at + step > len(self._raw):
                return at
            at += step
        return at
