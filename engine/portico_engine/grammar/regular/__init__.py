"""Regular languages over the IR: automata, and the languages that grammars are put together from.

automata.py   derivatives: what may follow, emptiness, intersection, whole DFAs
strings.py    JSON strings: from a language of code points to that of their one canonical spelling
numbers.py    JSON numbers: ranges of integers and decimals, multiples
markers.py    free text without a marker, and free text up to one

It knows the IR, and no format that grammars are read from or written in.
"""
