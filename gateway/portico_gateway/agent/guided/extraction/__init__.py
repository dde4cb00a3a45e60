"""What of a result may be an answer: candidates, by the shape of what a tool returned.

    candidate.py     AnswerCandidate: a text that may be printed as the answer, and where it stands
    prose.py         sentences, items, rows and code of documents, with what stands around them
    documents/       what a document's text is made of
    plain_text.py    any other text: sections, records, lists, paragraphs
    structured.py    JSON of any tool: records, fields, lists
    records.py       several records of any result together: counted, listed
    source_lines.py  places in source files that answer, one by one and as lists
    source_files.py  whole files that a search led to
    source_code/     how source files are read: statements, words, places, what is printed
    rows.py          a table's rows
    extract.py       which of them reads a result

It knows the fields that search-like tools share, and no server by name. How good a candidate is, `quotations.py` says.
"""
