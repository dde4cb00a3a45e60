"""Text from outside as a terminal may show it: what would act on the terminal, or hide, is shown and not sent.

Results, errors, servers' stderr, file contents, file names and a model's answer may hold escape sequences (ECMA-48: CSI, OSC,
C1 controls), which retitle, recolour, write the clipboard or answer for the user, and bidirectional overrides (Unicode TR 36),
which show another text than there is. Whether stdout is a terminal does not matter: a pipe often ends in one.
"""

from __future__ import annotations

import re

ACTIVE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # bidirectional controls
    "\u180e\u200b\u2028\u2029\u2060-\u2065\ufeff\ufff9-\ufffb"  # invisible, or lines that aren't lines
    "\U000e0000-\U000e007f"  # tags: a second, invisible ASCII
    "\ud800-\udfff"  # half a surrogate pair, which no stream takes
    "]"
)


def inert(text: str) -> str:
    """`text` with every such character as Python writes it: `\\x1b`, `\\u202e`. Tabs and line feeds stay."""
    return ACTIVE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
