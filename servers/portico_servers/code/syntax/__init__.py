"""What one file says. Nothing here knows an index, nor other files.

languages.py    which language a file is in, and the query that finds its definitions
source_text.py  its bytes as UTF-8, read through the jail, and its lines
symbols.py      its definitions and imports, by tree-sitter
references.py   where it uses a name, and how
chunks.py       the pieces that search ranks
snippets.py     what is shown of it: an excerpt, the definition around a line
"""
