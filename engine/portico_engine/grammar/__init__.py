"""From tool lists, JSON Schemas and GBNF to a matcher: schema or GBNF -> `ir` -> Lark (enforced) and GBNF (shown).

Importing it loads nothing: each name below is imported when it is first asked for, and llguidance when a matcher is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portico_engine.grammar.compiled import CompiledGrammar as CompiledGrammar
    from portico_engine.grammar.compiled import CompileReport as CompileReport
    from portico_engine.grammar.lark import LarkText as LarkText
    from portico_engine.grammar.lark import to_lark as to_lark

# name -> the module of this package that has it
_HOMES = {
    "CompileReport": "compiled",
    "CompiledGrammar": "compiled",
    "LarkText": "lark",
    "to_lark": "lark",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
