"""JSON Schema (2020-12, and older drafts as tools write them) to the grammar's IR.

keywords.py    reading keyword values, and saying what is wrong with one
references.py  where a schema's references lead by its own names, and which go round in a circle
document.py    the schema as a document: dialect, pointers, references
formula.py     subschemas as formulas of constraints, and their disjunctive normal form
assertions.py  keywords that assert something by themselves -> formula
expand.py      subschema -> formula, of all its keywords; negation is pushed into the constraints
disjoint.py    do two formulas surely exclude each other?
values.py      does a concrete value satisfy a formula?
build.py       goal -> rules, one for each goal
scalars.py     of strings, numbers, booleans and null
formats.py     the languages of `format`, and the check of a value against them
multiples.py   multiples and exclusions of numbers, digit by digit
arrays.py      of arrays
objects.py     of objects, pair by pair
names.py       which property names there are, and what their values must satisfy
shared.py      rules that all schemas share: any value, any string
depth.py       what can end, what is reachable, how deep recursion goes
order.py       a value's text with its keys in the grammar's order
mending.py     a tool's schema with mistakes in it, read as far as it can be
compiler.py    the front door: schema_to_ir, and tool_to_ir, which degrades a bad schema

It knows the IR, regular languages and ECMA-262's patterns; nothing of matchers, GBNF or tool calls.
"""

from __future__ import annotations

from portico_engine.grammar.schema.compiler import schema_to_ir, tool_to_ir

__all__ = ["schema_to_ir", "tool_to_ir"]
