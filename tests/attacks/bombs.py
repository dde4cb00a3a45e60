"""Schemas and grammars that are small to write and dear to take literally: the table that item 2's tests go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Json = Any
MILLION, BILLION = 1_000_000, 1_000_000_000


def nested(levels: int, wrap: Callable[[Json], Json], inner: Json) -> Json:
    """`inner`, wrapped so many times."""
    for _ in range(levels):
        inner = wrap(inner)
    return inner


def obj(properties: Mapping[str, Json], **more: Json) -> Json:
    """An object all of whose properties are required."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def doubling(levels: int, pair: Callable[[Json], Json]) -> Json:
    """Definitions that each use the next one twice."""
    defs = {f"d{i}": pair({"$ref": f"#/$defs/d{i + 1}"}) for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"type": "string", "minLength": 1}}}


def _string(pattern: str, **more: Json) -> Json:
    return {"type": "string", "pattern": pattern, **more}


def _wide_formula(width: int, parts: int) -> Json:
    """A product of disjunctions."""
    return {"allOf": [{"anyOf": [{"properties": {f"p{i}-{j}": {"const": j}}} for j in range(width)]} for i in range(parts)]}


SCHEMAS: Mapping[str, Callable[[], Json]] = {
    # counts
    "minLength of a billion": lambda: {"type": "string", "minLength": BILLION},
    "maxLength of a billion": lambda: {"type": "string", "maxLength": BILLION},
    "minLength of 30 digits": lambda: {"type": "string", "minLength": 10**30},
    "minLength of a million": lambda: {"type": "string", "minLength": MILLION},
    "minItems of a billion": lambda: {"type": "array", "items": {"type": "integer"}, "minItems": BILLION},
    "maxItems of a billion": lambda: {"type": "array", "items": {"type": "integer"}, "maxItems": BILLION},
    "minItems of objects": lambda: {"type": "array", "items": obj({"a": {"type": "string"}}), "minItems": MILLION},
    "minProperties of a billion": lambda: {"type": "object", "minProperties": BILLION},
    "maxProperties of a billion": lambda: {"type": "object", "maxProperties": BILLION},
    "maxProperties of a million, typed": lambda: {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "minProperties": MILLION,
        "maxProperties": MILLION,
    },
    "minContains of a billion": lambda: {"type": "array", "contains": {"const": 1}, "minContains": BILLION},
    "contains, counted in many ways": lambda: {
        "type": "array",
        "allOf": [{"contains": {"minimum": i}, "minContains": 3, "maxContains": 5} for i in range(30)],
        "maxItems": 60,
    },
    "arrays of arrays, each of a thousand": lambda: nested(
        8, lambda s: {"type": "array", "items": s, "minItems": 1000, "maxItems": 1000}, {"type": "string", "minLength": 1000}
    ),
    "arrays of arrays, each of two": lambda: nested(
        40, lambda s: {"type": "array", "items": s, "minItems": 2, "maxItems": 2}, {"const": 1}
    ),
    "lengths in many properties": lambda: obj({f"p{i}": {"type": "string", "minLength": 100_000} for i in range(100)}),
    "a thousand prefix items": lambda: {"type": "array", "prefixItems": [{"type": "integer"}] * 1000, "minItems": 1000},
    "prefix items, repeated": lambda: nested(
        60, lambda s: {"type": "array", "prefixItems": [s, s], "minItems": 2, "items": False}, {"const": 1}
    ),
    # numbers
    "multipleOf of 1e-300": lambda: {"type": "number", "multipleOf": 1e-300},
    "multipleOf of 1e300": lambda: {"type": "number", "multipleOf": 1e300},
    "multipleOf of a large prime": lambda: {"type": "integer", "multipleOf": 2_147_483_647},
    "many multiples at once": lambda: {
        "type": "integer",
        "allOf": [{"multipleOf": p} for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)],
    },
    "not a multiple, many times": lambda: {
        "type": "integer",
        "allOf": [{"not": {"multipleOf": p}} for p in range(2, 200)],
    },
    "a limit of 5,000 digits": lambda: {"type": "integer", "minimum": int("9" * 4000), "maximum": int("9" * 4001)},
    "a limit of a million digits": lambda: {"type": "integer", "minimum": 10**MILLION},
    "a multiple of a million digits": lambda: {"type": "integer", "multipleOf": 10**MILLION + 1},
    "a limit of 1e-308": lambda: {"type": "number", "exclusiveMinimum": 1e-308, "maximum": 2e-308},
    "many excluded numbers": lambda: {"type": "integer", "not": {"enum": list(range(0, 300_000, 3))}},
    # width
    "an enum of 100,000": lambda: {"enum": [f"value {i}" for i in range(100_000)]},
    "an enum of 100,000 numbers": lambda: {"enum": list(range(100_000))},
    "an enum of 100,000 objects": lambda: {"enum": [{"a": i, "b": [i, {"c": i}]} for i in range(100_000)]},
    "an enum under a pattern": lambda: {"enum": ["a" * i for i in range(3000)], "pattern": "^(a|a|aa)+$"},
    "an enum's negation": lambda: {"type": "string", "not": {"enum": [f"value {i}" for i in range(30_000)]}},
    "10,000 properties": lambda: {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(10_000)}},
    "10,000 required properties": lambda: obj({f"p{i}": {"type": "string"} for i in range(10_000)}),
    "10,000 open properties": lambda: {
        "type": "object",
        "properties": {f"p{i}": {"type": "string"} for i in range(10_000)},
        "additionalProperties": {"type": "integer"},
    },
    "a property name of a million characters": lambda: obj({"n" * MILLION: {"type": "string"}}),
    "long property names": lambda: obj(
        {f"{i}" + "n" * 10_000: {"type": "string"} for i in range(500)}, additionalProperties=True
    ),
    "a constant of 10 million characters": lambda: {"const": "x" * 10 * MILLION},
    "dependencies of all on all": lambda: {
        "type": "object",
        "properties": {f"p{i}": {} for i in range(200)},
        "dependentRequired": {f"p{i}": [f"p{j}" for j in range(200)] for i in range(200)},
    },
    "required of 100,000": lambda: {"type": "object", "required": [f"p{i}" for i in range(100_000)]},
    # depth, references
    "nested 100 deep": lambda: nested(100, lambda s: obj({"a": s}), {"type": "string"}),
    "nested 100,000 deep": lambda: nested(100_000, lambda s: {"type": "array", "items": s}, {}),
    "allOf, nested 150 deep": lambda: nested(70, lambda s: {"allOf": [s, s]}, {"type": "string"}),
    "$defs doubling 25 times": lambda: doubling(25, lambda s: obj({"l": s, "r": s})),
    "$defs doubling 100 times": lambda: doubling(100, lambda s: obj({"l": s, "r": s})),
    "$defs doubling by allOf": lambda: doubling(60, lambda s: {"allOf": [s, s]}),
    "$defs doubling by anyOf": lambda: doubling(60, lambda s: {"anyOf": [s, s, {"type": "null"}]}),
    "$defs doubling by oneOf": lambda: doubling(40, lambda s: {"oneOf": [s, obj({"x": s})]}),
    "$defs doubling by arrays": lambda: doubling(30, lambda s: {"type": "array", "prefixItems": [s, s], "minItems": 2}),
    "$defs doubling by not": lambda: doubling(40, lambda s: {"not": {"anyOf": [s, {"not": s}]}}),
    "references in a circle": lambda: {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
    },
    "recursion eight ways": lambda: obj({f"p{i}": {"anyOf": [{"$ref": "#"}, {"type": "null"}]} for i in range(8)}),
    "recursion without an end": lambda: obj({"again": {"$ref": "#"}}),
    "2,000 definitions in a row": lambda: {
        "$ref": "#/$defs/d0",
        "$defs": {**{f"d{i}": obj({"n": {"$ref": f"#/$defs/d{i + 1}"}}) for i in range(2000)}, "d2000": {"type": "string"}},
    },
    # combinations
    "a product of anyOf": lambda: _wide_formula(10, 10),
    "a product of oneOf": lambda: {"allOf": [{"oneOf": [{"required": [f"{i}{j}"]} for j in range(20)]} for i in range(20)]},
    "a oneOf of 500": lambda: {"oneOf": [obj({f"k{i}": {"type": "string"}}) for i in range(500)]},
    "a oneOf of 2,000 patterns": lambda: {"oneOf": [_string(f"^a{{0,{i}}}$") for i in range(2000)]},
    "not of not, 60 times": lambda: nested(60, lambda s: {"not": s}, obj({"a": _string("^a+$")})),
    "not of allOf of anyOf": lambda: nested(
        25, lambda s: {"not": {"allOf": [s, {"anyOf": [s, {"type": "null"}]}]}}, {"type": "string"}
    ),
    "if, 40 times": lambda: {
        "type": "object",
        "allOf": [
            {"if": {"properties": {f"a{i}": {"const": 1}}}, "then": {"required": [f"b{i}"]}, "else": {"required": [f"c{i}"]}}
            for i in range(40)
        ],
    },
    "patternProperties that meet": lambda: {
        "type": "object",
        "patternProperties": {f"^.*{c}.*$": {"minimum": i} for i, c in enumerate("abcdefghijklmnop")},
        "additionalProperties": False,
    },
    "patternProperties that count": lambda: {
        "type": "object",
        "patternProperties": {f"(a|b)*a(a|b){{{i}}}$": {"minimum": i} for i in range(5, 25)},
        "minProperties": 3,
    },
    "a thousand patternProperties": lambda: {
        "type": "object",
        "patternProperties": {f"^p{i}[0-9]+$": {"type": "integer"} for i in range(1000)},
    },
    # patterns
    "a pattern's nested quantifiers": lambda: _string("^((((a+)+)+)+)+$"),
    "a pattern that counts to 1e9": lambda: _string("^a{1000000000}$"),
    "a pattern that counts, and counts, and counts": lambda: _string("^(((a{100}){100}){100}){100}$"),
    "a pattern with an exponential automaton": lambda: _string("^(a|b)*a(a|b){40}$"),
    "unanchored patterns with exponential automata": lambda: {
        "type": "string",
        "allOf": [{"pattern": f"a.{{{i}}}b.{{{i}}}c"} for i in range(10, 30)],
    },
    "patterns that intersect": lambda: {
        "type": "string",
        "allOf": [{"pattern": f"^(.{{{p}}})*$"} for p in (7, 11, 13, 17, 19, 23, 29, 31)],
    },
    "patterns that intersect, with a length": lambda: {
        "type": "string",
        "allOf": [{"pattern": f"(x|y){{{p}}}"} for p in (7, 11, 13, 17, 19, 23)],
        "minLength": 5000,
        "maxLength": 9000,
    },
    "lookaheads, nested": lambda: _string("^" + "(?=.*a" * 30 + ")" * 30 + ".*$"),
    "lookaheads, many": lambda: _string("^" + "".join(f"(?=.*{c}.{{20}})" for c in "abcdefghijklmnopqrst") + ".*$"),
    "lookbehinds, many": lambda: _string("".join(f"(?<=(a|b){{{i}}})x*" for i in range(1, 30))),
    "backreferences": lambda: _string("^(a*)(b*)(c*)\\1\\2\\3\\1\\2\\3$"),
    "unicode classes": lambda: _string("^(\\p{L}\\p{N}|\\p{Lu}\\p{Ll}|[^\\p{L}]){200}$"),
    "unicode classes, complemented": lambda: _string("^(?!.*\\p{Emoji}{3})(\\P{L}|\\p{Script=Han}){1,300}$"),
    "a pattern of a million characters": lambda: _string("^" + "ab" * (MILLION // 2) + "$"),
    "a pattern of 100,000 alternatives": lambda: _string("^(" + "|".join(f"w{i}" for i in range(100_000)) + ")$"),
    "a pattern of 5,000 groups": lambda: _string("(" * 5000 + "a" + ")" * 5000),
    "a pattern of 3,000 optionals": lambda: _string("^" + "a?" * 3000 + "a{3000}$"),
    "a bound on words": lambda: _string("^(\\w+\\s){100000}$"),
    "formats that intersect": lambda: {
        "type": "string",
        "allOf": [{"format": f} for f in ("uri", "email", "hostname", "date-time", "uuid", "ipv6", "iri", "json-pointer")],
    },
    "formats and their negations": lambda: {
        "type": "string",
        "allOf": [{"not": {"format": f}} for f in ("uri", "email", "date-time", "uuid", "ipv6", "iri")],
        "minLength": 10,
    },
    "a format with a length": lambda: {"type": "string", "format": "iri", "minLength": 100_000},
}

_ALTERNATIONS = "".join(f"a{i} ::= a{i + 1} a{i + 1} | a{i + 1}\n" for i in range(40)) + 'a40 ::= "x" | ""\n'

GRAMMARS: Mapping[str, Callable[[], str]] = {
    "three repeats of a thousand": lambda: 'root ::= (("a"{1000}){1000}){1000}\n',
    "ten repeats of a thousand": lambda: "root ::= " + nested(10, lambda s: f"({s}){{1000}}", '"a"') + "\n",
    "a repeat of a million": lambda: 'root ::= "a"{1000000}\n',
    "a repeat of a million rules": lambda: 'root ::= item{0,1000000}\nitem ::= "a" item? "b"\n',
    "repeats of rules, in a chain": lambda: (
        "root ::= r0\n" + "".join(f"r{i} ::= r{i + 1}{{1,1000}}\n" for i in range(12)) + "r12 ::= [a-z]\n"
    ),
    "rules that double 60 times": lambda: (
        "root ::= r0\n" + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in range(60)) + 'r60 ::= "a"\n'
    ),
    "recursive rules that double": lambda: (
        "root ::= r0\n" + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in range(60)) + 'r60 ::= "a" root? "b"\n'
    ),
    "exponential alternations": lambda: "root ::= a0\n" + _ALTERNATIONS,
    "left recursion": lambda: 'root ::= root "a" | "b"\n',
    "left recursion by a hidden empty rule": lambda: 'root ::= e e e root "a" | "b"\ne ::= "x"?\n',
    "left recursion in a circle of 500": lambda: (
        "root ::= r0\n" + "".join(f'r{i} ::= r{(i + 1) % 500} | "a"\n' for i in range(500))
    ),
    "empty loops": lambda: 'root ::= (((""*)*)*)* ("a"*)* ((a | b)*)*\na ::= "a"*\nb ::= "b"* | a*\n',
    "a literal of 10 million characters": lambda: 'root ::= "' + "x" * 10 * MILLION + '"\n',
    "100,000 literals": lambda: "root ::= " + " | ".join(f'"w{i}"' for i in range(100_000)) + "\n",
    "100,000 rules": lambda: (
        "root ::= " + " | ".join(f"r{i}" for i in range(100_000)) + "\n" + "".join(f'r{i} ::= "w{i}"\n' for i in range(100_000))
    ),
    "10,000 rules in a row": lambda: (
        "root ::= r0\n" + "".join(f'r{i} ::= "a" r{i + 1}\n' for i in range(10_000)) + 'r10000 ::= "b"\n'
    ),
    "groups 150 deep": lambda: "root ::= " + "(" * 149 + '"a"' + ")+" * 149 + "\n",
    "groups 100,000 deep": lambda: "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000 + "\n",
    "10,000 nested optionals": lambda: "root ::= " + '("a"' * 140 + ")?" * 140 + "\n",
    "an ambiguous palindrome": lambda: 'root ::= s\ns ::= "a" s "a" | "a" s "b" | "a" s | "a"\n',
    "an exponential automaton": lambda: "root ::= [ab]* [a] [ab]{30} [c]\n",
    "classes of 100,000 ranges": lambda: (
        "root ::= [" + "".join(chr(0x4E00 + 2 * (i % 10_000)) for i in range(100_000)) + "]+\n"
    ),
    "a repeated class, counted": lambda: "root ::= ([a-z]{0,5000} [0-9]{0,5000}){0,5000}\n",
    "token references, repeated": lambda: 'root ::= (<|im_start|> "a"){1000000}\n',
    "a repeat of 20 digits": lambda: 'root ::= "a"{99999999999999999999}\n',
    "a comment of 10 million characters": lambda: "#" + "x" * 10 * MILLION + '\nroot ::= "a"\n',
    "1,000 stars": lambda: 'root ::= "a"' + "*" * 1000 + "\n",
}
