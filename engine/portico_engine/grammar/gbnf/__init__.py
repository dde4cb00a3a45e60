"""GBNF, the grammar format of llama.cpp: text to IR, and IR to text for people and for llama.cpp.

parser.py           text -> IR, with positions in its errors
left_recursion.py   which rules can begin with themselves
printer.py          IR -> text, where the dialect has no word for a part a looser one with a comment

It knows the IR and regular languages; what is enforced is not its affair.
"""

from __future__ import annotations

from portico_engine.grammar.gbnf.parser import parse_gbnf
from portico_engine.grammar.gbnf.printer import to_gbnf

__all__ = ["parse_gbnf", "to_gbnf"]
