"""roff's inline language: escapes, special characters, macro arguments, mdoc's inline macros. Text in, plain text out.

Knows nothing of pages and sections (`man` does). Source: groff_char(7), man(7), mdoc(7).
"""

from __future__ import annotations

import re
import shlex

_CHARACTERS = {
    "-": "-", "aq": "'", "cq": "'", "oq": "'", "dq": "\"", "lq": "\"", "rq": "\"", "em": "—", "en": "–", "hy": "-",
    "bu": "•", "co": "©", "rg": "®", "tm": "™", "mu": "µ", "ha": "^", "ti": "~", "rs": "\\", "bv": "|", "ba": "|",
    "sl": "/", "sh": "#", "Do": "$", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "<-": "←", "->": "→", ">=": "≥",
    "<=": "≤", "!=": "≠", "**": "*", "pl": "+", "mi": "−", "mul": "×", "ga": "`", "aa": "´", "ss": "ß", "'e": "é",
    ":u": "ü", ":o": "ö", ":a": "ä", "~n": "ñ", "de": "°", "sc": "§", "dg": "†", "Po": "£", "Eu": "€", "lh": "☜",
    "rh": "☞", "la": "⟨", "ra": "⟩", "at": "@", "tf": "∴", "+-": "±", "12": "½", "14": "¼", "34": "¾", "Fo": "«",
    "Fc": "»",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\(..|.)"  # font
    r"|s(?:[+-]?\d{1,2}|\[[^\]]*\]|\([+-]?..)"  # size
    r"|\[(?P<long>[^\]]*)\]|\((?P<two>..)"  # character
    r"|\*(?:\[(?P<str>[^\]]*)\]|\((?P<str2>..)|(?P<str1>.))"  # string
    r"|[hvwlLDboNXZ]'[^']*'|[gkmMnVY](?:\[[^\]]*\]|\(..|[+-]?.)"  # motions, registers, colours
    r"|(?P<one>.)|$)"
)
_STRINGS = {"lq": '"', "rq": '"', "R": "®", "Tm": "™", "Aq": "'"}
_ENCLOSE = {
    "Dq": ('"', '"'),
    "Sq": ("'", "'"),
    "Ql": ("`", "`"),
    "Pq": ("(", ")"),
    "Qq": ('"', '"'),
    "Bq": ("[", "]"),
    "Aq": ("<", ">"),
}
_ENCLOSE |= {"Op": ("[", "]"), "Brq": ("{", "}")}
_OPEN_CLOSE = {
    "Oo": "[",
    "Oc": "]",
    "Po": "(",
    "Pc": ")",
    "Bro": "{",
    "Brc": "}",
    "Qo": '"',
    "Qc": '"',
    "So": "'",
    "Sc": "'",
    "Do": '"',
    "Dc": '"',
}
_PUNCTUATION = set(".,:;)]?!")
MDOC_INLINE = frozenset(
    "Ar Cm Nm Pa Em Sy Li Va Vt Fa Ev Er Ic Dv Tn Xr Ql Dq Sq Pq Qq Bq Aq Op Fl No Ns Ad An Cd Lk Mt "
    "Fn Ft In Sx St Bx Ux Nx Ox Fx Dx At Brq Bro Brc Oo Oc Po Pc Qo Qc So Sc Do Dc Xo Xc Ap Pf Ms Fo Fc Rv Ex".split()
)


def arguments(text: str) -> list[str]:
    """A macro's arguments: words, or "several words" in double quotes."""
    text = re.sub(r'\s*\\".*$', "", text)
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return [plain(part) for part in lexer]
    except ValueError:  # an open quote
        return [plain(part) for part in text.replace('"', " ").split()]


def mdoc(text: str, name: str) -> str:
    """An mdoc line's macros as plain words: `Fl v Ar file` -> `-v file`."""
    words = arguments(text)
    out: list[str] = []
    closing: list[str] = []
    glue = False
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        following = words[index] if index < len(words) else ""
        shown: str | None = word
        if word == "Fl":
            shown = "-" if not following or following in MDOC_INLINE or following in ("|", ",") else f"-{following}"
            index += shown != "-"
        elif word in _ENCLOSE:
            out.append(("" if glue or not out else " ") + _ENCLOSE[word][0])
            closing.append(_ENCLOSE[word][1])
            glue, shown = True, None
        elif word in _OPEN_CLOSE:
            shown = _OPEN_CLOSE[word]
            glue = glue or word.endswith("c")
        elif word in ("Ns", "Ap"):
            glue, shown = True, "'" if word == "Ap" else None
        elif word == "Pf":
            shown, glue_after = following, True
            out.append(("" if glue or not out else " ") + shown)
            index, glue, shown = index + 1, glue_after, None
        elif word == "Nm" and (not following or following in MDOC_INLINE):
            shown = name
        elif word == "Xr" and index + 1 < len(words):
            shown = f"{following}({words[index + 1]})"
            index += 2
        elif word in MDOC_INLINE or word in ("Xo", "Xc"):
            shown = None
        if shown is None:
            continue
        joined = glue or not out or (shown in _PUNCTUATION)
        out.append(shown if joined else f" {shown}")
        glue = shown in ("(", "[", "{") or (word == "Fl" and shown == "-" and following == "Fl")
    return "".join(out) + "".join(reversed(closing))


def plain(text: str) -> str:
    """Without fonts and sizes, special characters spelled out."""
    return _ESCAPE.sub(_replace, text) if "\\" in text else text


def _replace(match: re.Match[str]) -> str:
    code = match["long"] or match["two"]
    if code is not None:
        if re.fullmatch(r"u[0-9A-F]{4,6}", code):
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 else ""
        return _CHARACTERS.get(code, "")
    string = match["str"] or match["str2"] or match["str1"]
    if string is not None:
        return _STRINGS.get(string, "")
    one = match["one"]
    if one is None:
        return ""
    return {"e": "\\", "\\": "\\", "-": "-", "'": "'", "`": "`", "~": " ", " ": " ", "0": " ", ".": ".", "t": "\t"}.get(one, "")
