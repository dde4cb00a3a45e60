"""The seam to the matcher that enforces grammars, llguidance today: the only module outside its room that names it.

Another matcher is another room with these three functions: the text that it enforces, its word on a text, and the factory of
its matchers (protocol.py). Importing this loads the printer, and not the matcher's library.
"""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine.grammar.bounds import Meter
from portico_engine.grammar.compiled import EnforcedText
from portico_engine.grammar.ir import Grammar
from portico_engine.grammar.llguidance.lark import refusal, to_lark
from portico_engine.grammar.protocol import MatcherFactory, Vocabulary


def enforced_text(grammar: Grammar, *, json_rules: Sequence[str] = (), meter: Meter | None = None) -> EnforcedText:
    """The grammar in the matcher's language.

    Raises GrammarError where a rule is missing, GrammarTooLarge where `meter`'s limits or the matcher's are met, its
    LexemesTooLarge where a grammar that counts less may do.

    `json_rules` names rules whose texts are JSON, such that no other text of the grammar can be read beside one.
    """
    return to_lark(grammar, json_rules=json_rules, meter=meter)


def why_refused(text: str) -> str | None:
    """Why the matcher can't take a text of `enforced_text`; None where it can, or is not installed."""
    return refusal(text)


def matcher_factory(vocabulary: Vocabulary) -> MatcherFactory:
    """Makes matchers for one vocabulary. Loads the matcher's library."""
    from portico_engine.grammar.llguidance.factory import LLGuidanceFactory

    factory: MatcherFactory = LLGuidanceFactory(vocabulary)
    return factory
