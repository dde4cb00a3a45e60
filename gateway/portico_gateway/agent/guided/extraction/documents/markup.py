"""Inline markup off: what a reader of the rendered page would see of a line of Markdown, MyST or reST.

Names keep their backticks, so that they can be told from prose. Every pattern takes time linear in the line.
"""

from __future__ import annotations

import re

_ROLE = re.compile(r":[a-z][\w:+-]{0,40}:(?=`)|\{[a-z][\w:+-]{0,40}\}(?=`)")
_TARGET = re.compile(r"`([^`<>]{1,200}?)\s*<([^`<>\s]{1,300})>`_{0,2}")
_SHORTENED = re.compile(r"`~(?:\w+\.)*(\w+(?:\(\))?)`")
_REFERENCE = re.compile(r"(`[^`]{1,200}`)__?(?!\w)")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\](?:\([^()\s]{0,500}(?:\s\"[^\"]{0,200}\")?\)|\[[^\[\]]{0,100}\])")
_STRONG = re.compile(r"(?<![*\w])\*{1,2}(?=\S)([^*]{1,300}?)(?<=\S)\*{1,2}(?![*\w])")
_FOOTNOTE = re.compile(r"\[\^?[#\w]{1,40}\]_|\[\^[\w-]{1,40}\]")
_SUBSTITUTION = re.compile(r"(?<!\w)\|([A-Za-z][\w -]{0,40})\|(?!\w)")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>|])")


def plain(line: str) -> str:
    """The line as rendered, white space made single."""
    line = _ROLE.sub("", line.replace("``", "`"))
    line = _SHORTENED.sub(r"`\1`", _TARGET.sub(_shown, line))
    line = _REFERENCE.sub(r"\1", _LINK.sub(r"\1", line))
    line = _STRONG.sub(r"\1", _FOOTNOTE.sub("", line))
    return " ".join(_SUBSTITUTION.sub(r"\1", _ESCAPED.sub(r"\1", line)).split())


def _shown(match: re.Match[str]) -> str:
    """A link's text; what it is called where it leads to a name of the documentation."""
    address = match[2].lower()
    return match[1] if "://" in address or address.startswith(("mailto:", "/", "#")) else f"`{match[1]}`"
