"""Lark's grammars, as clients send them for the text that a tool takes.

    patterns.py  regular expressions, Lark's and clients'
    tokens.py    Lark text -> tokens
    reader.py    tokens -> IR
    common.py    the terminals of Lark's `common` library, in Lark's own words
    language.py  a definition, Lark or a regular expression, as the IR of its texts

Read as a language of characters: a text is in it if it can be cut into terminals at all. Lark's own parsers may refuse some of
those, where a lexer takes the longest terminal first.
"""
