"""Source files as what may answer: their statements, which place fits a question, what is printed of it.

    statements.py  a file as statements, each below those around it, by brackets and indentation
    words.py       words of code and of questions: identifiers in parts, stems, synonyms, sense
    expected.py    what kind of code a question is after
    kind_fit.py    whether a place is that kind of code
    places.py      how well each place of some files answers
    messages.py    messages that a question quotes, and whether lines hold them
    members.py     what a class or a file has, named and counted
    different.py   which places are different answers, and which lines belong to one
    constants.py   constants that lines name, and where they are defined
    display.py     what is printed of a place, and of what it leads to

It knows files as text: no syntax tree, no server, no model.
"""
