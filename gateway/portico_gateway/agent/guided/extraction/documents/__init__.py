"""Documents: what in a passage of Markdown, reST or plain text may be an answer.

    blocks.py            paragraphs, list items, table rows, entries and code, each under its headings
    directives.py        what a directive of reST or MyST holds: text, code, a name, or nothing to read
    tables.py            rows of pipe, grid and simple tables
    sentences.py         a paragraph's sentences
    markup.py            a line without its inline markup
    passage_features.py  how well a passage answers a question
    passage_kinds.py     what kinds of answer a question asks of a document, and whether a passage has one
    history_pages.py     which passages tell what changed, and who asks for that

`prose.py` makes candidates of them. It knows no documentation and no server by name.
"""
