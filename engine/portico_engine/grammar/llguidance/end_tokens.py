"""The model's end token in a user's grammar: `root ::= "ok" <|im_end|>`.

llguidance knows an end token as the end alone. So where a grammar ends by one, that is left out: the text ends there, and the
end token is all that may follow. Which tokens end a text only the vocabulary says.
"""

from __future__ import annotations

from collections.abc import Callable

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir


def without_end_tokens(grammar: ir.Grammar, is_end: Callable[[ir.TokenRef], bool]) -> ir.Grammar:
    """The same texts by a grammar that names no end token; the grammar itself where it names none. Raises GrammarError for one
    that something follows."""
    named = any(is_end(token) for body in grammar.rules.values() for token in _tokens(body))
    if not named:
        return grammar
    rules = _EndTokens(grammar, is_end).rules()
    return ir.Grammar(rules, grammar.start, grammar.notes)


class _EndTokens:
    def __init__(self, grammar: ir.Grammar, is_end: Callable[[ir.TokenRef], bool]) -> None:
        self.grammar = grammar
        self.is_end = is_end
        self.todo: list[tuple[str, bool]] = [(grammar.start, True)]  # rules, and whether nothing follows them

    def rules(self) -> dict[str, ir.Node]:
        made: dict[str, ir.Node] = {}
        seen: set[tuple[str, bool]] = set()
        while self.todo:
            entry = self.todo.pop()
            name, last = entry
            if entry in seen or name not in self.grammar.rules:
                continue
            seen.add(entry)
            body = self._node(self.grammar.rules[name], last)
            if last or name not in made:
                made[name] = body
        return made

    def _node(self, node: ir.Node, last: bool) -> ir.Node:
        match node:
            case ir.TokenRef() if self.is_end(node):
                if not last:
                    raise GrammarError(
                        f"{node.token} ends a text, but here something may follow it; it can be the last of a grammar only"
                    )
                return ir.EMPTY
            case ir.Ref(name):
                self.todo.append((name, last))
                return node
            case ir.Seq(parts):
                final = len(parts) - 1
                return ir.seq(*(self._node(part, last and at == final) for at, part in enumerate(parts)))
            case ir.Alt(options):
                return ir.alt(*(self._node(option, last) for option in options))
            case ir.Repeat(item, low, high):
                return ir.repeat(self._node(item, last and high == 1), low, high)
            case _:
                return node


def _tokens(node: ir.Node) -> list[ir.TokenRef]:
    found: list[ir.TokenRef] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ir.TokenRef) and not item.negated:
            found.append(item)
        elif isinstance(item, ir.Seq):
            stack.extend(item.parts)
        elif isinstance(item, ir.Alt):
            stack.extend(item.options)
        elif isinstance(item, ir.Repeat):
            stack.append(item.item)
    return found
