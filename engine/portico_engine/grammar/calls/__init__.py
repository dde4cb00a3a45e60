"""Tool calls: how each model family writes them, the grammar that allows nothing else, and the parser that streams them back.

formats   the families' envelopes and markers, told from a chat template
compile   tools and a tool choice -> one grammar
parser    generated text -> content, and calls whose arguments are handed on as they grow
"""
