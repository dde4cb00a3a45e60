"""Questions in other languages than English, which is what tools, schemas and their descriptions are written in.

dictionaries.py       words of five languages and their English
question_language.py  which language a question is in
in_english.py         a question with the words that are known in English
"""
