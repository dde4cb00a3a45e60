"""Questions over our three servers as they stand over somebody's workspace, with all of their tools at hand.

asked.py        a question, its call, and what the call has to find
workspace.py    what a workspace offers, and what in it can be asked about
examples.py     how many questions of each kind
about_code.py   questions about code
sentences.py    a sentence of documentation as a question
about_docs.py   questions about documentation
about_data.py   questions about tables: what is computed, of which rows
conditions.py   which rows, in words and as filters
phrases.py      forms of questions, and how people write in haste
"""
