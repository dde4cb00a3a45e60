"""How long the shortest text of a grammar is, counted without making it: what no answer can hold is refused at once."""

from __future__ import annotations

from collections.abc import Mapping

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.bounds import MAX_ENDING
from portico_engine.grammar.ir import Alt, And, Chars, Grammar, Never, Node, Ref, Repeat, Seq, Text, TokenRef, references


def check_shortest(grammar: Grammar) -> None:
    """Raises GrammarTooLarge where even the shortest text is longer than MAX_ENDING."""
    length = shortest_length(grammar.rules, grammar.start)
    if length is not None and length > MAX_ENDING:
        shown = f"{length:,}" if length < 10**18 else "more than 10^18"
        raise GrammarTooLarge(
            f"the shortest text that it allows has {shown} characters; an answer may have to be {MAX_ENDING:,} long at most, "
            f"so lower the smallest lengths and counts"
        )


def shortest_length(rules: Mapping[str, Node], start: str) -> int | None:
    """How many characters the shortest text of a grammar has at least, counted without making it; None where none ends.
    What intersections and complements ask for is counted by their largest part."""
    users: dict[str, list[str]] = {}
    for name, node in rules.items():
        for used in references(node):
            users.setdefault(used, []).append(name)
    found: dict[str, int] = {}
    todo = dict.fromkeys(reversed(list(rules)))
    while todo:
        name = next(iter(todo))
        del todo[name]
        length = _least_length(rules[name], found)
        if length is not None and length < found.get(name, length + 1):
            found[name] = length
            todo.update(dict.fromkeys(users.get(name, ())))
    return found.get(start)


def _least_length(node: Node, rules: Mapping[str, int]) -> int | None:
    match node:
        case Text(value):
            return len(value)
        case Chars() | TokenRef():
            return 1
        case Ref(name):
            return rules.get(name)
        case Seq(parts):
            lengths = [_least_length(part, rules) for part in parts]
            return None if None in lengths else sum(length for length in lengths if length is not None)
        case And(parts):
            return max((length for part in parts if (length := _least_length(part, rules)) is not None), default=0)
        case Alt(options):
            return min((length for option in options if (length := _least_length(option, rules)) is not None), default=None)
        case Repeat(item, low):
            one = _least_length(item, rules)
            return 0 if low == 0 else None if one is None else one * low
        case Never():
            return None
        case _:
            return 0
