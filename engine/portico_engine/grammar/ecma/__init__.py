"""ECMA-262's regular expressions, as JSON Schema's `pattern` means them: their languages, and the search with them.

nodes.py                what a pattern's tree is made of
python_patterns.py      other dialects' patterns, Python's above all, in ECMA-262's words
unicode_properties.py   the code points of `\\p{...}`
parser.py               pattern -> tree
lookaround.py           tree -> regular language: assertions as intersections and complements
language.py             pattern -> regular language, the two together, kept
search.py               does a string hold a match? in bounded time, backreferences too

It knows regular languages, and no JSON Schema.
"""
