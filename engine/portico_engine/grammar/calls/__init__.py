"""Tool calls: how each model family writes them, the grammar that allows nothing else, and the parser that streams them back.

formats.py         the families' envelopes and markers, told from a chat template
text_input.py      a tool that takes one text: its arguments, the text under its own grammar
tool_rules.py      all tools' arguments as rules of one grammar
compile.py         tools, a tool choice and what else may be answered -> one grammar, compiled
value_scanner.py   where a JSON value ends, a character at a time
body.py            one call's body as it arrives: its name, and its arguments as they grow
parser.py          generated text -> content, thoughts, and calls whose arguments are handed on as they grow

It knows what a tool is, and leaves its schema to `schema`; it runs nothing.
"""
