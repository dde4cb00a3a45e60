"""The copy grammar: what of a question may be an argument, which argument it is, and a tool narrowed to that.

    text/                what a text says that may be copied: spans, numbers, dates, arithmetic
    parameter_words.py   what the words of a parameter say of its values
    parameters.py        a tool's arguments as a list of leaves
    text_vectors.py      embeddings of texts, each made once
    read_text.py         ReadText: a question with what was found for it before, read once for all tools
    span_fit.py          how well a span goes with a parameter
    values/              all that a parameter may be
    value_assignment.py  which span goes to which parameter
    copy_grammar.py      the tool's schema narrowed to those values, and the prior over them

It knows tools by their schemas and a question as text; which tool is called it does not know.
"""
