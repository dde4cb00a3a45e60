"""What of a result may be an answer: candidates, by the shape of what a tool returned.

    candidate.py     AnswerCandidate: a text that may be printed as the answer, and where it stands
    prose.py         sentences, items, rows and code of documents, with what stands around them
    documents/       what a document's text is made of
    plain_text.py    paragraphs and sentences of any other text
    source_lines.py  lines of code where a symbol or a match stands
    rows.py          a table's rows
    extract.py       which of them reads a result

It knows the fields that search-like tools share, and no server by name. How good a candidate is, `quotations.py` says.
"""
