"""How GBNF spells strings, classes and repetitions; and a node on one line, for messages and notes."""

from __future__ import annotations

from portico_engine.grammar import ir

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def show(node: ir.Node, width: int = 60) -> str:
    """The node in GBNF's notation (with `&` and `~` for intersection and complement), cut to `width` characters."""
    text = _shown(node, width)
    return text if len(text) <= width else text[: width - 3] + "..."


def _shown(node: ir.Node, width: int, grouped: bool = False) -> str:
    match node:
        case ir.Text(value):
            return quote(value)
        case ir.Chars(ranges):
            return char_class(ranges[: width // 2])
        case ir.Ref(name):
            return name
        case ir.TokenRef():
            return token_text(node)
        case ir.Repeat(item, low, high):
            return _shown(item, width, grouped=True) + quantifier(low, high)
        case ir.Not(item):
            return f"~{_shown(item, width, grouped=True)}"
        case ir.Seq(parts):
            text = _joined(parts, " ", width)
        case ir.Alt(options):
            text = _joined(options, " | ", width)
        case ir.And(parts):
            text = _joined(parts, " & ", width)
        case _:
            return '""' if isinstance(node, ir.Empty) else "[]"
    return f"({text})" if grouped else text


def _joined(parts: tuple[ir.Node, ...], separator: str, width: int) -> str:
    """Stops where the width is passed: a large node is not walked in full."""
    out = ""
    for part in parts:
        if len(out) > width:
            break
        out += (separator if out else "") + _shown(part, width, grouped=not isinstance(part, ir.Seq) or separator == " ")
    return out


def token_text(node: ir.TokenRef) -> str:
    """A token reference, `<[1000]>` or `<think>`, with `!` before it where it is negated."""
    name = node.token
    text = f"<[{name}]>" if isinstance(name, int) else name if name.startswith("<") else f"<{name}>"
    return f"!{text}" if node.negated else text


def quantifier(low: int, high: int | None) -> str:
    """GBNF's suffix of a repetition."""
    match low, high:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{low},}}"
        case _:
            return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def quote(value: str) -> str:
    """A GBNF string."""
    return '"' + "".join('\\"' if c == '"' else _escaped(c) for c in value) + '"'


def char_class(ranges: tuple[tuple[int, int], ...]) -> str:
    """A GBNF class, negated where that is shorter; `.` for every character."""
    others = ir.complement(ranges)
    if not others:
        return "."
    if len(others) < len(ranges) or (len(others) == len(ranges) and ranges[-1][1] == ir.MAX_CODE_POINT):
        return f"[^{_class_body(others)}]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return quote(chr(ranges[0][0]))
    return f"[{_class_body(ranges)}]"


def _class_body(ranges: tuple[tuple[int, int], ...]) -> str:
    out = []
    for low, high in ranges:
        first, last = _in_class(chr(low)), _in_class(chr(high))
        out.append(first if low == high else first + last if high == low + 1 else f"{first}-{last}")
    return "".join(out)


def _in_class(c: str) -> str:
    if c in "[]-":
        return "\\" + c
    return "\\x5E" if c == "^" else _escaped(c)


def _escaped(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if (c.isprintable() and not c.isspace()) or c == " ":
        return c
    code = ord(c)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
