"""The copy grammar: what of a question may be an argument, which argument it is, and a tool narrowed to that.

    number_words.py       numbers as people write them
    written_dates.py      dates and times, read and written anew
    spoken_arithmetic.py  arithmetic in words, as an expression
    span.py               Span, SpanKind: what may be copied
    span_shapes.py        what stays whole: quotations, paths, dates, identifiers, numbers
    spans.py              all spans of a text: those, names, phrases, clauses
    parameter_words.py    what the words of a parameter say of its values
    parameters.py         a tool's arguments as a list of leaves
    text_vectors.py       embeddings of texts, each made once
    span_fit.py           how well a span goes with a parameter
    copied_value.py       CopiedValue: a value, its weight, where it is said
    written_forms.py      a span as a parameter wants it written
    listed_values.py      which listed value is said; whether something is so
    glob_values.py        patterns of file names
    array_values.py       arrays out of lists that are said
    copied_values.py      all that a parameter may be
    value_assignment.py   which span goes to which parameter
    copy_grammar.py       the tool's schema narrowed to those values, and the prior over them

It knows tools by their schemas and a question as text; which tool is called it does not know.
"""
