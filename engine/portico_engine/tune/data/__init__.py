"""Training rows: a question, the tools beside it, and the calls that answer it, or none.

    mixture.py           how much of each source, and in which form
    sources/             published sets and our own, as examples
    example.py           what every source yields: a question and the calls that answer it
    changes/             what is changed in an example, so that a model learns what counts
    rows.py              an example among other tools, as a row
    kept.py              turns on which a model shall stay as it was
    talk.py              ordinary turns, without tools
    tool_questions.py    rows over somebody's own tools
    row_file.py          rows, pairs and rated answers as JSON lines
    said_calls.py        the calls in an answer's text
    row_checks.py        rows that are left out, and sets that are refused
    overlap.py           is an evaluation's question among them?

What our own questions are made of:

    spec_file.py          the notation of own/: a tool and its questions
    schema_questions.py   plain questions for any tool, from its schema
    several_questions.py  several calls of one tool asked for at once
    spoken_questions.py   questions as people put them who don't know its parameters' names
    other_words.py        what people call things that a description calls otherwise
    value_kinds.py        values, each with how people write it
    word_lists.py         the words that values are drawn from
"""
