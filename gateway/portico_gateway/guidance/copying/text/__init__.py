"""What a text says that may be copied.

    number_words.py       numbers as people write them
    written_dates.py      dates and times, read and written anew
    spoken_arithmetic.py  arithmetic in words, as an expression
    span.py               Span, SpanKind: what may be copied
    span_shapes.py        what stays whole: quotations, paths, dates, identifiers, numbers
    spans.py              all spans of a text: those, names, phrases, clauses

It knows no parameter.
"""
