"""Ways of writing a lexeme that llguidance answers from its cache.

A mask costs microseconds where llguidance sees that every ordinary piece of text may stand next, and hundreds where it has to
walk the vocabulary. What it sees is syntax: a lexeme that is a repetition up to a fixed end, less something of bounded length
(derivre, relevance.rs, `is_contained_in_prefixes`; one lexeme of several suffices). And a state that comes again has its mask
already, which a count of characters prevents. It owns these rewritings and nothing else.
"""

from __future__ import annotations

from portico_engine.grammar import ir

_WIDE = 1_000_000  # code points in a class that hardly leaves any out
_LONG = 31  # repetitions that any token fits into
_MANY = 200  # characters: a string of fewer is counted from its start
_FEW = 4  # alternatives that are worth a lexeme each


def forms(node: ir.Node) -> list[ir.Node]:
    """Lexemes whose union is the lexeme `node`."""
    out: dict[ir.Node, None] = {}
    for option in _options(node):
        out[_edges_inside(option)] = None
        open_ = _any_text_then_one_end(option)
        if open_ is not None:
            out[open_] = None
    return list(out)


def opened(node: ir.Node) -> tuple[ir.Node, int | None]:
    """A string's lexeme without its high counts of characters, and the lowest of them; None where there is none.

    The two agree on every text in which the string is shorter than that.
    """
    if not _is_string(node):
        return node, None
    counts: list[int] = []
    return _without_counts(node, counts), min(counts, default=None)


def _is_string(node: ir.Node) -> bool:
    match node:
        case ir.Seq((ir.Text(value), *_)):
            return value[0] == '"'
        case ir.And(parts):
            return any(map(_is_string, parts))
        case _:
            return False


def _without_counts(node: ir.Node, counts: list[int]) -> ir.Node:
    match node:
        case ir.Repeat(item, low, high):
            if high is None or high < _MANY:
                return ir.repeat(_without_counts(item, counts), low, high)
            counts.append(high)
            return ir.repeat(_without_counts(item, counts), low, None)
        case ir.Seq(parts):
            return ir.seq(*(_without_counts(part, counts) for part in parts))
        case ir.Alt(options):
            return ir.alt(*(_without_counts(option, counts) for option in options))
        case ir.And(parts):
            return ir.And(tuple(_without_counts(part, counts) for part in parts))
        case _:  # what is excluded must not grow
            return node


def _options(node: ir.Node) -> list[ir.Node]:
    """Alternatives of open length between fixed edges, each by itself."""
    match node:
        case ir.Seq((ir.Text() as before, ir.Alt(options), ir.Text() as after)) if len(options) <= _FEW and any(
            _wide_repeat(part) for option in options for part in _parts(option)
        ):
            return [ir.seq(before, option, after) for option in options]
    return [node]


def _edges_inside(node: ir.Node) -> ir.Node:
    """`p (A & ~B) s` for texts p and s as `p A s & ~(p B s)`: the difference is looked for on top only."""
    if not isinstance(node, ir.Seq) or not all(isinstance(part, ir.Text | ir.And) for part in node.parts):
        return node
    intersections = [part for part in node.parts if isinstance(part, ir.And)]
    if len(intersections) != 1 or not any(isinstance(part, ir.Not) for part in intersections[0].parts):
        return node
    at = node.parts.index(intersections[0])
    before, after = node.parts[:at], node.parts[at + 1 :]
    return ir.And(
        tuple(
            ir.Not(ir.seq(*before, part.item, *after)) if isinstance(part, ir.Not) else ir.seq(*before, part, *after)
            for part in intersections[0].parts
        )
    )


def _any_text_then_one_end(node: ir.Node) -> ir.Node | None:
    """Of `p any* r` (an unanchored pattern) the part `p any* t` for one shortest text t of r.

    While the whole follows several ways at once, which is no simple repetition, this part still is one.
    """
    parts = _parts(node)
    at = next((index for index, part in enumerate(parts) if _wide_repeat(part)), None)
    if at is None or all(isinstance(part, ir.Text) for part in parts[at + 1 :]):
        return None
    end = [_shortest(part) for part in parts[at + 1 :]]
    if None in end:
        return None
    return ir.seq(*parts[: at + 1], ir.text("".join(text for text in end if text)))


def _parts(node: ir.Node) -> tuple[ir.Node, ...]:
    return node.parts if isinstance(node, ir.Seq) else (node,)


def _wide_repeat(node: ir.Node) -> bool:
    return isinstance(node, ir.Repeat) and (node.high is None or node.high >= _LONG) and _wide(node.item)


def _wide(node: ir.Node) -> bool:
    if isinstance(node, ir.Alt):
        return any(map(_wide, node.options))
    return isinstance(node, ir.Chars) and sum(high - low + 1 for low, high in node.ranges) > _WIDE


def _shortest(node: ir.Node) -> str | None:
    """A shortest text of a regular node; None where finding it would need a search."""
    match node:
        case ir.Empty():
            return ""
        case ir.Text(value):
            return value
        case ir.Chars(ranges):
            return chr(ranges[0][0])
        case ir.Seq(parts):
            texts = [_shortest(part) for part in parts]
            return None if None in texts else "".join(text for text in texts if text)
        case ir.Alt(options):
            found = [text for option in options if (text := _shortest(option)) is not None]
            return min(found, key=len, default=None)
        case ir.Repeat(item, low):
            one = _shortest(item) if low else ""
            return None if one is None else one * low
        case _:
            return None
