"""JSON Schema (2020-12, and older drafts as tools write them) to the grammar's IR.

document.py   the schema as a document: dialect, pointers, references      keywords.py  reading keyword values
expand.py     subschema -> formula; negation is pushed into the atoms      formula.py   formulas and their normal form
build.py      goal -> rules; with scalars.py, arrays.py, objects.py, names.py
depth.py      what can end, what is reachable, how deep recursion goes     compiler.py  the front door, and degrading
values.py     does a concrete value satisfy a subschema?                   disjoint.py  do two formulas surely exclude each
other?
"""

from __future__ import annotations

from portico_engine.grammar.schema.compiler import schema_to_ir, tool_to_ir

__all__ = ["schema_to_ir", "tool_to_ir"]
